//! Right: our values equal node_exporter's on the same machine in the same second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Output, Stdio};

use hostwell_proto::metric::{Metric, not_sampled_because};
use hostwell_tests::exposition::{Series, get, parse};
use hostwell_tests::program::{
    Program, binary, command, foreign, free_address, profile_folder, run, stdout,
};

type Samples = BTreeMap<Series, f64>;

/// Attempts to read a value that stands between two reads of node_exporter. A busy machine changes
/// some gauges to and fro within milliseconds; a wrong value never falls in between.
const ATTEMPTS: usize = 60;

/// What node_exporter says of itself, by prefix: ours are `hostwell_agent_*` and `hostwell_probe_*`.
/// What it says of the host and we leave out has its reason in the catalogue.
const OF_ITSELF: &[&str] = &[
    "go_",
    "process_",
    "promhttp_",
    "node_exporter_",
    "node_scrape_collector_",
    "node_textfile_",
];

/// What our reader itself adds while it reads, and takes away again before node_exporter does: it is
/// a process with memory and open files. On a quiet machine nothing else moves these gauges.
fn of_the_reader(name: &str) -> f64 {
    match name {
        "node_filefd_allocated" => 64.0,
        "node_processes_pids" | "node_processes_threads" | "node_procs_running" => 4.0,
        "node_memory_Active_anon_bytes"
        | "node_memory_Active_bytes"
        | "node_memory_AnonPages_bytes"
        | "node_memory_Committed_AS_bytes"
        | "node_memory_Inactive_anon_bytes"
        | "node_memory_Inactive_bytes"
        | "node_memory_KReclaimable_bytes"
        | "node_memory_KernelStack_bytes"
        | "node_memory_Mapped_bytes"
        | "node_memory_MemAvailable_bytes"
        | "node_memory_MemFree_bytes"
        | "node_memory_PageTables_bytes"
        | "node_memory_Percpu_bytes"
        | "node_memory_SReclaimable_bytes"
        | "node_memory_SUnreclaim_bytes"
        | "node_memory_Slab_bytes"
        | "node_memory_VmallocUsed_bytes" => 8.0 * 1024.0 * 1024.0,
        _ => 0.0,
    }
}

/// Why a name of node_exporter is not ours.
fn left_out(name: &str) -> Option<&'static str> {
    if OF_ITSELF.iter().any(|prefix| name.starts_with(prefix)) {
        return Some("about node_exporter itself");
    }
    if name.starts_with("node_processes_") {
        return Some("states of sleeping processes; running and blocked ones are counted");
    }
    let of_devices = |m: Metric| m.descriptor().labels.contains(&"device");
    if Metric::by_name(name).is_some_and(of_devices) {
        return Some("sampled, but every device here that has it is left out");
    }
    not_sampled_because(name)
}

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

/// Why a name of ours is not node_exporter's.
fn extra(name: &str) -> Option<&'static str> {
    let row = EXTRA.iter().find(|(prefix, _)| name.starts_with(prefix));
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
        // A scrape sees its own connection among the sockets: ours is read beside one as well.
        let beside = TcpStream::connect(address).unwrap();
        let ours = parse(&ours());
        drop(beside);
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
            let slack = 1e-9 * a.abs().max(b.abs()) + of_the_reader(&series.0);
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
    let mut list = |title: &str, only: Vec<&str>, reason: fn(&str) -> Option<&'static str>| {
        writeln!(lists, "\n# {title}\n").unwrap();
        for name in only {
            let why = reason(name);
            writeln!(lists, "- {name}: {}", why.unwrap_or("?")).unwrap();
            if why.is_none() {
                unexplained.push(format!("{title}: {name}"));
            }
        }
    };
    list(
        "Only node_exporter's",
        theirs.difference(&ours).copied().collect(),
        left_out,
    );
    list(
        "Only ours",
        ours.difference(&theirs).copied().collect(),
        extra,
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

pub(crate) fn promtool(text: &str) -> Output {
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
