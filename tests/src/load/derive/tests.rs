use super::*;

/// A minute of a small host: one CPU, loads, memory, a filesystem, a disk.
fn mould() -> Arc<Mould> {
    let mut text = String::from(
        "time,\"node_cpu_seconds_total{cpu=0,mode=user} [ticks of 0.01 s]\",\
         \"node_cpu_seconds_total{cpu=0,mode=system} [ticks of 0.01 s]\",\
         \"node_cpu_seconds_total{cpu=0,mode=idle} [ticks of 0.01 s]\",\
         node_load1,node_load5,node_memory_MemTotal_bytes,node_memory_MemFree_bytes,\
         node_memory_MemAvailable_bytes,node_memory_Cached_bytes,\
         node_filesystem_size_bytes{mountpoint=/},node_filesystem_free_bytes{mountpoint=/},\
         node_filesystem_avail_bytes{mountpoint=/},\
         node_disk_io_time_seconds_total{device=vda} [ms],node_vmstat_oom_kill_total\n",
    );
    for row in 0..120i64 {
        let free = 600_000_000 - row % 7 * 40_960_000;
        text += &format!(
            "{row},{},{},{},{:.2},{:.2},1000000512,{free},{},{},5000000000,{},{},{},0\n",
            row * 60 + 7,
            row * 30,
            row * 10,
            1.0 + (row % 5) as f64 / 10.0,
            1.2 + (row % 3) as f64 / 100.0,
            free + 200_000_000,
            100_000_000 + row * 409_600,
            3_000_000_000 - row * 4096,
            2_900_000_000 - row * 4096,
            row * 900,
        );
    }
    Arc::new(Mould::new(Capture::parse(&text).unwrap()))
}

/// So many steps of a host: one row a step.
fn steps(seed: u64, number: u64, count: usize) -> Vec<Vec<f64>> {
    let mut host = Host::new(&mould(), seed, number, 10_000);
    let mut out = Vec::new();
    (0..count)
        .map(|_| {
            host.step(&mut out);
            out.clone()
        })
        .collect()
}

fn column(rows: &[Vec<f64>], metric: &str, mode: &str) -> Vec<f64> {
    let mould = mould();
    let series = &mould.capture().series;
    let wanted = |s: &super::super::capture::Recorded| {
        s.metric == metric && s.label("mode").unwrap_or_default() == mode
    };
    let at = series.iter().position(wanted).unwrap();
    rows.iter().map(|row| row[at]).collect()
}

#[test]
fn the_same_seed_gives_the_same_host_and_others_differ() {
    assert_eq!(steps(1, 7, 50), steps(1, 7, 50));
    assert_ne!(steps(1, 7, 50), steps(1, 8, 50));
    assert_ne!(steps(1, 7, 50), steps(2, 7, 50));
}

#[test]
fn a_cpus_modes_add_up_to_the_time_that_passed() {
    for number in 0..20 {
        let rows = steps(3, number, 100);
        let modes = ["user", "system", "idle"].map(|m| column(&rows, "node_cpu_seconds_total", m));
        for mode in &modes {
            assert!(mode.windows(2).all(|w| w[0] <= w[1]), "a counter fell");
        }
        for t in 1..rows.len() {
            let passed: f64 = modes.iter().map(|m| m[t] - m[t - 1]).sum();
            assert!((passed - 10.0).abs() < 1e-6, "host {number}: {passed} s");
        }
    }
}

#[test]
fn free_and_available_fit_into_their_size_and_move() {
    for number in 0..20 {
        let rows = steps(4, number, 200);
        let of = |metric: &str| column(&rows, metric, "");
        let (total, free) = (
            of("node_memory_MemTotal_bytes"),
            of("node_memory_MemFree_bytes"),
        );
        let available = of("node_memory_MemAvailable_bytes");
        let (disk_free, disk_left) = (
            of("node_filesystem_free_bytes"),
            of("node_filesystem_avail_bytes"),
        );
        for t in 0..rows.len() {
            assert!(free[t] > 0.0 && free[t] <= total[t]);
            assert!(available[t] <= total[t]);
            assert_eq!(
                disk_free[t] - disk_left[t],
                disk_free[0] - disk_left[0],
                "what is reserved"
            );
        }
        assert!(free.iter().any(|f| *f != free[0]));
    }
}

#[test]
fn a_longer_load_follows_the_first_and_busy_time_is_no_more_than_time() {
    let rows = steps(5, 3, 300);
    let (one, five) = (
        column(&rows, "node_load1", ""),
        column(&rows, "node_load5", ""),
    );
    let spread = |v: &[f64]| {
        v[100..].iter().copied().fold(f64::MIN, f64::max)
            - v[100..].iter().copied().fold(f64::MAX, f64::min)
    };
    assert!(spread(&five) < spread(&one), "the longer load is calmer");
    let busy = column(&rows, "node_disk_io_time_seconds_total", "");
    assert!(busy.windows(2).all(|w| w[1] - w[0] <= 10.0 + 1e-9));
}

#[test]
fn what_stands_still_in_the_capture_stands_still() {
    let rows = steps(6, 1, 100);
    for metric in ["node_memory_MemTotal_bytes", "node_vmstat_oom_kill_total"] {
        let values = column(&rows, metric, "");
        assert!(values.iter().all(|v| *v == values[0]), "{metric}");
    }
}

#[test]
fn hosts_are_of_different_sizes() {
    let growth = |number: u64| {
        let user = column(&steps(7, number, 100), "node_cpu_seconds_total", "user");
        user[99] - user[0]
    };
    let grown: Vec<f64> = (0..30).map(growth).collect();
    let (least, most) = (
        grown.iter().copied().fold(f64::MAX, f64::min),
        grown.iter().copied().fold(f64::MIN, f64::max),
    );
    assert!(most > 2.0 * least, "{least} to {most}");
}

#[test]
fn values_are_whole_native_units() {
    for row in steps(8, 2, 50) {
        for (value, series) in row.iter().zip(&mould().capture().series) {
            let native = value * series.units;
            assert!(
                (native - native.round()).abs() < 1e-6,
                "{}: {value}",
                series.metric
            );
        }
    }
}
