use super::summary::{Board, banner, says_all, says_something};
use super::*;
use crate::answer::{HostState, IndicatorLine, Worst};
use crate::indicators::Verdict;
use crate::rules::Severity;
use expect_test::{Expect, expect};
use std::sync::Arc;

fn indicator(name: &str, verdict: Verdict, short: &str, words: &str) -> IndicatorLine {
    IndicatorLine {
        name: name.to_owned(),
        verdict,
        short: short.to_owned(),
        value: None,
        unit: String::new(),
        words: words.to_owned(),
    }
}

fn host() -> HostLine {
    HostLine {
        id: "0".repeat(32),
        name: "web-1".to_owned(),
        state: HostState::Up,
        last_sample_ms: Some(0),
        age_ms: Some(1_200),
        interval_ms: 1_000,
        labels: Default::default(),
        indicators: Arc::new([
            indicator("CPU", Verdict::Ok, "12 %", "12 % busy."),
            indicator("Disk", Verdict::Risk, "97 %", "/ is 97 % full.\u{1b}[2J"),
        ]),
        open_findings: 1,
        worst: Some(Worst {
            id: 1,
            severity: Severity::Critical,
            rule: "disk_full".to_owned(),
            summary: "/ is 97 % full, 3 GiB left.".to_owned(),
        }),
    }
}

#[track_caller]
fn check(width: Option<usize>, print: impl Fn(&mut Board, &mut Vec<u8>), expected: Expect) {
    let mut out = Vec::new();
    print(&mut Board::new(width), &mut out);
    let shown = String::from_utf8(out).unwrap().replace('\u{1b}', "ESC");
    expected.assert_eq(&shown);
}

#[test]
fn a_terminal_is_drawn_over_and_cut_to_its_width() {
    let print = |board: &mut Board, out: &mut Vec<u8>| {
        board.print(&[host()], out).unwrap();
        board.print(&[host()], out).unwrap();
    };
    check(
        Some(40),
        print,
        expect![[r#"
            ESC[2Kweb-1  up, data 1 s old  1 open, worst:…
            ESC[2K  CPU      ok      12 % busy.
            ESC[2K  Disk     RISK    / is 97 % full.[2J
            ESC[JESC[3AESC[2Kweb-1  up, data 1 s old  1 open, worst:…
            ESC[2K  CPU      ok      12 % busy.
            ESC[2K  Disk     RISK    / is 97 % full.[2J
            ESC[J"#]],
    );
}

#[test]
fn elsewhere_a_host_is_a_line_and_the_end_says_all() {
    check(
        None,
        |board, out| board.finish(&[host()], out).unwrap(),
        expect![[r#"

            web-1  up, data 1 s old  1 open, worst: / is 97 % full, 3 GiB left.
              CPU      ok      12 % busy.
              Disk     RISK    / is 97 % full.[2J
        "#]],
    );
    let mut out = Vec::new();
    Board::new(None).print(&[host()], &mut out).unwrap();
    let line = String::from_utf8(out).unwrap();
    assert!(line.ends_with("web-1  up, data 1 s old  CPU 12 %  Disk 97 % (RISK)  1 open, worst: / is 97 % full, 3 GiB left.\n"), "{line}");
}

#[test]
fn nothing_is_shown_before_something_is_known() {
    let mut unknown = host();
    for indicator in Arc::make_mut(&mut unknown.indicators) {
        indicator.verdict = Verdict::Unknown;
    }
    assert!(!says_something(&[]));
    assert!(!says_something(&[unknown]));
    assert!(says_something(&[host()]));
    assert!(says_all(&[host()]));
    let mut half = host();
    Arc::make_mut(&mut half.indicators)[0].verdict = Verdict::Unknown;
    assert!(says_something(std::slice::from_ref(&half)) && !says_all(&[half]));
}

fn args(data: PathBuf) -> UpArgs {
    let free = "127.0.0.1:0".parse().unwrap();
    UpArgs {
        data,
        listen: Listen {
            grpc: free,
            web: free,
        },
        run_for: Some(Duration::from_secs(4)),
        interval: INTERVAL,
        program: "./hostwell".to_owned(),
        width: None,
    }
}

#[test]
fn the_commands_to_type_next_find_the_collector_where_it_is() {
    let shown = |port: u16| {
        let mut out = Vec::new();
        let bound = Bound {
            grpc: ([127, 0, 0, 1], port).into(),
            web: ([127, 0, 0, 1], 7480).into(),
        };
        banner(&args("d".into()), bound, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let usual = shown(hostwell_proto::GRPC_PORT);
    assert!(usual.contains("\n  ./hostwell hosts\n"), "{usual}");
    let other = shown(9);
    assert!(
        other.contains("\n  ./hostwell hosts --server http://127.0.0.1:9\n"),
        "{other}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_watched_through_the_real_door_and_its_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path().join("data"));
    let mut out = Vec::new();
    run(args.clone(), &mut out, CancellationToken::new())
        .await
        .unwrap();
    let shown = String::from_utf8(out).unwrap();
    for expected in [
        "pages     http://127.0.0.1:",
        "CPU",
        "Memory",
        "no open risk",
        "./hostwell hosts --db",
    ] {
        assert!(shown.contains(expected), "{shown}\nlacks {expected:?}");
    }
    let store = crate::store::Store::open_read_only(&args.data.join("hostwell.db"))
        .await
        .unwrap();
    let facts = store.facts(true).await.unwrap();
    assert_eq!((facts.hosts, facts.problems), (1, Vec::new()));
    assert!(facts.samples > 100, "{} samples", facts.samples);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_an_error_that_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut args = args(folder.path().to_owned());
    args.listen.grpc = taken.local_addr().unwrap();
    let refused = run(args, &mut Vec::new(), CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        format!("{refused:#}").contains("listens there: stop it"),
        "{refused:#}"
    );
}
