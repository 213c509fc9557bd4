//! Long questions beside what a naive reading of all samples says.

use proptest::prelude::*;

use super::rollups::{
    DAY0, METRICS, MINUTE, WHOLE, fill, from_samples, question, same, with_series,
};
use super::*;
use crate::series::{Agg, Series};

/// What happens to a store.
#[derive(Clone, Debug)]
enum Event {
    /// Samples of so many minutes from a minute on.
    Fill(i64, i64),
    /// Everything is sealed.
    Seal,
    /// The days that are over by a day are rolled up.
    RollUp(i64),
    /// A new start, with steps of other lengths.
    Tiers(Vec<i64>),
}

/// Minutes of the days that are looked at.
const MINUTES: i64 = 6 * DAY / MINUTE;

fn any_event() -> impl Strategy<Value = Event> {
    let lengths = [10 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, DAY];
    prop_oneof![
        4 => (0..MINUTES, 1..MINUTES / 3).prop_map(|(from, length)| Event::Fill(from, length)),
        1 => Just(Event::Seal),
        2 => (1i64..8).prop_map(Event::RollUp),
        1 => prop::sample::subsequence(lengths.to_vec(), 0..=3).prop_map(Event::Tiers),
    ]
}

/// (metric, aggregation, first minute, minutes, length of a step)
type Asked = (usize, usize, i64, i64, usize);

fn any_question() -> impl Strategy<Value = Asked> {
    (
        0..METRICS.len(),
        0..Agg::ALL.len(),
        0..MINUTES,
        2 * 1440..MINUTES,
        0usize..6,
    )
}

async fn apply(
    store: Store,
    folder: &Path,
    ids: &[SeriesId],
    (n, event): (usize, &Event),
) -> Store {
    match event {
        Event::Fill(from, length) => {
            let from_ms = DAY0 + from * MINUTE;
            let range = (from_ms, from_ms + length * MINUTE);
            fill(&store, ids, n as u64 + 1, range).await;
        }
        Event::Seal => store.seal_all().await.unwrap(),
        Event::RollUp(day) => {
            store.seal_all().await.unwrap();
            let enough = std::time::Duration::MAX;
            store
                .roll_up(DAY0 + day * DAY + 7 * HOUR, enough)
                .await
                .unwrap();
        }
        Event::Tiers(lengths) => {
            store.close().await.unwrap();
            let tier = |step_ms: &i64| Tier {
                step_ms: *step_ms,
                age_ms: 900 * DAY,
            };
            let keeping = Keeping {
                tiers: lengths.iter().map(tier).collect(),
                ..Keeping::default()
            };
            return Store::open_with(options(folder), keeping).await.unwrap();
        }
    }
    store
}

