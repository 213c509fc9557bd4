//! The thresholds of every rule, by name: what an operator may change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    RULES, Severity, agent_outdated, agent_over_budget, anomaly, bond_degraded, clock_off,
    clone_suspected, conntrack_full, cpu_iowait, cpu_saturation, cpu_steal, data_gaps, disk_busy,
    disk_full, disk_queue, disk_slow, file_handles_full, filesystem_filling, filesystem_readonly,
    filesystem_stuck, flapping, group_imbalance, host_down, host_idle, host_over_provisioned,
    inodes_full, interface_drops, interface_errors, kernel_changed, link_busy, link_degraded,
    listen_overflows, load_high, major_faults, memory_broken, memory_leak, memory_low, oom_kill,
    pids_full, pressure_high, raid_degraded, reboot, single_of_role, swap_full, swap_thrashing,
    tasks_blocked, tcp_retransmits, temperature_high,
};

/// The thresholds of every rule. In TOML a table a rule: `[disk_full]` with
/// `warning = { raise = 0.80, clear = 0.78 }`. What is left out keeps its default; an unknown
/// key is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Names of rules that do not run.
    pub disabled: Vec<String>,
    /// How bad a rule's findings are, whatever the rule says: name → severity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub severity: BTreeMap<String, Severity>,
    /// Host silent.
    pub host_down: host_down::Levels,
    /// Two machines send as one host.
    pub clone_suspected: clone_suspected::Levels,
    /// Host has booted.
    pub reboot: reboot::Levels,
    /// Host boots again and again.
    pub flapping: flapping::Levels,
    /// Other kernel than before.
    pub kernel_changed: kernel_changed::Levels,
    /// Filesystem does not answer.
    pub filesystem_stuck: filesystem_stuck::Levels,
    /// Filesystem has become read-only.
    pub filesystem_readonly: filesystem_readonly::Levels,
    /// Filesystem almost full.
    pub disk_full: disk_full::Levels,
    /// Filesystem almost out of inodes.
    pub inodes_full: inodes_full::Levels,
    /// Filesystem fills up within days.
    pub filesystem_filling: filesystem_filling::Levels,
    /// RAID array degraded.
    pub raid_degraded: raid_degraded::Levels,
    /// Disk answers slowly.
    pub disk_slow: disk_slow::Levels,
    /// Queue before a disk.
    pub disk_queue: disk_queue::Levels,
    /// Disk never idle.
    pub disk_busy: disk_busy::Levels,
    /// Memory is broken.
    pub memory_broken: memory_broken::Levels,
    /// Memory almost used up.
    pub memory_low: memory_low::Levels,
    /// Used memory climbs from day to day.
    pub memory_leak: memory_leak::Levels,
    /// Processes killed for lack of memory.
    pub oom_kill: oom_kill::Levels,
    /// Swapping hard.
    pub swap_thrashing: swap_thrashing::Levels,
    /// Swap almost used up.
    pub swap_full: swap_full::Levels,
    /// Programs wait for their memory to be read from disk.
    pub major_faults: major_faults::Levels,
    /// CPU busy for long.
    pub cpu_saturation: cpu_saturation::Levels,
    /// CPU stolen by other guests.
    pub cpu_steal: cpu_steal::Levels,
    /// Tasks wait for a resource.
    pub pressure_high: pressure_high::Levels,
    /// CPU idle because work waits for disks.
    pub cpu_iowait: cpu_iowait::Levels,
    /// Tasks stuck waiting for input or output.
    pub tasks_blocked: tasks_blocked::Levels,
    /// Load above what the cores can take.
    pub load_high: load_high::Levels,
    /// Line lost, or slower than before.
    pub link_degraded: link_degraded::Levels,
    /// Bond without all of its lines.
    pub bond_degraded: bond_degraded::Levels,
    /// Line almost full.
    pub link_busy: link_busy::Levels,
    /// Interface breaks packets.
    pub interface_errors: interface_errors::Levels,
    /// Interface drops packets.
    pub interface_drops: interface_drops::Levels,
    /// TCP sends much again.
    pub tcp_retransmits: tcp_retransmits::Levels,
    /// Connections lost before they were accepted.
    pub listen_overflows: listen_overflows::Levels,
    /// Firewall's table of connections almost full.
    pub conntrack_full: conntrack_full::Levels,
    /// Almost out of file handles.
    pub file_handles_full: file_handles_full::Levels,
    /// Almost out of process numbers.
    pub pids_full: pids_full::Levels,
    /// Hardware too hot.
    pub temperature_high: temperature_high::Levels,
    /// Clock wrong or not synchronised.
    pub clock_off: clock_off::Levels,
    /// Samples are missing.
    pub data_gaps: data_gaps::Levels,
    /// Agent takes more than it should.
    pub agent_over_budget: agent_over_budget::Levels,
    /// Agent behind those of other hosts.
    pub agent_outdated: agent_outdated::Levels,
    /// Host that nobody uses.
    pub host_idle: host_idle::Levels,
    /// Host larger than it needs to be.
    pub host_over_provisioned: host_over_provisioned::Levels,
    /// Host carries much more than the others of its role.
    pub group_imbalance: group_imbalance::Levels,
    /// Host without which its role is gone.
    pub single_of_role: single_of_role::Levels,
    /// Host does what it never does.
    pub anomaly: anomaly::Levels,
}

