//! CPU: the share of its time that was neither idle nor waiting for disks.

use super::{Figure, Indicator, Levels, View};
use crate::series::derived::{CpuTime, Share, cores, cpu_times};
use crate::words;

pub(super) const METRICS: &[&str] = &["node_cpu_seconds_total"];

const SOURCE: &str = "busy 75 / 85 %: the clear and raise levels of Netdata's 10min_cpu_usage";

pub(super) fn indicator(view: &View<'_>) -> Indicator {
    let times = cpu_times(view.window);
    let shares = |part: fn(&CpuTime) -> f64| -> Vec<Share> {
        times.iter().map(|cpu| cpu.share(part)).collect()
    };
    let busy = shares(CpuTime::busy);
    let stale_ms = view.window.stale_ms();
    let Some(now) = view.recent(&busy, stale_ms) else {
        let why = if view.window.all(METRICS[0]).is_empty() {
            view.missing("CPU time is not reported")
        } else {
            view.missing("A second sample is needed")
        };
        return Indicator::unknown("CPU", "ratio", why);
    };
    let part = |part| view.recent(&shares(part), stale_ms).unwrap_or(0.0);
    let (steal, iowait) = (part(|cpu| cpu.steal), part(|cpu| cpu.iowait));
    let levels = Levels::new(0.75, 0.85, SOURCE);
    let mut figures = vec![
        Figure::new("busy", "", now, "ratio"),
        Figure::new("steal", "", steal, "ratio"),
        Figure::new("waiting for disks", "", iowait, "ratio"),
    ];
    let mut words = format!("CPU {} busy", words::share(now));
    if let Some(cores) = cores(view.window, view.now_ms) {
        figures.push(Figure::new("cores", "", cores as f64, "count"));
        let plural = if cores == 1 { "core" } else { "cores" };
        words.push_str(&format!(" over {cores} {plural}"));
    }
    // Nobody needs to read that nothing was stolen.
    if steal >= 0.01 {
        words.push_str(&format!(", {} stolen by other guests", words::share(steal)));
    }
    if iowait >= 0.01 {
        words.push_str(&format!(", {} waiting for disks", words::share(iowait)));
    }
    words.push('.');
    Indicator {
        name: "CPU".into(),
        verdict: levels.verdict(now),
        short: words::share(now),
        words,
        value: Some(now),
        unit: "ratio".into(),
        levels: Some(levels),
        figures,
        trend: view.trend(&busy),
    }
}
