use proptest::prelude::*;

use super::*;

/// Seconds everywhere; sampled every 10 s, so the grace is 90 s.
#[derive(Debug)]
struct Story {
    range: (i64, i64),
    now: i64,
    first_seen: i64,
    retired: Option<i64>,
    samples: Vec<(i64, i64)>,
    watched: Vec<(i64, i64)>,
    dropped: Vec<(i64, i64)>,
}

/// An hour of one host, watched all along.
fn story(samples: &[(i64, i64)]) -> Story {
    Story {
        range: (0, 3600),
        now: 3600,
        first_seen: 0,
        retired: None,
        samples: samples.to_vec(),
        watched: vec![(0, 3600)],
        dropped: Vec::new(),
    }
}

impl Story {
    fn account(&self) -> Availability {
        let spans = |spans: &[(i64, i64)]| -> Vec<Span> {
            spans
                .iter()
                .map(|(a, b)| Span::new(a * 1000, b * 1000))
                .collect()
        };
        let times: Vec<i64> = self
            .samples
            .iter()
            .flat_map(|(a, b)| (*a..=*b).step_by(10).map(|t| t * 1000))
            .filter(|time_ms| *time_ms <= self.now * 1000)
            .collect();
        availability(&Presence {
            range: Span::new(self.range.0 * 1000, self.range.1 * 1000),
            now_ms: self.now * 1000,
            first_seen_ms: self.first_seen * 1000,
            retired_ms: self.retired.map(|t| t * 1000),
            interval_ms: 10_000,
            grace_ms: 90_000,
            sample_times_ms: &times,
            watched: &spans(&self.watched),
            dropped: &spans(&self.dropped),
        })
    }

    #[track_caller]
    fn is(&self, expected: &str) {
        let words: Vec<String> = self
            .account()
            .spans
            .iter()
            .map(|(span, standing)| {
                format!("{standing:?} {}-{}", span.from_ms / 1000, span.to_ms / 1000)
            })
            .collect();
        assert_eq!(words.join(", "), expected);
    }
}

#[test]
fn a_host_that_sends_is_up() {
    let whole = story(&[(0, 3600)]);
    whole.is("Up 0-3600");
    let account = whole.account();
    assert_eq!(account.ratio(), Some(1.0));
    assert_eq!(account.coverage.ratio(), Some(1.0));
}

#[test]
fn a_hole_is_an_outage_only_beyond_the_grace() {
    story(&[(0, 1000), (1090, 3600)]).is("Up 0-3600");
    story(&[(0, 1000), (1100, 3600)]).is("Up 0-1000, Down 1000-1100, Up 1100-3600");
}

#[test]
fn what_nobody_watched_is_unknown() {
    let mut s = story(&[(0, 1000), (2000, 3600)]);
    s.watched = vec![(0, 1200), (1500, 3600)];
    s.is("Up 0-1000, Down 1000-1200, Unknown 1200-1500, Down 1500-2000, Up 2000-3600");
    // A glance shorter than the grace proves nothing.
    s.watched = vec![(0, 1050), (1950, 3600)];
    s.is("Up 0-1000, Unknown 1000-2000, Up 2000-3600");
    assert_eq!(s.account().ratio(), Some(1.0));
    s.watched.clear();
    s.samples.clear();
    s.is("Unknown 0-3600");
    assert_eq!(s.account().ratio(), None);
}

#[test]
fn a_collector_that_was_away_invents_nothing_when_the_history_comes_later() {
    let mut s = story(&[(0, 3600)]);
    s.watched = vec![(0, 100), (3500, 3600)];
    s.is("Up 0-3600");
}

#[test]
fn time_in_which_the_agent_dropped_samples_is_up_without_data() {
    let mut s = story(&[(0, 1000), (2000, 3600)]);
    s.dropped = vec![(1010, 1800)];
    s.is("Up 0-1000, Down 1000-1010, Up 1010-1800, Down 1800-2000, Up 2000-3600");
    assert!(s.account().coverage.ratio().unwrap() < 0.75);
}

#[test]
fn counting_starts_when_first_seen_and_ends_when_retired() {
    let mut s = story(&[(600, 1800)]);
    s.first_seen = 605;
    s.retired = Some(2400);
    s.is("Up 600-1800, Down 1800-2400");
    // What it sends afterwards does not make a hole of the time before, nor mend one.
    s.retired = Some(1850);
    s.is("Up 600-1850");
    s.samples.push((1950, 1960));
    s.is("Up 600-1850");
    s.retired = Some(1900);
    s.is("Up 600-1800, Down 1800-1900");
    s.samples.pop();
    s.retired = Some(0);
    s.is("");
    s.retired = None;
    s.first_seen = 4000;
    s.samples.clear();
    s.is("");
}

#[test]
fn the_newest_silence_is_up_until_the_grace_is_over() {
    story(&[(0, 3510)]).is("Up 0-3600");
    story(&[(0, 3500)]).is("Up 0-3500, Down 3500-3600");
}

