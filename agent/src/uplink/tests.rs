use std::path::Path;

use hostwell_proto::id::SpoolId;
use hostwell_proto::metric::Metric;
use tonic::transport::ServerTlsConfig;

use super::*;
use crate::config::{Compression, SpoolConfig, TlsConfig};
use crate::sample::{Sample, SeriesTable};
use crate::source::Source;
use crate::spool;

mod collector;

use collector::{Collector, Memory};

/// The agent's side without a sampler: the test makes the ticks.
struct Agent {
    handoff: Arc<Handoff>,
    table: SeriesTable,
    time_ms: i64,
    shelf: Arc<Shelf>,
    stop: CancellationToken,
    finished: CancellationToken,
}

impl Agent {
    fn new(dir: &Path) -> Agent {
        let bounds = SpoolConfig {
            bytes_max: 1 << 20,
            free_bytes_min: 0,
            free_ratio_min: 0.0,
            ..SpoolConfig::default()
        };
        let time_ms = Source::live(Path::new("/")).now_ms();
        let (spool, table) = spool::open(dir, bounds, time_ms).unwrap();
        Agent {
            handoff: Arc::new(Handoff::new(spool, table.clone(), 1)),
            table,
            time_ms,
            shelf: Arc::default(),
            stop: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    fn tick(&mut self, series: u32) {
        self.time_ms += 1000;
        let readings = (0..series)
            .map(|cpu| {
                let label = cpu.to_string();
                let number = self.table.number(Metric::CpuSeconds, &[&label, "idle"]);
                (number, self.time_ms as f64 + f64::from(cpu))
            })
            .collect();
        let sample = Sample {
            time_ms: self.time_ms,
            readings,
        };
        self.handoff.add(&self.table, &sample, self.time_ms);
    }

    fn outlet(&self) -> Outlet {
        Outlet {
            handoff: self.handoff.clone(),
            shelf: self.shelf.clone(),
        }
    }

    fn start(&self, url: &str, tls: TlsConfig) -> tokio::task::JoinHandle<()> {
        self.start_with(Config {
            collector: Some(url.to_string()),
            tls,
            ..Config::default()
        })
    }

    fn start_with(&self, config: Config) -> tokio::task::JoinHandle<()> {
        let introduction = Introduction {
            host_id: HostId([7; 16]),
            host_name: "test".into(),
            now_ms: Box::new(|| 0),
            facts: Box::new(|| wire::HostFacts {
                kernel: "6.1".into(),
                ..Default::default()
            }),
        };
        let (outlet, tokens) = (self.outlet(), (self.stop.clone(), self.finished.clone()));
        let patience = Patience {
            silence: Duration::from_secs(5),
            later: Duration::from_millis(200),
            drain: Duration::from_secs(2),
        };
        tokio::spawn(async move {
            run_patiently(&config, introduction, &outlet, tokens, patience).await;
        })
    }

    fn waiting(&self) -> u64 {
        self.handoff.progress().spool.batches
    }

    fn finish(&self) {
        self.stop.cancel();
        self.finished.cancel();
    }
}

#[tokio::test]
async fn notes_of_processes_travel_with_batches_and_wait_while_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|_| {});
    let mut agent = Agent::new(dir.path());
    // One more than is kept.
    for time_ms in 0..=64 {
        agent.shelf.put(&wire::ProcessNote {
            time_ms,
            ..wire::ProcessNote::default()
        });
    }
    let (url, _up) = collector.serve(None).await;
    let task = agent.start(&url, TlsConfig::default());
    agent.tick(1);
    collector.until("the notes", |m| m.notes.len() == 64).await;
    let told = collector.with(|m| {
        let told = m.notes.iter().map(|note| (note.time_ms, note.lost));
        told.collect::<Vec<_>>()
    });
    let expected: Vec<(i64, u32)> = (1..=64).map(|ms| (ms, u32::from(ms == 1))).collect();
    assert_eq!(told, expected, "what was dropped is told once");
    agent.finish();
    task.await.unwrap();
}

#[tokio::test]
async fn fresh_batches_arrive_declared_and_are_forgotten_once_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|_| {});
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    let task = agent.start(&url, TlsConfig::default());
    for series in 1..=5 {
        agent.tick(series);
        collector
            .until("the batch", |m| m.held.len() == series as usize)
            .await;
    }
    agent.finish();
    task.await.unwrap();
    assert_eq!(agent.waiting(), 0);
    collector.with(|m| {
        assert_eq!(m.faults, [""; 0]);
        assert_eq!(m.batches.len(), 5, "each sent once");
        let hello = &m.hellos[0];
        assert_eq!(
            (hello.host_id.as_str(), hello.protocol),
            ("07".repeat(16).as_str(), 1)
        );
        assert!(!hello.facts.as_ref().unwrap().kernel.is_empty());
    });
}

