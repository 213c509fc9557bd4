//! A run in words, and as JSON.

use std::fmt::Write as _;

use hostwell_tests::load::fleet::Outcome;
use hostwell_tests::load::latency::Latency;
use serde_json::{Value, json};

/// As JSON: what the benchmarks read.
pub(crate) fn json(outcome: &Outcome) -> Value {
    let latency = |l: &Latency| {
        json!({
            "count": l.count(),
            "p50_ms": l.quantile_ms(0.5),
            "p99_ms": l.quantile_ms(0.99),
            "max_ms": l.max_ms(),
        })
    };
    let server = outcome.server.as_ref().map(|s| {
        json!({
            "cpu_s": s.cpu_s,
            "rss_mib": s.rss_mib,
            "pss_mib": s.pss_mib,
            "rss_before_mib": s.rss_before_mib,
            "file_bytes": s.file_bytes,
        })
    });
    json!({
        "hosts": outcome.hosts,
        "batches": outcome.counts.batches,
        "samples": samples(outcome),
        "bytes": outcome.counts.bytes,
        "acknowledged": outcome.counts.acknowledged,
        "connects": outcome.counts.connects,
        "window_s": outcome.window.as_secs_f64(),
        "latency": latency(&outcome.latency.all),
        "latency_youngest": latency(&outcome.latency.youngest),
        "refusals": outcome.refusals,
        "unanswered": outcome.unanswered,
        "recovered_s": outcome.recovered.map(|r| r.as_secs_f64()),
        "trouble": outcome.trouble,
        "server": server,
    })
}

fn samples(outcome: &Outcome) -> u64 {
    outcome.counts.batches * outcome.samples_per_batch as u64
}

/// For people.
pub(crate) fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let (samples, seconds) = (samples(outcome) as f64, outcome.window.as_secs_f64());
    let _ = writeln!(
        text,
        "{} hosts sent {} batches, {samples} samples in {seconds:.1} s: {:.0} batches/s, {:.2} bytes a sample",
        outcome.hosts,
        outcome.counts.batches,
        outcome.counts.batches as f64 / seconds,
        outcome.counts.bytes as f64 / samples,
    );
    for (what, latency) in [
        ("acknowledged after", &outcome.latency.all),
        ("  the youngest of each answer", &outcome.latency.youngest),
    ] {
        let ms = |share: f64| {
            let quantile = latency.quantile_ms(share);
            quantile.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"))
        };
        let _ = writeln!(
            text,
            "{what}: p50 {}, p99 {}, longest {:.1} ms",
            ms(0.5),
            ms(0.99),
            latency.max_ms()
        );
    }
    let refused: u64 = outcome.refusals.values().sum();
    let reconnects = outcome.counts.connects.saturating_sub(outcome.hosts as u64);
    let _ = writeln!(
        text,
        "refused: {refused} {:?}; connected again: {reconnects}; not acknowledged: {}",
        outcome.refusals, outcome.unanswered
    );
    if let Some(recovered) = outcome.recovered {
        let _ = writeln!(
            text,
            "after the storm everybody was back in {:.1} s",
            recovered.as_secs_f64()
        );
    }
    if let Some(trouble) = &outcome.trouble {
        let _ = writeln!(text, "last trouble: {trouble}");
    }
    if let Some(server) = &outcome.server {
        let _ = writeln!(
            text,
            "the server spent {:.2} CPU s: {:.1} us a batch, {:.2} M samples a CPU second, {:.2} of a CPU",
            server.cpu_s,
            server.cpu_s * 1e6 / outcome.counts.batches as f64,
            samples / server.cpu_s / 1e6,
            server.cpu_s / seconds,
        );
        let _ = writeln!(
            text,
            "its memory: {:.1} MiB resident, {:.1} proportional ({:+.1} since the start)",
            server.rss_mib,
            server.pss_mib,
            server.rss_mib - server.rss_before_mib,
        );
        if let Some(bytes) = server.file_bytes {
            let _ = writeln!(
                text,
                "its files: {bytes} bytes, {:.2} for each sample of this run",
                bytes as f64 / samples
            );
        }
    }
    text
}