#[test]
fn samples_before_and_after_the_range_sharpen_its_edges() {
    let mut s = story(&[(0, 500), (2000, 3600)]);
    s.range = (1000, 1500);
    s.is("Down 1000-1500");
    s.range = (400, 1000);
    s.is("Up 400-500, Down 500-1000");
    s.samples = vec![(0, 1000), (1080, 1200)];
    s.range = (1040, 1100);
    s.is("Up 1040-1100");
}

#[test]
fn a_glance_into_an_outage_sees_it_however_short_it_is() {
    let mut s = story(&[(0, 1000), (2000, 3600)]);
    for (range, expected) in [
        ((1500, 1560), "Down 1500-1560"),
        // Its first and its last minute, and the minutes around.
        ((1000, 1060), "Down 1000-1060"),
        ((980, 1030), "Up 980-1000, Down 1000-1030"),
        ((1970, 2030), "Down 1970-2000, Up 2000-2030"),
    ] {
        s.range = range;
        s.is(expected);
    }
    // Samples further away than the grace are not read; nor is what nobody watched an outage.
    s.samples = vec![(0, 0)];
    s.range = (1500, 1560);
    s.is("Down 1500-1560");
    s.watched = vec![(0, 1450)];
    s.is("Unknown 1500-1560");
    s.watched = vec![(1480, 1570)];
    s.is("Unknown 1500-1560");
}

#[test]
fn the_end_of_a_range_is_judged_by_what_came_after_it() {
    let mut s = story(&[(0, 1000)]);
    s.range = (900, 1050);
    s.is("Up 900-1000, Down 1000-1050");
    // The next sample may still come.
    s.now = 1090;
    s.is("Up 900-1050");
    // A retired host is not asked for one.
    s.now = 3600;
    s.range = (900, 3600);
    s.retired = Some(1050);
    s.is("Up 900-1050");
}

#[test]
fn a_host_that_was_just_greeted_has_a_grace_for_its_first_sample() {
    let mut s = story(&[(1080, 3600)]);
    s.first_seen = 1000;
    s.is("Up 1000-3600");
    s.range = (1050, 3600);
    s.is("Up 1050-3600");
}

fn stretches() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((1i64..400, 1i64..600), 0..6).prop_map(|steps| {
        let mut at = 0;
        steps
            .into_iter()
            .map(|(gap, length)| {
                let from = at + gap;
                at = from + length;
                (from, at)
            })
            .collect()
    })
}

fn any_story() -> impl Strategy<Value = Story> {
    (
        stretches(),
        stretches(),
        stretches(),
        0i64..1500,
        prop::option::of(1500i64..4000),
        (0i64..1000, 1000i64..4000, 0i64..200),
    )
        .prop_map(
            |(samples, watched, dropped, first_seen, retired, (from, to, since))| Story {
                range: (from, to),
                now: to + since,
                first_seen,
                retired,
                samples,
                watched,
                dropped,
            },
        )
}

proptest! {
    #[test]
    fn the_spans_tile_the_accounted_time(s in any_story()) {
        let account = s.account();
        for pair in account.spans.windows(2) {
            prop_assert_eq!(pair[0].0.to_ms, pair[1].0.from_ms);
            prop_assert!(pair[0].1 != pair[1].1);
        }
        for (span, _) in &account.spans {
            prop_assert!(span.from_ms < span.to_ms);
        }
        let sum = account.up_ms() + account.down_ms() + account.unknown_ms();
        let first = s.samples.first().map_or(s.first_seen, |(t, _)| s.first_seen.min(*t));
        let from = s.range.0.max(first);
        let to = s.range.1.min(s.retired.unwrap_or(i64::MAX));
        prop_assert_eq!(sum, (to - from).max(0) * 1000);
    }

    #[test]
    fn nothing_is_down_that_nobody_watched(mut s in any_story()) {
        s.watched.clear();
        prop_assert_eq!(s.account().down_ms(), 0);
    }

    #[test]
    fn backfill_never_takes_uptime_away(mut s in any_story(), more in stretches()) {
        // The first sample fixes where counting starts.
        s.samples.insert(0, (0, 0));
        let before = s.account();
        s.samples.extend(more);
        s.samples.sort_unstable();
        let mut times: Vec<(i64, i64)> = s
            .samples
            .iter()
            .flat_map(|(a, b)| (*a..=*b).step_by(10).map(|t| (t, t)))
            .collect();
        times.sort_unstable();
        times.dedup();
        s.samples = times;
        let after = s.account();
        prop_assert!(after.up_ms() >= before.up_ms());
        prop_assert!(after.down_ms() <= before.down_ms());
    }

    #[test]
    fn coverage_is_a_share(s in any_story()) {
        if let Some(ratio) = s.account().coverage.ratio() {
            prop_assert!((0.0..=1.0).contains(&ratio));
        }
    }
}
