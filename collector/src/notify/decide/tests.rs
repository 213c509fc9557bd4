use super::*;
use crate::rules::Finding;
use crate::store::{Care, Deed};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const T0: i64 = 1_800_000_000_000;

const HOOK: Terms = Terms {
    severity: Severity::Warning,
    floor_ms: HOUR,
    remind_ms: 24 * HOUR,
    repeats: false,
};
const MANAGER: Terms = Terms {
    severity: Severity::Warning,
    floor_ms: 0,
    remind_ms: 0,
    repeats: true,
};

fn entry(id: i64, host: &str, rule: &str) -> Entry {
    Entry {
        finding: Finding {
            id,
            rule: rule.into(),
            host_id: host.into(),
            host: host.into(),
            subject: String::new(),
            severity: Severity::Warning,
            state: State::Open,
            since_ms: T0,
            opened_ms: Some(T0),
            closed_ms: None,
            judged_ms: T0,
            summary: "it is full".into(),
            evidence: Vec::new(),
            advice: "make room".into(),
            advice_zh: "清理空间。".into(),
            held_ms: Default::default(),
        },
        care: Care::default(),
        silenced_in: None,
        maintained_until_ms: None,
        processes: None,
    }
}

/// A target, and one entry that it is told of.
struct Story {
    terms: Terms,
    entry: Entry,
    told: BTreeMap<i64, Told>,
}

impl Story {
    fn of(terms: Terms) -> Story {
        Story {
            terms,
            entry: entry(1, "db-1", "disk_full"),
            told: BTreeMap::new(),
        }
    }

    fn at(&mut self, after_ms: i64) -> Option<News> {
        let entries = [self.entry.clone()];
        let mut changes = decide(&entries, &self.told, self.terms, T0 + after_ms);
        let change = changes.pop()?;
        self.told.insert(1, change.told);
        Some(change.news)
    }

    fn is(&mut self, state: State) -> &mut Story {
        self.entry.finding.state = state;
        self
    }
}

#[test]
fn a_risk_is_told_once_when_it_opens_and_once_when_it_closes() {
    let mut story = Story::of(HOOK);
    assert_eq!(story.is(State::Pending).at(0), None);
    assert_eq!(story.is(State::Open).at(1), Some(News::Firing));
    assert_eq!(story.at(2), None);
    // Late data changes what the entry says, and tells nobody.
    story.entry.finding.since_ms -= HOUR;
    story.entry.finding.summary = "it has been full for longer".into();
    assert_eq!(story.at(3), None);
    assert_eq!(story.is(State::Closed).at(4), Some(News::Resolved));
    assert_eq!(story.at(5), None);
}

#[test]
fn what_comes_and_goes_within_the_floor_is_told_once() {
    let mut story = Story::of(HOOK);
    assert_eq!(story.at(0), Some(News::Firing));
    assert_eq!(story.is(State::Closed).at(MINUTE), Some(News::Resolved));
    assert_eq!(story.is(State::Open).at(2 * MINUTE), None);
    assert_eq!(
        story.is(State::Closed).at(3 * MINUTE),
        None,
        "what was not told is not over"
    );
    assert_eq!(story.is(State::Open).at(59 * MINUTE), None);
    assert_eq!(story.at(HOUR), Some(News::Firing), "and told when it stays");
}

#[test]
fn what_gets_worse_is_told_at_once() {
    let mut story = Story::of(HOOK);
    story.at(0);
    story.entry.finding.severity = Severity::Critical;
    assert_eq!(story.at(1), Some(News::Worse));
    story.entry.finding.severity = Severity::Warning;
    assert_eq!(story.at(2), None, "less bad is no news");
    story.entry.finding.severity = Severity::Critical;
    assert_eq!(story.at(3), None, "and not again what was told");
    story.entry.finding.severity = Severity::Info;
    assert_eq!(
        story.at(4),
        Some(News::Resolved),
        "below what this target hears"
    );
}

#[test]
fn what_is_not_acknowledged_is_told_again_after_a_day() {
    let mut story = Story::of(HOOK);
    story.at(0);
    assert_eq!(story.at(24 * HOUR - 1), None);
    assert_eq!(story.at(24 * HOUR), Some(News::Reminder));
    assert_eq!(story.at(24 * HOUR + 1), None);
    story.entry.care.acknowledged = Some(Deed {
        at_ms: T0,
        who: "anna".into(),
        note: None,
    });
    assert_eq!(story.at(72 * HOUR), None);
}

