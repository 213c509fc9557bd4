//! Fleets that speak once in an interval over TLS: what a message and an agent cost.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hostwell::auth::ClientTls;
use hostwell_tests::ca::{Authority, Identity};
use hostwell_tests::exposition::parse;
use hostwell_tests::load::fleet::allow_connections;
use hostwell_tests::load::latency::Latency;
use hostwell_tests::process::{cpu_ns, rss_mib};
use hostwell_tests::site::{Collector, tls_section};
use hostwell_tests::wait::{pass, seconds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ours::{Line, load};
use crate::peers::Kind;
use crate::questions::Ask;
use crate::remote_write::Writer;
use crate::settings::{Samples, Settings};
use hostwell_tests::http::{Http, WRITE_HEADERS};

/// What a paced fleet cost.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    /// Which store.
    pub(crate) name: &'static str,
    /// Connections.
    pub(crate) hosts: u64,
    /// Between two messages of one.
    pub(crate) interval_s: u64,
    /// Messages in the window.
    pub(crate) messages: u64,
    /// Of one CPU.
    pub(crate) cpu_share: f64,
    /// Of CPU.
    pub(crate) us_a_message: f64,
    /// At the end.
    pub(crate) rss_mib: f64,
    /// kB for each connection above the idle program.
    pub(crate) kb_an_agent: f64,
    /// How much memory grew in the window, for each sample that came: what is learned of hosts too.
    pub(crate) grown_a_sample: f64,
    /// What samples that are in no block take at the end of a window, for each of them, as the collector
    /// counts; in a run of their own.
    pub(crate) held_a_sample: Option<f64>,
    /// Acknowledgements, the youngest of each answer: p50 and p99.
    pub(crate) ack_ms: Option<(f64, f64)>,
    /// `hosts` and `query` asked meanwhile, in a run of their own: the larger p99.
    pub(crate) reader_ms: Option<f64>,
    /// Batches that were not answered.
    pub(crate) unanswered: u64,
}

/// A collector for so many agents, over TLS. Every batch is acknowledged at once where `prompt`:
/// a window of four makes a quarter of it one.
fn site(folder: &Path, prompt: bool) -> (Collector, Authority) {
    std::fs::create_dir_all(folder).unwrap();
    let authority = Authority::new(folder, "bench-ca");
    let identity: Identity = authority.sign("collector", &["127.0.0.1", "localhost"]);
    let window = if prompt { 4 } else { 16 };
    let more = format!(
        "{}[limits]\nbatches_in_flight = {window}\n",
        tls_section(None, Some(&identity))
    );
    (
        Collector::start_with(&folder.join("collector"), &more),
        authority,
    )
}

/// How a fleet is tried.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Connections.
    pub(crate) hosts: u64,
    /// Between two messages of one.
    pub(crate) interval_s: u64,
    /// How long it is watched.
    pub(crate) window_s: u64,
    /// Every batch acknowledged at once.
    pub(crate) prompt: bool,
}

impl Pace {
    /// Two milliseconds an agent: handshakes take that long on both sides together.
    fn ramp_s(self) -> u64 {
        5 + self.hosts / 150
    }

    /// The load's arguments; over TLS where there is an authority.
    fn arguments(self, collector: &Collector, ca: Option<&Path>, samples: &Samples) -> Vec<String> {
        let url = match ca {
            Some(_) => format!("https://{}", collector.grpc),
            None => collector.url(),
        };
        let ca = ca.map(|ca| ("--ca", ca.display().to_string()));
        let words = [
            ("--capture", samples.capture.display().to_string()),
            ("--url", url),
            ("--hosts", self.hosts.to_string()),
            ("--interval", format!("{}s", self.interval_s)),
            ("--for", format!("{}s", self.window_s)),
            ("--ramp", format!("{}s", self.ramp_s())),
            ("--server-pid", collector.program.pid().to_string()),
        ];
        let words = words.into_iter().chain(ca);
        words
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }
}

/// Our collector with a fleet.
pub(crate) fn ours(folder: &Path, samples: &Samples, pace: Pace) -> Result<Paced, String> {
    let (collector, authority) = site(folder, pace.prompt);
    pass(seconds(1));
    let idle_mib = rss_mib(collector.program.pid());
    let arguments = pace.arguments(&collector, Some(&authority.root), samples);
    let summary = load(&arguments)?;
    let number = |path: &[&str]| {
        let found = path.iter().fold(&summary, |value, key| &value[*key]);
        found.as_f64().unwrap_or(f64::NAN)
    };
    let (cpu_s, messages) = (number(&["server", "cpu_s"]), number(&["batches"]));
    let (rss, before) = (
        number(&["server", "rss_mib"]),
        number(&["server", "rss_before_mib"]),
    );
    Ok(Paced {
        name: "Hostwell, TLS",
        hosts: pace.hosts,
        interval_s: pace.interval_s,
        messages: messages as u64,
        cpu_share: cpu_s / number(&["window_s"]),
        us_a_message: cpu_s * 1e6 / messages,
        rss_mib: rss,
        kb_an_agent: (before - idle_mib) * 1024.0 / pace.hosts as f64,
        grown_a_sample: (rss - before) * 1024.0 * 1024.0 / number(&["samples"]),
        held_a_sample: None,
        ack_ms: Some((
            number(&["latency_youngest", "p50_ms"]),
            number(&["latency_youngest", "p99_ms"]),
        )),
        reader_ms: None,
        unanswered: summary["unanswered"].as_u64().unwrap_or(u64::MAX),
    })
}

