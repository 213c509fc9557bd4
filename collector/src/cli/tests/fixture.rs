//! A database with a small fleet, made through the store's own door: the same every time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};

use crate::rules::{Evidence, Finding, Severity, State};
use crate::series::{Kind, SeriesName};
use crate::store::{Append, GapRecord, Greeting, HostEdit, HostFacts, Store, StoreOptions};

/// The collector's last beat: 2026-11-21T20:00:00Z.
pub(super) const NOW_MS: i64 = 1_795_291_200_000;
const TICK_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;
const GIB: f64 = (1u64 << 30) as f64;

/// The database, and the folder it lives in.
pub(super) struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    /// web-1 is well, db-1 is short of disk and memory, gone-1 is down, old-1 is retired, new-1
    /// has sent nothing, and "=evil" sends what must not reach a terminal or a spreadsheet.
    pub(super) fn new() -> Fleet {
        let fleet = Fleet {
            folder: tempfile::tempdir().unwrap(),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fleet.fill());
        fleet
    }

    /// The database file.
    pub(super) fn db(&self) -> PathBuf {
        self.folder.path().join("hostwell.db")
    }

    /// The folder it lies in.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A path beside it that does not exist yet.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn fill(&self) {
        let store = Store::open(StoreOptions {
            path: self.db(),
            retention_ms: 15 * 86_400_000,
            series_per_host_max: 1_000,
            hosts_max: 100,
        })
        .await
        .unwrap();
        for beat in 0..=60 {
            store
                .beat(NOW_MS - 60 * MINUTE_MS + beat * MINUTE_MS)
                .await
                .unwrap();
        }
        Machine::new(1, "web-1").sample(&store, 0).await;
        let db = Machine {
            busy: 9.0,
            available: 0.3,
            left: 3.4,
            ..Machine::new(2, "db-1")
        };
        db.sample(&store, 0).await;
        Machine::new(3, "gone-1")
            .sample(&store, 10 * MINUTE_MS)
            .await;
        Machine::new(4, "old-1").sample(&store, 0).await;
        Machine::new(5, "=evil").sample(&store, 0).await;
        store
            .greet(Machine::new(6, "new-1").greeting(), NOW_MS - MINUTE_MS)
            .await
            .unwrap();
        store
            .edit_host("old-1", HostEdit::Retire, NOW_MS - MINUTE_MS)
            .await
            .unwrap();
        let set = BTreeMap::from([("site".to_string(), Some("berlin".to_string()))]);
        store
            .edit_host("db-1", HostEdit::Label { set }, NOW_MS)
            .await
            .unwrap();
        store.count_refusal(HostId([2; 16]), "time").await.unwrap();
        store
            .append_gap(HostId([2; 16]), gap(), NOW_MS)
            .await
            .unwrap();
        store.save_findings(findings(), NOW_MS).await.unwrap();
        store.close().await.unwrap();
    }
}

fn gap() -> GapRecord {
    GapRecord {
        spool_id: SpoolId([2; 16]).to_string(),
        first_sequence: 100,
        last_sequence: 101,
        from_ms: NOW_MS - 40 * MINUTE_MS,
        to_ms: NOW_MS - 39 * MINUTE_MS,
        samples: 120,
        reason: "bytes".into(),
    }
}

/// A series' value at its n-th tick.
type Value = Box<dyn Fn(f64) -> f64>;

/// A machine that does the same every tick.
struct Machine {
    number: u8,
    name: &'static str,
    /// Seconds of CPU time used in a tick, of ten.
    busy: f64,
    /// GiB of memory available, of eight.
    available: f64,
    /// GiB left on /, of fifty.
    left: f64,
}

impl Machine {
    fn new(number: u8, name: &'static str) -> Machine {
        Machine {
            number,
            name,
            busy: 1.0,
            available: 6.0,
            left: 40.0,
        }
    }

    fn greeting(&self) -> Greeting {
        let role = match self.name {
            "=evil" => "=HYPERLINK(\"http://x\")\u{1b}[2J",
            "db-1" => "db",
            _ => "web",
        };
        Greeting {
            host_id: HostId([self.number; 16]),
            host_name: self.name.into(),
            interval_ms: TICK_MS as u32,
            facts: HostFacts {
                kernel: "6.12.0-amd64".into(),
                os: "Debian GNU/Linux 13 (trixie)".into(),
                arch: "x86_64".into(),
                cpus: 1,
                memory_bytes: 8 << 30,
                boot_id: String::new(),
                boot_time_ms: NOW_MS - 86_400_000,
                agent_version: env!("CARGO_PKG_VERSION").into(),
                virtualisation: "vm".into(),
            },
            labels: BTreeMap::from([("role".into(), role.into())]),
            clock_skew_ms: 3,
            kept: false,
        }
    }

