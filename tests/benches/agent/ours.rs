//! Our agent, streaming to a real collector, with and without TLS.

use std::path::Path;

use hostwell::store::{Store, WindowQuery};
use hostwell_tests::ca::Authority;
use hostwell_tests::holdings::block_on;
use hostwell_tests::program::{Program, binary, command, foreign, run};
use hostwell_tests::proxy::Proxy;
use hostwell_tests::site::{Agent, Collector, tls_section};
use hostwell_tests::wait::{seconds, until_true};

use crate::calls::{self, Calls};

/// An agent at one sample a second with its collector and the counted line between them.
pub(crate) struct Ours {
    /// How the table calls it.
    pub(crate) name: &'static str,
    /// The agent.
    pub(crate) agent: Agent,
    /// Its collector.
    pub(crate) collector: Collector,
    /// The line.
    pub(crate) proxy: Proxy,
}

/// A collector in `folder` and the lines that an agent needs to reach it through the proxy.
fn site(folder: &Path, tls: bool) -> (Collector, Proxy, String, String) {
    std::fs::create_dir_all(folder).unwrap();
    if !tls {
        let collector = Collector::start(&folder.join("collector"));
        let proxy = Proxy::to(collector.grpc);
        let url = format!("http://{}", proxy.address());
        return (collector, proxy, url, String::new());
    }
    let authority = Authority::new(folder, "bench-ca");
    let identity = authority.sign("collector", &["127.0.0.1", "localhost"]);
    let section = tls_section(None, Some(&identity));
    let collector = Collector::start_with(&folder.join("collector"), &section);
    let proxy = Proxy::to(collector.grpc);
    let url = format!("https://{}", proxy.address());
    (
        collector,
        proxy,
        url,
        tls_section(Some(&authority.root), None),
    )
}

/// Starts both and waits until the first batch is stored.
pub(crate) fn start(folder: &Path, tls: bool) -> Ours {
    let (collector, proxy, url, lines) = site(folder, tls);
    let agent = Agent::start(&folder.join("agent"), &url, &lines);
    let ours = Ours {
        name: if tls {
            "hostwell-agent, TLS"
        } else {
            "hostwell-agent, plain"
        },
        agent,
        collector,
        proxy,
    };
    until_true("the first batch is stored", seconds(60), || {
        ours.values(0, i64::MAX / 2) > 0
    });
    ours
}

impl Ours {
    /// Values stored with times in a range, both ends included.
    pub(crate) fn values(&self, from_ms: i64, to_ms: i64) -> u64 {
        stored_values(&self.collector, from_ms, to_ms)
    }
}

fn stored_values(collector: &Collector, from_ms: i64, to_ms: i64) -> u64 {
    block_on(async {
        let Ok(store) = Store::open_read_only(&collector.database()).await else {
            return 0;
        };
        let query = WindowQuery {
            from_ms,
            to_ms,
            samples_max: 1 << 24,
            ..WindowQuery::default()
        };
        let windows = store.windows(query).await.unwrap_or_default();
        let series = windows.iter().flat_map(|w| &w.series);
        series.map(|s| s.values.len() as u64).sum()
    })
}

/// Counts an agent's system calls for some seconds after `settle`, under strace.
pub(crate) fn system_calls(folder: &Path, settle: u64, window: u64) -> Calls {
    let (collector, _proxy, url, lines) = site(folder, true);
    let record = folder.join("strace.txt");
    let state = folder.join("state");
    let configuration = folder.join("agent.toml");
    let text = format!("collector = \"{url}\"\ninterval = \"1s\"\nstate_dir = {state:?}\n{lines}");
    std::fs::write(&configuration, text).unwrap();
    let mut strace = command(foreign("strace", "strace"));
    strace
        .args(["-f", "-ttt", "-qq", "-s", "64", "-o"])
        .arg(&record);
    strace
        .arg(binary("hostwell-agent"))
        .arg("run")
        .arg("--config")
        .arg(&configuration);
    let mut program = Program::start(strace, &folder.join("agent.log"));
    until_true(
        "the traced agent's first batch is stored",
        seconds(60),
        || stored_values(&collector, 0, i64::MAX / 2) > 0,
    );
    std::thread::sleep(seconds(settle));
    let from = crate::now_ms() / 1000 + 1;
    std::thread::sleep(seconds(window + 2));
    // The traced agent is stopped, not its tracer: left alone, it would go on.
    let pid = program.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        run(command("kill").arg(child));
    }
    program.wait(seconds(30));
    let record = std::fs::read_to_string(&record).unwrap();
    calls::read(&record, from as u64, from as u64 + window)
}

/// The same inside a network of `interfaces` bridges. Needs root; this process runs itself again in
/// a name space of its own, so nothing of the machine's network is touched.
pub(crate) fn system_calls_among(interfaces: u32, settle: u64, window: u64) -> Option<Calls> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let script = format!(
        "ip link set lo up && mount -t sysfs none /sys && \
         i=0; while [ $i -lt {interfaces} ]; do ip link add b$i type bridge && ip link set b$i up || exit 3; \
         i=$((i+1)); done; exec \"$0\" --calls {settle} {window}"
    );
    let exe = std::env::current_exe().unwrap();
    let output = run(command("unshare")
        .args(["-n", "-m", "sh", "-c", &script])
        .arg(exe));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let [ticks, median, mean, most, process_scan, fsync] = numbers[..] else {
        // The other figures stand; this one counts as missed.
        println!("{}{text}", String::from_utf8_lossy(&output.stderr));
        return None;
    };
    Some(Calls {
        ticks: ticks as usize,
        median,
        mean,
        most: most as u64,
        process_scan,
        fsync,
    })
}
