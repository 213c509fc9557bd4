//! A run: a fleet of simulated agents, from the first connection to the last answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use hostwell_agent::tls::TlsConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::agent::{Agent, Manner, Phase, Word};
use super::capture::Capture;
use super::derive::Mould;
use super::script::{Script, decimals};
use super::tally::{Counts, Shard, Tally};
use crate::process::{cpu_spent_ns, folder_bytes, memory_mib};
use crate::speaker::now_ms;

/// Descriptors this process needs beside its connections.
const OTHER_FILES: u64 = 64;
/// Beyond the ramp, so long until everybody is connected.
const GRACE: Duration = Duration::from_secs(90);
/// Without a single acknowledgement for so long a run is given up.
const STALLED: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the collector.
    pub url: String,
    /// What to trust.
    pub tls: TlsConfig,
    /// The recorded host.
    pub capture: Capture,
    /// How many agents.
    pub hosts: usize,
    /// Chooses the fleet.
    pub seed: u64,
    /// Between two samples.
    pub interval: Duration,
    /// Samples of each series in a batch.
    pub ticks: usize,
    /// How long the present is sent.
    pub length: Duration,
    /// Over which time agents connect.
    pub ramp: Duration,
    /// Only the backlog, as fast as it is acknowledged.
    pub saturate: bool,
    /// Halfway everybody loses the connection at once.
    pub storm: bool,
    /// How much of the past to send.
    pub backfill: Duration,
    /// Where the past ends, milliseconds since the Unix epoch; now unless told.
    pub end_ms: Option<i64>,
    /// The collector's process.
    pub server_pid: Option<u32>,
    /// The collector's folder.
    pub data: Option<PathBuf>,
}

/// What the server spent while batches counted.
#[derive(Clone, Debug, Default)]
pub struct Spent {
    /// CPU seconds of all threads.
    pub cpu_s: f64,
    /// Resident and proportional memory at the end, MiB.
    pub rss_mib: f64,
    /// See there.
    pub pss_mib: f64,
    /// Resident memory at the beginning, MiB.
    pub rss_before_mib: f64,
    /// Files at the end, where the folder is known.
    pub file_bytes: Option<u64>,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Agents.
    pub hosts: usize,
    /// Samples in a batch.
    pub samples_per_batch: usize,
    /// While measuring.
    pub counts: Counts,
    /// How long that was.
    pub window: Duration,
    /// Acknowledgements of what was sent while measuring.
    pub latency: Shard,
    /// By reason.
    pub refusals: BTreeMap<String, u64>,
    /// Batches that nobody answered.
    pub unanswered: usize,
    /// The last thing that went wrong.
    pub trouble: Option<String>,
    /// From the storm until everybody was back.
    pub recovered: Option<Duration>,
    /// The server's part.
    pub server: Option<Spent>,
}

/// Runs it.
///
/// # Errors
/// When this process may not open enough connections, when not everybody gets in, or when the
/// collector stops answering.
pub async fn run(plan: Plan) -> anyhow::Result<Outcome> {
    allow_connections(plan.hosts as u64)?;
    if let Some(pid) = plan.server_pid {
        cpu_spent_ns(pid).with_context(|| format!("there is no process {pid} (--server-pid)"))?;
    }
    let tally = Arc::new(Tally::default());
    let (word, heard) = watch::channel(Word {
        phase: Phase::Ramp,
        storm: 0,
    });
    let begun = Instant::now();
    let mut agents = JoinSet::new();
    let fleet = fleet(&plan)?;
    let samples_per_batch = fleet.first().map_or(0, |(s, _)| s.series()) * plan.ticks;
    let pace = plan.interval * plan.ticks as u32;
    let manner = Arc::new(Manner {
        url: plan.url.clone(),
        tls: plan.tls.clone(),
        pace: (!plan.saturate).then_some(pace),
        interval: plan.interval,
        ticks: plan.ticks,
    });
    let packed = Instant::now();
    for (number, (script, backlog)) in fleet.into_iter().enumerate() {
        let share = number as f64 / plan.hosts as f64;
        let entry = packed + plan.ramp.mul_f64(share);
        // Spread over the pace, so that not all speak at once.
        let first = packed + plan.ramp + pace.mul_f64(share);
        let (manner, tally, heard) = (Arc::clone(&manner), Arc::clone(&tally), heard.clone());
        let agent = Agent::new((number, script), backlog, manner, tally, heard, first);
        agents.spawn(async move {
            sleep_until(entry).await;
            agent.run().await
        });
    }
    tracing::debug!(took = ?begun.elapsed(), "packed");
    until_connected(&plan, &tally).await?;
    if !plan.saturate {
        // One whole round of everybody, so that what is measured is the steady state.
        sleep_until(packed + plan.ramp + pace).await;
    }
    let before = spent(&plan);
    tally.measure(true);
    let start = Instant::now();
    word.send_modify(|w| w.phase = Phase::Run);
    let recovered = if plan.saturate {
        until_sent(&plan, &tally).await?;
        None
    } else {
        send_the_present(&plan, &word, &tally).await?
    };
    tally.measure(false);
    let (after, window) = (spent(&plan), start.elapsed());
    word.send_modify(|w| w.phase = Phase::Stop);
    let unanswered = agents.join_all().await.into_iter().sum();
    Ok(Outcome {
        hosts: plan.hosts,
        samples_per_batch,
        counts: tally.counts(),
        window,
        latency: tally.latency(),
        refusals: tally.refusals(),
        unanswered,
        trouble: tally.last_trouble(),
        recovered,
        server: before.zip(after).map(|(before, after)| Spent {
            cpu_s: after.cpu_s - before.cpu_s,
            rss_before_mib: before.rss_mib,
            ..after
        }),
    })
}

