//! Load: runnable and blocked tasks for each core; the share of time in which somebody waited.

use super::{Figure, Indicator, Levels, Verdict, View};
use crate::series::derived::{cores, gauge_shares, time_shares};
use crate::words;

const CPU: &str = "node_cpu_seconds_total";
const LOAD1: &str = "node_load1";

/// (word, counter of seconds in which at least one task waited for it).
const PRESSURES: &[(&str, &str)] = &[
    ("CPU", "node_pressure_cpu_waiting_seconds_total"),
    ("memory", "node_pressure_memory_waiting_seconds_total"),
    ("disks", "node_pressure_io_waiting_seconds_total"),
];

pub(super) const METRICS: &[&str] = &[
    CPU,
    LOAD1,
    "node_load5",
    "node_load15",
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_memory_waiting_seconds_total",
    "node_pressure_io_waiting_seconds_total",
];

const SOURCE: &str = "1 a core: all cores taken; 2 a core: the node_exporter mixin. Where the \
                      kernel reports pressure, a high load counts only while somebody waits";

/// Below this share of waiting time a high load is nobody's problem.
const PRESSURE_MIN: f64 = 0.10;

pub(super) fn indicator(view: &View<'_>) -> Indicator {
    let window = view.window;
    let unknown = |why| Indicator::unknown("Load", "count", why);
    let Some(load1) = window.current(LOAD1, &[], view.now_ms) else {
        return unknown(view.missing("The load average is not reported"));
    };
    let Some(cores) = cores(window, view.now_ms) else {
        return unknown(view.missing("The number of cores is not known"));
    };
    let cores = cores as f64;
    let per_core = load1 / cores;
    let pressures: Vec<(&str, f64)> = PRESSURES
        .iter()
        .filter_map(|(word, metric)| {
            let series = window.find(metric, &[])?;
            let shares = time_shares(series, window.interval_ms);
            let stale_ms = series.stale_ms(window.interval_ms);
            Some((*word, view.recent(&shares, stale_ms)?.min(1.0)))
        })
        .collect();
    let levels = Levels::new(1.0, 2.0, SOURCE);
    let waiting = pressures.iter().map(|(_, share)| *share).reduce(f64::max);
    let verdict = match waiting {
        Some(share) if share < PRESSURE_MIN => Verdict::Ok,
        _ => levels.verdict(per_core),
    };
    let mut figures = vec![
        Figure::new("load a core", "", per_core, "count"),
        Figure::new("load1", "", load1, "count"),
        Figure::new("cores", "", cores, "count"),
    ];
    for metric in ["node_load5", "node_load15"] {
        if let Some(value) = window.current(metric, &[], view.now_ms) {
            figures.push(Figure::new(&metric[5..], "", value, "count"));
        }
    }
    for (word, share) in &pressures {
        figures.push(Figure::new("waiting", word, *share, "ratio"));
    }
    let trend = window.find(LOAD1, &[]).and_then(|series| {
        let points: Vec<(i64, f64)> = series.points().map(|(t, v)| (t, v / cores)).collect();
        view.trend(&gauge_shares(&points, series.hole_ms(window.interval_ms)))
    });
    Indicator {
        name: "Load".into(),
        verdict,
        short: format!("{} a core", words::number(per_core)),
        words: sentence(load1, per_core, &pressures),
        value: Some(per_core),
        unit: "count".into(),
        levels: Some(levels),
        figures,
        trend,
    }
}

fn sentence(load1: f64, per_core: f64, pressures: &[(&str, f64)]) -> String {
    let load = format!(
        "Load {}, {} a core",
        words::number(load1),
        words::number(per_core)
    );
    let waits: Vec<String> = pressures
        .iter()
        .filter(|(_, share)| *share >= 0.01)
        .map(|(word, share)| format!("for {word} {}", words::share(*share)))
        .collect();
    match (pressures.is_empty(), waits.is_empty()) {
        (true, _) => format!("{load}; this kernel does not report pressure."),
        (false, true) => format!("{load}; nothing waits."),
        (false, false) => format!("{load}; tasks waited {} of the time.", waits.join(", ")),
    }
}