async fn holds(events: &[Event], asked: &[Asked]) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    let ids = with_series(&store).await;
    for event in events.iter().enumerate() {
        store = apply(store, folder.path(), &ids, event).await;
    }
    let steps = [10 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, DAY, WHOLE];
    for (metric, agg, from, length, step) in asked {
        let (metric, agg) = (METRICS[*metric], Agg::ALL[*agg]);
        let kind = match metric {
            "node_forks_total" => Kind::Counter,
            _ => Kind::Gauge,
        };
        if !crate::series::rollup::can_tell(kind, agg) {
            continue;
        }
        let from_ms = DAY0 + from * MINUTE;
        let end_ms = match kind {
            Kind::Gauge => from_ms + length * MINUTE + 7,
            // Rollups also know the pair that ends beyond the range: so none does.
            Kind::Counter => DAY0 + 9 * DAY + 7,
        };
        let range = (from_ms, end_ms);
        let query = question(metric, agg, range, steps[*step]);
        let told = store.aggregate(query.clone()).await.unwrap();
        let exact = from_samples(&store, &query).await;
        let points = told
            .series
            .first()
            .map_or_else(Vec::new, |s: &Series| s.points().collect());
        let error = told.error.map_or(1e-5, |error| error * 1.05);
        same(&points, &exact, error);
    }
    assert_eq!(
        store.verify_rollups().await.unwrap().differences,
        Vec::new()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happened_before_rollups_answer_what_the_samples_would(
        events in prop::collection::vec(any_event(), 2..9),
        asked in prop::collection::vec(any_question(), 12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(holds(&events, &asked));
    }
}

#[tokio::test]
async fn days_after_the_last_tier_was_given_up_are_not_held_against_older_rows() {
    let events = [
        Event::Fill(0, 1),
        Event::RollUp(1),
        Event::Tiers(Vec::new()),
        Event::Fill(307, 1134),
        Event::RollUp(2),
    ];
    holds(&events, &[]).await;
}

#[tokio::test]
async fn late_samples_around_a_short_block_are_answered_from_their_beginning() {
    let events = [
        Event::Fill(5372, 1),
        Event::Seal,
        Event::Fill(3326, 2048),
        Event::Seal,
    ];
    // The range ends before the short block begins.
    let asked = (0..Agg::ALL.len()).map(|agg| (0, agg, 2202, 3169, 0));
    holds(&events, &asked.collect::<Vec<_>>()).await;
}

/// Two cores' time by mode every five minutes over a quarter, with a day's and a week's rhythm.
async fn quarter(store: &Store, n: u8) -> (i64, i64) {
    const FIVE: i64 = 5 * MINUTE;
    let greeting = Greeting {
        interval_ms: FIVE as u32,
        ..greeting(n, &format!("web-{n}"))
    };
    store.greet(greeting, DAY0).await.unwrap();
    let modes = ["idle", "user", "iowait"];
    let name = |cpu: &str, mode: &str| {
        let labels = [("cpu", cpu), ("mode", mode)];
        (
            SeriesName::new("node_cpu_seconds_total", &labels),
            Kind::Counter,
        )
    };
    let names = ["0", "1"]
        .iter()
        .flat_map(|cpu| modes.map(|mode| name(cpu, mode)));
    let ids = store.series_ids(host(n), names.collect()).await.unwrap();
    let mut seed = 0x2545_f491_4f6c_dd1du64 + u64::from(n);
    let mut noise = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut totals = [0.0f64; 6];
    for part in 0..9i64 {
        let times_ms: Vec<i64> = (part * 2880..(part + 1) * 2880)
            .map(|i| DAY0 + i * FIVE)
            .collect();
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); 6];
        for time in &times_ms {
            let hour = (time.rem_euclid(DAY)) as f64 / HOUR as f64;
            let weekend = if time.div_euclid(DAY) % 7 < 2 {
                0.3
            } else {
                1.0
            };
            for cpu in 0..2 {
                let daily = (hour / 24.0 * std::f64::consts::TAU).sin() * 0.3 + 0.35;
                let spike = if noise() > 0.97 { 0.3 } else { 0.0 };
                let busy = (daily * weekend + noise() * 0.05 + spike).clamp(0.001, 0.999);
                let wait = busy * 0.1;
                for (mode, share) in [1.0 - busy, busy - wait, wait].into_iter().enumerate() {
                    // The kernel counts in hundredths.
                    totals[cpu * 3 + mode] += (share * 300.0 * 100.0).round() / 100.0;
                    columns[cpu * 3 + mode].push(totals[cpu * 3 + mode]);
                }
            }
        }
        let column = |(number, values)| Column {
            number,
            ticks: None,
            values,
        };
        let columns = (0u32..).zip(columns).map(column).collect();
        let append = Append {
            host_id: host(n),
            spool_id: spool(n),
            sequence: part as u64 + 1,
            received_ms: times_ms[0],
            block: Packed::of(&Block { times_ms, columns }),
            series: ids.clone(),
        };
        store.append(append).await.unwrap();
    }
    (DAY0, DAY0 + 9 * 2880 * FIVE)
}

#[tokio::test]
async fn quantiles_of_a_quarter_are_within_one_percent_of_the_exact_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for n in [1, 2] {
        let (from_ms, end_ms) = quarter(&store, n).await;
        store.seal_all().await.unwrap();
        let enough = std::time::Duration::MAX;
        store.roll_up(end_ms + DAY, enough).await.unwrap();
        for metric in ["hostwell_cpu_busy_ratio", "hostwell_cpu_iowait_ratio"] {
            for agg in [Agg::P50, Agg::P95, Agg::P99] {
                let mut query = question(metric, agg, (from_ms, end_ms - 1), WHOLE);
                query.hosts = vec![format!("web-{n}")];
                let exact = from_samples(&store, &query).await;
                let told = store.aggregate(query).await.unwrap();
                let points: Vec<(i64, f64)> = told.series[0].points().collect();
                assert_eq!((points.len(), exact.len()), (1, 1));
                let (told_value, exact) = (points[0].1, exact[0].1);
                assert!(
                    (told_value - exact).abs() <= 0.01 * exact,
                    "{metric} {agg}: {told_value} for {exact}"
                );
                assert_eq!(told.error, Some(0.01));
                assert_eq!(told.read.samples, 0, "{:?}", told.read);
            }
        }
    }
}
