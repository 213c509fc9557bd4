use proptest::prelude::*;

use super::*;

fn series(kind: Kind, points: &[(i64, f64)]) -> Series {
    Series {
        name: SeriesName::new("m", &[("a", "b")]),
        kind,
        times_ms: points.iter().map(|p| p.0 * 1000).collect(),
        values: points.iter().map(|p| p.1).collect(),
    }
}

fn grid(from_s: i64, to_s: i64, step_s: i64) -> Grid {
    Grid {
        from_ms: from_s * 1000,
        to_ms: to_s * 1000,
        step_ms: step_s * 1000,
    }
}

/// `seconds:value` words in, the resampled steps out in the same notation.
#[track_caller]
fn check(kind: Kind, points: &str, agg: Agg, step_s: i64, expected: &str) {
    let points: Vec<(i64, f64)> = points
        .split_whitespace()
        .map(|word| {
            let (time, value) = word.split_once(':').unwrap();
            (time.parse().unwrap(), value.parse().unwrap())
        })
        .collect();
    let resampled = series(kind, &points).resample(grid(0, 10_000, step_s), agg, 10_000);
    let found: Vec<String> = resampled
        .points()
        .map(|(t, v)| format!("{}:{}", t / 1000, (v * 1e6).round() / 1e6))
        .collect();
    assert_eq!(found.join(" "), expected, "{agg} of {points:?}");
}

#[test]
fn steps_of_a_gauge() {
    let f = |agg, expected| check(Kind::Gauge, "0:4 10:2 20:6 60:5 190:1", agg, 60, expected);
    f(Agg::Avg, "0:4 60:5 180:1");
    f(Agg::Min, "0:2 60:5 180:1");
    f(Agg::Max, "0:6 60:5 180:1");
    f(Agg::Sum, "0:12 60:5 180:1");
    f(Agg::Count, "0:3 60:1 180:1");
    f(Agg::Last, "0:6 60:5 180:1");
    f(Agg::P50, "0:4 60:5 180:1");
    f(Agg::P95, "0:5.8 60:5 180:1");
    f(Agg::Delta, "0:2");
    f(Agg::Increase, "0:2");
    f(Agg::Rate, "0:0.1");
}

#[test]
fn steps_of_a_counter_are_rates_and_increases() {
    let f = |points, agg, expected| check(Kind::Counter, points, agg, 60, expected);
    let steady = "0:100 10:110 20:120 30:130 40:140 50:150 60:160 70:190";
    f(steady, Agg::Rate, "0:1 60:3");
    f(steady, Agg::Avg, "0:1 60:3");
    f(steady, Agg::Increase, "0:60 60:30");
    f(steady, Agg::Sum, "0:60 60:30");
    f(steady, Agg::Max, "0:1 60:3");
    f(steady, Agg::Last, "0:150 60:190");
    // A restart counts what the counter shows, not a fall.
    f("0:100 10:110 20:5 30:15", Agg::Increase, "0:25");
    // The kernel takes a hundredth of iowait back: no restart.
    f("0:1000 10:999.99 20:1000.01", Agg::Increase, "0:0.02");
    // A hole has a sum and no rate.
    f(
        "0:0 10:10 20:20 200:200 210:220 220:240",
        Agg::Increase,
        "0:200 180:40",
    );
    f(
        "0:0 10:10 20:20 200:200 210:220 220:240",
        Agg::Rate,
        "0:1 180:2",
    );
    // One sample says nothing.
    f("30:7", Agg::Rate, "");
}

#[test]
fn a_slow_subject_has_its_own_cadence() {
    let slow = series(
        Kind::Counter,
        &[(0, 0.0), (60, 60.0), (120, 120.0), (180, 180.0)],
    );
    assert_eq!(slow.cadence_ms(10_000), 60_000);
    assert_eq!(slow.rate(0, 1_000_000, 10_000), Some(1.0));
    let fast_with_a_hole = series(
        Kind::Counter,
        &[(0, 0.0), (10, 1.0), (20, 2.0), (30, 3.0), (400, 400.0)],
    );
    assert_eq!(fast_with_a_hole.cadence_ms(10_000), 10_000);
    let growth = fast_with_a_hole.growth(0, 1_000_000, 10_000).unwrap();
    assert_eq!((growth.increase, growth.in_holes), (3.0, 397.0));
    assert_eq!(growth.rate(), Some(0.1));
    // Seen once, or twice with the first distance cut short by the agent's start.
    let seen = |points: &[(i64, f64)]| series(Kind::Gauge, points).cadence_ms(10_000);
    assert_eq!(seen(&[(5, 1.0)]), 120_000);
    assert_eq!(seen(&[(53, 1.0), (60, 1.0), (120, 1.0)]), 60_000);
    // Slow goes by the clock: a host sampled every second has slow subjects once a minute too.
    assert_eq!(slow.cadence_ms(1_000), 60_000);
    assert_eq!(fast_with_a_hole.cadence_ms(1_000), 10_000);
}

