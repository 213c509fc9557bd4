//! What the agent costs and how its work goes, as metrics like any other.

#[cfg(target_os = "linux")]
use std::fs::File;

use hostwell_proto::metric::Metric;

use crate::sample::Readings;
use crate::spool::Progress;

/// The agent's own readings.
#[derive(Debug, Default)]
pub(super) struct Own {
    #[cfg(target_os = "linux")]
    statm: Option<File>,
}

impl Own {
    /// Adds them all.
    pub(super) fn read(&mut self, progress: &Progress, now_ms: i64, out: &mut Readings<'_>) {
        if let Some(seconds) = cpu_seconds() {
            out.add(Metric::AgentCpuSeconds, &[], seconds);
        }
        if let Some(bytes) = self.resident_bytes() {
            out.add(Metric::AgentResidentMemory, &[], bytes);
        }
        let spool = &progress.spool;
        let age_ms = spool
            .oldest_ms
            .map_or(0, |oldest| now_ms.saturating_sub(oldest));
        out.add(Metric::AgentSpoolBytes, &[], spool.bytes as f64);
        out.add(Metric::AgentSpoolBatches, &[], spool.batches as f64);
        out.add(Metric::AgentSpoolOldestAge, &[], age_ms.max(0) as f64 / 1e3);
        for (reason, samples) in [
            ("age", spool.dropped_age),
            ("bytes", spool.dropped_bytes),
            ("free_space", spool.dropped_free_space),
        ] {
            out.add(Metric::AgentDroppedSamples, &[reason], samples as f64);
        }
        for (reason, batches) in &spool.refused {
            out.add(Metric::AgentRefusedBatches, &[reason], *batches as f64);
        }
        let answers = if progress.stalled { 0.0 } else { 1.0 };
        out.add(Metric::ProbeSuccess, &["spool"], answers);
        out.add(Metric::AgentMissedTicks, &[], progress.missed_ticks as f64);
        out.add(Metric::AgentReconnects, &[], progress.reconnects as f64);
    }

    #[cfg(target_os = "linux")]
    fn resident_bytes(&mut self) -> Option<f64> {
        use std::os::unix::fs::FileExt;
        // The agent's own memory is this machine's, also when it samples a recorded one.
        let page_bytes = crate::source::Source::live(std::path::Path::new("/")).page_bytes();
        let file = match &self.statm {
            Some(file) => file,
            None => self.statm.insert(File::open("/proc/self/statm").ok()?),
        };
        let mut line = [0u8; 128];
        let length = file.read_at(&mut line, 0).ok()?;
        let text = std::str::from_utf8(&line[..length]).ok()?;
        let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages as f64 * page_bytes as f64)
    }

    #[cfg(not(target_os = "linux"))]
    fn resident_bytes(&mut self) -> Option<f64> {
        None
    }
}

#[cfg(target_os = "linux")]
fn cpu_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // Whole microseconds: what lies below is noise.
    Some((time.tv_sec as f64 * 1e6 + (time.tv_nsec / 1000) as f64) / 1e6)
}

#[cfg(not(target_os = "linux"))]
fn cpu_seconds() -> Option<f64> {
    None
}
