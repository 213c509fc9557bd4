//! TLS from day one: real programs, a CA of their own.

use std::path::Path;

use hostwell_tests::ca::Authority;
use hostwell_tests::program::{Program, binary, command, free_address, run, stdout};
use hostwell_tests::site::{Agent, Collector, tls_section};
use hostwell_tests::wait::{seconds, until_true};

const SEND: &str = "send_every = \"1s\"\n";

fn hosts(collector: &Collector, more: &[&str]) -> std::process::Output {
    let url = format!("https://{}", collector.grpc);
    run(command(binary("hostwell"))
        .args(["hosts", "-o", "csv", "--server", &url])
        .args(more))
}

/// How many hosts the collector knows, asked with the given root.
fn count(collector: &Collector, root: &Path) -> usize {
    let output = hosts(collector, &["--ca", &root.display().to_string()]);
    stdout(&output).lines().count().saturating_sub(1)
}

#[test]
fn an_agent_streams_and_an_operator_asks_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let authority = Authority::new(folder.path(), "ca");
    let identity = authority.sign("collector", &["127.0.0.1"]);
    let collector = Collector::start_with(&place("collector"), &tls_section(None, Some(&identity)));
    let url = format!("https://{}", collector.grpc);
    let trust = format!("{SEND}{}", tls_section(Some(&authority.root), None));
    let _agent = Agent::start(&place("agent"), &url, &trust);
    until_true("the host is known", seconds(60), || {
        count(&collector, &authority.root) == 1
    });

    // Who trusts another authority neither streams nor asks, and is told why.
    let stranger = Authority::new(folder.path(), "stranger");
    let distrust = format!("{SEND}{}", tls_section(Some(&stranger.root), None));
    let other = Agent::start(&place("other"), &url, &distrust);
    until_true("the agent says why", seconds(60), || {
        other.program.log().to_lowercase().contains("certificate")
    });
    let refused = hosts(&collector, &["--ca", &stranger.root.display().to_string()]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).to_lowercase();
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(count(&collector, &authority.root), 1);
}

#[test]
fn who_must_show_a_certificate_and_does_not_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let authority = Authority::new(folder.path(), "ca");
    let server = authority.sign("collector", &["127.0.0.1"]);
    let section = tls_section(Some(&authority.root), Some(&server));
    let section = format!("{section}client_certificates = \"required\"\n");
    let collector = Collector::start_with(&place("collector"), &section);
    let url = format!("https://{}", collector.grpc);

    let nobody = format!("{SEND}{}", tls_section(Some(&authority.root), None));
    let nameless = Agent::start(&place("nameless"), &url, &nobody);
    let client = authority.sign("agent", &["agent"]);
    let named = format!(
        "{SEND}{}",
        tls_section(Some(&authority.root), Some(&client))
    );
    let _agent = Agent::start(&place("named"), &url, &named);
    let paths = [&authority.root, &client.cert, &client.key].map(|p| p.display().to_string());
    let shown = ["--ca", &paths[0], "--cert", &paths[1], "--key", &paths[2]];
    until_true("the named host is known", seconds(60), || {
        let output = hosts(&collector, &shown);
        output.status.success() && stdout(&output).lines().count() == 2
    });
    until_true("the nameless agent says why", seconds(60), || {
        nameless
            .program
            .log()
            .to_lowercase()
            .contains("certificate")
    });
    let refused = hosts(&collector, &["--ca", &paths[0]]);
    assert_eq!(
        refused.status.code(),
        Some(2),
        "an operator must show one too"
    );
}

#[test]
fn without_tls_only_loopback_is_served_and_reached() {
    let folder = tempfile::tempdir().unwrap();
    let free = free_address();
    let open = format!("0.0.0.0:{}", free.port());
    let mut serve = command(binary("hostwell"));
    serve.args(["serve", "--listen-grpc", &open]);
    serve
        .args(["--listen-web", "127.0.0.1:0", "--data"])
        .arg(folder.path());
    let output = run(&mut serve);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("[tls]") && said.contains("127.0.0.1"),
        "{said}"
    );

    let configuration = folder.path().join("agent.toml");
    std::fs::write(
        &configuration,
        "collector = \"http://collector.example.org:7443\"\n",
    )
    .unwrap();
    let check = run(command(binary("hostwell-agent"))
        .args(["config", "check", "--config"])
        .arg(&configuration));
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(said.contains("https"), "{said}");
}

#[test]
fn a_plain_agent_does_not_pass_a_tls_door() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let identity = authority.sign("collector", &["127.0.0.1"]);
    let section = tls_section(None, Some(&identity));
    let mut collector = Collector::start_with(&folder.path().join("collector"), &section);
    let url = format!("http://{}", collector.grpc);
    let agent = Agent::start(&folder.path().join("agent"), &url, SEND);
    let log = |program: &Program| program.log().to_lowercase();
    until_true("the agent says it has no connection", seconds(60), || {
        log(&agent.program).contains("connect")
    });
    assert_eq!(count(&collector, &authority.root), 0);
    assert!(collector.program.is_alive());
}