#[test]
fn the_current_value_grows_stale() {
    let gauge = series(Kind::Gauge, &[(0, 1.0), (10, 2.0), (20, 3.0)]);
    assert_eq!(gauge.current(20_000, 10_000), Some(3.0));
    assert_eq!(gauge.current(50_000, 10_000), Some(3.0));
    assert_eq!(gauge.current(50_001, 10_000), None);
    assert_eq!(gauge.current(15_000, 10_000), Some(2.0));
    assert_eq!(gauge.latest(-1), None);
}

#[test]
fn quantiles_interpolate_between_order_statistics() {
    let mut values = [4.0, 1.0, 3.0, 2.0];
    assert_eq!(quantile(&mut values, 0.0), Some(1.0));
    assert_eq!(quantile(&mut values, 0.5), Some(2.5));
    assert_eq!(quantile(&mut values, 1.0), Some(4.0));
    assert_eq!(quantile(&mut [7.0], 0.95), Some(7.0));
    assert_eq!(quantile(&mut [], 0.5), None);
}

#[test]
fn series_combine_by_label_over_those_that_are_there() {
    let name = |host, device| SeriesName::new("m", &[("host", host), ("device", device)]);
    let one = |name, points: &[(i64, f64)]| Series {
        name,
        ..series(Kind::Gauge, points)
    };
    let all = [
        one(name("a", "sda"), &[(0, 1.0), (60, 2.0)]),
        one(name("a", "sdb"), &[(0, 3.0)]),
        one(name("b", "sda"), &[(60, 10.0)]),
    ];
    let sums = combine(&all, &["host"], Agg::Sum);
    assert_eq!(sums.len(), 2);
    assert_eq!(sums[0].name.to_string(), "m{host=\"a\"}");
    assert_eq!(
        sums[0].points().collect::<Vec<_>>(),
        [(0, 4.0), (60_000, 2.0)]
    );
    assert_eq!(sums[1].points().collect::<Vec<_>>(), [(60_000, 10.0)]);
    let total = combine(&all, &[], Agg::Avg);
    assert_eq!(
        total[0].points().collect::<Vec<_>>(),
        [(0, 2.0), (60_000, 6.0)]
    );
    // A rate that was taken already is summed across series.
    assert_eq!(combine(&all, &[], Agg::Rate)[0].values, [4.0, 12.0]);
}

#[test]
fn a_window_finds_series_by_metric_and_label() {
    let mut series: Vec<Series> = ["b", "a", "c"]
        .iter()
        .flat_map(|metric| ["x", "y"].map(|d| SeriesName::new(metric, &[("d", d)])))
        .map(|name| Series {
            name,
            ..series(Kind::Gauge, &[(1, 1.0)])
        })
        .collect();
    series.sort_by(|a, b| a.name.cmp(&b.name));
    let window = Window {
        host: "h".into(),
        from_ms: 0,
        to_ms: 1000,
        interval_ms: 1000,
        series,
    };
    assert_eq!(window.all("b").len(), 2);
    assert_eq!(window.all("bb").len(), 0);
    assert!(window.find("c", &[("d", "y")]).is_some());
    assert!(window.find("c", &[("d", "z")]).is_none());
    let selector: Selector = "a{d=~\"x|z\"}".parse().unwrap();
    assert_eq!(window.select(&selector).count(), 1);
    assert_eq!(window.newest_ms(5000), Some(1000));
    assert_eq!(window.newest_ms(500), None);
}

#[test]
fn selectors_are_read_and_printed() {
    let f = |text: &str, printed: &str| {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), printed);
    };
    f("node_load1", "node_load1");
    f(" up { } ", "up");
    f("m{a=\"b\"}", "m{a=\"b\"}");
    f("m{ a = \"b\" , c!~\"d.*\", }", "m{a=\"b\",c!~\"d.*\"}");
    f(r#"m{a="q\"\\n",b=~"\d+"}"#, r#"m{a="q\"\\n",b=~"\\d+"}"#);
    let bad = |text: &str, at: usize| {
        let error = text.parse::<Selector>().unwrap_err();
        assert_eq!(error.at, at, "{error}");
    };
    bad("", 1);
    bad("1m", 1);
    bad("m{a}", 4);
    bad("m{a=b}", 5);
    bad("m{a=\"b\"", 8);
    bad("m{a=\"b}", 6);
    bad("m{a=~\"(\"}", 6);
    bad("m x", 3);
}

