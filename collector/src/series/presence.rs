//! When a host was sampled: runs of ticks without holes, which say it in little room.

use super::rollup::Step;

/// Metrics that every host sends at every tick: what to ask the store for when only the times of
/// samples are wanted.
pub const PRESENCE_METRICS: &[&str] =
    &["node_load1", "node_time_seconds", "hostwell_uptime_seconds"];
/// Steps of presence: longer ones would say too little, shorter ones no more.
pub const PRESENCE_STEP_MS: i64 = 3_600_000;
/// Most runs of a step; of more, those nearest to each other become one.
pub const RUNS_MAX: usize = 64;

/// Ticks one after the other, none missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub from_ms: i64,
    /// The last.
    pub to_ms: i64,
    /// How many.
    pub ticks: u64,
}

impl Run {
    /// The ticks, evenly spread; the first and the last are where they were.
    pub fn times_ms(&self) -> impl Iterator<Item = i64> + use<> {
        let (from_ms, length_ms) = (self.from_ms, self.to_ms.saturating_sub(self.from_ms));
        // More ticks than milliseconds there cannot be.
        let last = (self.ticks.max(1) as i64 - 1).min(length_ms.max(0));
        (0..=last).map(move |i| {
            from_ms + (i128::from(length_ms) * i128::from(i) / i128::from(last.max(1))) as i64
        })
    }
}

/// The runs of ascending times; a tick is missing where two are one and a half intervals apart.
pub fn runs(times_ms: &[i64], interval_ms: i64) -> Vec<Run> {
    let far_ms = interval_ms.max(1).saturating_mul(3) / 2;
    times_ms
        .chunk_by(|a, b| b.saturating_sub(*a) <= far_ms)
        .filter_map(|ticks| {
            Some(Run {
                from_ms: *ticks.first()?,
                to_ms: *ticks.last()?,
                ticks: ticks.len() as u64,
            })
        })
        .collect()
}

/// Joins the nearest neighbours until there are no more than [`RUNS_MAX`].
fn bounded(mut runs: Vec<Run>) -> Vec<Run> {
    if runs.len() <= RUNS_MAX {
        return runs;
    }
    let mut holes: Vec<i64> = runs
        .windows(2)
        .map(|two| two[1].from_ms - two[0].to_ms)
        .collect();
    holes.sort_unstable();
    // So many of the largest holes stay.
    let smallest = holes[holes.len() - (RUNS_MAX - 1)];
    let mut joined: Vec<Run> = Vec::with_capacity(RUNS_MAX);
    for run in runs.drain(..) {
        let full = joined.len() == RUNS_MAX;
        match joined.last_mut() {
            Some(last) if full || run.from_ms - last.to_ms < smallest => {
                last.to_ms = run.to_ms;
                last.ticks += run.ticks;
            }
            _ => joined.push(run),
        }
    }
    joined
}

/// Runs as steps of an hour: the n-th run of each hour together, with how many ticks it has and, in
/// milliseconds of the hour, the first and the last of them.
pub fn steps(times_ms: &[i64], interval_ms: i64) -> Vec<Vec<Step>> {
    let hour_of = |ms: i64| ms.div_euclid(PRESENCE_STEP_MS);
    let mut found: Vec<Vec<Step>> = Vec::new();
    for hour in times_ms.chunk_by(|a, b| hour_of(*a) == hour_of(*b)) {
        for (n, run) in bounded(runs(hour, interval_ms)).into_iter().enumerate() {
            let start_ms = hour_of(run.from_ms) * PRESENCE_STEP_MS;
            let first = (run.from_ms - start_ms) as f64;
            if found.len() == n {
                found.push(Vec::new());
            }
            found[n].push(Step {
                samples: run.ticks,
                values: run.ticks,
                min: first,
                mean: first,
                max: (run.to_ms - start_ms) as f64,
                ..Step::empty(start_ms)
            });
        }
    }
    found
}

/// The other way round, for one step.
pub fn run_of(step: &Step) -> Run {
    Run {
        from_ms: step.start_ms.saturating_add(step.min as i64),
        to_ms: step.start_ms.saturating_add(step.max as i64),
        ticks: step.samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_say_when_a_host_was_sampled_and_how_often(
            gaps in prop::collection::vec(prop_oneof![8 => Just(10_000i64), 1 => 1i64..200_000], 1..900)
        ) {
            let mut at = 1_000_000_000i64;
            let times: Vec<i64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            let steps = steps(&times, 10_000);
            prop_assert!(steps.len() <= RUNS_MAX);
            let mut runs: Vec<Run> = steps.iter().flatten().map(run_of).collect();
            runs.sort_by_key(|run| run.from_ms);
            let told: Vec<i64> = runs.iter().flat_map(Run::times_ms).collect();
            prop_assert_eq!(told.len(), times.len());
            // A hole long enough to be an outage has its very ends.
            for two in times.windows(2).filter(|two| two[1] - two[0] > 90_000) {
                prop_assert!(told.contains(&two[0]) && told.contains(&two[1]));
            }
        }
    }

    #[test]
    fn a_missing_tick_ends_a_run_and_a_late_one_does_not() {
        let ticks = |times: &[i64]| -> Vec<(i64, i64, u64)> {
            let runs = runs(times, 10_000);
            runs.iter().map(|r| (r.from_ms, r.to_ms, r.ticks)).collect()
        };
        assert_eq!(ticks(&[0, 10_000, 24_000]), [(0, 24_000, 3)]);
        assert_eq!(
            ticks(&[0, 10_000, 30_000]),
            [(0, 10_000, 2), (30_000, 30_000, 1)]
        );
        assert!(ticks(&[]).is_empty());
    }

    #[test]
    fn of_too_many_runs_the_nearest_become_one() {
        let times: Vec<i64> = (0..100).map(|n| n * 30_000 + n * n).collect();
        let steps = steps(&times, 10_000);
        assert_eq!(steps.len(), RUNS_MAX);
        let ticks: u64 = steps.iter().flatten().map(|s| s.samples).sum();
        assert_eq!(ticks, 100);
        let last = run_of(&steps[RUNS_MAX - 1][0]);
        assert_eq!(
            (last.to_ms, last.ticks),
            (times[99], 1),
            "the widest holes stay"
        );
    }
}
