//! Our side: the samples go into a file as an import's do, its days are rolled up, and a collector
//! that is started on it is asked.

use std::path::Path;
use std::time::{Duration, Instant};

use hostwell::answer::range::{Moment, Range};
use hostwell::answer::{Question, SampleQuestion, Samples as Answered};
use hostwell::auth::ClientTls;
use hostwell::series::{Agg, Kind, SeriesName};
use hostwell::store::{Append, Greeting, HostFacts, Store, StoreOptions};
use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_tests::load::script::host_name;
use hostwell_tests::process::{cpu_ns, folder_bytes, median, rss_mib};
use hostwell_tests::site::Collector;
use hostwell_tests::wait::{pass, seconds};
use tokio::task::JoinSet;

use super::busy::PARTS;
use super::{ASKED, Answers, DAY_MS, DAYS, GAUGE, MINUTE_MS, Months, Side, Stored};
use crate::ours::Line;

/// Minutes that are appended together.
const TICKS: usize = 8640;
/// Samples after which the journal is sealed, as an import does.
const SEAL_SAMPLES: usize = 2_000_000;
/// A CPU's seconds in a minute.
const MINUTE_S: f64 = 60.0;
/// A CPU's ticks in a second.
const TICKS_S: f64 = 100.0;
/// A started collector's first upkeep takes less.
const SETTLING_S: u64 = 5;

/// What making rollups cost.
pub(super) struct Rolled {
    /// Days of hosts.
    pub(super) days: usize,
    /// Of CPU.
    pub(super) cpu_s: f64,
    /// Of the clock: each day is a commit.
    pub(super) wall_s: f64,
    /// Samples and rollups.
    pub(super) tiers: Vec<Tier>,
}

