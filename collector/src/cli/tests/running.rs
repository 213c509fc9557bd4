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
    let asked = ask("--server", &running.url);
    for ((a, b), words) in at_rest.iter().zip(&asked).zip(questions) {
        // What it says about the database and the watch differs; what it says about hosts may not.
        let hosts = |text: &str| -> Vec<String> {
            let about = |l: &&str| !l.contains("database") && !l.contains("watching for");
            text.lines()
                .filter(|l| !l.contains("Database") && about(l))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(hosts(a), hosts(b), "{words:?}");
    }
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
