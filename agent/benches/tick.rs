//! One tick of all probes, hot, on this machine: `cargo bench -p hostwell-agent --bench tick`.
//!
//! `first` opens every file and names every series; `hot` is what each tick after it costs, slow
//! subjects left out; `slow` is a tick at which every slow subject is due as well; `encoded` adds
//! packing ten ticks, as they travel (the figure is for all ten). All figures are CPU time of the
//! process, user and system: wall time on a shared machine says nothing.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use hostwell_agent::probe::{PROBES, Pace, ProbeOptions, Rack};
use hostwell_agent::sample::{Readings, SeriesTable};
use hostwell_agent::source::Source;
use hostwell_proto::column::{Block, Column, encode};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of the process, shown as wall time is.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        // Never 0: criterion divides by it.
        (value.as_nanos() as f64).max(1.0)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

struct Agent {
    rack: Rack,
    source: Source,
    table: SeriesTable,
    readings: Vec<(u32, f64)>,
}

impl Agent {
    fn new() -> Agent {
        Agent {
            rack: Rack::new(&ProbeOptions::default(), Duration::from_secs(1)),
            source: Source::live(Path::new("/")),
            table: SeriesTable::default(),
            readings: Vec::new(),
        }
    }

    /// Reads the probes that `wanted` names at a tick.
    fn tick(&mut self, tick: u64, wanted: impl Fn(Pace) -> bool) {
        self.readings.clear();
        for index in 0..self.rack.len() {
            let due = self.rack.spec(index).is_some_and(|spec| wanted(spec.pace));
            if due {
                let mut out = Readings {
                    table: &mut self.table,
                    readings: &mut self.readings,
                };
                black_box(self.rack.read(index, &self.source, tick, &mut out));
            }
        }
    }
}

fn tick(c: &mut Criterion<CpuTime>) {
    c.bench_function("tick/first", |b| {
        b.iter(|| Agent::new().tick(0, |_| true));
    });
    let mut agent = Agent::new();
    let mut now = 0;
    c.bench_function("tick/hot", |b| {
        b.iter(|| {
            now += 1;
            agent.tick(now, |pace| pace == Pace::Hot);
        });
    });
    c.bench_function("tick/slow", |b| {
        b.iter(|| {
            // Far enough for everything to be due, what is absent included.
            now += 1000;
            agent.tick(now, |_| true);
        });
    });
    c.bench_function("tick/encoded", |b| {
        b.iter(|| {
            let mut columns: Vec<Column> = Vec::new();
            for at in 0..10 {
                now += 1;
                agent.tick(now, |pace| pace == Pace::Hot);
                for (i, (number, value)) in agent.readings.iter().enumerate() {
                    if at == 0 {
                        let (number, values) = (*number, Vec::with_capacity(10));
                        let ticks = None;
                        columns.push(Column {
                            number,
                            ticks,
                            values,
                        });
                    }
                    columns[i].values.push(*value);
                }
            }
            columns.sort_by_key(|column| column.number);
            let times_ms = (0..10).map(|i| 1_700_000_000_000 + 1000 * i).collect();
            black_box(encode(&Block { times_ms, columns }, |number| {
                let key = agent.table.key(number);
                key.map_or(0, |key| key.metric.descriptor().decimals)
            }))
        });
    });
    for spec in PROBES {
        let mut alone = Agent::new();
        let index = PROBES.iter().position(|s| s.name == spec.name);
        c.bench_function(&format!("probe/{}", spec.name), |b| {
            b.iter(|| {
                now += 1000;
                alone.readings.clear();
                let mut out = Readings {
                    table: &mut alone.table,
                    readings: &mut alone.readings,
                };
                let index = index.unwrap_or_default();
                black_box(alone.rack.read(index, &alone.source, now, &mut out));
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = tick
}
criterion_main!(benches);