/// Bytes of each sample in the collector's head behind a window. Without TLS, because it is read from
/// the pages and a sample in memory does not know how it came.
fn held(folder: &Path, samples: &Samples, pace: Pace) -> Result<f64, String> {
    std::fs::create_dir_all(folder).unwrap();
    let collector = Collector::start(&folder.join("collector"));
    load(&pace.arguments(&collector, None, samples))?;
    let metrics = Http::to(collector.web).get("/metrics")?;
    let metrics = parse(&metrics);
    let of = |name: &str| {
        let series = (format!("hostwell_collector_{name}"), BTreeMap::new());
        let value = metrics.get(&series).copied();
        value.ok_or_else(|| format!("/metrics does not tell {name}"))
    };
    Ok(of("head_bytes")? / of("head_samples")?)
}

/// The larger p99 of two questions asked again and again while a fleet sends: `hosts`, and one
/// series of a host.
pub(crate) fn readers(folder: &Path, samples: &Samples, pace: Pace) -> Result<f64, String> {
    let (collector, authority) = site(folder, pace.prompt);
    let tls = ClientTls {
        ca: Some(authority.root.clone()),
        ..ClientTls::default()
    };
    let url = format!("https://{}", collector.grpc);
    let arguments = pace.arguments(&collector, Some(&authority.root), samples);
    let begin = Instant::now() + seconds(pace.ramp_s() + pace.interval_s + 5);
    let end = begin + seconds(pace.window_s.saturating_sub(10));
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load(&arguments));
        pass(begin.saturating_duration_since(Instant::now()));
        let line = Line::to(&url, &tls)?;
        let now_ms = hostwell_tests::speaker::now_ms();
        let one = Ask::One.ours(&samples.with(pace.hosts as usize, 6, now_ms), 1)?;
        let mut worst = [Latency::default(), Latency::default()];
        while Instant::now() < end {
            for (latency, question) in worst.iter_mut().zip(["{\"ask\":\"hosts\"}", &one]) {
                let asked = Instant::now();
                let answer = line.ask_text(question)?;
                latency.note(asked.elapsed());
                if !answer.contains("\"kind\":") {
                    return Err(format!("{question}: {answer}"));
                }
            }
            pass(Duration::from_millis(100));
        }
        loaded
            .join()
            .map_err(|_| "hostwell-load failed".to_owned())??;
        let p99 = worst.map(|l| l.quantile_ms(0.99).unwrap_or(f64::NAN));
        Ok(p99[0].max(p99[1]))
    })
}

/// Requests of a fleet.
#[derive(Default)]
struct Sent {
    messages: AtomicU64,
    /// How many connections ended, and why the first did.
    failed: AtomicU64,
    first: OnceLock<String>,
}

impl Sent {
    /// An error with the first refusal's text, where there was any.
    fn all_went_well(&self) -> Result<(), String> {
        match (self.failed.load(Ordering::Relaxed), self.first.get()) {
            (0, _) => Ok(()),
            (failed, why) => Err(format!(
                "VictoriaMetrics: {failed} connections ended, the first with: {}",
                why.map_or("?", String::as_str)
            )),
        }
    }
}

/// One host's connection: a request in every interval, until the runtime ends.
async fn send(
    address: SocketAddr,
    writer: Writer,
    counted: Arc<Sent>,
    (first, interval): (tokio::time::Instant, Duration),
) {
    let Err(why) = speak(address, writer, &counted, (first, interval)).await;
    let _ = counted.first.set(why);
    counted.failed.fetch_add(1, Ordering::Relaxed);
}

