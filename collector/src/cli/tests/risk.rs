//! Decisions about the register, through the command line.

use expect_test::expect;

use super::fixture::Fleet;
use super::running::Running;
use super::{Outcome, hostwell};
use crate::cli::Exit;

/// A collector that has judged the fleet: nothing changes from then on.
fn judged(fleet: &Fleet) -> Running {
    until_judged(Running::on(fleet))
}

fn until_judged(running: Running) -> Running {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // What the fixture says of this host is not so.
    while ask(&running, &["risks"]).out.contains("=evil") {
        assert!(std::time::Instant::now() < deadline, "nothing was judged");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running
}

/// Asks a collector whose clock stands still.
fn ask(running: &Running, words: &[&str]) -> Outcome {
    let mut words = words.to_vec();
    words.extend(["--server", &running.url]);
    let mut outcome = hostwell(&words);
    let me = crate::cli::who::claimed();
    outcome.out = outcome.out.replace(&me, "ME");
    outcome
}

/// Leaves of a table what does not depend on how wide a user's name is.
fn squeezed(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ") + "\n"
    });
    lines.collect()
}

#[test]
fn what_to_do_in_chinese_is_the_same_from_a_collector_and_from_its_file() {
    let fleet = Fleet::new();
    let running = judged(&fleet);
    let questions = [
        &["risks", "--lang", "zh"][..],
        &["risk", "show", "2", "--lang", "zh"],
    ];
    let asked = questions.map(|words| ask(&running, words).out);
    drop(running);
    let db = fleet.db();
    for (asked, words) in asked.iter().zip(questions) {
        let at_rest = hostwell(&[words, &["--db", db.to_str().unwrap()]].concat());
        assert_eq!(at_rest.out, *asked, "{words:?}: {}", at_rest.err);
        for part in [
            "Memory is 96 % used",
            "查看是谁占用了内存（`ps aux --sort=-rss | head`）",
        ] {
            assert!(asked.contains(part), "{asked}");
        }
    }
}

