//! Control groups: what a container may use. Version 2 (one tree) and version 1 (a tree for each
//! resource).
//!
//! Only inside a container are these the limits of "the host" as the operator sees it. There the
//! root of the mounted tree is the container's own group: in version 2 it has `memory.max`, which
//! the root group of a whole host never has; in version 1 it has a limit below the kernel's "none".

use hostwell_proto::metric::Metric;

use super::sysfs;
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const ROOT: &str = "sys/fs/cgroup";
/// Version 1 says "no limit" as the largest number of whole pages; nobody limits to an exbibyte.
const UNLIMITED_BYTES: f64 = (1u64 << 60) as f64;
const MICROSECONDS: f64 = 1e6;
const NANOSECONDS: f64 = 1e9;

type Found = Vec<(Metric, f64)>;

/// CPUs in `cpu.max` ("quota period" in microseconds, or "max period").
fn parse_cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok()?, period.trim().parse().ok()?)
}

/// CPUs that a quota within a period amounts to.
fn cores(quota: i64, period: i64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// The number after a word in a file of `word number` lines.
fn parse_word(text: &str, word: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))?;
    Some(line.trim().parse::<u64>().ok()? as f64)
}

fn version_2(source: &Source) -> Option<Found> {
    let file = |name: &str| source.text(&format!("{ROOT}/{name}")).ok();
    let number = |name: &str| Some(file(name)?.parse::<u64>().ok()? as f64);
    file("memory.max")?;
    let mut found = vec![
        (Metric::CgroupMemoryLimit, number("memory.max")),
        (Metric::CgroupMemoryUsage, number("memory.current")),
        (
            Metric::CgroupCpuLimit,
            file("cpu.max").as_deref().and_then(parse_cpu_max),
        ),
        (Metric::CgroupPidsLimit, number("pids.max")),
        (Metric::CgroupPids, number("pids.current")),
    ];
    if let Some(events) = file("memory.events") {
        found.push((Metric::CgroupOomKills, parse_word(&events, "oom_kill")));
    }
    if let Some(stat) = file("cpu.stat") {
        let seconds = |word| Some(parse_word(&stat, word)? / MICROSECONDS);
        found.extend([
            (Metric::CgroupCpuSeconds, seconds("usage_usec")),
            (Metric::CgroupCpuPeriods, parse_word(&stat, "nr_periods")),
            (
                Metric::CgroupCpuThrottledPeriods,
                parse_word(&stat, "nr_throttled"),
            ),
            (Metric::CgroupCpuThrottledSeconds, seconds("throttled_usec")),
        ]);
    }
    Some(known(found))
}

fn version_1(source: &Source) -> Option<Found> {
    let file = |name: &str| source.text(&format!("{ROOT}/{name}")).ok();
    let integer = |name: &str| sysfs::integer(source, &format!("{ROOT}/{name}"));
    let count = |name: &str| integer(name).filter(|n| *n >= 0).map(|n| n as f64);
    let memory = count("memory/memory.limit_in_bytes").filter(|b| *b < UNLIMITED_BYTES);
    let quota = integer("cpu/cpu.cfs_quota_us").zip(integer("cpu/cpu.cfs_period_us"));
    let cpu = quota.and_then(|(quota, period)| cores(quota, period));
    let pids = count("pids/pids.max");
    if memory.is_none() && cpu.is_none() && pids.is_none() {
        return None;
    }
    let mut found = vec![
        (Metric::CgroupMemoryLimit, memory),
        (
            Metric::CgroupMemoryUsage,
            count("memory/memory.usage_in_bytes"),
        ),
        (Metric::CgroupCpuLimit, cpu),
        (
            Metric::CgroupCpuSeconds,
            count("cpuacct/cpuacct.usage").map(|ns| ns / NANOSECONDS),
        ),
        (Metric::CgroupPidsLimit, pids),
        (Metric::CgroupPids, count("pids/pids.current")),
    ];
    if let Some(stat) = file("cpu/cpu.stat") {
        found.extend([
            (Metric::CgroupCpuPeriods, parse_word(&stat, "nr_periods")),
            (
                Metric::CgroupCpuThrottledPeriods,
                parse_word(&stat, "nr_throttled"),
            ),
            (
                Metric::CgroupCpuThrottledSeconds,
                parse_word(&stat, "throttled_time").map(|ns| ns / NANOSECONDS),
            ),
        ]);
    }
    if let Some(control) = file("memory/memory.oom_control") {
        found.push((Metric::CgroupOomKills, parse_word(&control, "oom_kill")));
    }
    Some(known(found))
}

fn known(found: Vec<(Metric, Option<f64>)>) -> Found {
    let value = |(metric, value): (Metric, Option<f64>)| Some((metric, value?));
    found.into_iter().filter_map(value).collect()
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Cgroup;

impl Probe for Cgroup {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let found = version_2(source).or_else(|| version_1(source));
        for (metric, value) in found.ok_or(ProbeError::Absent)? {
            out.add(metric, &[], value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<Found> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(ROOT).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let source = Source::fixture(dir.path()).unwrap();
        version_2(&source).or_else(|| version_1(&source))
    }

    #[test]
    fn version_2_limits_are_read_and_max_is_no_limit() {
        let files = [
            ("memory.max", "536870912\n"),
            ("memory.current", "1024\n"),
            ("cpu.max", "150000 100000\n"),
            ("pids.max", "max\n"),
            ("cpu.stat", "usage_usec 2500000\nnr_throttled 3\n"),
            ("memory.events", "oom 4\noom_kill 2\n"),
        ];
        assert_eq!(
            found(&files).unwrap(),
            [
                (Metric::CgroupMemoryLimit, 536_870_912.0),
                (Metric::CgroupMemoryUsage, 1024.0),
                (Metric::CgroupCpuLimit, 1.5),
                (Metric::CgroupOomKills, 2.0),
                (Metric::CgroupCpuSeconds, 2.5),
                (Metric::CgroupCpuThrottledPeriods, 3.0),
            ]
        );
    }

    #[test]
    fn version_1_without_a_limit_is_a_whole_host() {
        let none = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "5\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(found(&none), None);
        let mut some = none;
        some[2].1 = "50000\n";
        let expected = vec![
            (Metric::CgroupMemoryUsage, 5.0),
            (Metric::CgroupCpuLimit, 0.5),
        ];
        assert_eq!(found(&some), Some(expected));
        assert_eq!(found(&[]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left_out(text: String) {
            let _ = (parse_cpu_max(&text), parse_word(&text, "nr_periods"));
        }

        #[test]
        fn quotas_come_back(quota in 1i64..1 << 40, period in 1i64..1 << 20) {
            let text = format!("{quota} {period}\n");
            prop_assert_eq!(parse_cpu_max(&text), Some(quota as f64 / period as f64));
        }
    }
}
