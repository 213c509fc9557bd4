//! What a process costs.

use std::path::Path;
use std::time::Duration;

/// CPU nanoseconds, user and system, of all threads a process ever had; `None` when it is gone.
pub fn cpu_spent_ns(pid: u32) -> Option<u64> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    let (mut clock, mut spent) = (
        0,
        libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
    );
    // SAFETY: both calls only write to the variables they are given, which outlive them.
    let told = unsafe {
        libc::clock_getcpuclockid(pid, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut spent) == 0
    };
    told.then(|| spent.tv_sec as u64 * 1_000_000_000 + spent.tv_nsec as u64)
}

/// The same of a process that runs.
#[track_caller]
pub fn cpu_ns(pid: u32) -> u64 {
    cpu_spent_ns(pid).expect("the process runs")
}

/// Waits until a process has nothing to do of its own: it used less than a fiftieth of a CPU for two
/// seconds. Answers whether that came within two minutes.
pub fn rests(pid: u32) -> bool {
    const LOOK: Duration = Duration::from_secs(2);
    (0..60).any(|_| {
        let before = cpu_ns(pid);
        crate::wait::pass(LOOK);
        ((cpu_ns(pid) - before) as u128) < LOOK.as_nanos() / 50
    })
}

/// Proportional set size in MiB.
#[track_caller]
pub fn pss_mib(pid: u32) -> f64 {
    memory_mib(pid, "smaps_rollup", "Pss:").expect("smaps_rollup has Pss")
}

/// Resident memory in MiB.
#[track_caller]
pub fn rss_mib(pid: u32) -> f64 {
    memory_mib(pid, "status", "VmRSS:").expect("status has VmRSS")
}

/// The most that was resident so far, in MiB.
#[track_caller]
pub fn peak_mib(pid: u32) -> f64 {
    memory_mib(pid, "status", "VmHWM:").expect("status has VmHWM")
}

/// A line of kB in a file of a process, in MiB.
pub fn memory_mib(pid: u32, file: &str, line: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let value = text.lines().find_map(|l| l.strip_prefix(line))?;
    let kib: f64 = value.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

/// Bytes of all files in a folder.
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // A file that went away meanwhile weighs nothing.
        return std::fs::metadata(folder).map_or(0, |m| m.len());
    };
    entries
        .flatten()
        .map(|entry| folder_bytes(&entry.path()))
        .sum()
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_spent_more_after_work_and_threads_that_ended_count() {
        let me = std::process::id();
        let before = cpu_ns(me);
        let worker = std::thread::spawn(|| {
            let start = std::time::Instant::now();
            let mut sum = 0u64;
            while start.elapsed() < std::time::Duration::from_millis(30) {
                sum = std::hint::black_box(sum.wrapping_mul(31) + 7);
            }
        });
        worker.join().unwrap();
        assert!(cpu_ns(me) > before + 1_000_000);
        assert!(rss_mib(me) > 1.0 && peak_mib(me) >= rss_mib(me) * 0.5);
    }

    #[test]
    fn a_folder_weighs_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [0; 300]).unwrap();
        std::fs::write(folder.path().join("c"), [0; 11]).unwrap();
        assert_eq!(folder_bytes(folder.path()), 311);
    }
}
