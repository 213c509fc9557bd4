use super::*;
use crate::series::{Kind, Series, SeriesName};

const GIB: f64 = (1u64 << 30) as f64;
const END_MS: i64 = 600_000;

/// Ten minutes at 10 s; a value is a function of the seconds since the start.
struct Made(Vec<Series>);

impl Made {
    fn add(mut self, metric: &str, labels: &[(&str, &str)], value: impl Fn(f64) -> f64) -> Made {
        let counter = metric.ends_with("_total");
        let times_ms: Vec<i64> = (0..=60).map(|i| i * 10_000).collect();
        self.0.push(Series {
            name: SeriesName::new(metric, labels),
            kind: if counter { Kind::Counter } else { Kind::Gauge },
            values: times_ms.iter().map(|t| value(*t as f64 / 1000.0)).collect(),
            times_ms,
        });
        self
    }

    fn window(mut self) -> Window {
        self.0.sort_by(|a, b| a.name.cmp(&b.name));
        Window {
            host: "web-1".into(),
            from_ms: 0,
            to_ms: END_MS,
            interval_ms: 10_000,
            series: self.0,
        }
    }
}

/// Two cores: one idle, one half busy with a tenth stolen.
fn machine() -> Made {
    let cpu = |cpu, mode| [("cpu", cpu), ("mode", mode)];
    let seconds = "node_cpu_seconds_total";
    Made(Vec::new())
        .add(seconds, &cpu("0", "idle"), |t| t)
        .add(seconds, &cpu("1", "idle"), |t| 0.4 * t)
        .add(seconds, &cpu("1", "iowait"), |t| 0.1 * t)
        .add(seconds, &cpu("1", "user"), |t| 0.4 * t)
        .add(seconds, &cpu("1", "steal"), |t| 0.1 * t)
        .add("node_load1", &[], |_| 0.62)
        .add("node_pressure_cpu_waiting_seconds_total", &[], |t| {
            0.031 * t
        })
        .add("node_pressure_io_waiting_seconds_total", &[], |_| 0.0)
        .add("node_memory_MemTotal_bytes", &[], |_| 23.5 * GIB)
        .add("node_memory_MemAvailable_bytes", &[], |_| 13.6 * GIB)
        .add(
            "node_network_receive_bytes_total",
            &[("device", "eth0")],
            |t| 1e6 * t,
        )
        .add(
            "node_network_receive_bytes_total",
            &[("device", "lo")],
            |t| 9e9 * t,
        )
        .add(
            "node_network_transmit_bytes_total",
            &[("device", "eth0")],
            |t| 2e5 * t,
        )
        .add("node_network_speed_bytes", &[("device", "eth0")], |_| {
            1.25e8
        })
        .add("node_filesystem_size_bytes", &fs("/"), |_| 100.0 * GIB)
        .add("node_filesystem_avail_bytes", &fs("/"), |t| {
            (39.0 - t / 600.0) * GIB
        })
        .add("node_filesystem_size_bytes", &fs("/boot"), |_| GIB)
        .add("node_filesystem_avail_bytes", &fs("/boot"), |_| 0.9 * GIB)
        .add("node_filesystem_size_bytes", &fs("/mnt/image"), |_| GIB)
        .add("node_filesystem_avail_bytes", &fs("/mnt/image"), |_| 0.0)
        .add("node_filesystem_readonly", &fs("/mnt/image"), |_| 1.0)
        .add(
            "node_disk_io_time_seconds_total",
            &[("device", "sda")],
            |t| 0.25 * t,
        )
        .add(
            "node_disk_reads_completed_total",
            &[("device", "sda")],
            |t| 10.0 * t,
        )
        .add(
            "node_disk_writes_completed_total",
            &[("device", "sda")],
            |t| 40.0 * t,
        )
        .add(
            "node_disk_read_time_seconds_total",
            &[("device", "sda")],
            |t| 0.02 * t,
        )
        .add(
            "node_disk_write_time_seconds_total",
            &[("device", "sda")],
            |t| 0.08 * t,
        )
}

