//! Collector and agent on this machine with one command. They run in one process and talk through
//! the same gRPC door as everybody else; the summary is asked for there too.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::sync::oneshot;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Body, HostLine, Question};
use crate::api::Client;
use crate::auth::ClientTls;
use crate::clock::Clock;
use crate::config::{Listen, ServerConfig};
use crate::serve::{self, Bound};

mod summary;

/// Time between two samples unless told otherwise: a newcomer wants to see it move. At one second
/// a machine with 400 series takes some 40 MB a day.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// How often the collector is asked for the summary.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often until it has something to say.
const ASK_FIRST: Duration = Duration::from_millis(200);
/// Off a terminal the summary is printed this often.
const PRINT_EVERY: Duration = Duration::from_secs(10);
/// The agent may take this long to hand over what it has when it stops.
const AGENT_FAREWELL: Duration = Duration::from_secs(5);

/// What `hostwell up` was told.
#[derive(Clone, Debug)]
pub struct UpArgs {
    /// Folder of the database and of the agent's state.
    pub data: PathBuf,
    /// Where it listens; loopback.
    pub listen: Listen,
    /// Stop after this time.
    pub run_for: Option<Duration>,
    /// Time between two samples; [`INTERVAL`] unless asked for.
    pub interval: Duration,
    /// How this program was started, for the commands to type next.
    pub program: String,
    /// Width of the terminal the summary is redrawn on; `None` off a terminal.
    pub width: Option<usize>,
}

/// Runs until `shutdown`, until the time is over, or until a part fails.
///
/// # Errors
/// When a part cannot start (a port that is taken) or fails, or when the time is over and not one
/// sample has arrived.
pub async fn run(
    args: UpArgs,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut parts = Parts::start(&args).await?;
    let shown = watch(&args, &mut parts, out, shutdown).await;
    let ended = parts.stop().await;
    shown.and(ended)?;
    summary::farewell(&args, out)?;
    Ok(())
}

/// The running collector and agent.
struct Parts {
    bound: Bound,
    client: Client,
    collector: tokio::task::JoinHandle<anyhow::Result<()>>,
    collector_stop: CancellationToken,
    agent: oneshot::Receiver<anyhow::Result<()>>,
    agent_stop: CancellationToken,
    /// How a part ended that ended by itself.
    broken: bool,
}

impl Parts {
    async fn start(args: &UpArgs) -> anyhow::Result<Parts> {
        let config = ServerConfig {
            data_dir: args.data.clone(),
            listen: args.listen.clone(),
            ..ServerConfig::default()
        };
        let collector_stop = CancellationToken::new();
        let (ready, bound) = oneshot::channel();
        let stop = collector_stop.clone();
        let mut collector = tokio::spawn(serve::run_by(config, Clock::system(), stop, |bound| {
            // Nobody listens only when this call is given up.
            let _ = ready.send(bound);
        }));
        let bound = tokio::select! {
            bound = bound => bound.ok(),
            ended = &mut collector => return Err(early(ended, "the collector")),
        };
        let Some(bound) = bound else {
            return Err(early(collector.await, "the collector"));
        };
        let url = format!("http://{}", bound.grpc);
        let client = Client::connect(&url, &ClientTls::default()).await?;
        let agent_stop = CancellationToken::new();
        let agent = start_agent(args, url, agent_stop.clone())?;
        Ok(Parts {
            bound,
            client,
            collector,
            collector_stop,
            agent,
            agent_stop,
            broken: false,
        })
    }

    /// Ends when a part does, which none should.
    async fn broken(&mut self) -> anyhow::Error {
        let error = tokio::select! {
            ended = &mut self.collector => early(ended, "the collector"),
            ended = &mut self.agent => match ended {
                Ok(Err(error)) => error.context("run the agent"),
                _ => anyhow!("the agent stopped by itself"),
            },
        };
        self.broken = true;
        error
    }

    /// The agent first, so that its last samples find the collector.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.agent_stop.cancel();
        if !self.broken && timeout(AGENT_FAREWELL, &mut self.agent).await.is_err() {
            tracing::warn!("the agent takes too long to stop");
        }
        self.collector_stop.cancel();
        if self.collector.is_finished() && self.broken {
            return Ok(());
        }
        self.collector.await.context("stop the collector")?
    }
}

fn early(ended: Result<anyhow::Result<()>, tokio::task::JoinError>, what: &str) -> anyhow::Error {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) => anyhow!("{what} stopped by itself"),
        Err(error) => anyhow!(error).context(format!("run {what}")),
    }
}

/// Somebody is looking at the first minutes: their disks should have more than one point.
const SLOW_EVERY: Duration = Duration::from_secs(10);

/// The agent has a thread and a runtime of its own, as it has when it runs alone: what it costs
/// here is what it costs there.
fn start_agent(
    args: &UpArgs,
    url: String,
    stop: CancellationToken,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let config = hostwell_agent::Config {
        interval: args.interval,
        send_every: args.interval,
        collector: Some(url),
        state_dir: args.data.join("agent"),
        probes: hostwell_agent::probe::ProbeOptions {
            slow_every: SLOW_EVERY,
            ..Default::default()
        },
        ..hostwell_agent::Config::default()
    };
    let (ended, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("agent".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let result = match runtime {
                Ok(runtime) => runtime.block_on(hostwell_agent::run(config, stop)),
                Err(error) => Err(error.into()),
            };
            let _ = ended.send(result);
        })
        .context("start the agent's thread")?;
    Ok(receiver)
}

/// Prints where it listens, what to type next, and the summary as it changes.
async fn watch(
    args: &UpArgs,
    parts: &mut Parts,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    summary::banner(args, parts.bound, out)?;
    let end = args.run_for.map(|time| Instant::now() + time);
    let mut board = summary::Board::new(args.width);
    let mut asking = interval(ASK_FIRST);
    let (mut hosts, mut printed_at) = (Vec::new(), None::<Instant>);
    let mut whole = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
            error = parts.broken() => return Err(error),
            _ = asking.tick() => {}
        }
        hosts = ask(&parts.client).await?;
        if !summary::says_something(&hosts) {
            continue;
        }
        // Rates take two samples: the first summary that is whole does not wait for its turn.
        let whole_now = !whole && summary::says_all(&hosts);
        whole |= whole_now;
        let often = args.width.is_some() || whole_now;
        let due = printed_at.is_none_or(|at| often || at.elapsed() >= PRINT_EVERY);
        if due {
            board.print(&hosts, out)?;
            if printed_at.is_none() {
                asking = interval(ASK_EVERY);
                asking.reset();
            }
            printed_at = Some(Instant::now());
        }
    }
    if let Ok(last) = ask(&parts.client).await {
        hosts = last;
    }
    if !summary::says_something(&hosts) {
        if end.is_some() {
            bail!(
                "not one sample arrived in that time; `RUST_LOG=debug` shows what the agent does"
            );
        }
        return Ok(());
    }
    board.finish(&hosts, out)
}

async fn ask(client: &Client) -> anyhow::Result<Vec<HostLine>> {
    let question = serde_json::to_string(&Question::Hosts {}).context("encode the question")?;
    let answer = Answer::from_json(&client.ask(&question).await?).context("decode the answer")?;
    match answer.body {
        Body::Hosts { hosts } => Ok(hosts),
        _ => bail!("the collector answered another question"),
    }
}

/// Whether an address is where the command line looks unless told otherwise.
fn is_default(grpc: SocketAddr) -> bool {
    grpc == Listen::default().grpc
}

#[cfg(test)]
mod tests;
