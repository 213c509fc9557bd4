//! Risks told to others: a real collector, a real Alertmanager.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hostwell::rules::{Finding, Severity, State};
use hostwell::store::{Greeting, HostFacts, Store, StoreOptions};
use hostwell_proto::id::HostId;
use hostwell_tests::http::Http;
use hostwell_tests::program::{Program, binary, command, foreign, free_address, run, stdout};
use hostwell_tests::site::Collector;
use hostwell_tests::wait::{seconds, until, until_true};
use serde_json::{Value, json};

const HOST: HostId = HostId([7; 16]);

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// A database with one open risk on a host that says nothing: no rule can close it.
fn fill(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(StoreOptions {
            path: data.join("hostwell.db"),
            retention_ms: 86_400_000,
            series_per_host_max: 100,
            hosts_max: 10,
        });
        let store = store.await.unwrap();
        let greeting = Greeting {
            host_id: HOST,
            host_name: "db-1".into(),
            interval_ms: 10_000,
            facts: HostFacts::default(),
            labels: BTreeMap::from([("site".into(), "berlin".into())]),
            clock_skew_ms: 0,
            kept: false,
        };
        store.greet(greeting, now_ms()).await.unwrap();
        let finding = Finding {
            id: 0,
            rule: "disk_full".into(),
            host_id: HOST.to_string(),
            host: "db-1".into(),
            subject: "/".into(),
            severity: Severity::Critical,
            state: State::Open,
            since_ms: now_ms() - 600_000,
            opened_ms: Some(now_ms() - 300_000),
            closed_ms: None,
            judged_ms: now_ms(),
            summary: "/ is 93 % used.".into(),
            evidence: Vec::new(),
            advice: "Make room.".into(),
            advice_zh: "清理空间。".into(),
            held_ms: Default::default(),
        };
        store.save_findings(vec![finding], now_ms()).await.unwrap();
        store.close().await.unwrap();
    });
}

/// An Alertmanager of its own.
struct Manager {
    _program: Program,
    address: SocketAddr,
}

impl Manager {
    fn start(folder: &Path) -> Manager {
        std::fs::create_dir_all(folder).unwrap();
        let settings = folder.join("alertmanager.yml");
        std::fs::write(
            &settings,
            "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
        )
        .unwrap();
        let address = free_address();
        let mut start = command(foreign(
            "prometheus-alertmanager",
            "prometheus-alertmanager",
        ));
        start.arg(format!("--config.file={}", settings.display()));
        start.arg(format!("--storage.path={}", folder.join("data").display()));
        start.arg(format!("--web.listen-address={address}"));
        // No cluster: nothing else is listened on.
        start.arg("--cluster.listen-address=");
        let mut program = Program::start(start, &folder.join("alertmanager.log"));
        program.until_listening(address);
        Manager {
            _program: program,
            address,
        }
    }

    /// Its unresolved alerts of this name.
    fn alerts(&self, name: &str) -> Vec<Value> {
        let path = format!("/api/v2/alerts?filter=alertname%3D{name}");
        let answer = Http::to(self.address).get(&path).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    #[track_caller]
    fn until_alerts(&self, what: &str, name: &str, count: usize) -> Vec<Value> {
        until(what, seconds(60), || {
            Some(self.alerts(name)).filter(|alerts| alerts.len() == count)
        })
    }
}

fn config(address: SocketAddr) -> String {
    format!(
        "[[notify.alertmanager]]\nname = \"am\"\nurl = \"http://{address}\"\nrepeat_seconds = 1\n"
    )
}

#[test]
fn alertmanager_hears_what_is_open_again_and_again_and_what_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fill(&place("collector/data"));
    let manager = Manager::start(&place("manager"));
    let mut collector = Collector::start_with(&place("collector"), &config(manager.address));

    let alert = manager
        .until_alerts("the risk fires", "disk_full", 1)
        .remove(0);
    assert_eq!(
        alert["labels"],
        json!({
            "alertname": "disk_full", "host": "db-1", "instance": "db-1", "risk": "1",
            "severity": "critical", "site": "berlin", "source": "hostwell", "subject": "/"
        })
    );
    assert_eq!(alert["annotations"]["summary"], "/ is 93 % used.");
    manager.until_alerts("the heartbeat fires", "HostwellHeartbeat", 1);
    let ends = |alert: &Value| alert["endsAt"].as_str().unwrap().to_owned();
    until_true("it is told again with a later end", seconds(60), || {
        let again = manager.alerts("disk_full");
        again.len() == 1 && ends(&again[0]) > ends(&alert)
    });

    // A collector that is killed goes on with the same alert.
    collector.program.kill();
    collector.start_again();
    let before = now_ms();
    until_true("it is told after a restart", seconds(60), || {
        let again = manager.alerts("disk_full");
        again.len() == 1 && ends(&again[0]) > ends(&alert) && now_ms() - before > 2_000
    });
    let again = manager.alerts("disk_full").remove(0);
    assert_eq!(again["startsAt"], alert["startsAt"]);
    assert_eq!(again["fingerprint"], alert["fingerprint"]);

