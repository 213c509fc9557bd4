//! The collector's composition root: the only file that knows every room.

mod aside;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use hostwell_proto::wire::intake_server::IntakeServer;
use hostwell_proto::wire::operator_server::OperatorServer;
use sd_notify::NotifyState;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::answer::{Certificate, Setup};
use crate::api::Desk;
use crate::auth::{self, Peer};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::ingest::{Door, Live};
use crate::listen::{Bounds, Connection, Listener};
use crate::notify::Courier;
use crate::store::{HostRecord, Store, StoreError, StoreOptions};
use crate::upkeep::Upkeep;
use crate::web;

/// Open connections and streams have this long to end when the collector stops.
const FAREWELL_TIME: Duration = Duration::from_secs(10);
/// A connection on which nothing moves is asked this often whether it lives.
const PING_EVERY: Duration = Duration::from_secs(60);
/// A stream's receive window: many agents are connected, each sends little at a time.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Browsers open a few connections each.
const WEB_CONNECTIONS_MAX: usize = 256;
/// Longer than the longest page takes.
const WEB_IDLE_TIME: Duration = Duration::from_secs(120);

/// Where a collector listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Agents and the command line.
    pub grpc: SocketAddr,
    /// Pages.
    pub web: SocketAddr,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}

/// Runs a collector until `shutdown`.
///
/// # Errors
/// A configuration that does not hold, an address that is taken, a database that cannot be opened,
/// or a server that failed. However it ends, what was acknowledged is in the database.
pub async fn run(config: ServerConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_by(config, Clock::system(), shutdown, |_| ()).await
}

/// As [`run`], by a given clock; `ready` hears where the collector listens once it does.
///
/// # Errors
/// As [`run`].
pub async fn run_by(
    config: ServerConfig,
    clock: Clock,
    shutdown: CancellationToken,
    ready: impl FnOnce(Bound),
) -> anyhow::Result<()> {
    config.check()?;
    // A child, so that a server that fails ends the others and not the caller's other work.
    let shutdown = shutdown.child_token();
    let _ends_all = shutdown.clone().drop_guard();
    let (grpc, web) = open_listeners(&config, &shutdown).await?;
    let bound = Bound {
        grpc: grpc.address(),
        web: web.address(),
    };
    let store = open_store(&config).await?;
    let judging = config.judging()?;
    let courier = Courier::new(store.clone(), &config.notify, config.maintenance()?)?;
    let healthy = Arc::new(AtomicBool::new(true));
    let mut tasks = JoinSet::new();
    let live = Live::default();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<IntakeServer<Door>>().await;
    reporter.set_serving::<OperatorServer<Desk>>().await;

    let door = Door::new(
        store.clone(),
        clock.clone(),
        &config,
        live.clone(),
        shutdown.clone(),
    );
    let setup = Arc::new(setup(&config)?);
    let desk = Desk::new(
        store.clone(),
        Arc::clone(&setup),
        clock.clone(),
        config.data_dir.clone(),
    );
    let server = grpc_server(&config)
        .add_service(door.into_service())
        .add_service(desk.into_service())
        .add_service(health);
    let incoming = ReceiverStream::new(grpc.into_receiver()).map(Ok::<_, std::io::Error>);
    let stop = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        let served = server.serve_with_incoming_shutdown(incoming, stop).await;
        served.context("serve gRPC")
    });
    let pages = web::Pages::new(
        store.clone(),
        setup,
        clock.clone(),
        bound.web,
        Arc::clone(&healthy),
    );
    let counted = live.clone();
    let pages = pages.counting(move || counted.count());
    let stop = shutdown.clone().cancelled_owned();
    tasks.spawn(async move { pages.serve(web, stop).await.context("serve pages") });

    let turns = {
        let (live, healthy) = (live.clone(), Arc::clone(&healthy));
        let upkeep = Upkeep::new(store.clone(), judging);
        upkeep.run(clock.clone(), shutdown.clone(), move |turn| {
            after_turn(turn, &live, &healthy, &reporter);
        })
    };
    tasks.spawn(aside::aside("upkeep", turns));
    tasks.spawn(well(courier.run(clock.clone(), shutdown.clone())));
    tracing::info!(grpc = %bound.grpc, web = %bound.web, data = %config.data_dir.display(), "listening");
    notify(&[NotifyState::Ready]);
    ready(bound);
    let ended = attend(&mut tasks, &shutdown).await;
    notify(&[NotifyState::Stopping]);
    tracing::info!(agents = live.count(), "stopping");
    ended.and(lay_down(store, clock.now_ms()).await)
}

