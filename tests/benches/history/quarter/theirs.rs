//! VictoriaMetrics' side: the same values by remote write, merged, asked.

use std::path::Path;

use hostwell_tests::http::escape;
use hostwell_tests::load::script::host_name;
use hostwell_tests::process::{cpu_ns, folder_bytes, median, rss_mib};
use serde_json::Value;

use super::busy::PARTS;
use super::{ASKED, Answers, DAYS, GAUGE, MINUTE_MS, Months, Side};
use crate::peers::{Kind, Peer};
use crate::remote_write::one_series;

/// Values in one request.
const REQUEST: usize = 10_000;

/// Everything about it.
pub(super) fn measure(folder: &Path, months: &Months) -> Result<Side, String> {
    let peer = Kind::Victoria.start(folder);
    let base = cpu_ns(peer.pid());
    let mut http = peer.http();
    for number in 0..months.hosts {
        let labels = [("__name__", GAUGE), ("host", &host_name(number as u64))];
        let busy: Vec<u16> = months.busy(number).collect();
        for (part, busy) in busy.chunks(REQUEST).enumerate() {
            let first_ms = months.start_ms() + (part * REQUEST) as i64 * MINUTE_MS;
            let points = busy.iter().enumerate().map(|(i, busy)| {
                let time_ms = first_ms + i as i64 * MINUTE_MS;
                (time_ms, f64::from(*busy) / PARTS)
            });
            http.write(&one_series(&labels, points))?;
        }
    }
    peer.flush();
    let data = peer.merge();
    let stored_cpu_s = (cpu_ns(peer.pid()) - base) as f64 / 1e9;
    let (question_ms, answers) = ask(&peer, months)?;
    Ok(Side {
        name: "VictoriaMetrics",
        stored_cpu_s,
        bytes: folder_bytes(&data) - folder_bytes(&data.join("cache")),
        rss_mib: rss_mib(peer.pid()),
        question_ms,
        answers,
        note: "no cache of answers".to_owned(),
    })
}

/// Median CPU milliseconds of the question, and its answers.
fn ask(peer: &Peer, months: &Months) -> Result<(f64, Answers), String> {
    let query = escape(&format!("quantile_over_time(0.95, {GAUGE}[{DAYS}d])"));
    // Its range is open at the beginning: a millisecond before midnight both ends are ours.
    let path = format!(
        "/api/v1/query?nocache=1&time={:.3}&query={query}",
        (months.end_ms - 1) as f64 / 1e3
    );
    let mut http = peer.http();
    let mut answer = http.get(&path)?;
    let mut spent = Vec::new();
    for _ in 0..ASKED {
        let before = cpu_ns(peer.pid());
        answer = http.get(&path)?;
        spent.push((cpu_ns(peer.pid()) - before) as f64 / 1e6);
    }
    let answer: Value = serde_json::from_str(&answer).map_err(|e| e.to_string())?;
    let found = answer["data"]["result"].as_array().ok_or("no result")?;
    let answers = found.iter().filter_map(|one| {
        let host = one["metric"]["host"].as_str()?;
        let value = one["value"][1].as_str()?.parse().ok()?;
        Some((host.to_owned(), value))
    });
    Ok((median(&spent), answers.collect()))
}
