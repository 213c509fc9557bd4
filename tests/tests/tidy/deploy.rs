//! deploy/ says what the programs print, and the units keep their walls.

use hostwell_tests::program::{binary, command, repository, run, stdout};

use crate::none;

/// Directives that both units must have: what a program that watches others must not be able to do.
const WALLS: &[&str] = &[
    "Type=notify",
    "Restart=",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "SystemCallFilter=",
    "SystemCallArchitectures=native",
    "UMask=",
    "StateDirectory=",
];

fn missing_walls(name: &str, unit: &str) -> Vec<String> {
    WALLS
        .iter()
        .filter(|wall| !unit.lines().any(|line| line.trim().starts_with(**wall)))
        .map(|wall| format!("{name}: {wall} is missing"))
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn the_examples_are_what_the_programs_print_and_accept() {
    for (program, check, example) in [
        (
            "hostwell",
            &["config", "check"][..],
            "deploy/collector.toml",
        ),
        (
            "hostwell-agent",
            &["config", "check", "--config"],
            "deploy/agent.toml",
        ),
    ] {
        let printed = stdout(&run(command(binary(program)).args(["config", "example"])));
        assert!(
            printed == read(example),
            "{example} differs from `{program} config example`; write it with\n  \
             cargo run -p {program} -- config example > {example}"
        );
        let path = repository().join(example);
        stdout(&run(command(binary(program)).args(check).arg(path)));
    }
}

#[test]
fn the_units_keep_their_walls() {
    for name in ["hostwell", "hostwell-agent"] {
        let unit = read(&format!("deploy/systemd/{name}.service"));
        none(&missing_walls(name, &unit));
    }
    // The agent reads the host's own mounts: a home hidden from it would be a disk it cannot see.
    let agent = read("deploy/systemd/hostwell-agent.service");
    let hides = [
        "ProtectProc=invisible",
        "ProtectHome=yes",
        "ProtectHome=tmpfs",
    ];
    let hidden = agent.lines().find(|line| hides.contains(line));
    assert_eq!(hidden, None, "the agent would not see the host");
    assert_eq!(missing_walls("x", "[Service]").len(), WALLS.len());
    assert_eq!(
        missing_walls("x", &WALLS[1..].join("\n")),
        ["x: Type=notify is missing"]
    );
}
