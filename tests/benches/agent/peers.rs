//! The programs we stand beside: Debian's packages, in the foreground, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hostwell_tests::program::{Program, command, foreign, free_address, run};
use hostwell_tests::wait::{seconds, until};

/// A peer that runs: its processes are what it costs.
pub(crate) struct Peer {
    /// How the table calls it.
    pub(crate) name: &'static str,
    /// All that it needs; the scraper or receiver is ours and not counted.
    pub(crate) programs: Vec<Program>,
    /// Bytes that left it.
    pub(crate) bytes: Arc<AtomicU64>,
    /// Values in those bytes; 0 where nobody counts.
    pub(crate) values: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Peer {
    fn new(name: &'static str, programs: Vec<Program>) -> Peer {
        Peer {
            name,
            programs,
            bytes: Arc::default(),
            values: Arc::default(),
            stop: Arc::default(),
        }
    }

    /// What its scraper or receiver counts with: bytes, values, whether to stop.
    fn counters(&self) -> (Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicBool>) {
        (
            Arc::clone(&self.bytes),
            Arc::clone(&self.values),
            Arc::clone(&self.stop),
        )
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// node_exporter's collectors that cover what the others cover.
const SIX: &[&str] = &[
    "cpu",
    "loadavg",
    "meminfo",
    "netdev",
    "diskstats",
    "filesystem",
];

/// node_exporter, scraped once a second with gzip: all of it, or six collectors.
pub(crate) fn node_exporter(folder: &Path, six: bool) -> Peer {
    let address = free_address();
    let mut exporter = command(foreign(
        "prometheus-node-exporter",
        "prometheus-node-exporter",
    ));
    exporter.arg(format!("--web.listen-address={address}"));
    if six {
        exporter.args([
            "--collector.disable-defaults",
            "--web.disable-exporter-metrics",
        ]);
        exporter.args(SIX.iter().map(|c| format!("--collector.{c}")));
    }
    let name = if six {
        "node_exporter (6)"
    } else {
        "node_exporter"
    };
    let mut program = Program::start(exporter, &folder.join(format!("{name}.log")));
    program.until_listening(address);
    let (_, plain) = scrape(&mut connect(address), false);
    let values = plain.split(|b| *b == b'\n');
    let values = values
        .filter(|l| l.first().is_some_and(|b| *b != b'#'))
        .count() as u64;
    let peer = Peer::new(name, vec![program]);
    let (bytes, sent, stop) = peer.counters();
    std::thread::spawn(move || {
        let mut stream = connect(address);
        let mut next = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let (size, _) = scrape(&mut stream, true);
            bytes.fetch_add(size, Ordering::Relaxed);
            sent.fetch_add(values, Ordering::Relaxed);
            next += seconds(1);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    peer
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("the exporter listens");
    stream.set_read_timeout(Some(seconds(20))).unwrap();
    BufReader::new(stream)
}

/// One scrape on a kept connection: (bytes both ways, body).
fn scrape(stream: &mut BufReader<TcpStream>, gzip: bool) -> (u64, Vec<u8>) {
    let encoding = if gzip {
        "Accept-Encoding: gzip\r\n"
    } else {
        ""
    };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{encoding}\r\n");
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut size, mut length, mut chunked) = (request.len(), None, false);
    let mut line = String::new();
    loop {
        line.clear();
        size += stream.read_line(&mut line).unwrap();
        let lower = line.trim_end().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.parse::<usize>().ok();
        }
        chunked |= lower == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    let mut take = |stream: &mut BufReader<TcpStream>, n: usize| {
        let from = body.len();
        body.resize(from + n, 0);
        stream.read_exact(&mut body[from..]).unwrap();
        n
    };
    if let Some(length) = length {
        size += take(stream, length);
    }
    while chunked {
        line.clear();
        size += stream.read_line(&mut line).unwrap();
        let chunk = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
        size += take(stream, chunk);
        line.clear();
        size += stream.read_line(&mut line).unwrap();
        chunked = chunk > 0;
    }
    (size as u64, body)
}

/// collectd with six plugins to UDP on loopback.
pub(crate) fn collectd(folder: &Path, interval: Duration) -> Peer {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let plugins = [
        "cpu",
        "load",
        "memory",
        "interface",
        "disk",
        "df",
        "network",
    ];
    let plugins: String = plugins
        .iter()
        .map(|p| format!("LoadPlugin {p}\n"))
        .collect();
    let configuration = folder.join("collectd.conf");
    std::fs::write(
        &configuration,
        format!(
            "Hostname \"bench\"\nFQDNLookup false\nInterval {}\nBaseDir \"{1}\"\nPIDFile \"{1}/pid\"\n{plugins}\
             <Plugin df>\n FSType \"ext4\"\n</Plugin>\n<Plugin network>\n Server \"127.0.0.1\" \"{port}\"\n</Plugin>\n",
            interval.as_secs_f64(),
            folder.display(),
        ),
    )
    .unwrap();
    let mut daemon = command(foreign("collectd", "collectd-core"));
    daemon.arg("-f").arg("-C").arg(&configuration);
    let program = Program::start(daemon, &folder.join("collectd.log"));
    let peer = Peer::new("collectd → UDP", vec![program]);
    let (bytes, values, stop) = peer.counters();
    socket.set_read_timeout(Some(seconds(1))).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0u8; 65_536];
        while !stop.load(Ordering::Acquire) {
            let Ok(n) = socket.recv(&mut packet) else {
                continue;
            };
            bytes.fetch_add(n as u64, Ordering::Relaxed);
            values.fetch_add(values_of(&packet[..n]), Ordering::Relaxed);
        }
    });
    peer
}

/// Values in a packet of collectd's binary protocol: parts of (type, length, content); type 6
/// begins with how many values it holds.
fn values_of(packet: &[u8]) -> u64 {
    let number = |at: usize| {
        packet
            .get(at..at + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let (mut at, mut values) = (0, 0);
    while let (Some(kind), Some(length @ 4..)) = (number(at), number(at + 2)) {
        if kind == 6 {
            values += u64::from(number(at + 4).unwrap_or(0));
        }
        at += usize::from(length);
    }
    values
}

const PMLOGGER: &str = "log mandatory on 1 sec {
 kernel.percpu.cpu
 kernel.all.load
 mem.util.used mem.util.free mem.util.available mem.util.bufmem
 mem.util.cached mem.util.slab mem.util.swapTotal mem.util.swapFree
 network.interface.in.bytes network.interface.in.packets
 network.interface.in.errors network.interface.in.drops
 network.interface.out.bytes network.interface.out.packets
 network.interface.out.errors network.interface.out.drops
 disk.dev.read disk.dev.write disk.dev.read_bytes disk.dev.write_bytes disk.dev.avactive
 filesys.capacity filesys.used filesys.free
}
";

/// pmcd with the Linux PMDA as a DSO, and one pmlogger at 1 s to a file.
///
/// Only the programs are needed: the package's services may be missing or have failed to start, so
/// the name space that their start would have built is built here.
pub(crate) fn pcp(folder: &Path) -> Peer {
    let write = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
    let library = Path::new("/usr/lib/pcp");
    let names = folder.join("pmns");
    let merged = run(command(library.join("bin/pmnsmerge"))
        .arg("-a")
        .args(["root_linux", "root_pmcd"].map(|n| library.join("pmns").join(n)))
        .arg(&names));
    assert!(names.is_file(), "pmnsmerge: {merged:?}");
    write(
        "pmcd.conf",
        "linux 60 dso linux_init /usr/lib/pcp/pmdas/linux/pmda_linux.so\n\
         pmcd 2 dso pmcd_init /var/lib/pcp/pmdas/pmcd/pmda_pmcd.so\n",
    );
    write("pmlogger.conf", PMLOGGER);
    let address = free_address();
    let mut pmcd = command(foreign("pmcd", "pcp"));
    pmcd.args(["-f", "-U", "root", "-i", "127.0.0.1"])
        .args(["-p", &address.port().to_string()])
        .arg("-n")
        .arg(&names)
        .arg("-c")
        .arg(folder.join("pmcd.conf"))
        .arg("-l")
        .arg(folder.join("pmcd.log"))
        .arg("-s")
        .arg(folder.join("pmcd.socket"));
    let mut pmcd = Program::start(pmcd, &folder.join("pmcd.out"));
    pmcd.until_listening(address);
    let archive = folder.join("archive");
    let mut logger: Command = command(foreign("pmlogger", "pcp"));
    logger
        .args(["-t", "1", "-h", &address.to_string(), "-c"])
        .arg(folder.join("pmlogger.conf"))
        .arg("-l")
        .arg(folder.join("pmlogger.log"))
        .arg(&archive);
    let logger = Program::start(logger, &folder.join("pmlogger.out"));
    let data = archive.with_extension("0");
    until("pmlogger writes its archive", seconds(20), || {
        data.is_file().then_some(())
    });
    Peer::new("pcp pmcd + pmlogger", vec![pmcd, logger])
}
