use super::*;

fn none(_: &str) -> Option<String> {
    None
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = ServerConfig::parse(text)
        .and_then(|c| c.check())
        .expect_err("refused");
    let shown = format!("{error:#}");
    assert!(shown.contains(expected), "{shown}\nlacks {expected:?}");
}

#[test]
fn the_example_shows_every_setting_with_its_default() {
    assert_eq!(
        ServerConfig::parse(example()).unwrap(),
        ServerConfig::default()
    );
    let uncommented: String = example()
        .lines()
        .map(|l| match l.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
            _ => l,
        })
        .map(|l| format!("{l}\n"))
        .collect();
    let mut shown: toml::Table = uncommented.parse().unwrap();
    let full = ServerConfig::parse(&uncommented).unwrap();
    // All levels stand there as they are by default; the severity is an example.
    let levels = Policy {
        severity: Default::default(),
        ..full.rules.clone()
    };
    assert_eq!(levels, Policy::default());
    let mut all = toml::Table::try_from(&full).unwrap();
    // The rules' thresholds are shown in docs/rules.md, with what they mean.
    for table in [&mut all, &mut shown] {
        assert!(table.remove("rules").is_some());
    }
    assert_eq!(shown, all, "a setting is missing from the example");
    assert!(full.tls.is_some_and(|t| t.ca.is_some()));
}

#[test]
fn a_typo_names_its_line_and_the_nearest_key() {
    let cases = [
        (
            "\n[listen]\ngprc = \"127.0.0.1:1\"\n",
            "line 3: unknown key \"listen.gprc\"; did you mean \"listen.grpc\"?",
        ),
        ("data_dri = \"x\"", "did you mean \"data_dir\"?"),
        (
            "[limit]\nhosts = 1",
            "line 1: unknown key \"limit\"; did you mean \"limits\"?",
        ),
        ("hosts = 1", "did you mean \"limits.hosts\"?"),
        (
            "[tls]\ncert=\"a\"\nkey=\"b\"\nclient_certificate=\"required\"",
            "\"tls.client_certificates\"",
        ),
    ];
    for (text, expected) in cases {
        refused(text, expected);
    }
}

#[test]
fn a_typo_in_a_target_of_notifications_names_its_line_too() {
    let target = "[[notify.webhook]]\nname = \"a\"\nurl = \"https://a/\"\n";
    refused(
        &format!("{target}{target}sevrity = \"info\"\n"),
        "line 7: unknown key \"notify.webhook.sevrity\"; did you mean \"notify.webhook.severity\"?",
    );
    refused(&format!("{target}{target}"), "two targets are named \"a\"");
    refused(
        &format!("{target}severity = \"bad\"\n"),
        "unknown variant `bad`",
    );
    let plain = target.replace("https://a/", "http://a/");
    refused(&plain, "allow_plain = true");
}

#[test]
fn a_wrong_value_names_its_place() {
    let cases = [
        ("[limits]\nhosts = \"many\"", "line 2"),
        (
            "[rules.disk_full]\nwarning = { raise = 0.5, clear = 0.9 }",
            "rules.disk_full.warning: clear",
        ),
        (
            "[rules]\ndisabled = [\"disk_fill\"]",
            "rules.disabled: no rule",
        ),
        ("[rules.disk_full]\nwarn = 1", "line 2: unknown key"),
        (
            "[limits]\nhosts = 0",
            "limits.hosts = 0 is out of bounds: from 1",
        ),
        ("[limits]\nwaiting_bytes = 65536", "limits.waiting_bytes"),
        ("[listen]\ngrpc = \"localhost\"", "line 2"),
        ("data_dir = ", "line 1"),
        ("[tls]\ncert = \"a\"", "key"),
        (
            "[tls]\ncert = \"a\"\nkey = \"b\"\nclient_certificates = \"required\"",
            "needs tls.ca",
        ),
    ];
    for (text, expected) in cases {
        refused(text, expected);
    }
}

