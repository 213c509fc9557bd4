//! The newcomer's first five minutes, and the operator's words against a collector and a file.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use hostwell_tests::exposition::get;
use hostwell_tests::program::{Program, binary, command, free_address, run, stdout};
use hostwell_tests::wait::{seconds, until, until_true};
use serde_json::Value;

fn hostwell(words: &[&str]) -> Command {
    let mut hostwell = command(binary("hostwell"));
    hostwell.args(words).env_remove("HOSTWELL_SERVER");
    hostwell.env_remove("HOSTWELL_DB").env("NO_COLOR", "1");
    hostwell
}

/// A JSON answer, which carries the version of its documents.
#[track_caller]
fn json(output: &Output) -> Value {
    let text = stdout(output);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value["schema_version"].is_u64(), "{text}");
    value
}

/// What a newcomer asks, of a collector (`--server URL`) or of a file (`--db FILE`).
fn ask_everything(name: &str, source: [&str; 2], folder: &Path) {
    let ask = |words: &[&str]| run(hostwell(words).args(source));
    let hosts = json(&ask(&["hosts", "-o", "json"]));
    let host = &hosts["hosts"][0];
    assert_eq!(host["name"], name, "{hosts}");
    assert!(stdout(&ask(&["hosts"])).contains(name));
    assert!(stdout(&ask(&["hosts", "-o", "csv"])).lines().count() == 2);
    let shown = stdout(&ask(&["host", name]));
    assert!(shown.contains("CPU") || shown.contains("cpu"), "{shown}");
    let load = json(&ask(&[
        "query",
        "node_load1",
        "--since",
        "5m",
        "-o",
        "json",
    ]));
    assert!(load.to_string().contains("node_load1"), "{load}");
    let risks = ask(&["risks", "-o", "json"]);
    json(&risks);
    // Nobody's history is four days long yet: each resource that was sampled says so.
    let forecasts = json(&ask(&["forecast", "-o", "json"]));
    assert_eq!(forecasts["kind"], "forecasts");
    let lines = forecasts["forecasts"].as_array().unwrap();
    assert!(lines.iter().all(|l| l["why"].is_string()), "{forecasts}");
    stdout(&ask(&["doctor"]));

    let page = folder.join("report.html");
    stdout(&ask(&[
        "report",
        "--since",
        "5m",
        "--out",
        &page.display().to_string(),
    ]));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains(name) && html.contains("<svg") && !html.contains("<script src"));
    assert!(
        !html.contains("http://") || !html.contains("<link"),
        "one page, nothing loaded"
    );
    let markdown = stdout(&ask(&["report", "--since", "5m", "--format", "md"]));
    assert!(markdown.starts_with("# "), "{markdown}");

    let unknown = ask(&["host", &format!("{name}x")]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains(&format!("did you mean \"{name}\"")), "{said}");
}

#[test]
fn the_first_five_minutes_work() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hostwell-data");
    let (grpc, web) = (free_address(), free_address());
    let mut up = hostwell(&["up", "--for", "45s", "--data"]);
    up.arg(&data);
    up.args([
        "--listen-grpc",
        &grpc.to_string(),
        "--listen-web",
        &web.to_string(),
    ]);
    let mut up = Program::start(up, &folder.path().join("up.log"));
    up.until_listening(grpc);
    let server = format!("http://{grpc}");
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    until_true("the host is there with its indicators", seconds(30), || {
        let output = run(hostwell(&["hosts", "-o", "csv", "--server"]).arg(&server));
        String::from_utf8_lossy(&output.stdout).contains(&name)
    });
    let log = up.log();
    assert!(
        log.contains(&grpc.to_string()) && log.contains(&web.to_string()),
        "{log}"
    );
    assert!(
        log.contains("hosts") && log.contains("report"),
        "says what to type next: {log}"
    );
    ask_everything(&name, ["--server", &server], folder.path());
    assert!(get(web, "/").contains(&name), "the page shows the host");

    let copy = folder.path().join("copy.db");
    stdout(&run(hostwell(&["backup"])
        .arg(&copy)
        .args(["--server", &server])));
    ask_everything(&name, ["--db", &copy.display().to_string()], folder.path());

    let status = up.wait(seconds(90));
    assert!(status.success(), "{status}: {}", up.log());
    let database = data.join("hostwell.db");
    ask_everything(
        &name,
        ["--db", &database.display().to_string()],
        folder.path(),
    );

    // Nobody listens at the default address: the commands find ./hostwell-data and say so.
    if TcpStream::connect(("127.0.0.1", hostwell_proto::GRPC_PORT)).is_err() {
        let output = run(hostwell(&["hosts"]).current_dir(folder.path()));
        assert!(stdout(&output).contains(&name));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("hostwell-data"), "{said}");
    }
}