/// The agents' scripts and what they have of the past, packed on all cores.
fn fleet(plan: &Plan) -> anyhow::Result<Vec<(Script, Vec<Vec<u8>>)>> {
    let mould = Arc::new(Mould::new(plan.capture.clone()));
    let hints = decimals(&mould);
    let interval_ms = plan.interval.as_millis() as u64;
    let run = now_ms() as u64;
    let end_ms = plan.end_ms.unwrap_or(run as i64) / interval_ms as i64 * interval_ms as i64;
    let count = (plan.backfill.as_millis() / plan.interval.as_millis()) as u64;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let make = |number: usize| {
        let seeds = (plan.seed, run);
        let mut script = Script::new(&mould, &hints, seeds, number as u64, interval_ms);
        let backlog = script.backlog(end_ms, count, plan.ticks);
        (script, backlog)
    };
    let numbers: Vec<usize> = (0..plan.hosts).collect();
    let parts = std::thread::scope(|scope| {
        let share = plan.hosts.div_ceil(threads).max(1);
        let parts = numbers.chunks(share).map(|part| {
            scope.spawn(|| part.iter().map(|number| make(*number)).collect::<Vec<_>>())
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|p| p.join()).collect::<Vec<_>>()
    });
    let mut all = Vec::with_capacity(plan.hosts);
    for part in parts {
        match part {
            Ok(part) => all.extend(part),
            Err(_) => bail!("deriving the hosts failed"),
        }
    }
    Ok(all)
}

/// Raises this process' limit on open files so far that it may have so many connections.
///
/// # Errors
/// When it may not.
pub fn allow_connections(hosts: u64) -> anyhow::Result<()> {
    let wanted = hosts + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|now| now >= wanted) {
        return Ok(());
    }
    if maximum.is_some_and(|most| most < wanted) {
        bail!(
            "{hosts} connections need {wanted} open files, this process may have {}: raise the \
             limit (ulimit -Hn, LimitNOFILE=) or take fewer --hosts",
            maximum.unwrap_or(0)
        );
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raise the limit on open files")
}

fn spent(plan: &Plan) -> Option<Spent> {
    let pid = plan.server_pid?;
    let mib = |file: &str, line: &str| memory_mib(pid, file, line).unwrap_or(f64::NAN);
    Some(Spent {
        cpu_s: cpu_spent_ns(pid)? as f64 / 1e9,
        rss_mib: mib("status", "VmRSS:"),
        pss_mib: mib("smaps_rollup", "Pss:"),
        rss_before_mib: f64::NAN,
        file_bytes: plan.data.as_deref().map(folder_bytes),
    })
}

fn with_trouble(tally: &Tally) -> String {
    let trouble = tally.last_trouble();
    trouble.map_or(String::new(), |t| format!("; the last trouble was: {t}"))
}

async fn until_connected(plan: &Plan, tally: &Tally) -> anyhow::Result<()> {
    let deadline = Instant::now() + plan.ramp + GRACE;
    let wanted = plan.hosts as u64;
    while tally.counts().connected < wanted {
        if Instant::now() > deadline {
            bail!(
                "only {} of {wanted} agents are connected to {}{}",
                tally.counts().connected,
                plan.url,
                with_trouble(tally)
            );
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until the whole backlog of everybody is acknowledged.
async fn until_sent(plan: &Plan, tally: &Tally) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let counts = tally.counts();
        if counts.finished >= plan.hosts as u64 {
            return Ok(());
        }
        if counts.acknowledged != last {
            (last, moved) = (counts.acknowledged, Instant::now());
        }
        if moved.elapsed() > STALLED {
            bail!(
                "nothing was acknowledged for {STALLED:?}; {} batches were before{}",
                counts.acknowledged,
                with_trouble(tally)
            );
        }
        sleep(LOOK).await;
    }
}

/// Lets the present pass; answers how long a storm took.
async fn send_the_present(
    plan: &Plan,
    word: &watch::Sender<Word>,
    tally: &Tally,
) -> anyhow::Result<Option<Duration>> {
    let end = Instant::now() + plan.length;
    let mut recovered = None;
    if plan.storm {
        sleep(plan.length / 2).await;
        let begun = Instant::now();
        let wanted = tally.counts().connects + plan.hosts as u64;
        word.send_modify(|w| w.storm += 1);
        while tally.counts().connects < wanted {
            if begun.elapsed() > GRACE {
                let back = plan.hosts as u64 + tally.counts().connects - wanted;
                bail!(
                    "only {back} of {} came back after the storm{}",
                    plan.hosts,
                    with_trouble(tally)
                );
            }
            sleep(LOOK).await;
        }
        recovered = Some(begun.elapsed());
    }
    sleep_until(end).await;
    Ok(recovered)
}
