//! The Hostwell agent as a library: `hostwell up` runs it beside the collector.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hostwell_proto::wire;
use tokio_util::sync::CancellationToken;

pub mod config;
pub mod expose;
pub mod facts;
pub mod identity;
pub mod probe;
pub mod sample;
pub mod sampler;
mod service;
pub mod source;
pub mod spool;
pub mod tls;
pub mod top;
pub mod uplink;

pub use config::Config;

/// How long a stopping agent waits for a tick that is under way.
const LAST_TICK_MAX: Duration = Duration::from_secs(2);

/// Runs the agent until `shutdown`, then hands over what it has and stops cleanly.
///
/// # Errors
/// When it cannot start: the state folder, the spool or a file of the configuration.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(url) = &config.collector {
        // Wrong key files are an error at the start, not a warning in the night.
        tls::endpoint(url, &config.tls)?;
    }
    let state = identity::open(&config.state_dir)?;
    let source = Arc::new(source(&config)?);
    let (spool, table) = spool::open(
        &config.state_dir.join("spool"),
        config.spool.clone(),
        source.wall_ns() / 1_000_000,
    )?;
    let handoff = Arc::new(spool::Handoff::new(spool, table, config.ticks_per_batch()));
    let finished = CancellationToken::new();
    let shelf = Arc::new(top::Shelf::default());
    let sampler = sampler::start(
        sampler::Rhythm {
            top: look_at_processes(&config, &source, &shelf)?,
            ..rhythm(&config)
        },
        source.clone(),
        handoff.clone(),
        finished.clone(),
    )?;
    let introduction = uplink::Introduction {
        host_id: state.host_id,
        host_name: host_name(&config, &source),
        now_ms: {
            let source = source.clone();
            Box::new(move || source.wall_ns() / 1_000_000)
        },
        facts: Box::new(facts(&config, source)),
    };
    service::ready();
    let stop = shutdown.clone();
    let ending = async {
        stop.cancelled().await;
        service::stopping();
        sampler.stop();
        // A tick that hangs does not keep the agent from stopping.
        if tokio::time::timeout(LAST_TICK_MAX, finished.cancelled())
            .await
            .is_err()
        {
            finished.cancel();
        }
    };
    let tokens = (shutdown, finished.clone());
    let outgoing = uplink::Outlet { handoff, shelf };
    let sending = uplink::run(&config, introduction, &outgoing, tokens);
    tokio::join!(ending, sending);
    outgoing.handoff.close().context("stop cleanly")
}

/// Starts looking at the processes, unless that is not wanted.
fn look_at_processes(
    config: &Config,
    source: &Arc<source::Source>,
    shelf: &Arc<top::Shelf>,
) -> anyhow::Result<Option<Arc<top::Top>>> {
    if !config.processes.enabled {
        return Ok(None);
    }
    let top = top::Top::start(config.processes.clone(), source.clone(), shelf.clone());
    let top = top.context("start the thread that looks at processes")?;
    Ok(Some(Arc::new(top)))
}

/// What the sampler is told.
pub fn rhythm(config: &Config) -> sampler::Rhythm {
    sampler::Rhythm {
        interval: config.interval,
        probes: config.probes.clone(),
        disabled: config.probes_disabled.clone(),
        sign_of_life: service::silence_max().map(|limit| limit / 2),
        top: None,
    }
}

/// Where the configuration says that readings come from.
///
/// # Errors
/// When the fixture is not there or does not parse.
pub fn source(config: &Config) -> anyhow::Result<source::Source> {
    match &config.fixture {
        Some(dir) => source::Source::fixture(dir),
        None => Ok(source::Source::live(&config.root)),
    }
}

/// The host's facts with the configured labels; read anew for every connection.
fn facts(config: &Config, source: Arc<source::Source>) -> impl Fn() -> wire::HostFacts + use<> {
    let label = |(name, value): (&String, &String)| wire::Label {
        name: name.clone(),
        value: value.clone(),
    };
    let labels: Vec<wire::Label> = config.labels.iter().map(label).collect();
    move || wire::HostFacts {
        labels: labels.clone(),
        ..facts::read(&source)
    }
}

fn host_name(config: &Config, source: &source::Source) -> String {
    let name = config.host_name.clone();
    let name = name.unwrap_or_else(|| facts::host_name(source));
    if name.is_empty() {
        "unnamed".into()
    } else {
        name
    }
}

/// An error and everything behind it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // tonic repeats its source in its own words; once is enough.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
