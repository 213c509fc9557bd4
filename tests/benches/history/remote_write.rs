//! The same samples as Prometheus' remote write carries them: protobuf packed by snappy, made
//! before anything is measured.

use std::sync::Arc;

use hostwell_tests::load::derive::{Host, Mould};
use hostwell_tests::load::script::host_name;
use prost::Message;

use crate::settings::Samples;

/// Samples in one request, at most.
const SAMPLES_MAX: usize = 10_000;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

fn packed(request: &WriteRequest) -> Vec<u8> {
    let plain = request.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&plain).unwrap()
}

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Many samples of one series, packed; labels sorted by name.
pub(crate) fn one_series(
    labels: &[(&str, &str)],
    points: impl Iterator<Item = (i64, f64)>,
) -> Vec<u8> {
    let sample = |(time_ms, value)| Sample { value, time_ms };
    packed(&WriteRequest {
        series: vec![Series {
            labels: labels.iter().map(|(n, v)| label(n, v)).collect(),
            samples: points.map(sample).collect(),
        }],
    })
}

/// Some hosts whose samples of one tick travel in one request.
pub(crate) struct Writer {
    hosts: Vec<Host>,
    request: WriteRequest,
    row: Vec<f64>,
}

impl Writer {
    /// Hosts `from..to` of the fleet.
    pub(crate) fn new(
        mould: &Arc<Mould>,
        seed: u64,
        (from, to): (usize, usize),
        interval_ms: u64,
    ) -> Writer {
        let host = |number: usize| Host::new(mould, seed, number as u64, interval_ms);
        let series = (from..to).flat_map(|number| series_of(mould, number));
        Writer {
            hosts: (from..to).map(host).collect(),
            request: WriteRequest {
                series: series.collect(),
            },
            row: Vec::new(),
        }
    }

    /// The next tick of all of them, packed.
    pub(crate) fn tick(&mut self, time_ms: i64) -> Vec<u8> {
        let mut series = self.request.series.iter_mut();
        for host in &mut self.hosts {
            host.step(&mut self.row);
            for (value, series) in self.row.iter().zip(&mut series) {
                series.samples = vec![Sample {
                    value: *value,
                    time_ms,
                }];
            }
        }
        packed(&self.request)
    }
}

/// The series of a host, labels sorted by name.
fn series_of(mould: &Mould, number: usize) -> Vec<Series> {
    let recorded = mould.capture().series.iter();
    recorded
        .map(|recorded| {
            let mut labels = vec![
                label("__name__", &recorded.metric),
                label("host", &host_name(number as u64)),
            ];
            labels.extend(recorded.labels.iter().map(|(n, v)| label(n, v)));
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            Series {
                labels,
                samples: Vec::new(),
            }
        })
        .collect()
}

/// All requests, in lanes that may be written beside each other: a lane has its hosts' ticks in
/// the order of time.
pub(crate) fn lanes(samples: &Samples) -> Vec<Vec<Vec<u8>>> {
    let mould = &samples.mould;
    let per_request = (SAMPLES_MAX / mould.capture().series.len()).max(1);
    let half = samples.hosts.div_ceil(2);
    let lane = |from: usize, to: usize| -> Vec<Vec<u8>> {
        let starts = (from..to).step_by(per_request);
        let mut writers: Vec<Writer> = starts
            .map(|start| {
                let hosts = (start, (start + per_request).min(to));
                Writer::new(mould, samples.seed, hosts, samples.interval_ms)
            })
            .collect();
        let ticks = samples.times_ms();
        ticks
            .flat_map(|time| writers.iter_mut().map(|w| w.tick(time)).collect::<Vec<_>>())
            .collect()
    };
    std::thread::scope(|scope| {
        let one = scope.spawn(|| lane(0, half));
        let two = scope.spawn(|| lane(half, samples.hosts));
        vec![one.join().unwrap(), two.join().unwrap()]
    })
}