#[test]
fn an_address_others_can_reach_needs_tls() {
    refused(
        "[listen]\ngrpc = \"0.0.0.0:7443\"",
        "lets other machines in without encryption; give [tls] cert and key",
    );
    refused("[listen]\nweb = \"[::]:7480\"", "listen.web");
    for fine in [
        "[listen]\ngrpc = \"[::1]:0\"",
        "[listen]\ngrpc = \"0.0.0.0:7443\"\n[tls]\ncert = \"c\"\nkey = \"k\"",
    ] {
        ServerConfig::parse(fine).unwrap().check().unwrap();
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(
        &file,
        "data_dir = \"/file\"\n[listen]\ngrpc = \"127.0.0.1:1\"\nweb = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let env = |name: &str| match name {
        // Where tests find data sets: no setting of ours.
        "HOSTWELL_DATA" => Some("/data-sets".to_owned()),
        "HOSTWELL_LISTEN_GRPC" => Some("127.0.0.1:2".to_owned()),
        "HOSTWELL_LISTEN_WEB" => Some("127.0.0.1:2".to_owned()),
        "HOSTWELL_LIMITS_HOSTS" => Some("7".to_owned()),
        "HOSTWELL_RULES_DISABLED" => Some("disk_full, load_high".to_owned()),
        "HOSTWELL_RULES_DISK_FULL_WARNING_RAISE" => Some("0.85".to_owned()),
        "HOSTWELL_TLS_CERT" | "HOSTWELL_TLS_KEY" => Some("pem".to_owned()),
        _ => None,
    };
    let flags = Overrides {
        listen_web: Some("127.0.0.1:3".parse().unwrap()),
        ..Overrides::default()
    };
    let config = ServerConfig::load(Some(&file), env, &flags).unwrap();
    assert_eq!(config.database(), Path::new("/file/hostwell.db"));
    assert_eq!(config.listen.grpc.port(), 2);
    assert_eq!(config.listen.web.port(), 3);
    assert_eq!(config.limits.hosts, 7);
    assert_eq!(config.rules.disabled, ["disk_full", "load_high"]);
    assert_eq!(config.rules.disk_full.warning.raise, 0.85);
    assert_eq!(config.tls.unwrap().cert, Path::new("pem"));
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, value) in [
        ("HOSTWELL_LIMITS_HOSTS", "many"),
        ("HOSTWELL_LISTEN_GRPC", "nowhere"),
    ] {
        let env = |asked: &str| (asked == name).then(|| value.to_owned());
        let error = ServerConfig::load(None, env, &Overrides::default()).unwrap_err();
        assert!(format!("{error:#}").contains(name), "{error:#}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = ServerConfig::load(
        Some(Path::new("/no/such.toml")),
        none,
        &Overrides::default(),
    );
    assert!(format!("{:#}", error.unwrap_err()).contains("/no/such.toml"));
}

#[test]
fn rollups_are_steps_of_a_day_and_how_long_they_are_kept() {
    let tiers = |text: &str| {
        let config = ServerConfig::parse(&format!("[retention]\nrollups = {text}"));
        config.unwrap().retention.keeping().map(|kept| kept.tiers)
    };
    assert_eq!(Retention::default().keeping().unwrap().tiers, Tier::DEFAULT);
    let found = tiers("[\"10m 30d\", \"24h 400d\"]").unwrap();
    let words: Vec<(i64, i64)> = found.iter().map(|t| (t.step_ms, t.age_ms)).collect();
    assert_eq!(words, [(600_000, 30 * DAY_MS), (DAY_MS, 400 * DAY_MS)]);
    assert!(tiers("[]").unwrap().is_empty());
    for (text, expected) in [
        ("[\"1h\"]", "is not a length of a step"),
        ("[\"1h long\"]", "is not a length of a step"),
        ("[\"7m 90d\"]", "whole number of steps"),
        ("[\"2d 90d\"]", "whole number of steps"),
        ("[\"1m 1h\"]", "at least a day"),
        ("[\"60m 9d\", \"1h 9d\"]", "already"),
    ] {
        let error = tiers(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_class_of_metrics_is_kept_by_its_own_terms_and_what_they_do_not_say_is_as_for_all() {
    let text = "[retention]\nraw_days = 9\n[retention.class.network]\nraw_days = 3\n\
                [retention.class.disk]\nrollups = [\"1h 40d\"]\nraw_days = 20\n\
                [retention.class.cpu]\nrollups = []\n";
    let retention = ServerConfig::parse(text).unwrap().retention;
    let classes = retention.keeping().unwrap().classes;
    assert_eq!(classes[&Family::Network].samples_ms, Some(3 * DAY_MS));
    assert_eq!(classes[&Family::Network].tiers, None);
    assert_eq!(classes[&Family::Cpu].tiers, Some(Vec::new()));
    let of_disk = classes[&Family::Disk].tiers.as_ref().unwrap();
    assert_eq!(of_disk.len(), 1);
    assert_eq!(
        (of_disk[0].step_ms, of_disk[0].age_ms),
        (3_600_000, 40 * DAY_MS)
    );
    assert_eq!(retention.raw_ms(), 9 * DAY_MS);
    assert_eq!(retention.longest_raw_ms(), 20 * DAY_MS);
}

#[test]
fn a_class_that_there_is_not_and_terms_that_make_no_sense_are_named() {
    for (text, expected) in [
        (
            "[retention.class.netwrk]\nraw_days = 3",
            "retention.class.network",
        ),
        (
            "[retention.class.disk]\nrollup = []",
            "retention.class.disk.rollups",
        ),
        (
            "[retention.class.disk]\nraw_days = 0",
            "retention.class.disk.raw_days",
        ),
        (
            "[retention.class.disk]\nrollups = [\"7m 9d\"]",
            "retention.class.disk.rollups",
        ),
    ] {
        let found = ServerConfig::parse(text).and_then(|config| config.check());
        let error = format!("{:#}", found.unwrap_err());
        assert!(error.contains(expected), "{text}: {error}");
    }
}
