//! The derived indicators of the catalogue: from which metrics, and how.

use hostwell_proto::metric::Metric;

use super::{
    CpuTime, Share, Window, cpu_times, filesystems, memory, sibling, time_shares, union_times_ms,
};
use crate::series::{Kind, Series, SeriesName};

/// Some metrics that are computed together.
#[derive(Clone, Copy, Debug)]
pub struct Derived {
    /// What comes out.
    pub metrics: &'static [Metric],
    /// What it is computed from; all of the same family.
    pub inputs: &'static [&'static str],
    /// Every series of the metrics, from a window that holds the inputs.
    pub of: fn(&Window) -> Vec<Series>,
}

const RECEIVED: &str = "node_network_receive_bytes_total";
const SENT: &str = "node_network_transmit_bytes_total";
const SPEED: &str = "node_network_speed_bytes";
const DISK_TIME: &str = "node_disk_io_time_seconds_total";

/// Every derived metric.
pub static DERIVED: &[Derived] = &[
    Derived {
        metrics: &[
            Metric::CpuBusyRatio,
            Metric::CpuIowaitRatio,
            Metric::CpuStealRatio,
        ],
        inputs: &["node_cpu_seconds_total", "hostwell_cpu_core_busy_ratio"],
        of: cpu,
    },
    Derived {
        metrics: &[Metric::MemoryUsedRatio],
        inputs: &[
            "node_memory_MemTotal_bytes",
            "node_memory_MemAvailable_bytes",
            "node_memory_MemFree_bytes",
            "node_memory_Buffers_bytes",
            "node_memory_Cached_bytes",
            "node_memory_SReclaimable_bytes",
            "node_memory_Shmem_bytes",
        ],
        of: memory_used,
    },
    Derived {
        metrics: &[
            Metric::NetReceiveRate,
            Metric::NetTransmitRate,
            Metric::NetSpeedRatio,
        ],
        inputs: &[RECEIVED, SENT, SPEED],
        of: network,
    },
    Derived {
        metrics: &[Metric::DiskBusyRatio],
        inputs: &[DISK_TIME],
        of: disk_busy,
    },
    Derived {
        metrics: &[Metric::FilesystemUsedRatio],
        inputs: &[
            "node_filesystem_size_bytes",
            "node_filesystem_avail_bytes",
            "node_filesystem_free_bytes",
            "node_filesystem_readonly",
        ],
        of: filesystem_used,
    },
    Derived {
        metrics: &[Metric::HostUp],
        inputs: &["node_time_seconds", "hostwell_uptime_seconds"],
        of: up,
    },
];

fn computes(row: &Derived, metric: &str) -> bool {
    row.metrics.iter().any(|m| m.name() == metric)
}

/// What a metric is computed from; nothing when it is not derived.
pub fn inputs(metric: &str) -> &'static [&'static str] {
    let row = DERIVED.iter().find(|row| computes(row, metric));
    row.map_or(&[], |row| row.inputs)
}

/// Adds the series of a derived metric (all of them when the name is empty) to a window that holds
/// their inputs. A series that is there already stays as it is.
pub fn derive(window: &mut Window, metric: &str) {
    let rows = DERIVED
        .iter()
        .filter(|row| metric.is_empty() || computes(row, metric));
    let found: Vec<Series> = rows.flat_map(|row| (row.of)(window)).collect();
    if found.is_empty() {
        return;
    }
    window.series.extend(found);
    // Stable: of two with one name the stored one comes first.
    window.series.sort_by(|a, b| a.name.cmp(&b.name));
    window.series.dedup_by(|b, a| a.name == b.name);
}

/// The derived series of one family, from a window that holds the family.
pub fn of_family(window: &Window, family: i64) -> Vec<Series> {
    let of = |row: &&Derived| {
        let metric = row.metrics.first();
        metric.is_some_and(|m| m.descriptor().family as i64 == family)
    };
    let found = DERIVED.iter().filter(of).flat_map(|row| (row.of)(window));
    let is_new = |series: &Series| {
        let stored = window.series.binary_search_by(|s| s.name.cmp(&series.name));
        stored.is_err()
    };
    found.filter(is_new).collect()
}

/// A gauge without empty series.
fn gauge(
    metric: Metric,
    labels: &[(String, String)],
    points: impl Iterator<Item = (i64, f64)>,
) -> Option<Series> {
    let (times_ms, values): (Vec<i64>, Vec<f64>) = points.unzip();
    (!times_ms.is_empty()).then(|| Series {
        name: SeriesName {
            metric: metric.name().to_owned(),
            labels: labels.to_vec(),
        },
        kind: Kind::Gauge,
        times_ms,
        values,
    })
}