/// A part of the collector that cannot fail, as one of those that can.
async fn well(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

/// What answers depend on beside the store.
fn setup(config: &ServerConfig) -> anyhow::Result<Setup> {
    let certificate = config.tls.as_ref().map(|tls| Certificate {
        file: tls.cert.clone(),
        // The handshake has a judgement of its own: what it serves with is not refused here.
        ends_ms: auth::chain_ends_ms(tls)
            .inspect_err(|error| tracing::warn!("{error:#}"))
            .ok(),
    });
    Ok(Setup {
        silence: config.rules.host_down,
        certificate,
        maintenance: config.maintenance()?,
        ..Setup::default()
    })
}

/// Ends the watch and closes the file.
async fn lay_down(store: Store, now_ms: i64) -> anyhow::Result<()> {
    // The last beat: a file at rest speaks for this moment.
    let beaten = store.beat(now_ms).await;
    let closed = store.close().await.context("close the database");
    beaten.context("note the end of the watch").and(closed)
}

/// Waits for the shutdown, or for a server that ends before it; then for the others.
async fn attend(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let first = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(error).context("a part of the collector ended"),
            None => Ok(()),
        },
    };
    shutdown.cancel();
    let rest = async {
        let mut result = first;
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.context("a part of the collector ended").flatten();
            result = result.and(ended);
        }
        result
    };
    match tokio::time::timeout(FAREWELL_TIME, rest).await {
        Ok(result) => result,
        Err(_) => {
            tracing::warn!("connections that did not end are cut");
            tasks.shutdown().await;
            Ok(())
        }
    }
}

async fn open_listeners(
    config: &ServerConfig,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Listener, Listener)> {
    let (grpc_tls, web_tls) = match &config.tls {
        Some(tls) => (
            Some(auth::server_tls(tls, &["h2"])?),
            Some(auth::server_tls(tls, &["http/1.1"])?),
        ),
        None => (None, None),
    };
    let handshake = Duration::from_secs(config.limits.handshake_seconds.into());
    let grpc_bounds = Bounds {
        connections: config.limits.connections,
        handshake,
        // HTTP/2 asks by itself: see PING_EVERY.
        idle: None,
    };
    let web_bounds = Bounds {
        connections: WEB_CONNECTIONS_MAX,
        handshake,
        idle: Some(WEB_IDLE_TIME),
    };
    let (grpc, web) = (config.listen.grpc, config.listen.web);
    Ok((
        Listener::open("agents", grpc, grpc_tls, grpc_bounds, shutdown.clone()).await?,
        Listener::open("pages", web, web_tls, web_bounds, shutdown.clone()).await?,
    ))
}

async fn open_store(config: &ServerConfig) -> anyhow::Result<Store> {
    let options = StoreOptions {
        path: config.database(),
        retention_ms: config.retention.raw_ms(),
        series_per_host_max: config.limits.series_per_host,
        hosts_max: config.limits.hosts,
    };
    let store = Store::open_with(options, config.retention.keeping()?);
    store.await.with_context(|| {
        let path = config.database();
        format!("open the database {}", path.display())
    })
}

fn grpc_server(config: &ServerConfig) -> Server {
    let limits = &config.limits;
    Server::builder()
        .concurrency_limit_per_connection(limits.streams_per_connection as usize)
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}

/// What the rest of the collector learns from a turn of the clockwork.
fn after_turn(
    turn: Result<Vec<HostRecord>, StoreError>,
    live: &Live,
    healthy: &AtomicBool,
    reporter: &HealthReporter,
) {
    let well = turn.is_ok();
    match turn {
        Ok(hosts) => {
            // A host that was retired while it was connected hears of it at its next greeting.
            for host in hosts.iter().filter(|h| h.retired_ms.is_some()) {
                if let Ok(id) = host.id.parse() {
                    live.dismiss(id);
                }
            }
            notify(&[NotifyState::Watchdog]);
        }
        Err(error) => {
            tracing::error!("periodic work failed: {:#}", anyhow::Error::new(error));
        }
    }
    if healthy.swap(well, Ordering::Relaxed) != well {
        let status = if well {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        let reporter = reporter.clone();
        tokio::spawn(async move { reporter.set_service_status("", status).await });
    }
}

/// Tells systemd, where it listens.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "tell systemd");
    }
}

#[cfg(test)]
mod tests;
