//! Memory: the share that is not available to new work without swapping.

use super::{Figure, Indicator, Levels, View};
use crate::series::derived::{gauge_shares, memory};
use crate::words;

const TOTAL: &str = "node_memory_MemTotal_bytes";

pub(super) const METRICS: &[&str] = &[
    TOTAL,
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_Buffers_bytes",
    "node_memory_Cached_bytes",
    "node_memory_SReclaimable_bytes",
    "node_memory_Shmem_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_SwapFree_bytes",
];

const SOURCE: &str = "used 80 / 90 %: the clear and raise levels of Netdata's ram_in_use; 90 % \
                      also the node_exporter mixin and Zabbix";

pub(super) fn indicator(view: &View<'_>) -> Indicator {
    let window = view.window;
    let points = memory(window);
    let fresh = window.current(TOTAL, &[], view.now_ms).is_some();
    let Some(now) = points
        .iter()
        .rfind(|m| m.time_ms <= view.now_ms)
        .filter(|_| fresh)
    else {
        let why = view.missing("Memory is not reported");
        return Indicator::unknown("Memory", "ratio", why);
    };
    let used = now.used_ratio();
    let levels = Levels::new(0.80, 0.90, SOURCE);
    let mut figures = vec![
        Figure::new("used", "", used, "ratio"),
        Figure::new("available", "", now.available, "bytes"),
        Figure::new("total", "", now.total, "bytes"),
    ];
    let mut words = format!(
        "Memory {} used, {} available",
        words::share(used),
        words::bytes_of(now.available, now.total)
    );
    let swap = |name| window.current(name, &[], view.now_ms);
    if let (Some(total), Some(free)) = (
        swap("node_memory_SwapTotal_bytes"),
        swap("node_memory_SwapFree_bytes"),
    ) && total > 0.0
    {
        figures.push(Figure::new("swap used", "", 1.0 - free / total, "ratio"));
        if total - free >= 0.01 * total {
            words.push_str(&format!("; swap {} used", words::share(1.0 - free / total)));
        }
    }
    if now.estimated {
        words.push_str(" (estimated: this kernel has no MemAvailable)");
    }
    words.push('.');
    let used_over_time: Vec<(i64, f64)> =
        points.iter().map(|m| (m.time_ms, m.used_ratio())).collect();
    Indicator {
        name: "Memory".into(),
        verdict: levels.verdict(used),
        short: words::share(used),
        words,
        value: Some(used),
        unit: "ratio".into(),
        levels: Some(levels),
        figures,
        trend: view.trend(&gauge_shares(&used_over_time, window.hole_ms())),
    }
}
