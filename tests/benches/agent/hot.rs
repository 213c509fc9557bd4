//! The tick without pauses: what the work costs when caches are warm.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hostwell_agent::probe::{ProbeOptions, Rack};
use hostwell_agent::sample::{Readings, SeriesTable};
use hostwell_agent::source::Source;
use hostwell_proto::column::{Block, Column};
use hostwell_tests::figures;
use hostwell_tests::process::{cpu_ns, median};
use hostwell_tests::wait::seconds;

use crate::peers;

/// CPU milliseconds of one cycle, hot.
pub(crate) struct Hot {
    /// All our probes and packing.
    pub(crate) ours_ms: f64,
    /// collectd's cycle, plugins and packets.
    pub(crate) collectd_ms: f64,
}

/// Ticks that travel together, as by default.
const BATCH: u64 = 10;
const TICKS: u64 = 5_000;

/// Runs both, one after the other, three times each; medians.
pub(crate) fn measure(folder: &Path) -> Hot {
    let (mut ours, mut collectd) = (Vec::new(), Vec::new());
    for round in 0..3 {
        // Without optimisation the figure means nothing.
        ours.push(if cfg!(debug_assertions) {
            f64::NAN
        } else {
            our_tick()
        });
        let place = folder.join(format!("hot{round}"));
        std::fs::create_dir_all(&place).unwrap();
        collectd.push(collectd_cycle(&place));
    }
    Hot {
        ours_ms: median(&ours),
        collectd_ms: median(&collectd),
    }
}

/// collectd asked for a cycle every 0.2 ms never sleeps; its plugins then run at their own pace, so
/// cycles are counted by values: a cycle has as many as when it keeps up.
fn collectd_cycle(folder: &Path) -> f64 {
    let rates = |interval: Duration| {
        let peer = peers::collectd(folder, interval);
        let pid = peer.programs[0].pid();
        std::thread::sleep(seconds(2));
        let read = || (cpu_ns(pid), peer.values.load(Ordering::Relaxed));
        let (before, start) = (read(), Instant::now());
        std::thread::sleep(seconds(6));
        let (after, elapsed) = (read(), start.elapsed());
        let values = (after.1 - before.1) as f64;
        ((after.0 - before.0) as f64 / 1e6, values, elapsed)
    };
    let easy = Duration::from_millis(20);
    let (_, values, elapsed) = rates(easy);
    let per_cycle = values / (elapsed.as_secs_f64() / easy.as_secs_f64());
    let (cpu_ms, values, _) = rates(Duration::from_micros(200));
    cpu_ms / (values / per_cycle)
}

/// All probes of this machine, tick after tick, and every ten ticks packed into a block: this thread's
/// CPU, nothing else of the agent.
fn our_tick() -> f64 {
    let source = Source::live(Path::new("/"));
    let mut rack = Rack::new(&ProbeOptions::default());
    let (mut table, mut packed) = (SeriesTable::default(), 0);
    let mut run = |first: u64, ticks: u64| {
        for batch in 0..ticks / BATCH {
            let mut block = Block::default();
            let mut columns: BTreeMap<u32, Column> = BTreeMap::new();
            for i in 0..BATCH {
                let tick = first + batch * BATCH + i;
                block.times_ms.push(tick as i64 * 1000);
                for (number, value) in read(&mut rack, &source, &mut table, tick) {
                    let column = columns.entry(number).or_insert_with(|| Column {
                        number,
                        ticks: Some(Vec::new()),
                        values: Vec::new(),
                    });
                    column.values.push(value);
                    column.ticks.as_mut().unwrap().push(i as u16);
                }
            }
            block.columns = columns.into_values().collect();
            let decimals = |n| table.key(n).map_or(0, |k| k.metric.descriptor().decimals);
            packed += hostwell_proto::column::encode(&block, decimals).len();
        }
    };
    run(0, 200);
    let before = thread_cpu_ns();
    run(200, TICKS);
    let spent = thread_cpu_ns() - before;
    assert!(packed > 0, "nothing was packed");
    spent as f64 / 1e6 / TICKS as f64
}

/// One tick of all probes.
fn read(rack: &mut Rack, source: &Source, table: &mut SeriesTable, tick: u64) -> Vec<(u32, f64)> {
    let mut readings = Vec::new();
    for probe in 0..rack.len() {
        let mut out = Readings {
            table: &mut *table,
            readings: &mut readings,
        };
        // A subject that this machine does not have is not ours to judge here.
        drop(rack.read(probe, source, tick, &mut out));
    }
    readings
}

/// CPU nanoseconds of this thread.
fn thread_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

impl Hot {
    /// Both as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let rows = [
            ("hostwell-agent: all probes and packing", self.ours_ms),
            ("collectd → UDP, interval 0.2 ms", self.collectd_ms),
        ];
        let rows = rows.map(|(name, ms)| vec![name.to_owned(), format!("{ms:.4}")]);
        figures::free(&["program", "CPU ms a cycle"], &rows)
    }
}
