//! Right: our values equal node_exporter's on the same machine in the same second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Output, Stdio};

use hostwell_tests::exposition::{Series, get, parse};
use hostwell_tests::program::{
    Program, binary, command, foreign, free_address, profile_folder, run, stdout,
};

type Samples = BTreeMap<Series, f64>;

/// Attempts to read a value that stands between two reads of node_exporter. A busy machine changes
/// some gauges to and fro within milliseconds; a wrong value never falls in between.
const ATTEMPTS: usize = 60;

/// Names of node_exporter that we leave out, by prefix, and why. The first that fits counts.
const LEFT_OUT: &[(&str, &str)] = &[
    ("go_", "node_exporter's own runtime"),
    (
        "process_",
        "node_exporter's own process; ours is hostwell_agent_*",
    ),
    ("promhttp_", "node_exporter's own scrapes"),
    ("node_exporter_", "node_exporter's own build"),
    (
        "node_scrape_collector_",
        "node_exporter's own collectors; ours is hostwell_probe_*",
    ),
    ("node_textfile_", "node_exporter's own text files"),
    ("node_arp_", "neighbours are no capacity risk"),
    ("node_boot_time_seconds_total", "older name"),
    ("node_btrfs_", "special to a file system"),
    (
        "node_cooling_device_",
        "control of fans, not state of the host",
    ),
    (
        "node_cpu_core_throttles_total",
        "not in every kernel; pressure and temperature tell",
    ),
    (
        "node_cpu_frequency_",
        "follows load and says little about capacity",
    ),
    ("node_cpu_guest_seconds_total", "contained in user and nice"),
    ("node_cpu_info", "a fact, sent with the greeting"),
    (
        "node_cpu_package_throttles_total",
        "not in every kernel; pressure and temperature tell",
    ),
    (
        "node_cpu_scaling_",
        "follows load and says little about capacity",
    ),
    ("node_disk_ata_", "facts about a drive"),
    ("node_disk_device_mapper_info", "facts about a drive"),
    ("node_disk_discard", "write costs are in the busy time"),
    ("node_disk_discards_", "write costs are in the busy time"),
    ("node_disk_filesystem_info", "facts about a drive"),
    ("node_disk_flush_", "write costs are in the busy time"),
    ("node_disk_info", "facts about a drive"),
    ("node_dmi_info", "facts about the hardware"),
    ("node_edac_", "hardware of some servers; later"),
    ("node_entropy_", "no limit since Linux 5.18"),
    ("node_hwmon_", "only temperatures, where present"),
    ("node_infiniband_", "hardware of some servers"),
    (
        "node_memory_",
        "a breakdown that no rule needs; the totals are there",
    ),
    (
        "node_netstat_",
        "beyond errors, retransmits and listen queues",
    ),
    (
        "node_network_",
        "facts about an interface; bytes, packets, errors, drops, speed, up are there",
    ),
    (
        "node_nf_conntrack_stat_",
        "entries and limit say how near the end is",
    ),
    ("node_nfs_", "the client's call counts"),
    ("node_nfsd_", "the server's call counts"),
    ("node_nvme_info", "facts about a drive"),
    ("node_power_supply_", "batteries"),
    (
        "node_processes_",
        "states of sleeping processes; running and blocked ones are counted",
    ),
    ("node_rapl_", "readable by root only on current kernels"),
    ("node_schedstat_", "pressure tells the same with less"),
    ("node_selinux_", "policy, not capacity"),
    ("node_sockstat_", "a breakdown that no rule needs"),
    ("node_softnet_", "drops show at the interface"),
    ("node_thermal_zone_", "only temperatures, where present"),
    ("node_time_clocksource_", "a fact"),
    ("node_time_zone_", "times are UTC"),
    ("node_timex_pps_", "hardware clocks"),
    ("node_udp_queues", "receive errors tell when it matters"),
    ("node_vmstat_", "a breakdown that no rule needs"),
    ("node_xfs_", "special to a file system"),
    ("node_zfs_", "special to a file system; later"),
];

/// Ours that node_exporter does not have, by prefix, and why.
const EXTRA: &[(&str, &str)] = &[
    ("hostwell_", "what node_exporter lacks"),
    ("node_bonding_", "of a collector that shows nothing here"),
    ("node_hwmon_", "of a collector that shows nothing here"),
    ("node_md_", "of a collector that shows nothing here"),
    ("node_processes_", "of a collector that is off by default"),
    (
        "node_thermal_zone_",
        "of a collector that shows nothing here",
    ),
    ("node_pressure_", "of a newer node_exporter"),
];