#[test]
fn the_life_of_a_host_is_the_operators() {
    use hostwell_tests::site::{Agent, Collector};
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("collector"));
    let more = "send_every = \"1s\"\nhost_name = \"db1\"\nlabels = { team = \"a\", site = \"x\" }";
    let _agent = Agent::start(&folder.path().join("agent"), &collector.url(), more);
    let host = |name: &str| {
        until(format!("{name} is known"), seconds(60), || {
            let output = collector.ask(&["host", name, "-o", "json"]);
            output.status.success().then(|| stdout(&output))
        })
    };
    host("db1");
    stdout(&collector.ask(&["host", "label", "db1", "team=b"]));
    let labelled = host("db1");
    assert!(labelled.contains("\"team\": \"b\"") || labelled.contains("\"team\":\"b\""));
    assert!(labelled.contains("\"site\": \"x\"") || labelled.contains("\"site\":\"x\""));
    stdout(&collector.ask(&["host", "rename", "db1", "database-1"]));
    host("database-1");
    stdout(&collector.ask(&["host", "retire", "database-1"]));
    let hosts = json(&collector.ask(&["hosts", "-o", "json"]));
    let retired = hosts["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .all(|h| h["state"] == "retired");
    assert!(retired, "no host is judged any more: {hosts}");
}

#[test]
fn a_restarted_collector_neither_forgets_nor_invents_an_outage() {
    use hostwell_tests::site::{Agent, Collector};
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&folder.path().join("collector"));
    let more = "send_every = \"1s\"\nhost_name = \"steady\"";
    let _agent = Agent::start(&folder.path().join("agent"), &collector.url(), more);
    let state = |collector: &Collector| {
        until("the host has a state", seconds(60), || {
            let output = collector.ask(&["hosts", "-o", "json"]);
            let hosts: Value = serde_json::from_slice(&output.stdout).ok()?;
            let state = hosts["hosts"][0]["state"].as_str()?.to_owned();
            Some(state)
        })
    };
    until_true("the host is up", seconds(60), || state(&collector) == "up");
    collector.program.kill();
    collector.start_again();
    assert_ne!(state(&collector), "down", "invented");
    let risks = json(&collector.ask(&["risks", "-o", "json"]));
    assert!(!risks.to_string().contains("host_down"), "{risks}");
    until_true("the host is up again", seconds(60), || {
        state(&collector) == "up"
    });
    let host = |more: &[&str]| collector.ask(&[&["host", "steady"], more].concat());
    until_true("the rules have judged it", seconds(60), || {
        stdout(&host(&[])).contains(" rules: ")
    });
    let listed = stdout(&host(&["--rules"]));
    assert!(listed.contains("filesystem_filling"), "{listed}");
    let shown = json(&host(&["-o", "json"]));
    let rules = shown["outcomes"]["rules"].as_array().unwrap();
    let down = rules.iter().find(|one| one["rule"] == "host_down");
    assert_eq!(down.unwrap()["outcome"], "ok", "{shown}");
    let page = get(collector.web, "/");
    let count = format!("{} rules: ", rules.len());
    assert!(page.contains(&count), "the page counts them too: {page}");
}