    /// Each series: metric, labels, kind, and its value at the n-th tick.
    fn series(&self) -> Vec<(SeriesName, Kind, Value)> {
        let (busy, available, left) = (self.busy, self.available * GIB, self.left * GIB);
        let root = [
            ("device", "/dev/sda1"),
            ("fstype", "ext4"),
            ("mountpoint", "/"),
        ];
        let cpu = |mode| [("cpu", "0"), ("mode", mode)];
        let eth = [("device", "eth0")];
        let gauge = |name: &str, labels: &[(&str, &str)], value: f64| {
            let value: Value = Box::new(move |_| value);
            (SeriesName::new(name, labels), Kind::Gauge, value)
        };
        let counter = |name: &str, labels: &[(&str, &str)], each: f64| {
            let value: Value = Box::new(move |n| n * each);
            (SeriesName::new(name, labels), Kind::Counter, value)
        };
        let load: Value = Box::new(|n| 0.5 + 0.1 * (n % 5.0));
        let seconds: Value = Box::new(|n| n * 10.0);
        vec![
            counter("node_cpu_seconds_total", &cpu("idle"), 10.0 - busy),
            counter("node_cpu_seconds_total", &cpu("user"), busy),
            (SeriesName::new("node_load1", &[]), Kind::Gauge, load),
            (
                SeriesName::new("node_time_seconds", &[]),
                Kind::Gauge,
                seconds,
            ),
            gauge("node_memory_MemTotal_bytes", &[], 8.0 * GIB),
            gauge("node_memory_MemAvailable_bytes", &[], available),
            gauge("node_filesystem_size_bytes", &root, 50.0 * GIB),
            gauge("node_filesystem_avail_bytes", &root, left),
            gauge("node_filesystem_files", &root, 1_000.0),
            gauge("node_filesystem_files_free", &root, 900.0),
            gauge("node_filesystem_readonly", &root, 0.0),
            gauge("node_network_up", &eth, 1.0),
            gauge("node_network_speed_bytes", &eth, 125e6),
            counter("node_network_receive_bytes_total", &eth, 5e6),
            counter("node_network_transmit_bytes_total", &eth, 1e6),
            counter("node_network_receive_drop_total", &eth, 0.0),
            counter("node_disk_io_time_seconds_total", &[("device", "sda")], 0.4),
        ]
    }

    /// Half an hour of samples that ends so long before now.
    async fn sample(&self, store: &Store, ends_ms: i64) {
        let host_id = HostId([self.number; 16]);
        store
            .greet(self.greeting(), NOW_MS - 30 * MINUTE_MS)
            .await
            .unwrap();
        let series = self.series();
        let names = series
            .iter()
            .map(|(name, kind, _)| (name.clone(), *kind))
            .collect();
        let ids = store.series_ids(host_id, names).await.unwrap();
        let ticks: Vec<i64> = (0..=180)
            .map(|n| NOW_MS - 30 * MINUTE_MS + n * TICK_MS)
            .filter(|t| *t <= NOW_MS - ends_ms)
            .collect();
        let columns = series
            .iter()
            .enumerate()
            .map(|(number, (_, _, value))| Column {
                number: number as u32,
                ticks: None,
                values: (0..ticks.len()).map(|n| value(n as f64)).collect(),
            });
        let append = Append {
            host_id,
            spool_id: SpoolId([self.number; 16]),
            sequence: 1,
            received_ms: *ticks.last().unwrap(),
            block: Packed::of(&Block {
                columns: columns.collect(),
                times_ms: ticks,
            }),
            series: ids,
        };
        store.append(append).await.unwrap();
    }
}

fn findings() -> Vec<Finding> {
    let finding = |number: u8, host: &str, rule: &str| Finding {
        id: 0,
        rule: rule.into(),
        host_id: HostId([number; 16]).to_string(),
        host: host.into(),
        subject: String::new(),
        severity: Severity::Critical,
        state: State::Open,
        since_ms: NOW_MS - 20 * MINUTE_MS,
        opened_ms: Some(NOW_MS - 15 * MINUTE_MS),
        closed_ms: None,
        judged_ms: NOW_MS,
        summary: String::new(),
        evidence: Vec::new(),
        advice: String::new(),
        advice_zh: String::new(),
        held_ms: Default::default(),
    };
    vec![
        Finding {
            subject: "/".into(),
            summary: "/ is 93 % used: 3.4 of 50 GiB left.".into(),
            advice: "Find what grew and delete it, or enlarge the filesystem.".into(),
            advice_zh: "找出增长的内容并删除，或者扩容文件系统。".into(),
            evidence: vec![Evidence {
                what: "available space".into(),
                value: 3.4 * GIB,
                unit: "bytes".into(),
                threshold: Some(5e9),
                selector: "node_filesystem_avail_bytes{host=\"db-1\",mountpoint=\"/\"}".into(),
            }],
            ..finding(2, "db-1", "disk_full")
        },
        Finding {
            severity: Severity::Warning,
            since_ms: NOW_MS - 10 * MINUTE_MS,
            summary: "Memory 96 % used.".into(),
            advice: "Look for what grew.".into(),
            ..finding(2, "db-1", "memory_low")
        },
        Finding {
            severity: Severity::Warning,
            summary: "+1 \u{1b}]0;owned\u{7} is bad.".into(),
            advice: "@SUM(A1)".into(),
            ..finding(5, "=evil", "cpu_saturation")
        },
        Finding {
            state: State::Pending,
            severity: Severity::Warning,
            opened_ms: None,
            summary: "CPU 90 % busy.".into(),
            ..finding(2, "db-1", "cpu_saturation")
        },
        Finding {
            state: State::Closed,
            closed_ms: Some(NOW_MS - 5 * MINUTE_MS),
            summary: "Load was high.".into(),
            ..finding(1, "web-1", "load_high")
        },
    ]
}