impl Policy {
    /// What is wrong with these thresholds, one sentence each; empty when they can be used.
    pub fn problems(&self) -> Vec<String> {
        let disabled = self.disabled.iter().map(|name| ("disabled", name));
        let other = self.severity.keys().map(|name| ("severity", name));
        let mut problems: Vec<String> = disabled
            .chain(other)
            .filter(|(_, name)| super::rule(name).is_none())
            .map(|(key, name)| {
                let known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
                format!("{key}: no rule {name:?}; there are {}", known.join(", "))
            })
            .collect();
        // The serialised form has every level under its name, so that no rule is forgotten here.
        if let Ok(serde_json::Value::Object(tables)) = serde_json::to_value(self) {
            for (rule, table) in &tables {
                check(rule, table, &mut problems);
            }
        }
        problems
    }
}

/// What levels are in of which the name does not say it, and which are no part of a whole. Words as in
/// [`super::Evidence`].
const UNITS: &[(&str, &str, &str)] = &[
    ("agent_outdated", "warning_minors", "count"),
    ("clone_suspected", "warning", "count"),
    ("data_gaps", "pieces", "count"),
    ("disk_full", "size_exponent", "count"),
    ("disk_queue", "warning", "count"),
    ("flapping", "warning", "count"),
    (
        "group_imbalance",
        "network_beyond_bytes",
        "bytes_per_second",
    ),
    ("group_imbalance", "spreads", "count"),
    ("group_imbalance", "times", "count"),
    ("host_down", "missed_intervals", "count"),
    ("listen_overflows", "critical", "per_second"),
    ("listen_overflows", "warning", "per_second"),
    ("load_high", "waiting_min", "ratio"),
    ("load_high", "warning", "count"),
    ("major_faults", "warning", "per_second"),
    ("tasks_blocked", "warning", "count"),
];

/// A level as findings tell it, with its unit: "for_hours" in seconds.
pub fn told_in(rule: &str, level: &str, value: f64) -> (f64, &'static str) {
    if let Some((.., unit)) = UNITS.iter().find(|(r, l, _)| (*r, *l) == (rule, level)) {
        return (value, unit);
    }
    let says = |word: &str| level.split('_').any(|part| part == word);
    match () {
        () if says("seconds") => (value, "seconds"),
        () if says("hours") => (value * 3_600.0, "seconds"),
        () if level.ends_with("_days") => (value * 86_400.0, "seconds"),
        () if says("bytes") => (value, "bytes"),
        () if says("celsius") => (value, "°C"),
        () if level.ends_with("_min") => (value, "count"),
        () => (value, "ratio"),
    }
}

fn check(path: &str, value: &serde_json::Value, problems: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            let level = |name| fields.get(name).and_then(serde_json::Value::as_f64);
            if let (Some(raise), Some(clear)) = (level("raise"), level("clear"))
                && clear > raise
            {
                problems.push(format!(
                    "{path}: clear {clear} is above raise {raise}; it must be at most as high"
                ));
            }
            for (name, value) in fields {
                check(&format!("{path}.{name}"), value, problems);
            }
        }
        serde_json::Value::Number(number) if number.as_f64().is_some_and(|v| v < 0.0) => {
            problems.push(format!("{path}: {number} is below 0"));
        }
        serde_json::Value::Null => problems.push(format!("{path}: not a finite number")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(Policy::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn a_level_is_told_in_what_its_name_says_or_as_a_part_of_a_whole() {
        for (rule, level, value, told) in [
            ("disk_full", "warning", 0.8, (0.8, "ratio")),
            ("disk_full", "for_seconds", 300.0, (300.0, "seconds")),
            (
                "disk_full",
                "critical_hours_left",
                4.0,
                (14_400.0, "seconds"),
            ),
            ("disk_full", "warning_bytes_left", 1e10, (1e10, "bytes")),
            ("memory_leak", "info_days", 30.0, (2_592_000.0, "seconds")),
            ("memory_leak", "days_min", 5.0, (5.0, "count")),
            ("load_high", "waiting_min", 0.1, (0.1, "ratio")),
            ("temperature_high", "cooler_celsius", 5.0, (5.0, "°C")),
            ("major_faults", "warning", 500.0, (500.0, "per_second")),
        ] {
            assert_eq!(told_in(rule, level, value), told, "{rule}.{level}");
        }
        for (rule, level, _) in UNITS {
            let rule = crate::rules::rule(rule).unwrap();
            let levels = crate::rules::default_levels(rule);
            assert!(levels.contains_key(*level), "{}.{level}", rule.name);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let policy: Policy = toml::from_str(
            "disabled = [\"disk_ful\"]\n[disk_full]\nwarning = { raise = 0.5, clear = 0.6 }\n\
             [host_down]\nmissed_intervals = -1\n",
        )
        .unwrap();
        let problems = policy.problems().join("\n");
        assert!(problems.contains("no rule \"disk_ful\""), "{problems}");
        assert!(
            problems.contains("disk_full.warning: clear 0.6 is above raise 0.5"),
            "{problems}"
        );
        assert!(
            problems.contains("host_down.missed_intervals: -1 is below 0"),
            "{problems}"
        );
        let error = toml::from_str::<Policy>("[disk_full]\nwarnin = 1\n").unwrap_err();
        assert!(error.to_string().contains("warnin"), "{error}");
    }
}