fn cpu(window: &Window) -> Vec<Series> {
    let times = cpu_times(window);
    let share = |metric, part: fn(&CpuTime) -> f64| {
        let ratios = times
            .iter()
            .map(|cpu| (cpu.from_ms, cpu.share(part).ratio()));
        gauge(metric, &[], ratios)
    };
    if times.is_empty() {
        return Vec::from_iter(busy_of_cores(window));
    }
    let all = [
        share(Metric::CpuBusyRatio, CpuTime::busy),
        share(Metric::CpuIowaitRatio, |cpu| cpu.iowait),
        share(Metric::CpuStealRatio, |cpu| cpu.steal),
    ];
    all.into_iter().flatten().collect()
}

/// Where the system tells only how busy each CPU was: their mean.
fn busy_of_cores(window: &Window) -> Option<Series> {
    let cores = window.all("hostwell_cpu_core_busy_ratio");
    let means = union_times_ms(cores).into_iter().enumerate();
    let means = means.filter_map(|(i, time_ms)| {
        let here: Vec<f64> = cores.iter().filter_map(|s| s.at(time_ms, i)).collect();
        let sum: f64 = here.iter().sum();
        (!here.is_empty()).then(|| (time_ms, sum / here.len() as f64))
    });
    gauge(Metric::CpuBusyRatio, &[], means)
}

fn memory_used(window: &Window) -> Vec<Series> {
    let points = memory(window);
    let ratios = points.iter().map(|m| (m.time_ms, m.used_ratio()));
    Vec::from_iter(gauge(Metric::MemoryUsedRatio, &[], ratios))
}

fn begins(share: &Share) -> (i64, f64) {
    (share.from_ms, share.ratio())
}

fn network(window: &Window) -> Vec<Series> {
    let mut found = Vec::new();
    for (counter, metric) in [
        (RECEIVED, Metric::NetReceiveRate),
        (SENT, Metric::NetTransmitRate),
    ] {
        for series in window.all(counter) {
            let shares = time_shares(series, window.interval_ms);
            found.extend(gauge(
                metric,
                &series.name.labels,
                shares.iter().map(begins),
            ));
        }
    }
    for speed in window.all(SPEED) {
        found.extend(speed_used(window, speed));
    }
    found
}

/// The busier direction: links are full duplex.
fn speed_used(window: &Window, speed: &Series) -> Option<Series> {
    let shares = |metric| {
        sibling(window, metric, speed)
            .map(|series| time_shares(series, window.interval_ms))
            .unwrap_or_default()
    };
    let (received, sent) = (shares(RECEIVED), shares(SENT));
    let (long, other) = match received.len() >= sent.len() {
        true => (&received, &sent),
        false => (&sent, &received),
    };
    // It is read less often than the counters: what was said last counts.
    let first = *speed.values.first()?;
    let mut rest = other.as_slice();
    let points = long.iter().filter_map(|share| {
        rest = &rest[rest.partition_point(|s| s.from_ms < share.from_ms)..];
        let other = rest.first().filter(|s| s.from_ms == share.from_ms);
        let busier = other.map_or(share.ratio(), |s| s.ratio().max(share.ratio()));
        let speed = speed.latest(share.to_ms).map_or(first, |(_, v)| v);
        (speed > 0.0).then(|| (share.from_ms, busier / speed))
    });
    gauge(Metric::NetSpeedRatio, &speed.name.labels, points)
}

fn disk_busy(window: &Window) -> Vec<Series> {
    let all = window.all(DISK_TIME).iter();
    all.filter_map(|series| {
        let shares = time_shares(series, window.interval_ms);
        let ratios = shares.iter().map(|s| (s.from_ms, s.ratio().min(1.0)));
        gauge(Metric::DiskBusyRatio, &series.name.labels, ratios)
    })
    .collect()
}

fn filesystem_used(window: &Window) -> Vec<Series> {
    filesystems(window, |series| series.values.last().copied())
        .filter_map(|fs| {
            let ratios = fs.space().map(|at| (at.time_ms, at.used_ratio));
            gauge(Metric::FilesystemUsedRatio, &fs.size.name.labels, ratios)
        })
        .collect()
}