    let closed = collector.ask(&["risk", "close", "1", "--note", "meant to be"]);
    stdout(&closed);
    manager.until_alerts("it is resolved", "disk_full", 0);
    manager.until_alerts("the heartbeat goes on", "HostwellHeartbeat", 1);
    let status = stdout(&collector.ask(&["notify", "status", "-o", "json"]));
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["targets"][0]["target"], "am");
    assert_eq!(status["targets"][0]["waiting"], 0);

    // What was told of the host is counted against its budget; telling it again and again is not.
    let database = place("collector/data/hostwell.db");
    let stats = run(command(binary("hostwell"))
        .args(["stats", "-o", "json", "--db"])
        .arg(&database));
    let stats: Value = serde_json::from_str(&stdout(&stats)).unwrap();
    let of_host = json!([{"host": "db-1", "messages": 1}]);
    assert_eq!(stats["alerts"]["hosts"], of_host, "{stats}");

    let metrics = Http::to(collector.web).get("/metrics").unwrap();
    assert!(
        metrics.contains("outbox_waiting{target=\"am\"} 0"),
        "{metrics}"
    );
    let checked = crate::parity::promtool(&metrics);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
}

#[test]
fn a_silence_in_alertmanager_is_seen_in_the_register_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fill(&place("collector/data"));
    let manager = Manager::start(&place("manager"));
    let collector = Collector::start_with(&place("collector"), &config(manager.address));
    manager.until_alerts("the risk fires", "disk_full", 1);
    let fails = || {
        collector
            .ask(&["risks", "--fail-on", "critical"])
            .status
            .code()
    };
    assert_eq!(fails(), Some(1));

    let silence = json!({
        "matchers": [{"name": "host", "value": "db-1", "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2199-01-01T00:00:00Z",
        "createdBy": "anna", "comment": "migration"
    });
    let mut http = Http::to(manager.address);
    let made = http
        .post_json("/api/v2/silences", &silence.to_string())
        .unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    until_true("the register shows it", seconds(60), || {
        stdout(&collector.ask(&["risks"])).contains("silenced in am")
    });
    assert_eq!(fails(), Some(0), "what is silenced there is quiet here");

    let id = made["silenceID"].as_str().unwrap();
    Http::to(manager.address)
        .delete(&format!("/api/v2/silence/{id}"))
        .unwrap();
    until_true("the register shows that it ended", seconds(60), || {
        fails() == Some(1)
    });
}

#[test]
fn what_could_not_be_told_is_told_when_the_target_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fill(&place("collector/data"));
    let manager = Manager::start(&place("manager"));
    let mut collector = Collector::start_with(&place("collector"), &config(manager.address));
    manager.until_alerts("the risk fires", "disk_full", 1);
    let address = manager.address;
    drop(manager);
    stdout(&collector.ask(&["risk", "close", "1"]));
    let status = || -> Value {
        let status = stdout(&collector.ask(&["notify", "status", "-o", "json"]));
        serde_json::from_str::<Value>(&status).unwrap()["targets"][0].clone()
    };
    until_true("it waits and says why", seconds(60), || {
        let status = status();
        status["waiting"] == 1
            && status["last_error"]
                .as_str()
                .is_some_and(|e| e.contains("connect"))
    });
    let doctor = collector.ask(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("notifications to am"), "{doctor}");
    collector.program.kill();

    // The same address, where somebody keeps what is told.
    let listener = std::net::TcpListener::bind(address).unwrap();
    let told = std::thread::spawn(move || hear(&listener));
    collector.start_again();
    let told = told.join().unwrap();
    assert_eq!(told[0]["labels"]["risk"], "1", "{told}");
    assert!(told[0].get("startsAt").is_none(), "what is over: {told}");
}

/// The first post about a risk that somebody makes.
fn hear(listener: &std::net::TcpListener) -> Value {
    use std::io::{BufRead, BufReader, Read, Write};
    loop {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
        stream.get_mut().write_all(answer).unwrap();
        // Heartbeats, and questions for silences, come too.
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if said[0]["labels"].get("risk").is_some() {
            return said;
        }
    }
}

#[test]
fn a_test_message_says_which_target_took_it_and_which_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::start(&folder.path().join("manager"));
    let settings = folder.path().join("collector.toml");
    let nobody = "[[notify.webhook]]\nname = \"nobody\"\nurl = \"http://127.0.0.1:1/\"\n";
    std::fs::write(&settings, config(manager.address) + nobody).unwrap();
    let test = |words: &[&str]| {
        let settings = settings.to_str().unwrap();
        let mut test = command(binary("hostwell"));
        run(test
            .args(["notify", "test", "--config", settings])
            .args(words))
    };
    assert_eq!(stdout(&test(&["am"])), "am: took the test message\n");
    assert_eq!(manager.alerts("HostwellTest").len(), 1);
    let both = test(&[]);
    assert_eq!(both.status.code(), Some(2));
    let said = String::from_utf8_lossy(&both.stderr).into_owned();
    assert!(said.contains("nobody: connect to 127.0.0.1:1"), "{said}");
    let strange = test(&["chat"]);
    let said = String::from_utf8_lossy(&strange.stderr).into_owned();
    assert!(said.contains("there are nobody, am"), "{said}");
}
