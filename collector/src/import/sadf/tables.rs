//! Which of sysstat's fields are which of our metrics. Pure.

use serde_json::Value;

use Unit::{Each, Now};

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Take {
    /// How it is.
    Value(f64),
    /// How much a second, over the interval.
    Rate(f64),
}

/// One field of a statistic as one of our series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// `table.field`.
    pub from: String,
    pub metric: &'static str,
    pub labels: Vec<(String, String)>,
    pub take: Take,
}

/// How a field is written; the factor leads to our unit.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// How it is.
    Now(f64),
    /// How much a second.
    Each(f64),
}

/// A table with a row a thing: the field that names the thing, and our label for it.
type Key = Option<(&'static str, &'static str)>;
/// The path of a table, its key, and its fields: theirs, ours, and how it is written.
type Table = (&'static [&'static str], Key, &'static [Field]);
type Field = (&'static str, &'static str, Unit);

const KIB: f64 = 1024.0;
/// A percentage of the interval is hundredths of a second a second.
const PERCENT: f64 = 0.01;
const DEVICE: Key = Some(("iface", "device"));
const DISK: Key = Some(("disk-device", "device"));

/// The plain ones. Of two fields for one metric the first that is there counts.
const TABLES: &[Table] = &[
    (
        &["process-and-context-switch"],
        None,
        &[
            ("proc", "node_forks_total", Each(1.0)),
            ("cswch", "node_context_switches_total", Each(1.0)),
        ],
    ),
    (
        &["swap-pages"],
        None,
        &[
            ("pswpin", "node_vmstat_pswpin", Each(1.0)),
            ("pswpout", "node_vmstat_pswpout", Each(1.0)),
        ],
    ),
    (
        &["paging"],
        None,
        &[
            ("pgpgin", "node_vmstat_pgpgin", Each(1.0)),
            ("pgpgout", "node_vmstat_pgpgout", Each(1.0)),
            ("fault", "node_vmstat_pgfault", Each(1.0)),
            ("majflt", "node_vmstat_pgmajfault", Each(1.0)),
        ],
    ),
    (
        &["memory"],
        None,
        &[
            ("memfree", "node_memory_MemFree_bytes", Now(KIB)),
            ("avail", "node_memory_MemAvailable_bytes", Now(KIB)),
            ("buffers", "node_memory_Buffers_bytes", Now(KIB)),
            ("cached", "node_memory_Cached_bytes", Now(KIB)),
            ("commit", "node_memory_Committed_AS_bytes", Now(KIB)),
            ("active", "node_memory_Active_bytes", Now(KIB)),
            ("inactive", "node_memory_Inactive_bytes", Now(KIB)),
            ("dirty", "node_memory_Dirty_bytes", Now(KIB)),
            ("anonpg", "node_memory_AnonPages_bytes", Now(KIB)),
            ("slab", "node_memory_Slab_bytes", Now(KIB)),
            ("kstack", "node_memory_KernelStack_bytes", Now(KIB)),
            ("pgtbl", "node_memory_PageTables_bytes", Now(KIB)),
            ("swpfree", "node_memory_SwapFree_bytes", Now(KIB)),
            ("swpcad", "node_memory_SwapCached_bytes", Now(KIB)),
        ],
    ),
    (
        &["kernel"],
        None,
        &[("file-nr", "node_filefd_allocated", Now(1.0))],
    ),
    (
        &["queue"],
        None,
        &[
            ("runq-sz", "node_procs_running", Now(1.0)),
            ("plist-sz", "node_processes_threads", Now(1.0)),
            ("ldavg-1", "node_load1", Now(1.0)),
            ("ldavg-5", "node_load5", Now(1.0)),
            ("ldavg-15", "node_load15", Now(1.0)),
            ("blocked", "node_procs_blocked", Now(1.0)),
        ],
    ),
    (
        &["disk"],
        DISK,
        &[
            ("rd_sec", "node_disk_read_bytes_total", Each(512.0)),
            ("rkB", "node_disk_read_bytes_total", Each(KIB)),
            ("wr_sec", "node_disk_written_bytes_total", Each(512.0)),
            ("wkB", "node_disk_written_bytes_total", Each(KIB)),
            ("dc_sec", "node_disk_discarded_sectors_total", Each(1.0)),
            ("dkB", "node_disk_discarded_sectors_total", Each(2.0)),
            (
                "aqu-sz",
                "node_disk_io_time_weighted_seconds_total",
                Each(1.0),
            ),
            (
                "avgqu-sz",
                "node_disk_io_time_weighted_seconds_total",
                Each(1.0),
            ),
            (
                "util-percent",
                "node_disk_io_time_seconds_total",
                Each(PERCENT),
            ),
            ("%util", "node_disk_io_time_seconds_total", Each(PERCENT)),
        ],
    ),
    (
        &["network", "net-dev"],
        DEVICE,
        &[
            ("rxpck", "node_network_receive_packets_total", Each(1.0)),
            ("txpck", "node_network_transmit_packets_total", Each(1.0)),
            ("rxkB", "node_network_receive_bytes_total", Each(KIB)),
            ("txkB", "node_network_transmit_bytes_total", Each(KIB)),
            ("rxmcst", "node_network_receive_multicast_total", Each(1.0)),
        ],
    ),
    (
        &["network", "net-edev"],
        DEVICE,
        &[
            ("rxerr", "node_network_receive_errs_total", Each(1.0)),
            ("txerr", "node_network_transmit_errs_total", Each(1.0)),
            ("coll", "node_network_transmit_colls_total", Each(1.0)),
            ("rxdrop", "node_network_receive_drop_total", Each(1.0)),
            ("txdrop", "node_network_transmit_drop_total", Each(1.0)),
            ("txcarr", "node_network_transmit_carrier_total", Each(1.0)),
            ("rxfram", "node_network_receive_frame_total", Each(1.0)),
            ("rxfifo", "node_network_receive_fifo_total", Each(1.0)),
            ("txfifo", "node_network_transmit_fifo_total", Each(1.0)),
        ],
    ),
    (
        &["network", "net-sock"],
        None,
        &[
            ("totsck", "node_sockstat_sockets_used", Now(1.0)),
            ("tcpsck", "node_sockstat_TCP_inuse", Now(1.0)),
            ("udpsck", "node_sockstat_UDP_inuse", Now(1.0)),
            ("tcp-tw", "node_sockstat_TCP_tw", Now(1.0)),
        ],
    ),
    (
        &["network", "net-tcp"],
        None,
        &[
            ("active", "node_netstat_Tcp_ActiveOpens", Each(1.0)),
            ("passive", "node_netstat_Tcp_PassiveOpens", Each(1.0)),
            ("iseg", "node_netstat_Tcp_InSegs", Each(1.0)),
            ("oseg", "node_netstat_Tcp_OutSegs", Each(1.0)),
        ],
    ),
    (
        &["network", "net-etcp"],
        None,
        &[
            ("retrans", "node_netstat_Tcp_RetransSegs", Each(1.0)),
            ("isegerr", "node_netstat_Tcp_InErrs", Each(1.0)),
            ("orsts", "node_netstat_Tcp_OutRsts", Each(1.0)),
        ],
    ),
    (
        &["network", "net-udp"],
        None,
        &[
            ("idgm", "node_netstat_Udp_InDatagrams", Each(1.0)),
            ("odgm", "node_netstat_Udp_OutDatagrams", Each(1.0)),
            ("noport", "node_netstat_Udp_NoPorts", Each(1.0)),
            ("idgmerr", "node_netstat_Udp_InErrors", Each(1.0)),
        ],
    ),
    (
        &["network", "net-icmp"],
        None,
        &[
            ("imsg", "node_netstat_Icmp_InMsgs", Each(1.0)),
            ("omsg", "node_netstat_Icmp_OutMsgs", Each(1.0)),
        ],
    ),
    (
        &["network", "net-eicmp"],
        None,
        &[("ierr", "node_netstat_Icmp_InErrors", Each(1.0))],
    ),
    (
        &["psi", "psi-cpu"],
        None,
        &[(
            "some_avg",
            "node_pressure_cpu_waiting_seconds_total",
            Each(PERCENT),
        )],
    ),
    (
        &["psi", "psi-io"],
        None,
        &[
            (
                "some_avg",
                "node_pressure_io_waiting_seconds_total",
                Each(PERCENT),
            ),
            (
                "full_avg",
                "node_pressure_io_stalled_seconds_total",
                Each(PERCENT),
            ),
        ],
    ),
    (
        &["psi", "psi-mem"],
        None,
        &[
            (
                "some_avg",
                "node_pressure_memory_waiting_seconds_total",
                Each(PERCENT),
            ),
            (
                "full_avg",
                "node_pressure_memory_stalled_seconds_total",
                Each(PERCENT),
            ),
        ],
    ),
];

