//! Disk: the fullest writable filesystem; the busiest device.

use super::{Figure, Indicator, Levels, View};
use crate::series::Series;
use crate::series::derived::{
    gauge_shares, sibling, size_scaled, time_shares, writable_filesystems,
};
use crate::words;

const BUSY: &str = "node_disk_io_time_seconds_total";

pub(super) const METRICS: &[&str] = &[
    "node_filesystem_size_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_free_bytes",
    "node_filesystem_readonly",
    BUSY,
    "node_disk_reads_completed_total",
    "node_disk_writes_completed_total",
    "node_disk_read_time_seconds_total",
    "node_disk_write_time_seconds_total",
];

const SOURCE: &str = "80 / 90 % used of the fullest writable filesystem: Zabbix and Checkmk; \
                      above 20 GB the levels rise with size, as Checkmk's magic factor 0.9 does";

const NORM_BYTES: f64 = 20e9;
const EXPONENT: f64 = 0.9;

pub(super) fn indicator(view: &View<'_>) -> Indicator {
    let window = view.window;
    let filesystems = writable_filesystems(window, view.now_ms);
    let fullest = filesystems
        .iter()
        .filter_map(|fs| {
            Some((
                fs,
                fs.space().filter(|at| at.time_ms <= view.now_ms).last()?,
            ))
        })
        .max_by(|a, b| a.1.used_ratio.total_cmp(&b.1.used_ratio));
    let busiest = busiest(view);
    let Some((fs, now)) = fullest else {
        let mut unknown = Indicator::unknown(
            "Disk",
            "ratio",
            view.missing("No writable filesystem is reported"),
        );
        unknown.figures = busiest.map(|b| b.figures()).unwrap_or_default();
        return unknown;
    };
    let used = now.used_ratio;
    let scaled = |level| size_scaled(level, now.size, NORM_BYTES, EXPONENT);
    let levels = Levels::new(scaled(0.80), scaled(0.90), SOURCE);
    let mut figures = vec![
        Figure::new("used", fs.mountpoint, used, "ratio"),
        Figure::new("available", fs.mountpoint, now.avail, "bytes"),
        Figure::new("size", fs.mountpoint, now.size, "bytes"),
    ];
    let mut words = format!(
        "Disk {} {} used, {} left",
        fs.mountpoint,
        words::share(used),
        words::bytes(now.avail)
    );
    if let Some(busiest) = &busiest {
        words.push_str(&busiest.words());
        figures.extend(busiest.figures());
    }
    words.push('.');
    let used_over_time: Vec<(i64, f64)> =
        fs.space().map(|at| (at.time_ms, at.used_ratio)).collect();
    let hole_ms = fs.avail.hole_ms(window.interval_ms);
    Indicator {
        name: "Disk".into(),
        verdict: levels.verdict(used),
        short: format!("{} {}", words::share(used), fs.mountpoint),
        words,
        value: Some(used),
        unit: "ratio".into(),
        levels: Some(levels),
        figures,
        trend: view.trend(&gauge_shares(&used_over_time, hole_ms)),
    }
}

struct Busiest<'a> {
    device: &'a str,
    busy: f64,
    /// Seconds a request took on average, where there were requests.
    wait: Option<f64>,
}

impl Busiest<'_> {
    fn words(&self) -> String {
        let wait = self
            .wait
            .map(|wait| format!(", {} a request", words::seconds(wait)))
            .unwrap_or_default();
        format!("; {} {} busy{wait}", self.device, words::share(self.busy))
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![Figure::new("busy", self.device, self.busy, "ratio")];
        figures.extend(
            self.wait
                .map(|wait| Figure::new("time a request", self.device, wait, "seconds")),
        );
        figures
    }
}

fn busiest<'a>(view: &View<'a>) -> Option<Busiest<'a>> {
    let (series, busy) = view
        .window
        .all(BUSY)
        .iter()
        .filter_map(|series| Some((series, recent_rate(view, series)?.min(1.0))))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    let rate = |metric| recent_rate(view, sibling(view.window, metric, series)?);
    let sum = |a, b| Some(rate(a)? + rate(b)?);
    let requests = sum(
        "node_disk_reads_completed_total",
        "node_disk_writes_completed_total",
    );
    let time = sum(
        "node_disk_read_time_seconds_total",
        "node_disk_write_time_seconds_total",
    );
    let wait = match (time, requests) {
        (Some(time), Some(requests)) if requests > 0.0 => Some(time / requests),
        _ => None,
    };
    Some(Busiest {
        device: series.label("device").unwrap_or(""),
        busy,
        wait,
    })
}

fn recent_rate(view: &View<'_>, series: &Series) -> Option<f64> {
    let interval_ms = view.window.interval_ms;
    view.recent(
        &time_shares(series, interval_ms),
        series.stale_ms(interval_ms),
    )
}