#[tokio::test]
async fn on_a_poor_line_messages_are_compressed_when_the_operator_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|_| {});
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    let task = agent.start_with(Config {
        collector: Some(url),
        compression: Compression::Gzip,
        ..Config::default()
    });
    agent.tick(300);
    collector.until("the batch", |m| m.held.len() == 1).await;
    agent.finish();
    task.await.unwrap();
    collector.with(|m| {
        assert_eq!(m.faults, [""; 0]);
        assert_eq!(m.encodings, ["gzip"]);
    });
}

#[tokio::test]
async fn after_an_outage_the_present_goes_first_and_the_past_follows_behind() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| {
        m.window = 4;
        m.mute = true;
    });
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    (0..20).for_each(|_| agent.tick(3));
    let task = agent.start(&url, TlsConfig::default());
    // Half of the window is filled with the past; nothing is acknowledged yet.
    collector
        .until("half a window", |m| m.batches.len() == 2)
        .await;
    agent.tick(3);
    collector
        .until("the fresh batch", |m| m.batches.len() == 3)
        .await;
    let sequences = collector.with(|m| m.batches.iter().map(|(_, s)| *s).collect::<Vec<_>>());
    assert_eq!(sequences, [1, 2, 21]);
    // A new connection: what Welcome names as held is not sent again.
    collector.with(|m| {
        m.mute = false;
        m.cut_after = Some(0);
    });
    agent.tick(3);
    collector.until("everything", |m| m.held.len() == 22).await;
    agent.finish();
    task.await.unwrap();
    collector.with(|m| {
        assert_eq!(m.faults, [""; 0]);
        let again = m
            .batches
            .iter()
            .filter(|(_, s)| [1, 2, 21].contains(s))
            .count();
        assert_eq!(again, 3, "held batches are not sent again");
        assert_eq!(m.hellos.len(), 2);
    });
    assert_eq!(
        (agent.waiting(), agent.handoff.progress().reconnects),
        (0, 1)
    );
}

#[tokio::test]
async fn a_cut_connection_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| {
        m.forgets = true;
        m.cut_after = Some(7);
    });
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    (0..30).for_each(|_| agent.tick(3));
    let task = agent.start(&url, TlsConfig::default());
    collector.until("everything", |m| m.held.len() == 30).await;
    agent.finish();
    task.await.unwrap();
    assert_eq!(collector.with(|m| m.faults.clone()), [""; 0]);
    assert_eq!(agent.waiting(), 0);
}

#[tokio::test]
async fn a_collector_that_comes_late_gets_the_spools_of_earlier_lives_too() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let mut agent = Agent::new(dir.path());
        (0..4).for_each(|_| agent.tick(2 + life));
        // No clean stop: a crash.
    }
    let mut agent = Agent::new(dir.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let task = agent.start(&format!("http://127.0.0.1:{port}"), TlsConfig::default());
    agent.tick(9);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let collector = Collector::new(|_| {});
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    collector.serve_on(listener, None);
    collector
        .until("all four spools", |m| m.held.len() == 13)
        .await;
    agent.finish();
    task.await.unwrap();
    collector.with(|m| {
        assert_eq!(m.faults, [""; 0]);
        assert_eq!(m.hellos[0].spool_ids.len(), 4);
        let live = SpoolId::try_from(&m.hellos[0].spool_ids[3][..]).unwrap();
        assert_eq!(
            agent.handoff.spool_ids(),
            [live],
            "the live one comes last and stays"
        );
    });
}

#[tokio::test]
async fn a_refused_batch_is_dropped_and_counted_and_the_stream_lives() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| m.refuse = Some((2, wire::RefusalReason::Time, 9)));
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    (0..4).for_each(|_| agent.tick(3));
    let task = agent.start(&url, TlsConfig::default());
    collector.until("the others", |m| m.held.len() == 3).await;
    agent.finish();
    task.await.unwrap();
    let progress = agent.handoff.progress();
    assert_eq!(progress.spool.refused, [("time", 1)]);
    assert_eq!((progress.spool.batches, progress.reconnects), (0, 0));
}

#[tokio::test]
async fn a_batch_refused_for_now_comes_again_later() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| m.refuse = Some((2, wire::RefusalReason::TryLater, 2)));
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    (0..4).for_each(|_| agent.tick(3));
    let task = agent.start(&url, TlsConfig::default());
    collector.until("all of them", |m| m.held.len() == 4).await;
    agent.finish();
    task.await.unwrap();
    assert_eq!(agent.handoff.progress().spool.refused, []);
    assert_eq!(collector.with(|m| m.hellos.len()), 1, "on the same stream");
}