#[test]
fn a_name_is_its_own_selector() {
    let name = SeriesName::new("m", &[("b", "a \"quoted\"\nback\\slash"), ("a", "1")]);
    let selector: Selector = name.to_string().parse().unwrap();
    assert!(selector.matches(&name));
}

#[test]
fn steps_are_nice() {
    let f = |range_s: i64, steps, interval_s: i64, expected_s: i64| {
        let step = nice_step_ms(range_s * 1000, steps, interval_s * 1000);
        assert_eq!(step, expected_s * 1000);
    };
    f(3600, 120, 10, 30);
    f(3600, 120, 1, 30);
    f(86_400, 100, 10, 900);
    f(30, 120, 1, 1);
    f(90 * 86_400, 90, 10, 86_400);
    f(180 * 86_400, 90, 10, 2 * 86_400);
}

fn counter_samples() -> impl Strategy<Value = Series> {
    prop::collection::vec(
        (1i64..200, prop_oneof![9 => 0.0..1000.0, 1 => Just(-1.0)]),
        0..60,
    )
    .prop_map(|steps| {
        let (mut time, mut value, mut points) = (0, 0.0, Vec::new());
        for (dt, grows) in steps {
            time += dt;
            // Below zero means the counter restarted.
            value = if grows < 0.0 { 0.0 } else { value + grows };
            points.push((time, value));
        }
        series(Kind::Counter, &points)
    })
}

proptest! {
    #[test]
    fn increase_is_additive_wherever_it_is_cut(s in counter_samples(), cut in 0i64..12_000_000) {
        let total = |from, to| s.growth(from, to, 10_000).map_or(0.0, |g| g.total());
        let end = 13_000_000;
        let whole = total(0, end);
        let parts = total(0, cut) + total(cut, end);
        prop_assert!((whole - parts).abs() <= 1e-6 * whole.max(1.0));
    }

    #[test]
    fn increase_is_never_negative_and_survives_resets(s in counter_samples()) {
        if let Some(growth) = s.growth(0, i64::MAX, 10_000) {
            prop_assert!(growth.total() >= 0.0);
            let span = s.times_ms.last().unwrap() - s.times_ms[0];
            prop_assert!(growth.covered_ms <= span);
            if growth.resets == 0 && s.values.is_sorted() {
                let raw = s.values.last().unwrap() - s.values[0];
                prop_assert!((growth.total() - raw).abs() <= 1e-6 * raw.max(1.0));
            }
        }
    }

    #[test]
    fn steps_add_up_to_the_whole(s in counter_samples(), step_s in 1i64..5000) {
        let g = grid(0, 13_000, step_s);
        let steps = s.resample(g, Agg::Increase, 10_000);
        let whole = s.growth(0, g.to_ms, 10_000).map_or(0.0, |g| g.total());
        let sum: f64 = steps.values.iter().sum();
        prop_assert!((whole - sum).abs() <= 1e-6 * whole.max(1.0));
        prop_assert!(steps.times_ms.is_sorted());
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours(
        mut v in prop::collection::vec(-1e6..1e6f64, 1..50), q in 0.0..=1.0f64,
    ) {
        let got = quantile(&mut v, q).unwrap();
        v.sort_by(f64::total_cmp);
        prop_assert!(v[0] <= got && got <= v[v.len() - 1]);
        let below = v.iter().filter(|x| **x <= got).count() as f64;
        prop_assert!(below >= (q * (v.len() - 1) as f64).floor());
    }

    #[test]
    fn scaling_a_gauge_scales_every_aggregate(
        v in prop::collection::vec(0.0..1e6f64, 1..40), factor in 0.1..10.0f64,
    ) {
        let points = |k: f64| -> Vec<(i64, f64)> {
            v.iter().enumerate().map(|(i, v)| (i as i64 * 10, v * k)).collect()
        };
        for agg in Agg::ALL.into_iter().filter(|agg| *agg != Agg::Count) {
            let g = grid(0, 1000, 60);
            let a = series(Kind::Gauge, &points(1.0)).resample(g, agg, 10_000);
            let b = series(Kind::Gauge, &points(factor)).resample(g, agg, 10_000);
            for (x, y) in a.values.iter().zip(&b.values) {
                prop_assert!((x * factor - y).abs() <= 1e-6 * y.abs().max(1.0), "{agg}");
            }
        }
    }

    #[test]
    fn the_selector_parser_takes_any_text(text in ".{0,80}") {
        if let Ok(selector) = text.parse::<Selector>() {
            let again: Selector = selector.to_string().parse().unwrap();
            prop_assert_eq!(again.to_string(), selector.to_string());
        }
    }
}