/// Every host sends one of the two at every tick.
fn up(window: &Window) -> Vec<Series> {
    let told = ["node_time_seconds", "hostwell_uptime_seconds"];
    let times = union_times_ms(told.iter().flat_map(|metric| window.all(metric)));
    Vec::from_iter(gauge(
        Metric::HostUp,
        &[],
        times.into_iter().map(|time_ms| (time_ms, 1.0)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostwell_proto::metric;

    fn series(metric: &str, labels: &[(&str, &str)], kind: Kind, values: &[f64]) -> Series {
        Series {
            name: SeriesName::new(metric, labels),
            kind,
            times_ms: (0..values.len() as i64).map(|i| i * 10_000).collect(),
            values: values.to_vec(),
        }
    }

    fn window(mut all: Vec<Series>) -> Window {
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Window {
            host: "a".into(),
            from_ms: 0,
            to_ms: 60_000,
            interval_ms: 10_000,
            series: all,
        }
    }

    fn points(window: &Window, metric: Metric) -> Vec<(i64, f64)> {
        let found = window.all(metric.name());
        assert!(found.len() <= 1, "{found:?}");
        found.iter().flat_map(Series::points).collect()
    }

    #[test]
    fn the_table_computes_what_the_catalogue_calls_derived_from_the_same_family() {
        let mut computed: Vec<Metric> = DERIVED.iter().flat_map(|r| r.metrics).copied().collect();
        let mut said = metric::DERIVED.to_vec();
        computed.sort();
        said.sort();
        assert_eq!(computed, said);
        for row in DERIVED {
            let family = row.metrics[0].descriptor().family;
            for metric in row.metrics {
                assert_eq!(metric.descriptor().family, family);
                assert_eq!(metric.descriptor().kind, Kind::Gauge);
            }
            for input in row.inputs {
                let input = Metric::by_name(input).unwrap();
                assert_eq!(input.descriptor().family, family, "{}", input.name());
                assert!(!input.is_derived());
            }
        }
    }

    #[test]
    fn shares_of_cpu_time_stand_where_their_pair_begins() {
        let seconds = |mode, values: &[f64]| {
            let labels = [("cpu", "0"), ("mode", mode)];
            series("node_cpu_seconds_total", &labels, Kind::Counter, values)
        };
        let mut window = window(vec![
            seconds("idle", &[100.0, 105.0, 115.0]),
            seconds("iowait", &[0.0, 1.0, 1.0]),
            seconds("user", &[0.0, 4.0, 4.0]),
        ]);
        derive(&mut window, Metric::CpuBusyRatio.name());
        let busy = points(&window, Metric::CpuBusyRatio);
        assert_eq!(busy, [(0, 0.4), (10_000, 0.0)]);
        let iowait = points(&window, Metric::CpuIowaitRatio);
        assert_eq!(iowait, [(0, 0.1), (10_000, 0.0)]);
    }

    #[test]
    fn where_only_each_cpu_is_told_the_host_is_their_mean() {
        let core = |cpu, values: &[f64]| {
            let labels = [("cpu", cpu)];
            series("hostwell_cpu_core_busy_ratio", &labels, Kind::Gauge, values)
        };
        let mut window = window(vec![core("0", &[0.2, 0.4]), core("1", &[0.6])]);
        derive(&mut window, "");
        let busy = points(&window, Metric::CpuBusyRatio);
        assert_eq!(busy, [(0, 0.4), (10_000, 0.4)]);
    }

    #[test]
    fn a_link_is_as_full_as_its_busier_direction() {
        let eth = [("device", "eth0")];
        let mut window = window(vec![
            series(RECEIVED, &eth, Kind::Counter, &[0.0, 1e6, 1e6]),
            series(SENT, &eth, Kind::Counter, &[0.0, 2e6, 3e6]),
            series(SPEED, &eth, Kind::Gauge, &[1e6]),
        ]);
        derive(&mut window, "");
        let full = points(&window, Metric::NetSpeedRatio);
        assert_eq!(full, [(0, 0.2), (10_000, 0.1)]);
        let received = points(&window, Metric::NetReceiveRate);
        assert_eq!(received, [(0, 1e5), (10_000, 0.0)]);
    }

    #[test]
    fn disks_memory_and_filesystems_have_their_ratios_and_read_only_ones_have_none() {
        let fs = |name| {
            let labels = [("device", "d"), ("fstype", "ext4"), ("mountpoint", name)];
            move |metric: &str, value: f64| series(metric, &labels, Kind::Gauge, &[value])
        };
        let (root, iso) = (fs("/"), fs("/iso"));
        let mut window = window(vec![
            series(DISK_TIME, &[("device", "sda")], Kind::Counter, &[0.0, 5.0]),
            series("node_memory_MemTotal_bytes", &[], Kind::Gauge, &[100.0]),
            series("node_memory_MemAvailable_bytes", &[], Kind::Gauge, &[75.0]),
            root("node_filesystem_size_bytes", 100.0),
            root("node_filesystem_avail_bytes", 40.0),
            root("node_filesystem_readonly", 0.0),
            iso("node_filesystem_size_bytes", 100.0),
            iso("node_filesystem_avail_bytes", 0.0),
            iso("node_filesystem_readonly", 1.0),
        ]);
        derive(&mut window, "");
        assert_eq!(points(&window, Metric::DiskBusyRatio), [(0, 0.5)]);
        assert_eq!(points(&window, Metric::MemoryUsedRatio), [(0, 0.25)]);
        assert_eq!(points(&window, Metric::FilesystemUsedRatio), [(0, 0.6)]);
    }

    #[test]
    fn what_is_stored_under_a_derived_name_stays() {
        let name = Metric::MemoryUsedRatio.name();
        let mut window = window(vec![
            series("node_memory_MemTotal_bytes", &[], Kind::Gauge, &[100.0]),
            series("node_memory_MemAvailable_bytes", &[], Kind::Gauge, &[75.0]),
            series(name, &[], Kind::Gauge, &[0.5]),
        ]);
        derive(&mut window, name);
        assert_eq!(points(&window, Metric::MemoryUsedRatio), [(0, 0.5)]);
    }
}
