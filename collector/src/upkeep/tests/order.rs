//! Batches arrive in any order: what was spooled comes behind what is live.

use super::*;
use proptest::prelude::*;

/// Samples of a host, a minute each.
const BATCHES: usize = 40;
const TICKS: usize = 6;
const GIB: f64 = 1_073_741_824.0;

/// A metric, labels, and of which kind it is.
type Sent = (&'static str, &'static [(&'static str, &'static str)], Kind);

/// What a host sends: from the twentieth minute on it is out of memory and its CPU busy, twice it
/// has booted.
fn values(metric: &str, tick: usize) -> f64 {
    let bad = tick >= 20 * TICKS;
    match metric {
        "node_memory_MemTotal_bytes" => 16.0 * GIB,
        "node_memory_MemAvailable_bytes" if bad => 0.2 * GIB,
        "node_memory_MemAvailable_bytes" => 8.0 * GIB,
        "node_cpu_seconds_total" if bad => 1800.0 + (tick - 20 * TICKS) as f64 * 0.1,
        "node_cpu_seconds_total" => 600.0 + tick as f64 * 10.0,
        "hostwell_uptime_seconds" => (tick % (15 * TICKS)) as f64 * 10.0,
        _ => tick as f64 * 10.0,
    }
}

/// The register after these batches came in this order, between turns.
async fn register(order: &[usize]) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder).await;
    let store = upkeep.store.clone();
    let now_ms = START_MS + (BATCHES * TICKS) as i64 * 10_000;
    store.greet(greeting(), now_ms).await.unwrap();
    let all: [Sent; 5] = [
        ("node_memory_MemTotal_bytes", &[], Kind::Gauge),
        ("node_memory_MemAvailable_bytes", &[], Kind::Gauge),
        (
            "node_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "idle")],
            Kind::Counter,
        ),
        ("hostwell_uptime_seconds", &[], Kind::Gauge),
        ("node_time_seconds", &[], Kind::Gauge),
    ];
    let names = all.map(|(metric, labels, kind)| (SeriesName::new(metric, labels), kind));
    let series = store.series_ids(HOST, names.to_vec()).await.unwrap();
    for batch in order {
        let ticks = batch * TICKS..(batch + 1) * TICKS;
        let column = |(number, (metric, _, _)): (usize, &Sent)| Column {
            number: number as u32,
            ticks: None,
            values: ticks.clone().map(|tick| values(metric, tick)).collect(),
        };
        let times_ms = ticks.clone().map(|t| START_MS + (t as i64 + 1) * 10_000);
        let append = Append {
            host_id: HOST,
            spool_id: SpoolId([6; 16]),
            sequence: *batch as u64 + 1,
            received_ms: now_ms,
            block: Packed::of(&Block {
                times_ms: times_ms.collect(),
                columns: all.iter().enumerate().map(column).collect(),
            }),
            series: series.clone(),
        };
        store.append(append).await.unwrap();
    }
    for minute in 0..3 {
        upkeep.rest_until = None;
        upkeep.turn(now_ms + minute * 15_000).await.unwrap();
    }
    store.findings(None).await.unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn in_whatever_order_samples_arrive_the_register_is_the_same(
        order in Just((0..BATCHES).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let wanted = run(register(&(0..BATCHES).collect::<Vec<usize>>()));
        let rules: Vec<&str> = wanted.iter().map(|f| f.rule.as_str()).collect();
        prop_assert!(rules.contains(&"memory_low"), "{:?}", rules);
        prop_assert_eq!(run(register(&order)), wanted);
    }
}