/// What one family of a tier takes.
pub(super) struct Tier {
    pub(super) step: String,
    pub(super) family: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

fn cpu_s() -> f64 {
    cpu_ns(std::process::id()) as f64 / 1e9
}

/// Everything about our side.
pub(super) fn measure(folder: &Path, months: &Months) -> Result<(Side, Rolled), String> {
    let data = folder.join("data");
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    let filled = runtime.block_on(fill(&data.join("hostwell.db"), months));
    let (stored_cpu_s, rolled) = filled.map_err(|e| format!("{e:#}"))?;
    drop(runtime);
    let collector = Collector::start(folder);
    pass(seconds(SETTLING_S));
    let (question_ms, answers, note) = ask(&collector, months)?;
    let side = Side {
        name: "Hostwell",
        stored_cpu_s,
        bytes: folder_bytes(&data),
        rss_mib: rss_mib(collector.program.pid()),
        question_ms,
        answers,
        note,
    };
    Ok((side, rolled))
}

/// Makes the file; answers the CPU of storing, the making of the values included, and what rolling
/// up took.
async fn fill(path: &Path, months: &Months) -> anyhow::Result<(f64, Rolled)> {
    let begun = cpu_s();
    let store = Store::open(StoreOptions {
        path: path.to_owned(),
        retention_ms: i64::MAX / 4,
        series_per_host_max: 10,
        hosts_max: months.hosts,
    })
    .await?;
    let mut waiting = 0;
    for number in 0..months.hosts {
        waiting += append(&store, months, number).await?;
        if waiting >= SEAL_SAMPLES {
            store.seal_all().await?;
            waiting = 0;
        }
    }
    store.seal_all().await?;
    let stored_cpu_s = cpu_s() - begun;
    let (begun, clock) = (cpu_s(), Instant::now());
    // A day later all are due.
    let days = store.roll_up(months.end_ms + DAY_MS, Duration::MAX).await?;
    let (cpu_s, wall_s) = (cpu_s() - begun, clock.elapsed().as_secs_f64());
    let tiers = store.census().await?.rows.into_iter().map(|row| Tier {
        step: row
            .tier_ms
            .map_or("samples".to_owned(), |ms| format!("{} s", ms / 1000)),
        family: row.family,
        rows: row.blocks,
        bytes: row.bytes,
    });
    let rolled = Rolled {
        days,
        cpu_s,
        wall_s,
        tiers: tiers.collect(),
    };
    store.close().await?;
    Ok((stored_cpu_s, rolled))
}

/// The series of a host, the last one how long it is up. That is said once a day: when no host ever
/// says it, a collector takes the file for one whose rollups know nothing of presence, and rolls
/// everything up anew at its start.
fn series(stored: Stored) -> Vec<(SeriesName, Kind)> {
    let mode = |mode| {
        let labels = [("cpu", "0"), ("mode", mode)];
        let name = SeriesName::new("node_cpu_seconds_total", &labels);
        (name, Kind::Counter)
    };
    let gauge = |name| (SeriesName::new(name, &[]), Kind::Gauge);
    let uptime = gauge("hostwell_uptime_seconds");
    match stored {
        Stored::Gauge => vec![gauge(GAUGE), uptime],
        Stored::Counters => vec![mode("idle"), mode("user"), uptime],
    }
}

/// How long a host is up, once a day.
fn uptime_block(months: &Months) -> Block {
    let (times_ms, values) = (0..DAYS)
        .map(|day| {
            (
                months.start_ms() + day * DAY_MS,
                (day * DAY_MS) as f64 / 1e3,
            )
        })
        .unzip();
    Block {
        times_ms,
        columns: vec![Column {
            number: 0,
            ticks: None,
            values,
        }],
    }
}

/// Some minutes' values of the series; `spent` are the counters' seconds so far.
fn columns(stored: Stored, busy: &[u16], spent: &mut [f64; 2]) -> Vec<Column> {
    let column = |number: u32, values: Vec<f64>| Column {
        number,
        ticks: None,
        values,
    };
    if stored == Stored::Gauge {
        let values = busy.iter().map(|b| f64::from(*b) / PARTS).collect();
        return vec![column(0, values)];
    }
    let (mut idle, mut user) = (Vec::new(), Vec::new());
    let [idle_s, user_s] = spent;
    for busy in busy {
        let busy = f64::from(*busy) / PARTS;
        for (values, spent, part) in [
            (&mut idle, &mut *idle_s, 1.0 - busy),
            (&mut user, &mut *user_s, busy),
        ] {
            *spent += part * MINUTE_S;
            // As the kernel counts.
            values.push((*spent * TICKS_S).round() / TICKS_S);
        }
    }
    vec![column(0, idle), column(1, user)]
}

/// Appends all of a host, many batches at once; answers how many samples that was.
async fn append(store: &Store, months: &Months, number: usize) -> anyhow::Result<usize> {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    let (host_id, spool_id) = (HostId(id), SpoolId(id));
    let greeting = Greeting {
        host_id,
        host_name: host_name(number as u64),
        interval_ms: MINUTE_MS as u32,
        facts: HostFacts::default(),
        labels: Default::default(),
        clock_skew_ms: 0,
        kept: true,
    };
    store.greet(greeting, months.end_ms).await?;
    let mut series = store.series_ids(host_id, series(months.stored)).await?;
    let uptime = series.split_off(series.len() - 1);
    let busy: Vec<u16> = months.busy(number).collect();
    let (mut appending, mut spent) = (JoinSet::new(), [0.0; 2]);
    for (part, busy) in busy.chunks(TICKS).enumerate() {
        let first_ms = months.start_ms() + (part * TICKS) as i64 * MINUTE_MS;
        let times_ms = (0..busy.len() as i64).map(|i| first_ms + i * MINUTE_MS);
        let batch = Append {
            host_id,
            spool_id,
            sequence: part as u64 + 1,
            received_ms: months.end_ms,
            block: Packed::of(&Block {
                times_ms: times_ms.collect(),
                columns: columns(months.stored, busy, &mut spent),
            }),
            series: series.clone(),
        };
        let store = store.clone();
        appending.spawn(async move { store.append(batch).await });
    }
    let block = Packed::of(&uptime_block(months));
    let sequence = appending.len() as u64 + 1;
    let batch = Append {
        host_id,
        spool_id,
        sequence,
        received_ms: months.end_ms,
        block,
        series: uptime,
    };
    store.append(batch).await?;
    while let Some(appended) = appending.join_next().await {
        appended??;
    }
    Ok(busy.len() * series.len())
}

/// Median CPU milliseconds of the question, its answers, and what was read for them.
fn ask(collector: &Collector, months: &Months) -> Result<(f64, Answers, String), String> {
    let metric = match months.stored {
        Stored::Gauge => GAUGE,
        Stored::Counters => "hostwell_cpu_busy_ratio",
    };
    let question = |shift_ms: i64| {
        let question = Question::Query(SampleQuestion {
            selector: metric.to_owned(),
            range: Range::Between {
                from: Moment::AtMs(months.start_ms() + shift_ms),
                to: Moment::AtMs(months.end_ms - 1 + shift_ms),
            },
            step_ms: None,
            agg: Some(Agg::P95),
            by: vec!["host".to_owned()],
            of_mean: false,
            ahead_ms: None,
            top: None,
        });
        serde_json::to_string(&question).map_err(|e| e.to_string())
    };
    let line = Line::to(&collector.url(), &ClientTls::default())?;
    let pid = collector.program.pid();
    let median_ms = |question: &str| -> Result<(f64, Answered), String> {
        let mut answer = line.ask(question)?;
        let mut spent = Vec::new();
        for _ in 0..ASKED {
            let before = cpu_ns(pid);
            answer = line.ask(question)?;
            spent.push((cpu_ns(pid) - before) as f64 / 1e6);
        }
        Ok((median(&spent), answer))
    };
    // Not at midnight: hours and samples at the edges.
    let (crooked_ms, _) = median_ms(&question(-(7 * 3_600_000 + 1_234_567))?)?;
    let (whole_ms, answer) = median_ms(&question(0)?)?;
    let read = answer.read.unwrap_or_default();
    let note = format!(
        "read for it: {} rows of rollups, {} bytes, {} samples; where the 90 days do not begin at \
         midnight {crooked_ms:.2} ms",
        read.rollups.iter().map(|read| read.rows).sum::<u64>(),
        read.bytes,
        read.samples,
    );
    let answers = answer
        .series
        .iter()
        .filter_map(|one| Some((one.label("host")?.to_owned(), *one.values.first()?)));
    Ok((whole_ms, answers.collect(), note))
}
