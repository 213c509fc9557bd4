//! How samples leave: one long stream to the collector.
//!
//! Fresh batches go first; what the collector missed follows behind, at most half of the window the
//! collector grants, so that a long backfill never delays the present. A batch is forgotten when
//! the collector acknowledges it. After every connect `Welcome` names what the collector already
//! holds, so nothing is sent twice without need.
//!
//! Messages are not compressed unless the configuration says so: a packed value costs 1.2 bytes at
//! 1 s, with everything around it on a TLS connection 1.25 in both directions. gzip takes a quarter
//! off that and keeps a quarter of a megabyte for its window on a host that may not have it to spare.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hostwell_proto::id::HostId;
use hostwell_proto::wire;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::spool::Handoff;
use crate::top::Shelf;

mod backoff;
mod session;

use backoff::Backoff;

/// A connection that held this long has worked: the next attempt comes soon.
const LIVED: Duration = Duration::from_secs(10);

/// Most reasons named in one outage.
const REASONS_MAX: usize = 8;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// A collector that answers neither a greeting nor a batch for this long is given up.
    silence: Duration,
    /// After TRY_LATER nothing is sent for this long.
    later: Duration,
    /// A stopping agent waits this long for its last batches to be acknowledged.
    drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            silence: Duration::from_secs(120),
            later: Duration::from_secs(30),
            drain: Duration::from_secs(2),
        }
    }
}

/// What there is to send.
#[derive(Debug)]
pub struct Outlet {
    /// Samples.
    pub handoff: Arc<Handoff>,
    /// Notes of processes.
    pub shelf: Arc<Shelf>,
}

/// What introduces this agent.
pub struct Introduction {
    /// Who the host is.
    pub host_id: HostId,
    /// What it calls itself.
    pub host_name: String,
    /// The host's clock, milliseconds since the Unix epoch.
    pub now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    /// What the host is at this moment, the configured labels included.
    pub facts: Box<dyn Fn() -> wire::HostFacts + Send + Sync>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The agent stops.
    #[error("stopped")]
    Stopped,
    /// Before the collector said Welcome.
    #[error("cannot connect")]
    Connect(#[source] anyhow::Error),
    /// The collector does not want this agent as it is.
    #[error("the collector refuses this agent: {0}")]
    Refused(String),
    /// After Welcome.
    #[error("connection lost")]
    Lost(#[source] anyhow::Error),
}

/// Sends until the sampler has finished and everything is acknowledged, or the time for that is up.
///
/// `tokens` are (stop, finished): the agent shall end; the last batch is in the spool.
pub async fn run(
    config: &Config,
    introduction: Introduction,
    outlet: &Outlet,
    tokens: (CancellationToken, CancellationToken),
) {
    let patience = Patience::default();
    run_patiently(config, introduction, outlet, tokens, patience).await;
}

async fn run_patiently(
    config: &Config,
    introduction: Introduction,
    outlet: &Outlet,
    (stop, finished): (CancellationToken, CancellationToken),
    patience: Patience,
) {
    let Some(line) = session::Line::of(config) else {
        tracing::info!("no collector is configured: samples stay in the spool");
        finished.cancelled().await;
        return;
    };
    let mut backoff = Backoff::default();
    let mut was_connected = false;
    let mut said: Vec<String> = Vec::new();
    while !stop.is_cancelled() {
        let began = std::time::Instant::now();
        let hello = hello(config, &introduction, &outlet.handoff);
        let session = session::Session::new(outlet, patience, was_connected);
        let ended = session.run(&line, hello, (&stop, &finished)).await;
        outlet.handoff.disconnected();
        let wait = match &ended {
            Ended::Stopped => return,
            Ended::Lost(_) => {
                was_connected = true;
                said.clear();
                // A collector that takes everybody in and falls over at once needs the pause too.
                if began.elapsed() >= LIVED {
                    backoff.reset();
                }
                backoff.next()
            }
            Ended::Connect(_) => backoff.next(),
            Ended::Refused(_) => backoff.longest(),
        };
        // Each reason once in an outage, not once an attempt: it may last a week, and the words
        // for one and the same trouble may alternate.
        let failure = crate::chain(&ended);
        if !said.contains(&failure) && said.len() < REASONS_MAX {
            tracing::warn!(
                "{}: {failure}; samples stay in the spool, trying again",
                line.url
            );
            said.push(failure);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
    finished.cancelled().await;
}

fn hello(config: &Config, introduction: &Introduction, handoff: &Handoff) -> wire::Hello {
    wire::Hello {
        protocol: hostwell_proto::PROTOCOL,
        host_id: introduction.host_id.to_string(),
        host_name: introduction.host_name.clone(),
        interval_ms: config.interval.as_millis() as u32,
        facts: Some((introduction.facts)()),
        spool_ids: handoff.spool_ids().iter().map(|id| id.0.to_vec()).collect(),
        sent_ms: (introduction.now_ms)(),
    }
}

/// Which series the collector knows of each spool, on one connection.
type Declared = HashMap<hostwell_proto::id::SpoolId, u32>;

#[cfg(test)]
mod tests;