/// Modes of a CPU: which fields add up to each. Guests count as what runs them, as in the kernel.
const MODES: &[(&str, &[&str])] = &[
    ("user", &["usr", "user", "guest"]),
    ("nice", &["nice", "gnice"]),
    ("system", &["sys", "system"]),
    ("iowait", &["iowait"]),
    ("irq", &["irq"]),
    ("softirq", &["soft"]),
    ("steal", &["steal"]),
    ("idle", &["idle"]),
];

/// Everything a statistic says that we have metrics for.
pub(super) fn readings(statistic: &Value) -> Vec<Reading> {
    let mut out = Vec::new();
    for (path, key, fields) in TABLES {
        let table = path.iter().try_fold(statistic, |at, step| at.get(step));
        for row in rows(table) {
            let labels = match key {
                None => Vec::new(),
                Some((field, label)) => match row.get(field).and_then(Value::as_str) {
                    Some(thing) => vec![((*label).to_owned(), thing.to_owned())],
                    None => continue,
                },
            };
            plain(path[path.len() - 1], row, fields, &labels, &mut out);
        }
    }
    cpus(statistic, &mut out);
    totals(statistic, &mut out);
    interrupts(statistic, &mut out);
    filesystems(statistic, &mut out);
    out
}

/// A table's rows: those of a list, or the one it is.
fn rows(table: Option<&Value>) -> &[Value] {
    match table {
        Some(Value::Array(rows)) => rows,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn number(row: &Value, field: &str) -> Option<f64> {
    row.get(field)?.as_f64()
}

fn plain(
    table: &str,
    row: &Value,
    fields: &[Field],
    labels: &[(String, String)],
    out: &mut Vec<Reading>,
) {
    let first = out.len();
    for (field, metric, unit) in fields {
        let Some(value) = number(row, field) else {
            continue;
        };
        if out[first..].iter().any(|r| r.metric == *metric) {
            continue;
        }
        out.push(Reading {
            from: format!("{table}.{field}"),
            metric,
            labels: labels.to_vec(),
            take: match unit {
                Now(factor) => Take::Value(value * factor),
                Each(factor) => Take::Rate(value * factor),
            },
        });
    }
}

/// The CPUs by themselves; where there is only the mean of all, that one.
fn cpus(statistic: &Value, out: &mut Vec<Reading>) {
    let table = statistic
        .get("cpu-load")
        .or_else(|| statistic.get("cpu-load-all"));
    let rows = rows(table);
    let name = |row: &Value| row.get("cpu").and_then(Value::as_str).map(str::to_owned);
    let single = rows.iter().any(|row| name(row).is_some_and(|n| n != "all"));
    for row in rows {
        let Some(cpu) = name(row).filter(|n| !(single && n == "all")) else {
            continue;
        };
        for (mode, fields) in MODES {
            let parts: Vec<f64> = fields.iter().filter_map(|f| number(row, f)).collect();
            if parts.is_empty() {
                continue;
            }
            out.push(Reading {
                from: format!("cpu-load.{}", fields[0]),
                metric: "node_cpu_seconds_total",
                labels: vec![
                    ("cpu".to_owned(), cpu.clone()),
                    ("mode".to_owned(), (*mode).to_owned()),
                ],
                take: Take::Rate(parts.iter().sum::<f64>() / 100.0),
            });
        }
    }
}

/// Totals are not told, but what they are made of is. What `memused` leaves out has changed over
/// the versions: its percentage tells which of the sums is the whole.
fn totals(statistic: &Value, out: &mut Vec<Reading>) {
    for row in rows(statistic.get("memory")) {
        let kib = |field: &str| number(row, field);
        let mut value = |from: &str, metric, bytes: f64| {
            out.push(Reading {
                from: from.to_owned(),
                metric,
                labels: Vec::new(),
                take: Take::Value(bytes),
            });
        };
        if let (Some(free), Some(used)) = (kib("swpfree"), kib("swpused")) {
            value(
                "memory.swpused",
                "node_memory_SwapTotal_bytes",
                (free + used) * KIB,
            );
        }
        let (Some(free), Some(used)) = (kib("memfree"), kib("memused")) else {
            continue;
        };
        let caches = ["buffers", "cached", "slab"];
        let caches: f64 = caches.iter().filter_map(|f| kib(f)).sum();
        let percent = kib("memused-percent").or_else(|| kib("%memused"));
        let off = |total: f64| percent.map_or(0.0, |p| (used / total * 100.0 - p).abs());
        let total = [free + used, free + used + caches]
            .into_iter()
            .filter(|total| *total > 0.0 && off(*total) < 0.5)
            .min_by(|a, b| off(*a).total_cmp(&off(*b)));
        if let Some(total) = total {
            value("memory.memused", "node_memory_MemTotal_bytes", total * KIB);
        }
    }
}

fn interrupts(statistic: &Value, out: &mut Vec<Reading>) {
    for row in rows(statistic.get("interrupts")) {
        let sum = row.get("intr").and_then(Value::as_str) == Some("sum");
        let rate = number(row, "value").or_else(|| number(row, "all"));
        if let (true, Some(rate)) = (sum, rate) {
            out.push(Reading {
                from: "interrupts.sum".to_owned(),
                metric: "node_intr_total",
                labels: Vec::new(),
                take: Take::Rate(rate),
            });
        }
    }
}

/// File systems are known by their device, or with `sadf -j -- -F MOUNT` by where they are mounted.
fn filesystems(statistic: &Value, out: &mut Vec<Reading>) {
    const MIB: f64 = 1_048_576.0;
    for row in rows(statistic.get("filesystems")) {
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        let (device, mountpoint) = match (text("filesystem"), text("mountpoint")) {
            (Some(device), Some(mountpoint)) => (device, mountpoint),
            // Something has to name it where people look.
            (Some(device), None) => (device, device),
            (None, Some(mountpoint)) => ("", mountpoint),
            (None, None) => continue,
        };
        let mut value = |field: &str, metric, value: f64| {
            out.push(Reading {
                from: format!("filesystems.{field}"),
                metric,
                labels: vec![
                    ("device".to_owned(), device.to_owned()),
                    ("mountpoint".to_owned(), mountpoint.to_owned()),
                ],
                take: Take::Value(value),
            });
        };
        if let (Some(free), Some(used)) = (number(row, "MBfsfree"), number(row, "MBfsused")) {
            let size = (free + used) * MIB;
            value("MBfsused", "node_filesystem_size_bytes", size);
            value("MBfsfree", "node_filesystem_free_bytes", free * MIB);
            let percent = number(row, "%ufsused").or_else(|| number(row, "ufsused-percent"));
            if let Some(percent) = percent {
                let avail = (size * (100.0 - percent) / 100.0).round().max(0.0);
                value("ufsused", "node_filesystem_avail_bytes", avail);
            }
        }
        if let (Some(free), Some(used)) = (number(row, "Ifree"), number(row, "Iused")) {
            value("Iused", "node_filesystem_files", free + used);
            value("Ifree", "node_filesystem_files_free", free);
        }
    }
}
