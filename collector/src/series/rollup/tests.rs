use super::*;
use crate::series::{Grid, SeriesName};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn series(kind: Kind, points: &[(i64, f64)]) -> Series {
    Series {
        name: SeriesName::new("m", &[]),
        kind,
        times_ms: points.iter().map(|p| p.0).collect(),
        values: points.iter().map(|p| p.1).collect(),
    }
}

/// Samples about every 10 s, some missing; a counter that sometimes starts again.
fn any_series(kind: Kind) -> impl Strategy<Value = Series> {
    let gap = prop_oneof![20 => Just(1i64), 2 => 2i64..4, 1 => 4i64..40];
    let value = match kind {
        Kind::Gauge => (-100i32..100).prop_map(|v| f64::from(v) / 4.0).boxed(),
        Kind::Counter => prop_oneof![30 => 0i32..500, 1 => Just(-1)]
            .prop_map(f64::from)
            .boxed(),
    };
    prop::collection::vec((gap, value), 1..600).prop_map(move |drawn| {
        let (mut time, mut total) = (3_000, 0.0);
        let points: Vec<(i64, f64)> = drawn
            .into_iter()
            .map(|(gap, value)| {
                time += gap * 10_000;
                total = match kind {
                    Kind::Gauge => value,
                    Kind::Counter if value < 0.0 => 0.0,
                    Kind::Counter => total + value / 8.0,
                };
                (time, total)
            })
            .collect();
        series(kind, &points)
    })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(b.abs()) + 1e-5
}

/// Every aggregation that a rollup tells is what the samples tell.
fn agrees(series: &Series, step_ms: i64, found: &[Step]) -> Result<(), TestCaseError> {
    let grid = Grid {
        from_ms: 0,
        to_ms: i64::MAX / 4,
        step_ms,
    };
    for agg in Agg::ALL.into_iter().filter(|a| can_tell(series.kind, *a)) {
        let exact = series.resample(grid, agg, 10_000);
        let told: Vec<(i64, f64)> = found
            .iter()
            .filter_map(|s| Some((s.start_ms, s.value(series.kind, agg)?)))
            .collect();
        let times: Vec<i64> = told.iter().map(|t| t.0).collect();
        prop_assert_eq!(&times, &exact.times_ms, "{}", agg);
        for ((_, told), exact) in told.iter().zip(&exact.values) {
            let quantile = agg.quantile().is_some();
            // Between two values far apart the error is that of the larger one.
            let largest = found
                .iter()
                .fold(0.0, |m: f64, s| m.max(s.max.abs()).max(s.min.abs()));
            let fine = match quantile {
                true => (told - exact).abs() <= 0.0101 * largest + 1e-5,
                false => near(*told, *exact),
            };
            prop_assert!(fine, "{agg}: {told} for {exact}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rollup_of_a_gauge_says_what_its_samples_say(series in any_series(Kind::Gauge)) {
        let found = steps(&series, (0, i64::MAX / 4), HOUR, 10_000, true);
        agrees(&series, HOUR, &found)?;
    }

    #[test]
    fn a_rollup_of_a_counter_says_what_its_samples_say(series in any_series(Kind::Counter)) {
        let found = steps(&series, (0, i64::MAX / 4), HOUR, 10_000, true);
        agrees(&series, HOUR, &found)?;
    }

    #[test]
    fn minutes_add_up_to_hours_and_days_cut_apart_to_the_whole(
        series in any_series(Kind::Counter), cut in 0i64..7000
    ) {
        let hours = steps(&series, (0, i64::MAX / 4), HOUR, 10_000, true);
        let cut_ms = cut * 1_000 / MINUTE * MINUTE;
        let mut minutes = steps(&series, (0, cut_ms), MINUTE, 10_000, true);
        minutes.extend(steps(&series, (cut_ms, i64::MAX / 4), MINUTE, 10_000, true));
        let mut added: Vec<Step> = Vec::new();
        for minute in &minutes {
            let start_ms = minute.start_ms.div_euclid(HOUR) * HOUR;
            if added.last().is_none_or(|hour| hour.start_ms != start_ms) {
                added.push(Step::empty(start_ms));
            }
            added.last_mut().unwrap().merge(minute);
        }
        prop_assert_eq!(added.len(), hours.len());
        for (added, hour) in added.iter().zip(&hours) {
            prop_assert_eq!(added.start_ms, hour.start_ms);
            prop_assert_eq!((added.samples, added.values), (hour.samples, hour.values));
            prop_assert_eq!(added.covered_ms, hour.covered_ms);
            prop_assert_eq!(&added.sketch, &hour.sketch);
            prop_assert!(near(added.increase, hour.increase));
            prop_assert!(near(added.in_holes, hour.in_holes));
            if hour.values > 0 {
                prop_assert!(near(added.mean, hour.mean));
                prop_assert_eq!((added.min, added.max), (hour.min, hour.max));
            }
        }
    }
}

#[test]
fn a_reset_counts_what_the_counter_shows_and_the_pair_belongs_to_its_older_sample() {
    let series = series(
        Kind::Counter,
        &[(0, 100.0), (50_000, 200.0), (60_000, 30.0), (70_000, 30.0)],
    );
    let found = steps(&series, (0, MINUTE), MINUTE, 10_000, false);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].samples, found[0].values), (2, 1));
    assert_eq!((found[0].increase, found[0].in_holes), (30.0, 100.0));
    assert_eq!((found[0].min, found[0].max), (3.0, 3.0));
    assert_eq!(found[0].covered_ms, 10_000);
}

#[test]
fn a_counter_seen_once_has_a_sample_and_no_rate() {
    let series = series(Kind::Counter, &[(0, 7.0)]);
    let found = steps(&series, (0, MINUTE), MINUTE, 10_000, true);
    assert_eq!(found[0].value(Kind::Counter, Agg::Count), Some(1.0));
    for agg in [Agg::Rate, Agg::Increase, Agg::Min, Agg::P95] {
        assert_eq!(found[0].value(Kind::Counter, agg), None, "{agg}");
    }
}

#[test]
fn values_that_are_told_as_one_have_the_sketch_of_that_one() {
    // 1,826,485.8… a second, told as 1,826,490: another bucket of the sketch.
    let grown = 566_210_612.350_2;
    let counter = series(Kind::Counter, &[(0, 0.0), (310_000, grown)]);
    let steps = steps(&counter, (0, HOUR), HOUR, 310_000, true);
    let told = Sketch::repeated(steps[0].min, 1);
    assert_ne!(
        Sketch::of([grown / 310.0].into_iter()),
        told,
        "the case is none"
    );
    assert_eq!(steps[0].sketch, Some(told));
}

#[test]
fn a_sketch_of_a_part_is_no_sketch_of_the_whole() {
    let gauge = series(Kind::Gauge, &[(0, 1.0), (10_000, 5.0)]);
    let with = steps(&gauge, (0, HOUR), HOUR, 10_000, true);
    let without = steps(&gauge, (0, HOUR), HOUR, 10_000, false);
    let mut both = with[0].clone();
    both.merge(&without[0]);
    assert_eq!(both.value(Kind::Gauge, Agg::P95), None);
    assert_eq!(both.value(Kind::Gauge, Agg::Avg), Some(3.0));
    let mut fresh = Step::empty(0);
    fresh.merge(&with[0]);
    assert_eq!(
        fresh.value(Kind::Gauge, Agg::P50),
        with[0].value(Kind::Gauge, Agg::P50)
    );
}