fn fs(mountpoint: &'static str) -> [(&'static str, &'static str); 3] {
    [
        ("device", "/dev/x"),
        ("fstype", "ext4"),
        ("mountpoint", mountpoint),
    ]
}

#[test]
fn a_quiet_machine_in_plain_words() {
    let found = indicators(&machine().window(), END_MS);
    let lines: Vec<String> = found
        .all()
        .iter()
        .map(|i| format!("{:?} | {} | {}", i.verdict, i.short, i.words))
        .collect();
    expect_test::expect![[r#"
        Ok | 25 % | CPU 25 % busy over 2 cores, 5 % stolen by other guests, 5 % waiting for disks.
        Ok | 0.31 a core | Load 0.62, 0.31 a core; tasks waited for CPU 3.1 % of the time.
        Ok | 42 % | Memory 42 % used, 13.6 of 23.5 GiB available.
        Ok | 1.2 MB/s | Network 1 MB/s in, 200 kB/s out; eth0 at 0.8 % of its speed.
        Ok | 62 % / | Disk / 62 % used, 38 GiB left; sda 25 % busy, 2 ms a request."#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn trends_follow_the_window() {
    let found = indicators(&machine().window(), END_MS);
    for indicator in found.all() {
        let trend = indicator.trend.as_ref().unwrap();
        assert_eq!(trend.from_ms, 0);
        assert_eq!(trend.step_ms, 10_000, "{}", indicator.name);
        assert_eq!(
            trend.points.iter().flatten().count(),
            60,
            "{}",
            indicator.name
        );
        let [min, mean, max] = trend.points[30].unwrap();
        assert!(min <= mean && mean <= max);
    }
    let cpu = found.cpu.trend.unwrap().points[7].unwrap();
    assert!((cpu[1] - 0.25).abs() < 1e-9);
}

#[test]
fn what_is_missing_is_unknown_with_the_reason() {
    let names = |window: &Window, now| -> Vec<String> {
        indicators(window, now)
            .all()
            .iter()
            .map(|i| i.words.clone())
            .collect()
    };
    let empty = Made(Vec::new()).window();
    assert_eq!(names(&empty, END_MS), ["No sample in this time."; 5]);
    let stale = names(&machine().window(), END_MS + 3_600_000);
    assert_eq!(stale, ["The newest sample is 1 h old."; 5]);
    let memory_only = Made(Vec::new())
        .add("node_memory_MemTotal_bytes", &[], |_| GIB)
        .add("node_memory_MemFree_bytes", &[], |_| 0.25 * GIB)
        .add("node_memory_Cached_bytes", &[], |_| 0.25 * GIB)
        .window();
    assert_eq!(
        names(&memory_only, END_MS),
        [
            "CPU time is not reported.",
            "The load average is not reported.",
            "Memory 50 % used, 512 MiB of 1 GiB available (estimated: this kernel has no \
             MemAvailable).",
            "No interface is reported.",
            "No writable filesystem is reported.",
        ]
    );
    let mut one_sample = machine().window();
    for series in &mut one_sample.series {
        series.times_ms.drain(1..);
        series.values.drain(1..);
    }
    let found = indicators(&one_sample, 1000);
    assert_eq!(found.cpu.words, "A second sample is needed.");
    assert_eq!(found.network.words, "A second sample is needed.");
    assert_eq!(found.memory.verdict, Verdict::Ok);
}

#[test]
fn levels_decide_the_verdict() {
    let cpu = |busy: f64| {
        let seconds = "node_cpu_seconds_total";
        let window = Made(Vec::new())
            .add(seconds, &[("cpu", "0"), ("mode", "user")], |t| busy * t)
            .add(seconds, &[("cpu", "0"), ("mode", "idle")], |t| {
                (1.0 - busy) * t
            })
            .window();
        indicators(&window, END_MS).cpu.verdict
    };
    assert_eq!(cpu(0.74), Verdict::Ok);
    assert_eq!(cpu(0.76), Verdict::Watch);
    assert_eq!(cpu(0.86), Verdict::Risk);
    let load = |load: f64, waiting: f64| {
        let window = Made(Vec::new())
            .add(
                "node_cpu_seconds_total",
                &[("cpu", "0"), ("mode", "idle")],
                |t| t,
            )
            .add("node_load1", &[], |_| load)
            .add("node_pressure_io_waiting_seconds_total", &[], |t| {
                waiting * t
            })
            .window();
        indicators(&window, END_MS).load.verdict
    };
    assert_eq!(load(2.5, 0.5), Verdict::Risk);
    assert_eq!(load(1.5, 0.5), Verdict::Watch);
    // A load that nobody waits behind is no risk.
    assert_eq!(load(2.5, 0.01), Verdict::Ok);
}

#[test]
fn lost_packets_are_worth_an_eye() {
    let device = [("device", "eth0")];
    let window = Made(Vec::new())
        .add("node_network_receive_bytes_total", &device, |t| 1e5 * t)
        .add("node_network_receive_packets_total", &device, |t| 980.0 * t)
        .add("node_network_receive_drop_total", &device, |t| 20.0 * t)
        .window();
    let network = indicators(&window, END_MS).network;
    assert_eq!(network.verdict, Verdict::Watch);
    assert_eq!(
        network.words,
        "Network 100 kB/s in, 0 B/s out; link speed not known; 2 % drops on eth0."
    );
}

#[test]
fn used_space_is_what_df_shows() {
    // 250 GiB, of which 160 are reserved for root: df says 46 %.
    let window = Made(Vec::new())
        .add("node_filesystem_size_bytes", &fs("/"), |_| 252.0 * GIB)
        .add("node_filesystem_free_bytes", &fs("/"), |_| 210.0 * GIB)
        .add("node_filesystem_avail_bytes", &fs("/"), |_| 50.0 * GIB)
        .window();
    let disk = indicators(&window, END_MS).disk;
    assert_eq!(disk.words, "Disk / 46 % used, 50 GiB left.");
}

#[test]
fn a_tenth_of_a_large_filesystem_is_plenty() {
    let verdict = |size: f64, used: f64| {
        let window = Made(Vec::new())
            .add("node_filesystem_size_bytes", &fs("/"), |_| size)
            .add("node_filesystem_avail_bytes", &fs("/"), |_| {
                size * (1.0 - used)
            })
            .window();
        indicators(&window, END_MS).disk.verdict
    };
    assert_eq!(verdict(20e9, 0.91), Verdict::Risk);
    assert_eq!(verdict(50e12, 0.90), Verdict::Ok);
    assert_eq!(verdict(50e12, 0.96), Verdict::Risk);
}

#[test]
fn what_a_bond_and_a_vlan_carry_is_counted_once() {
    let bytes = "node_network_receive_bytes_total";
    let window = Made(Vec::new())
        .add("node_bonding_slaves", &[("master", "bond0")], |_| 2.0)
        .add(bytes, &[("device", "bond0")], |t| 3e5 * t)
        .add(bytes, &[("device", "eth0")], |t| 1e5 * t)
        .add(bytes, &[("device", "eth0.42")], |t| 1e5 * t)
        .add(bytes, &[("device", "eth1")], |t| 2e5 * t)
        .window();
    let network = indicators(&window, END_MS).network;
    assert!(
        (network.value.unwrap() - 3e5).abs() < 1.0,
        "{}",
        network.words
    );
}

#[test]
fn a_subject_sampled_every_sixth_tick_is_still_current() {
    let mut window = machine().window();
    for series in &mut window.series {
        if series.name.metric.starts_with("node_filesystem") {
            let kept: Vec<(i64, f64)> = series.points().step_by(6).collect();
            (series.times_ms, series.values) = kept.into_iter().unzip();
        }
    }
    let disk = indicators(&window, END_MS + 50_000).disk;
    assert_eq!(disk.verdict, Verdict::Ok, "{}", disk.words);
}