#[tokio::test]
async fn a_gap_is_reported_until_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|_| {});
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    // Beyond the bound of 1 MiB.
    (0..260).for_each(|_| agent.tick(900));
    let dropped = agent.handoff.progress().spool.dropped_bytes;
    assert!(dropped > 0);
    let task = agent.start(&url, TlsConfig::default());
    let total = |m: &Memory| {
        let gone: u64 = m
            .gaps
            .iter()
            .map(|g| g.last_sequence - g.first_sequence + 1)
            .sum();
        gone + m.held.len() as u64
    };
    collector
        .until("every batch or its gap", |m| total(m) == 260)
        .await;
    agent.finish();
    task.await.unwrap();
    collector.with(|m| {
        assert_eq!(m.faults, [""; 0]);
        assert_eq!(m.gaps.iter().map(|g| g.samples).sum::<u64>(), dropped);
    });
    assert!(agent.handoff.next_gap().is_none());
}

#[tokio::test]
async fn messages_stay_below_what_the_collector_reads() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| m.message_bytes_max = 20 << 10);
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    agent.tick(900);
    agent.tick(3000);
    agent.tick(900);
    let task = agent.start(&url, TlsConfig::default());
    collector
        .until("the small ones", |m| m.held.len() == 2)
        .await;
    agent.finish();
    task.await.unwrap();
    assert!(collector.with(|m| m.largest) <= 20 << 10);
    let progress = agent.handoff.progress().spool;
    assert_eq!(
        (progress.refused, progress.batches),
        (vec![("limit", 1)], 0)
    );
}

#[tokio::test]
async fn a_host_that_is_not_welcome_keeps_its_samples_and_stops_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::new(|m| m.unwelcome = true);
    let (url, _up) = collector.serve(None).await;
    let mut agent = Agent::new(dir.path());
    agent.tick(3);
    let task = agent.start(&url, TlsConfig::default());
    collector
        .until("a greeting", |m| !m.hellos.is_empty())
        .await;
    agent.finish();
    task.await.unwrap();
    assert_eq!(agent.waiting(), 1);
}

struct Authority {
    dir: tempfile::TempDir,
    server: ServerTlsConfig,
    client: TlsConfig,
}

/// A certificate authority of the test's own, with a certificate for each side.
fn authority(ask_for_client: bool) -> Authority {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use tonic::transport::{Certificate, Identity};
    let dir = tempfile::tempdir().unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_string()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let (server_cert, server_key) = signed("localhost");
    let (client_cert, client_key) = signed("agent");
    let mut server = ServerTlsConfig::new().identity(Identity::from_pem(server_cert, server_key));
    if ask_for_client {
        server = server.client_ca_root(Certificate::from_pem(ca.pem()));
    }
    let client = TlsConfig {
        ca: write("ca.pem", &ca.pem()),
        cert: write("agent.pem", &client_cert),
        key: write("agent.key", &client_key),
        server_name: None,
    };
    Authority {
        dir,
        server,
        client,
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(true);
    let collector = Collector::new(|_| {});
    let (url, _up) = collector.serve(Some(authority.server.clone())).await;
    let mut agent = Agent::new(dir.path());
    agent.tick(3);
    let task = agent.start(&url, authority.client.clone());
    collector.until("the batch", |m| m.held.len() == 1).await;
    agent.finish();
    task.await.unwrap();
    drop(authority.dir);
}

#[tokio::test]
async fn a_stranger_on_either_side_gets_nothing() {
    let (ours, theirs) = (authority(true), authority(true));
    let collector = Collector::new(|_| {});
    let (url, _up) = collector.serve(Some(ours.server)).await;
    let without_certificate = TlsConfig {
        cert: None,
        key: None,
        ..ours.client.clone()
    };
    let wrong_name = TlsConfig {
        server_name: Some("elsewhere".into()),
        ..ours.client
    };
    for tls in [theirs.client, without_certificate, wrong_name] {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = Agent::new(dir.path());
        agent.tick(3);
        let outlet = agent.outlet();
        let session = session::Session::new(&outlet, Patience::default(), false);
        let hello = wire::Hello::default();
        let config = Config {
            collector: Some(url.clone()),
            tls,
            ..Config::default()
        };
        let line = session::Line::of(&config).unwrap();
        let ended = session
            .run(&line, hello, (&agent.stop, &agent.finished))
            .await;
        assert!(matches!(ended, Ended::Connect(_)), "{ended:?}");
        assert_eq!(agent.waiting(), 1);
    }
    assert!(collector.with(|m| m.hellos.is_empty()));
}
