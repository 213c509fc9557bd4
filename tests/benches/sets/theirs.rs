//! VictoriaMetrics with the same samples.

use std::io::{BufRead, BufReader};
use std::path::Path;

use hostwell_tests::process::folder_bytes;
use hostwell_tests::program::{Program, command, find, free_address};
use hostwell_tests::wait::{pass, seconds, until_true};
use rustix::process::Signal;

use hostwell_tests::http::Http;

/// Bytes of one request.
const REQUEST_BYTES: usize = 8 << 20;

/// Bytes of its files once it was given every line of `exported`, flushed and merged. What it keeps
/// of answers is not counted.
pub(crate) fn bytes(folder: &Path, exported: &Path) -> Result<u64, String> {
    let (address, data) = (free_address(), folder.join("victoria"));
    let mut start = command(find("victoria-metrics").expect("looked for at the beginning"));
    start.arg(format!("-httpListenAddr={address}"));
    start.arg(format!("-storageDataPath={}", data.display()));
    // The oldest set begins in 2013.
    start.args(["-retentionPeriod=30y", "-loggerLevel=WARN"]);
    let mut program = Program::start(start, &folder.join("log"));
    program.until_listening(address);
    until_true("VictoriaMetrics is ready", seconds(60), || {
        Http::to(address).get("/health").is_ok()
    });
    let mut http = Http::to(address);
    for_each_request(exported, |lines| http.import(lines))?;
    http.get("/internal/force_flush")?;
    http.get("/internal/force_merge")?;
    pass(seconds(1));
    until_true("VictoriaMetrics merges", seconds(600), || {
        let metrics = Http::to(address).get("/metrics").unwrap_or_default();
        let mut lines = metrics.lines();
        let line = lines.find(|l| l.starts_with("vm_active_force_merges"));
        line.is_none_or(|l| l.ends_with(" 0"))
    });
    program.signal(Signal::INT);
    program.wait(seconds(60));
    Ok(folder_bytes(&data) - folder_bytes(&data.join("cache")))
}

/// Samples in its own text format: without comments, times in milliseconds.
fn for_each_request(
    exported: &Path,
    mut send: impl FnMut(&[u8]) -> Result<String, String>,
) -> Result<(), String> {
    let file = std::fs::File::open(exported).map_err(|e| e.to_string())?;
    let mut request = Vec::with_capacity(REQUEST_BYTES + 4096);
    for line in BufReader::with_capacity(1 << 20, file).lines() {
        let line = line.map_err(|e| e.to_string())?;
        if line.starts_with('#') {
            continue;
        }
        let (sample, time) = line.rsplit_once(' ').ok_or("a line without a time")?;
        let time_s: f64 = time.parse().map_err(|_| format!("time {time:?}"))?;
        request.extend_from_slice(sample.as_bytes());
        request.extend_from_slice(format!(" {}\n", (time_s * 1000.0).round() as i64).as_bytes());
        if request.len() >= REQUEST_BYTES {
            send(&request)?;
            request.clear();
        }
    }
    send(&request).map(drop)
}