fn reason<'a>(table: &'a [(&str, &'a str)], name: &str) -> Option<&'a str> {
    let row = table.iter().find(|(prefix, _)| name.starts_with(prefix));
    row.map(|(_, why)| *why)
}

fn names(samples: &Samples) -> BTreeSet<&str> {
    samples.keys().map(|(name, _)| name.as_str()).collect()
}

fn start_node_exporter(folder: &std::path::Path) -> (Program, SocketAddr) {
    let address = free_address();
    let mut exporter = command(foreign(
        "prometheus-node-exporter",
        "prometheus-node-exporter",
    ));
    exporter.arg(format!("--web.listen-address={address}"));
    exporter.arg("--collector.processes");
    let mut program = Program::start(exporter, &folder.join("node_exporter.log"));
    program.until_listening(address);
    (program, address)
}

fn ours() -> String {
    stdout(&run(command(binary("hostwell-agent")).args([
        "once",
        "-o",
        "prometheus",
    ])))
}

/// Our samples that never stood between two reads of theirs, with the last three values; and
/// ours that theirs has not at all.
fn disagreements(address: SocketAddr) -> (BTreeMap<Series, [f64; 3]>, BTreeSet<Series>) {
    let mut open: Option<BTreeMap<Series, [f64; 3]>> = None;
    let mut unmatched = BTreeSet::new();
    let mut before = parse(&get(address, "/metrics"));
    for _ in 0..ATTEMPTS {
        let ours = parse(&ours());
        let after = parse(&get(address, "/metrics"));
        let theirs_names: BTreeSet<String> = before
            .keys()
            .chain(after.keys())
            .map(|(n, _)| n.clone())
            .collect();
        let shared = ours
            .iter()
            .filter(|((name, _), _)| theirs_names.contains(name));
        let mut now = BTreeMap::new();
        unmatched.clear();
        for (series, value) in shared {
            let (Some(a), Some(b)) = (before.get(series), after.get(series)) else {
                unmatched.insert(series.clone());
                continue;
            };
            // The last digit may be rounded differently on the way to text.
            let slack = 1e-9 * a.abs().max(b.abs());
            if *value < a.min(*b) - slack || *value > a.max(*b) + slack {
                now.insert(series.clone(), [*a, *value, *b]);
            }
        }
        open = Some(match open {
            None => now,
            Some(open) => open
                .into_iter()
                .filter_map(|(series, old)| {
                    // Not compared this time is not agreed upon.
                    let compared = ours.contains_key(&series);
                    now.get(&series)
                        .copied()
                        .or((!compared).then_some(old))
                        .map(|v| (series, v))
                })
                .collect(),
        });
        if open.as_ref().is_some_and(BTreeMap::is_empty) {
            break;
        }
        before = after;
    }
    (open.unwrap_or_default(), unmatched)
}

#[test]
fn our_values_are_node_exporters_in_the_same_second() {
    let folder = tempfile::tempdir().unwrap();
    let (_exporter, address) = start_node_exporter(folder.path());
    let theirs = parse(&get(address, "/metrics"));
    let ours = parse(&ours());
    let (theirs, ours) = (names(&theirs), names(&ours));
    let mut lists = String::new();
    let mut unexplained = Vec::new();
    writeln!(lists, "# Shared\n").unwrap();
    for name in theirs.intersection(&ours) {
        writeln!(lists, "- {name}").unwrap();
    }
    let mut list = |title: &str, only: Vec<&str>, table: &[(&str, &str)]| {
        writeln!(lists, "\n# {title}\n").unwrap();
        for name in only {
            let why = reason(table, name);
            writeln!(lists, "- {name}: {}", why.unwrap_or("?")).unwrap();
            if why.is_none() {
                unexplained.push(format!("{title}: {name}"));
            }
        }
    };
    list(
        "Only node_exporter's",
        theirs.difference(&ours).copied().collect(),
        LEFT_OUT,
    );
    list(
        "Only ours",
        ours.difference(&theirs).copied().collect(),
        EXTRA,
    );
    println!("{lists}");
    std::fs::write(profile_folder().join("parity.md"), &lists).unwrap();
    assert!(unexplained.is_empty(), "without a reason: {unexplained:#?}");
    let shared = theirs.intersection(&ours).count();
    assert!(shared > 100, "only {shared} shared names");

    let (differ, unmatched) = disagreements(address);
    assert!(
        unmatched.is_empty(),
        "names are shared, these series are not: {unmatched:#?}"
    );
    assert!(
        differ.is_empty(),
        "[node_exporter before, ours, node_exporter after]: {differ:#?}"
    );
}

fn promtool(text: &str) -> Output {
    let mut promtool = command(foreign("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    promtool.wait_with_output().unwrap()
}

/// What promtool finds, but for the names that are node_exporter's own.
fn problems(text: &str) -> Vec<String> {
    let output = promtool(text);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let inherited = |line: &&str| {
        (line.starts_with("node_memory_") || line.starts_with("node_netstat_"))
            && line.contains("'snake_case'")
    };
    let lines = said.lines().filter(|l| !l.is_empty() && !inherited(l));
    lines.map(str::to_owned).collect()
}

#[test]
fn promtool_finds_nothing_that_is_not_node_exporters_own_naming() {
    let found = problems(&ours());
    assert!(found.is_empty(), "{found:#?}");
    let bad = "# HELP hostwell_badName x.\n# TYPE hostwell_badName counter\nhostwell_badName 1\n";
    assert!(!problems(bad).is_empty(), "promtool says nothing at all");
}
