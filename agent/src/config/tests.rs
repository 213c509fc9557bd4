use std::time::Duration;

use super::*;

fn with(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, String> {
    let own = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
        rows.iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    std::fs::write(&path, file).unwrap();
    load(Some(&path), own(environment), &own(flags))
        .map_err(|e| format!("{e:#}").replace(&path.display().to_string(), "agent.toml"))
}

#[test]
fn the_example_is_the_deployed_file_and_loads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/agent.toml");
    expect_test::expect_file![path].assert_eq(&example());
    let config = with(&example(), &[], &[]).unwrap();
    assert_eq!(config.collector.as_deref(), Some("http://127.0.0.1:7443"));
    assert_eq!(
        config.spool,
        SpoolConfig::default(),
        "live lines are the defaults"
    );
    assert_eq!(config.interval, Config::default().interval);
}

#[test]
fn every_commented_line_of_the_example_loads_when_uncommented() {
    for setting in SETTINGS {
        let line = format!("{} = {}\n", setting.key, setting.example);
        let mut config = Config::default();
        load::apply_file(&mut config, &line).unwrap_or_else(|e| panic!("{line}: {e:#}"));
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "interval = \"30s\"\nsend_every = \"1m\"\n";
    let environment = [("HOSTWELL_AGENT_INTERVAL", "20s"), ("PATH", "/bin")];
    assert_eq!(
        with(file, &[], &[]).unwrap().interval,
        Duration::from_secs(30)
    );
    assert_eq!(
        with(file, &environment, &[]).unwrap().interval,
        Duration::from_secs(20)
    );
    let config = with(file, &environment, &[("interval", "1s")]).unwrap();
    assert_eq!(config.interval, Duration::from_secs(1));
    assert_eq!(config.ticks_per_batch(), 60);
}

#[test]
fn samples_never_travel_more_often_than_they_are_taken() {
    let config = with("interval = \"1m\"", &[], &[]).unwrap();
    assert_eq!(
        (config.send_every, config.ticks_per_batch()),
        (Duration::from_secs(60), 1)
    );
}

#[test]
fn labels_come_from_a_table_and_from_one_line() {
    let file = with("[labels]\nsite = \"fra1\"\nrack = 7\n", &[], &[]).unwrap();
    let flag = with("", &[], &[("labels", "site=fra1, rack=7")]).unwrap();
    assert_eq!(file.labels, flag.labels);
    assert_eq!(file.labels["rack"], "7");
}

#[test]
fn mistakes_are_named_with_their_line_and_the_way_out() {
    let cases: &[(&str, &str)] = &[
        (
            "\nintervall = \"1s\"",
            "line 2: key intervall is not known; did you mean interval (line 9 of `hostwell-agent config example`)?",
        ),
        (
            "interval = \"1s\"\n[spool]\nbyte_max = 4",
            "line 3: key spool.byte_max is not known; did you mean spool.bytes_max",
        ),
        (
            "spool.age_max = \"1d\"\n[sool]\nx = 4",
            "line 2: key sool is not known; did you mean spool",
        ),
        (
            "qqqqqq = 1",
            "line 1: key qqqqqq is not known; `hostwell-agent config example` prints all keys",
        ),
        (
            "interval = 10",
            "line 1: interval: expected a duration like \"10s\"",
        ),
        (
            "interval = \"1ms\"",
            "line 1: interval: expected 1s to 3600s, got 1ms",
        ),
        ("interval = [1]", "expected one value, got a list"),
        ("interval = \"1s", "line 1: "),
        (
            "[labels]\n\"a b\" = \"c\"",
            "label name \"a b\" is not letters",
        ),
        (
            "[tls]\ncert = \"a.pem\"",
            "tls.cert and tls.key belong together",
        ),
        (
            "[spool]\nbytes_max = \"1KiB\"",
            "line 2: spool.bytes_max: expected 1048576 to",
        ),
    ];
    for (file, expected) in cases {
        let got = with(file, &[], &[]).unwrap_err();
        assert!(
            got.contains(expected),
            "{file:?}\n got {got}\nwant {expected}"
        );
    }
    let got = with("", &[("HOSTWELL_AGENT_INTERVALL", "1s")], &[]).unwrap_err();
    assert!(
        got.contains("did you mean HOSTWELL_AGENT_INTERVAL?"),
        "{got}"
    );
    let got = with("", &[], &[("spool.age_max", "soon")]).unwrap_err();
    assert!(
        got.contains("--spool-age-max: expected a duration"),
        "{got}"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_as_a_file_is_answered_without_a_panic(
        text in "(\\PC|\n|\\[spool\\]|interval|labels|=|\"|#){0,60}",
    ) {
        let mut config = Config::default();
        if let Err(error) = load::apply_file(&mut config, &text) {
            let said = format!("{error:#}");
            proptest::prop_assert!(said.starts_with("line "), "{said}");
        }
    }

    #[test]
    fn any_value_of_any_setting_is_taken_or_refused_with_its_name(
        text in "\\PC{0,20}", which in 0..SETTINGS.len(),
    ) {
        let flags = vec![(SETTINGS[which].key.to_string(), text)];
        if let Err(error) = load(None, Vec::new(), &flags) {
            let said = format!("{error:#}");
            let named = said.contains(SETTINGS[which].key) || said.contains(&SETTINGS[which].flag());
            proptest::prop_assert!(named || which == 0, "{said}");
        }
    }
}
