//! Who uses a host, from `/proc` to the operator's terminal, by the real programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use hostwell_tests::holdings::noted;
use hostwell_tests::program::{command, stdout};
use hostwell_tests::relay::Relay;
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::wait::{seconds, until, until_true};

/// A process that computes, ended with the test.
struct Busy(Child);

impl Busy {
    /// A shell under a name that a terminal would obey.
    fn start(folder: &Path) -> Busy {
        let program = folder.join("\u{1b}[2Jspin");
        std::fs::copy("/bin/sh", &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut busy = command(&program);
        busy.args(["-c", "while :; do :; done"])
            .stdin(Stdio::null());
        Busy(busy.spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_busy_process_is_seen_from_the_host_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&folder.path().join("collector"));
    let relay = Relay::to(collector.grpc);
    let url = format!("http://{}", relay.address());
    let more = "send_every = \"1s\"\nhost_name = \"busy-1\"";
    let mut agent = Agent::start(&folder.path().join("agent"), &url, more);
    let busy = Busy::start(folder.path());
    let pid = u64::from(busy.0.id());
    // The first look has nothing to compare with; the second comes after ten seconds.
    let found = until("the note", seconds(120), || {
        let answer = collector.ask(&["host", "busy-1", "-o", "json"]);
        // Before the agent has greeted nobody knows the host.
        let document: serde_json::Value = serde_json::from_slice(&answer.stdout).ok()?;
        let users = document["processes"]["cpu"].as_array()?.clone();
        users.into_iter().find(|user| user["pid"] == pid)
    });
    assert!(found["cpu"].as_f64().unwrap() > 0.05, "{found}");
    assert_eq!(found["name"], "\u{fffd}[2Jspin");
    assert!(!found["user"].as_str().unwrap().is_empty());
    assert!(found.get("command").is_none(), "not asked for: {found}");
    let page = stdout(&collector.ask(&["host", "busy-1"]));
    assert!(page.contains("Who used most"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
    let health = [
        "query",
        "hostwell_probe_success{probe=\"top\"}",
        "--since",
        "1m",
    ];
    until_true("that it goes well is told", seconds(60), || {
        stdout(&collector.ask(&health)).contains('1')
    });
    agent.program.stop();
    collector.program.stop();
    // What is stored is what was said.
    let record = relay.record();
    let said = record.notes.iter().map(|(_, note)| note.time_ms);
    let stored = noted(&collector.database(), record.notes[0].0);
    let stored: Vec<i64> = stored.iter().map(|note| note.at_ms).collect();
    assert_eq!(stored, said.collect::<Vec<i64>>());
}

#[test]
fn an_agent_that_is_told_not_to_look_at_processes_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("collector"));
    let relay = Relay::to(collector.grpc);
    let url = format!("http://{}", relay.address());
    let more = "send_every = \"1s\"\n[processes]\nenabled = false";
    let agent = Agent::start(&folder.path().join("agent"), &url, more);
    until_true("some batches", seconds(60), || {
        relay.record().batches() >= 15
    });
    assert!(relay.record().notes.is_empty());
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.program.pid())).unwrap();
    for task in tasks {
        let name = std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap();
        assert_ne!(name.trim(), "top");
    }
}
