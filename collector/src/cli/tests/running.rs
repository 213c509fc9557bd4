//! The same commands against a running collector.

use std::sync::mpsc;

use tokio_util::sync::CancellationToken;

use super::fixture::{Fleet, NOW_MS};
use super::hostwell;
use crate::cli::Exit;
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::serve;

/// A collector on the fleet's database, on free ports, its clock standing still.
pub(super) struct Running {
    pub(super) url: String,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(super) fn on(fleet: &Fleet) -> Running {
        Running::with(fleet, ServerConfig::default())
    }

    pub(super) fn with(fleet: &Fleet, config: ServerConfig) -> Running {
        let mut config = ServerConfig {
            data_dir: fleet.folder().to_path_buf(),
            ..config
        };
        config.listen.grpc.set_port(0);
        config.listen.web.set_port(0);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (ready, bound) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let clock = Clock::new(|| NOW_MS);
            let run = serve::run_by(config, clock, stopped, |bound| ready.send(bound).unwrap());
            runtime.block_on(run).unwrap();
        });
        Running {
            url: format!("http://{}", bound.recv().unwrap().grpc),
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_running_collector_and_a_file_at_rest_answer_alike() {
    let fleet = Fleet::new();
    let questions: [&[&str]; 5] = [
        &["query", "node_load1", "--since", "1m", "-o", "csv"],
        &[
            "query",
            "node_cpu_seconds_total",
            "--by",
            "mode,role",
            "-o",
            "json",
        ],
        &["host", "web-1", "--since", "20m"],
        &[
            "report", "--since", "20m", "--format", "md", "--group", "role=web",
        ],
        &[
            "forecast",
            "--metric",
            "hostwell_cpu_busy_ratio",
            "--group",
            "role=web",
            "-o",
            "json",
        ],
    ];
    let ask = |flag: &str, value: &str| -> Vec<String> {
        let ask = |words: &&[&str]| {
            let mut words = words.to_vec();
            words.extend([flag, value]);
            let outcome = hostwell(&words);
            assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
            outcome.out
        };
        questions.iter().map(ask).collect()
    };
    let at_rest = ask("--db", fleet.db().to_str().unwrap());
    let running = Running::on(&fleet);
    until_judged(&running);
    let asked = ask("--server", &running.url);
    for ((a, b), words) in at_rest.iter().zip(&asked).zip(questions) {
        // What it says about the database and the watch differs; what it says about hosts may not.
        let hosts = |text: &str| -> Vec<String> {
            let own = ["Database", "database", "watching for", " rules: "];
            let unjudged = text.lines().map(without_outcomes);
            unjudged
                .filter(|line| !own.iter().any(|own| line.contains(own)))
                .collect()
        };
        let (a, b) = (hosts(a), hosts(b));
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a, b, "{words:?}");
        }
        assert_eq!(a.len(), b.len(), "{words:?}");
    }
}

/// A host's facts without what came out for the rules: nothing judges a file at rest.
fn without_outcomes(line: &str) -> String {
    let facts = line.split("; ");
    let kept: Vec<&str> = facts.filter(|f| !f.starts_with("Judged by: ")).collect();
    kept.join("; ")
}

/// Waits until the collector has judged its hosts, which it does soon after it begins; gives what
/// it then says of one.
fn until_judged(running: &Running) -> String {
    let begun = std::time::Instant::now();
    loop {
        let words = ["host", "web-1", "--rules", "--server", &running.url];
        let shown = hostwell(&words).out;
        if shown.contains(" rules: ") {
            return shown;
        }
        assert!(begun.elapsed().as_secs() < 60, "{shown}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn what_came_out_for_each_rule_is_known_by_a_collector_that_has_judged() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let words = ["host", "web-1", "--rules"];
    let at_rest = hostwell(&[&words[..], &["--db", db.to_str().unwrap()]].concat());
    assert!(!at_rest.out.contains(" rules: "), "{}", at_rest.out);
    assert!(
        at_rest.out.contains("is known by a collector that runs"),
        "{}",
        at_rest.out
    );
    let running = Running::on(&fleet);
    let ask = |words: &[&str]| hostwell(&[words, &["--server", &running.url]].concat()).out;
    let shown = until_judged(&running);
    let count = crate::rules::RULES.len();
    assert!(shown.contains(&format!("{count} rules: ")), "{shown}");
    for rule in crate::rules::RULES {
        assert!(shown.contains(&format!("\n{} ", rule.name)), "{shown}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&ask(&["host", "web-1", "-o", "json"])).unwrap();
    let outcomes = &json["outcomes"];
    assert_eq!(outcomes["judged_ms"], NOW_MS);
    let of = |rule: &str| {
        let rules = outcomes["rules"].as_array().unwrap();
        rules.iter().find(|r| r["rule"] == rule).unwrap()["outcome"].clone()
    };
    assert_eq!(of("host_down"), "ok");
    // It has the label role, and the collector has only just begun to watch.
    assert_eq!(of("single_of_role"), "not_enough_data");
    assert_eq!(of("raid_degraded"), "not_applicable");
    let page = ask(&["report", "--format", "md"]);
    assert!(
        page.contains(&format!("Judged by: {count} rules: ")),
        "{page}"
    );
    let past = ask(&["report", "--format", "md", "--to", "2026-11-21T19:59Z"]);
    assert!(!past.contains("Judged by"), "known of now only: {past}");
    let csv = ask(&["host", "web-1", "-o", "csv"]);
    assert!(csv.contains("outcome,,host_down,ok"), "{csv}");
}

#[test]
fn a_running_collector_is_changed_copied_and_examined() {
    let fleet = Fleet::new();
    let running = Running::on(&fleet);
    let ask = |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--server", &running.url]);
        hostwell(&words)
    };
    let renamed = ask(&["host", "rename", "web-1", "web-01"]);
    assert_eq!(
        renamed.out, "renamed web-1 → web-01  role=web\n",
        "{}",
        renamed.err
    );
    let copy = fleet.beside("copy.db");
    let backup = ask(&["backup", copy.to_str().unwrap()]);
    assert_eq!(backup.exit, Exit::Fine, "{}", backup.err);
    let copied = hostwell(&["hosts", "--db", copy.to_str().unwrap()]);
    assert!(copied.out.contains("web-01"), "{}", copied.out);
    let doctor = ask(&["doctor"]);
    assert!(doctor.out.contains("answers at http://"), "{}", doctor.out);
    let wrong = ask(&["query", "node_load1{"]);
    assert_eq!(wrong.exit, Exit::Failed);
    assert!(wrong.err.contains("^"), "{}", wrong.err);
    // The file is the collector's: a change beside it is refused, with the way to make it.
    let beside = hostwell(&[
        "host",
        "retire",
        "db-1",
        "--db",
        fleet.db().to_str().unwrap(),
    ]);
    assert_eq!(beside.exit, Exit::Failed);
    assert!(beside.err.contains("--server"), "{}", beside.err);
}

#[test]
fn a_collector_that_is_not_there_is_a_failure_that_names_it() {
    let outcome = hostwell(&["hosts", "--server", "http://127.0.0.1:1"]);
    assert_eq!(outcome.exit, Exit::Failed);
    assert!(
        outcome.err.contains("http://127.0.0.1:1"),
        "{}",
        outcome.err
    );
    let outcome = hostwell(&["doctor", "--server", "http://127.0.0.1:1"]);
    assert_eq!(outcome.exit, Exit::Found);
    let both = hostwell(&["hosts", "--server", "http://127.0.0.1:1", "--db", "x.db"]);
    assert!(both.err.contains("exclude each other"), "{}", both.err);
}