#[test]
fn a_decision_is_shown_in_the_register_and_kept_with_who_made_it() {
    let fleet = Fleet::new();
    let running = judged(&fleet);
    for words in [
        &["risk", "ack", "2", "--note", "looking"][..],
        &["risk", "assign", "2", "--owner", "anna"],
        &["risk", "mute", "4", "--until", "2026-11-22T08:00Z"],
        &["risk", "close", "1", "--note", "meant to be"],
    ] {
        let outcome = ask(&running, words);
        assert_eq!((outcome.exit, outcome.err.as_str()), (Exit::Fine, ""));
    }
    let register = squeezed(&ask(&running, &["risks"]).out);
    expect![[r#"
        ID STATE SEVERITY HOST SINCE OWNER WHAT
        4 muted until 2026-11-22 08:00:00Z warning db-1 2026-11-21 19:40:00Z CPU has been 90 % busy over the last 10 min (steal 0 %, waiting for disks 0 %).
        2 acknowledged by ME warning db-1 2026-11-21 19:50:00Z anna Memory is 96 % used: 307 MiB of 8 GiB available.

        2: See who holds it (`ps aux --sort=-rss | head`): restart what leaks, move work away or add memory.
        hostwell query 'node_memory_MemAvailable_bytes'

        0 critical, 2 warning, 0 info open, 1 of them muted
    "#]]
    .assert_eq(&register);
    let shown = squeezed(&ask(&running, &["risk", "show", "1"]).out);
    expect![[r#"
        1 db-1 / disk_full
        / is 93 % used: 3.4 GiB left.
        severity critical
        state closed by ME
        since 2026-11-21 19:40:00Z
        opened 2026-11-21 19:45:00Z
        closed 2026-11-21 20:00:00Z
        used space: 93 %, level 82 %
        hostwell query 'node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"}'
        available space: 3.4 GiB, level 9.3 GiB
        hostwell query 'node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"}'
        size: 50 GiB
        hostwell query 'node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"}'

        WHEN WHAT WHO WHY
        2026-11-21 20:00:00Z opened, critical rule / is 93 % used: 3.4 of 50 GiB left.
        2026-11-21 20:00:00Z closed by hand ME meant to be
    "#]]
    .assert_eq(&shown);
    let hosts = ask(&running, &["hosts"]).out;
    assert!(!hosts.contains("GiB left"), "closed is closed: {hosts}");
}

#[test]
fn a_report_says_whose_a_risk_is_and_what_was_decided_about_it() {
    let fleet = Fleet::new();
    let running = judged(&fleet);
    let report = |format: &str| {
        let words = ["report", "--since", "20m", "--format", format];
        ask(&running, &words).out
    };
    for format in ["md", "html", "json"] {
        let before = report(format);
        assert!(
            !before.contains("wner"),
            "nobody decided anything: {before}"
        );
    }
    for words in [
        &["risk", "ack", "2"][..],
        &["risk", "assign", "2", "--owner", "<anna>"],
        &["risk", "mute", "4", "--until", "2026-11-22T08:00Z"],
        &["risk", "close", "1"],
    ] {
        assert_eq!(ask(&running, words).exit, Exit::Fine);
    }
    let markdown = report("md");
    for line in [
        "\n- Owner: &lt;anna&gt;\n- State: acknowledged by ME\n",
        "\n- State: muted until 2026-11-22 08:00:00Z\n",
        "left. (closed by ME)",
    ] {
        assert!(markdown.contains(line), "{line}: {markdown}");
    }
    let html = report("html");
    let owner = "<dt>Owner</dt><dd>&lt;anna&gt;</dd>";
    assert!(html.contains(owner), "{html}");
    assert!(html.contains("<dt>State</dt><dd>acknowledged by ME</dd>"));
    let json = report("json");
    assert!(json.contains("\"owner\": \"<anna>\""), "{json}");
}

#[test]
fn muted_risks_do_not_fail_a_script_and_acknowledged_ones_do() {
    let fleet = Fleet::new();
    let running = judged(&fleet);
    let found = |running: &Running| ask(running, &["risks", "--fail-on", "critical"]).exit;
    assert_eq!(ask(&running, &["risk", "ack", "1"]).exit, Exit::Fine);
    assert_eq!(found(&running), Exit::Found);
    let mute = ["risk", "mute", "1", "--until", "2026-11-22"];
    assert_eq!(ask(&running, &mute).exit, Exit::Fine);
    assert_eq!(found(&running), Exit::Fine);
    // The others are still there.
    let warnings = ask(&running, &["risks", "--fail-on", "warning"]);
    assert_eq!(warnings.exit, Exit::Found);
}

#[test]
fn a_decision_that_makes_no_sense_is_refused_with_what_to_do() {
    let fleet = Fleet::new();
    let running = judged(&fleet);
    for (words, said) in [
        (
            &["risk", "ack", "77"][..],
            "no finding has number 77: `hostwell risks --state all`",
        ),
        (&["risk", "close", "5"], "hostwell risk show 5"),
        (&["risk", "reopen", "1"], "1 is open already"),
        (
            &["risk", "mute", "1", "--until", "2036-01-01"],
            "a year at most",
        ),
        (&["risk", "mute", "1", "--until", "soon"], "is no time"),
        (&["risk", "assign", "1"], "--owner"),
        (
            &["risk", "assign", "1", "--owner", " "],
            "the owner: 1 to 256 bytes",
        ),
        (&["risk", "ack"], "ID"),
    ] {
        let outcome = ask(&running, words);
        assert_eq!(outcome.exit, Exit::Failed, "{words:?}");
        assert!(outcome.err.contains(said), "{words:?}: {}", outcome.err);
    }
}

#[test]
fn decisions_are_noted_in_a_file_at_rest_as_well() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let at_rest = |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--db", db.to_str().unwrap()]);
        hostwell(&words)
    };
    let close = at_rest(&["risk", "close", "1", "2", "-o", "json"]);
    assert_eq!(close.exit, Exit::Fine, "{}", close.err);
    let answer: serde_json::Value = serde_json::from_str(&close.out).unwrap();
    assert_eq!(answer["findings"][1]["state"], "closed");
    assert_eq!(
        at_rest(&["risks", "--fail-on", "critical"]).exit,
        Exit::Fine
    );
    let back = at_rest(&["risk", "reopen", "1"]);
    assert_eq!(back.exit, Exit::Fine, "{}", back.err);
    assert_eq!(
        at_rest(&["risks", "--fail-on", "critical"]).exit,
        Exit::Found
    );
    let events = at_rest(&["risk", "show", "1", "-o", "csv"]).out;
    assert!(
        events.contains("closed by hand") && events.contains("reopened by hand"),
        "{events}"
    );
}

#[test]
fn what_is_in_maintenance_is_shown_as_such_and_fails_no_script() {
    let fleet = Fleet::new();
    let window = "[[maintenance]]\nname = \"move\"\nhosts = [\"db-1\"]\nrules = [\"disk_full\"]\n\
                  days = [\"sat\"]\nfrom = \"21:00\"\nto = \"01:00\"\nzone = \"Europe/Berlin\"\n";
    let config = crate::config::ServerConfig::parse(window).unwrap();
    let running = until_judged(Running::with(&fleet, config));
    let register = squeezed(&ask(&running, &["risks"]).out);
    let shown = "1 in maintenance until 2026-11-22 00:00:00Z critical db-1";
    assert!(register.contains(shown), "{register}");
    assert!(register.contains("2 open warning db-1"), "{register}");
    let found = |level: &str| ask(&running, &["risks", "--fail-on", level]).exit;
    assert_eq!(
        (found("critical"), found("warning")),
        (Exit::Fine, Exit::Found)
    );
}