async fn speak(
    address: SocketAddr,
    mut writer: Writer,
    counted: &Sent,
    (first, interval): (tokio::time::Instant, Duration),
) -> Result<Infallible, String> {
    // Not earlier: VictoriaMetrics drops a new connection that says nothing for five seconds.
    tokio::time::sleep_until(first).await;
    let connected = tokio::net::TcpStream::connect(address).await;
    let mut stream = connected.map_err(|e| format!("connect: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut ticks = tokio::time::interval_at(first, interval);
    let mut answer = vec![0; 4096];
    loop {
        ticks.tick().await;
        let body = writer.tick(hostwell_tests::speaker::now_ms());
        let length = body.len();
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: {length}\r\n{WRITE_HEADERS}\r\n"
        );
        let written = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        written.map_err(|e| format!("write: {e}"))?;
        // 204 has no body: its end is the end of the headers.
        let read = stream.read(&mut answer).await;
        match &answer[..read.map_err(|e| format!("read: {e}"))?] {
            [] => return Err("the connection was closed instead of an answer".to_owned()),
            told if told.starts_with(b"HTTP/1.1 204") => {}
            told => return Err(String::from_utf8_lossy(told).trim().replace("\r\n", "; ")),
        }
        counted.messages.fetch_add(1, Ordering::Relaxed);
    }
}

/// VictoriaMetrics with as many kept connections, each with one remote write of a host's samples
/// in an interval; without TLS, which only helps it.
///
/// An error when a single request was refused.
fn victoria(folder: &Path, samples: &Samples, pace: Pace) -> Result<Paced, String> {
    allow_connections(pace.hosts).map_err(|e| format!("{e:#}"))?;
    let peer = Kind::Victoria.start(folder);
    let idle_mib = rss_mib(peer.pid());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let counted = Arc::new(Sent::default());
    let interval = seconds(pace.interval_s);
    for number in 0..pace.hosts {
        let hosts = (number as usize, number as usize + 1);
        let writer = Writer::new(&samples.mould, samples.seed, hosts, pace.interval_s * 1000);
        let share = number as f64 / pace.hosts as f64;
        let first = tokio::time::Instant::now() + seconds(5) + interval.mul_f64(share);
        let sending = send(
            peer.address,
            writer,
            Arc::clone(&counted),
            (first, interval),
        );
        runtime.spawn(sending);
    }
    pass(seconds(5) + interval * 2);
    let rss_before = rss_mib(peer.pid());
    let (before, messages) = (cpu_ns(peer.pid()), counted.messages.load(Ordering::Relaxed));
    let begun = Instant::now();
    pass(seconds(pace.window_s));
    let cpu_s = (cpu_ns(peer.pid()) - before) as f64 / 1e9;
    let messages = counted.messages.load(Ordering::Relaxed) - messages;
    let window_s = begun.elapsed().as_secs_f64();
    let rss = rss_mib(peer.pid());
    counted.all_went_well()?;
    // After the count: a request that this cuts off was not refused.
    runtime.shutdown_background();
    let samples_sent = messages as f64 * samples.mould.capture().series.len() as f64;
    Ok(Paced {
        name: "VictoriaMetrics, plain",
        hosts: pace.hosts,
        interval_s: pace.interval_s,
        messages,
        cpu_share: cpu_s / window_s,
        us_a_message: cpu_s * 1e6 / messages as f64,
        rss_mib: rss,
        kb_an_agent: (rss_before - idle_mib) * 1024.0 / pace.hosts as f64,
        grown_a_sample: (rss - rss_before) * 1024.0 * 1024.0 / samples_sent,
        held_a_sample: None,
        ack_ms: None,
        reader_ms: None,
        unanswered: 0,
    })
}

/// A fleet that was tried.
pub(crate) struct Fleet {
    /// Connections.
    pub(crate) hosts: u64,
    /// Whether it was our collector's.
    pub(crate) ours: bool,
    /// How it went.
    pub(crate) went: Result<Paced, String>,
}

/// All fleets that were asked for.
pub(crate) fn all(folder: &Path, settings: &Settings) -> Vec<Fleet> {
    let mut done = Vec::new();
    for hosts in &settings.paced {
        // Ten thousand hosts sample every 10 s; the smaller fleets every second.
        let interval_s = if *hosts >= 10_000 { 10 } else { 1 };
        let pace = Pace {
            hosts: *hosts,
            interval_s,
            window_s: settings.window_s,
            prompt: false,
        };
        let place = |kind: &str| folder.join(format!("paced-{hosts}-{kind}"));
        let mut cost = ours(&place("ours"), &settings.samples, pace);
        let promptly = Pace {
            window_s: settings.window_s.min(40),
            prompt: true,
            ..pace
        };
        if let Ok(cost) = &mut cost {
            let prompt = ours(&place("prompt"), &settings.samples, promptly);
            let prompt = prompt.map_err(|why| eprintln!("history: answered at once: {why}"));
            cost.ack_ms = prompt.ok().and_then(|c| c.ack_ms);
            let asked = readers(&place("readers"), &settings.samples, promptly);
            let asked = asked.map_err(|why| eprintln!("history: readers: {why}"));
            cost.reader_ms = asked.ok();
            let held = held(&place("held"), &settings.samples, promptly);
            let held = held.map_err(|why| eprintln!("history: samples held: {why}"));
            cost.held_a_sample = held.ok();
        }
        done.push(Fleet {
            hosts: *hosts,
            ours: true,
            went: cost,
        });
        if *hosts <= 1000 {
            done.push(Fleet {
                hosts: *hosts,
                ours: false,
                went: victoria(&place("victoria"), &settings.samples, pace),
            });
        }
    }
    done
}