#[test]
fn nobody_hears_of_a_mute_risk_until_the_mute_has_passed() {
    let mut story = Story::of(HOOK);
    story.entry.care.muted_until_ms = Some(T0 + HOUR);
    assert_eq!(story.at(0), None);
    assert_eq!(story.at(HOUR), Some(News::Firing));
    story.entry.care.muted_until_ms = Some(T0 + 100 * HOUR);
    story.entry.finding.severity = Severity::Critical;
    assert_eq!(story.at(50 * HOUR), None);
    assert_eq!(
        story.is(State::Closed).at(51 * HOUR),
        Some(News::Resolved),
        "the end is told"
    );
}

#[test]
fn nobody_hears_of_what_opens_in_a_maintenance_and_ends_in_it() {
    let mut story = Story::of(HOOK);
    story.entry.maintained_until_ms = Some(T0 + HOUR);
    assert_eq!(story.at(0), None);
    assert_eq!(story.is(State::Closed).at(1), None);
    assert_eq!(story.is(State::Open).at(2), None);
    assert_eq!(
        story.at(HOUR),
        Some(News::Firing),
        "what outlasts it is told"
    );
}

#[test]
fn a_mute_takes_an_alert_back_where_alerts_are_repeated() {
    let mut story = Story::of(MANAGER);
    assert_eq!(story.at(0), Some(News::Firing));
    story.entry.care.muted_until_ms = Some(T0 + HOUR);
    assert_eq!(story.at(1), Some(News::Muted));
    assert_eq!(story.at(2), None);
    assert_eq!(story.at(HOUR), Some(News::Firing));
}

#[test]
fn the_same_on_three_hosts_is_one_message_and_all_of_one_host_another() {
    let entries = [
        entry(1, "a", "host_down"),
        entry(2, "b", "host_down"),
        entry(3, "c", "host_down"),
        entry(4, "d", "disk_full"),
        entry(5, "d", "memory_low"),
        entry(6, "e", "disk_full"),
    ];
    let changes = decide(&entries, &BTreeMap::new(), HOOK, T0);
    let ids = |of: &[&Change<'_>]| -> Vec<i64> { of.iter().map(|c| c.entry.finding.id).collect() };
    let grouped: Vec<_> = groups(&changes)
        .into_iter()
        .map(|(_, group, of)| (group, ids(&of)))
        .collect();
    assert_eq!(
        grouped,
        [
            (Group::Rule("host_down".into()), vec![1, 2, 3]),
            (Group::Host("d".into()), vec![4, 5]),
            (Group::Host("e".into()), vec![6])
        ]
    );
}

#[test]
fn what_is_over_for_long_is_forgotten() {
    let mut story = Story::of(HOOK);
    story.at(0);
    let week = 8 * 24 * HOUR + 2;
    assert!(
        forgotten(&story.told, T0 + week).is_empty(),
        "it still fires"
    );
    story.is(State::Closed).at(1);
    assert!(forgotten(&story.told, T0 + week - 1).is_empty());
    assert_eq!(forgotten(&story.told, T0 + week), [1]);
}

#[test]
fn each_time_it_is_told_that_a_risk_is_open_is_counted_for_a_week() {
    let mut story = Story::of(HOOK);
    let fired = |story: &Story| -> Vec<i64> {
        let hours = story.told[&1].fired.iter().map(|ms| (ms - T0) / HOUR);
        hours.collect()
    };
    assert_eq!(story.is(State::Open).at(0), Some(News::Firing));
    assert_eq!(story.at(HOUR), None);
    assert_eq!(story.at(24 * HOUR), Some(News::Reminder));
    story.entry.finding.severity = Severity::Critical;
    assert_eq!(story.at(25 * HOUR), Some(News::Worse));
    assert_eq!(story.is(State::Closed).at(26 * HOUR), Some(News::Resolved));
    assert_eq!(fired(&story), [0, 24, 25], "that it is over is no alarm");
    let week = 7 * 24 * HOUR;
    assert_eq!(story.is(State::Open).at(week + HOUR), Some(News::Firing));
    assert_eq!(fired(&story), [24, 25, 169]);
    // One that fires without end is bounded.
    let many = Told {
        fired: vec![T0; 1_000],
        ..story.told[&1].clone()
    };
    assert_eq!(Told::fired_until(Some(&many), T0 + 1).len(), 200);
}
