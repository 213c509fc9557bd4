//! The peers: started, written to, flushed, merged and asked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hostwell_tests::process::{cpu_ns, folder_bytes, peak_mib, rests, rss_mib};
use hostwell_tests::program::{Program, command, find, free_address};
use hostwell_tests::wait::{pass, seconds, until_true};

use rustix::process::Signal;

use crate::cost::{Asked, Cost};
use crate::questions::Ask;
use crate::settings::Samples;
use hostwell_tests::http::Http;

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `victoria-metrics`.
    Victoria,
    /// `prometheus` with its remote write receiver.
    Prometheus,
}

/// What VictoriaMetrics is told beside where it listens and keeps its files. Months are kept;
/// a connection that is kept is not closed after two minutes, which only spreads load over a cluster;
/// a question about a quarter may take its time.
pub(crate) const VICTORIA: [&str; 4] = [
    "-retentionPeriod=12",
    "-loggerLevel=WARN",
    "-http.connTimeout=1h",
    "-search.maxQueryDuration=10m",
];

/// A peer that runs.
pub(crate) struct Peer {
    kind: Kind,
    program: Program,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    data: PathBuf,
}

impl Kind {
    /// How the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Victoria => "VictoriaMetrics",
            Kind::Prometheus => "Prometheus",
        }
    }

    /// Starts one with its data in `folder`.
    pub(crate) fn start(self, folder: &Path) -> Peer {
        std::fs::create_dir_all(folder).unwrap();
        let (address, data) = (free_address(), folder.join("data"));
        let program = match self {
            Kind::Victoria => "victoria-metrics",
            Kind::Prometheus => "prometheus",
        };
        let mut start = command(find(program).expect("looked for at the beginning"));
        let data_text = data.display();
        match self {
            Kind::Victoria => {
                start.arg(format!("-httpListenAddr={address}"));
                start.arg(format!("-storageDataPath={data_text}"));
                start.args(VICTORIA);
            }
            Kind::Prometheus => {
                let configuration = folder.join("prometheus.yml");
                std::fs::write(&configuration, "global: {}\n").unwrap();
                start.arg(format!("--config.file={}", configuration.display()));
                start.arg(format!("--web.listen-address={address}"));
                start.arg(format!("--storage.tsdb.path={data_text}"));
                start.args([
                    "--web.enable-remote-write-receiver",
                    "--web.enable-admin-api",
                ]);
                start.args(["--storage.tsdb.retention.time=1y", "--log.level=warn"]);
            }
        }
        let mut program = Program::start(start, &folder.join("log"));
        program.until_listening(address);
        let peer = Peer {
            kind: self,
            program,
            address,
            data,
        };
        until_true(format!("{} is ready", self.name()), seconds(60), || {
            peer.http()
                .get("/-/ready")
                .or_else(|_| peer.http().get("/health"))
                .is_ok()
        });
        peer
    }
}

impl Peer {
    /// A connection to it.
    pub(crate) fn http(&self) -> Http {
        Http::to(self.address)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Writes all requests of all lanes, the lanes beside each other.
    fn write(&self, lanes: &[Vec<Vec<u8>>]) {
        std::thread::scope(|scope| {
            for lane in lanes {
                scope.spawn(move || {
                    let mut http = self.http();
                    for request in lane {
                        http.write(request)
                            .expect("the peer takes what it is given");
                    }
                });
            }
        });
    }

    /// Makes everything it was given part of its files.
    pub(crate) fn flush(&self) {
        if self.kind == Kind::Victoria {
            self.http()
                .get("/internal/force_flush")
                .expect("it flushes");
        }
    }

    /// Merges; answers the folder that holds everything afterwards.
    pub(crate) fn merge(&self) -> PathBuf {
        let mut http = self.http();
        match self.kind {
            Kind::Victoria => {
                http.get("/internal/force_merge").expect("it merges");
                pass(seconds(1));
                until_true("VictoriaMetrics merges", seconds(600), || {
                    let metrics = self.http().get("/metrics").unwrap_or_default();
                    let line = metrics
                        .lines()
                        .find(|l| l.starts_with("vm_active_force_merges"));
                    line.is_none_or(|l| l.ends_with(" 0"))
                });
                // What was merged is removed a moment later.
                pass(seconds(3));
                self.data.clone()
            }
            Kind::Prometheus => {
                // Its head becomes a block only with time; a snapshot makes one now.
                http.post("/api/v1/admin/tsdb/snapshot")
                    .expect("it takes a snapshot");
                self.data.join("snapshots")
            }
        }
    }
}

/// A peer and a kept connection.
pub(crate) struct Asking {
    peer: Peer,
    http: Http,
}

impl Asking {
    /// Connects.
    pub(crate) fn of(peer: Peer) -> Asking {
        let http = peer.http();
        Asking { peer, http }
    }
}

impl Asked for Asking {
    fn ask(&mut self, ask: Ask, samples: &Samples, turn: usize) -> Result<f64, String> {
        let before = cpu_ns(self.peer.pid());
        let answer = self.http.get(&ask.theirs(samples, turn))?;
        let after = cpu_ns(self.peer.pid());
        if !answer.contains("\"result\":[{") {
            let beginning: String = answer.chars().take(200).collect();
            return Err(format!("no answer: {beginning}"));
        }
        Ok((after - before) as f64 / 1e6)
    }
}

/// Everything about one peer but its questions, and the peer, at rest.
pub(crate) fn measure(
    kind: Kind,
    folder: &Path,
    samples: &Samples,
    lanes: &[Vec<Vec<u8>>],
) -> (Cost, Peer) {
    let peer = kind.start(folder);
    let (base, begun) = (cpu_ns(peer.pid()), Instant::now());
    peer.write(lanes);
    let (stored, wall_s) = (cpu_ns(peer.pid()), begun.elapsed().as_secs_f64());
    let rss = rss_mib(peer.pid());
    peer.flush();
    let merged = peer.merge();
    let settled = cpu_ns(peer.pid());
    // A peer that never rests is asked all the same.
    let _ = rests(peer.pid());
    let cost = Cost {
        name: kind.name(),
        samples: samples.count(),
        stored_cpu_s: (stored - base) as f64 / 1e9,
        settled_cpu_s: (settled - base) as f64 / 1e9,
        wall_s,
        rss_mib: rss,
        peak_mib: peak_mib(peer.pid()),
        bytes: folder_bytes(&merged),
        questions: Vec::new(),
        note: String::new(),
    };
    (cost, peer)
}

/// Bytes of VictoriaMetrics' files after a flush of these samples. It is stopped first: some parts
/// are in memory for a while after a flush. What it keeps of answers on the way out is not counted.
pub(crate) fn flushed_bytes(folder: &Path, lanes: &[Vec<Vec<u8>>]) -> u64 {
    let mut peer = Kind::Victoria.start(folder);
    peer.write(lanes);
    peer.flush();
    peer.program.signal(Signal::INT);
    peer.program.wait(seconds(60));
    folder_bytes(&peer.data) - folder_bytes(&peer.data.join("cache"))
}
