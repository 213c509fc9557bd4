//! What a host says about itself when it connects. Pure.

use std::collections::BTreeMap;

use hostwell_proto::PROTOCOL;
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::{Hello, RefusalReason};

use super::{Refused, declare};
use crate::config::Limits;
use crate::store::{Greeting, HostFacts};

/// Longest name of a host, as in DNS.
const HOST_NAME_BYTES: usize = 253;
/// Longest fact; facts come from files of the host and are cut, not refused.
const FACT_BYTES: usize = 256;
/// Most labels of a host.
const HOST_LABELS: usize = 64;
/// Most spools an agent may still hold.
const SPOOLS: usize = 64;
const INTERVALS_MS: std::ops::RangeInclusive<u32> = 100..=86_400_000;

/// A greeting for the store, and the spools the agent still holds.
pub(super) fn greeting(
    hello: &Hello,
    limits: &Limits,
    now_ms: i64,
) -> Result<(Greeting, Vec<SpoolId>), Refused> {
    if hello.protocol != PROTOCOL {
        let remedy = if hello.protocol > PROTOCOL {
            "upgrade the collector"
        } else {
            "upgrade the agent"
        };
        return Err(Refused::new(
            RefusalReason::Host,
            format!(
                "protocol {} is not known here, this collector speaks {PROTOCOL}: {remedy}",
                hello.protocol
            ),
        ));
    }
    let host_id: HostId = hello
        .host_id
        .parse()
        .map_err(|e| Refused::malformed(format!("host id: {e}")))?;
    if hello.host_name.is_empty() || hello.host_name.len() > HOST_NAME_BYTES {
        return Err(Refused::limit(format!(
            "the host's name has {} bytes, 1 to {HOST_NAME_BYTES} are allowed",
            hello.host_name.len()
        )));
    }
    if hello.host_name.chars().any(char::is_control) {
        return Err(Refused::malformed(format!(
            "the host's name {:?} has control characters",
            hello.host_name
        )));
    }
    if !INTERVALS_MS.contains(&hello.interval_ms) {
        return Err(Refused::limit(format!(
            "the interval of {} ms is out of bounds: {} to {}",
            hello.interval_ms,
            INTERVALS_MS.start(),
            INTERVALS_MS.end()
        )));
    }
    if hello.spool_ids.len() > SPOOLS {
        return Err(Refused::limit(format!(
            "{} spools, at most {SPOOLS} are allowed",
            hello.spool_ids.len()
        )));
    }
    let spools = hello
        .spool_ids
        .iter()
        .map(|id| SpoolId::try_from(&id[..]))
        .collect::<Result<_, _>>()
        .map_err(|e| Refused::malformed(format!("spool id: {e}")))?;
    let greeting = Greeting {
        host_id,
        host_name: hello.host_name.clone(),
        interval_ms: hello.interval_ms,
        facts: facts(hello),
        labels: labels(hello, limits)?,
        clock_skew_ms: hello.sent_ms.saturating_sub(now_ms),
        kept: false,
    };
    Ok((greeting, spools))
}

fn facts(hello: &Hello) -> HostFacts {
    let facts = hello.facts.clone().unwrap_or_default();
    HostFacts {
        kernel: fact(&facts.kernel),
        os: fact(&facts.os),
        arch: fact(&facts.arch),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        boot_id: fact(&facts.boot_id),
        boot_time_ms: facts.boot_time_ms,
        agent_version: fact(&facts.agent_version),
        virtualisation: fact(&facts.virtualisation),
    }
}

/// A fact as far as it can be shown: control characters out, and no longer than the bound.
fn fact(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).collect();
    let mut end = shown.len().min(FACT_BYTES);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.truncate(end);
    shown
}

fn labels(hello: &Hello, limits: &Limits) -> Result<BTreeMap<String, String>, Refused> {
    let given = hello.facts.as_ref().map_or(&[][..], |f| &f.labels[..]);
    if given.len() > HOST_LABELS {
        return Err(Refused::limit(format!(
            "the host has {} labels, at most {HOST_LABELS} are allowed",
            given.len()
        )));
    }
    let mut labels = BTreeMap::new();
    for label in given {
        declare::check_label(label, limits)?;
        if labels
            .insert(label.name.clone(), label.value.clone())
            .is_some()
        {
            return Err(Refused::malformed(format!(
                "the host's label {:?} is given twice",
                label.name
            )));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostwell_proto::wire::{HostFacts as WireFacts, Label};

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL,
            host_id: "ab".repeat(16),
            host_name: "web-1".to_owned(),
            interval_ms: 10_000,
            facts: Some(WireFacts::default()),
            spool_ids: vec![vec![7; 16]],
            sent_ms: 1_500,
        }
    }

    fn label(name: &str, value: &str) -> Label {
        Label {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Hello), reason: RefusalReason, expected: &str) {
        let mut hello = hello();
        change(&mut hello);
        let refused = greeting(&hello, &Limits::default(), 1_000).unwrap_err();
        assert_eq!(refused.reason, reason);
        assert!(refused.message.contains(expected), "{}", refused.message);
    }

    #[test]
    fn a_sound_greeting_passes_with_its_clock_skew() {
        let (greeting, spools) = greeting(&hello(), &Limits::default(), 1_000).unwrap();
        assert_eq!(greeting.clock_skew_ms, 500);
        assert_eq!(spools, [SpoolId([7; 16])]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        use RefusalReason::{Host, Limit, Malformed};
        refused(|h| h.protocol = 2, Host, "upgrade the collector");
        refused(|h| h.protocol = 0, Host, "upgrade the agent");
        refused(
            |h| h.host_id = "x".into(),
            Malformed,
            "host id: expected 32",
        );
        refused(|h| h.host_name.clear(), Limit, "0 bytes");
        refused(|h| h.host_name = "x".repeat(254), Limit, "254 bytes");
        refused(
            |h| h.host_name = "a\u{1b}[2J".into(),
            Malformed,
            "control characters",
        );
        refused(|h| h.interval_ms = 0, Limit, "interval of 0 ms");
        refused(|h| h.spool_ids = vec![vec![0; 16]; 65], Limit, "65 spools");
        refused(|h| h.spool_ids = vec![vec![0; 3]], Malformed, "spool id");
        let with = |labels: Vec<Label>| {
            move |h: &mut Hello| {
                h.facts = Some(WireFacts {
                    labels,
                    ..WireFacts::default()
                })
            }
        };
        refused(with(vec![label("a", ""); 10_000]), Limit, "10000 labels");
        refused(
            with(vec![label("a", "1"), label("a", "2")]),
            Malformed,
            "twice",
        );
        refused(
            with(vec![label("a", "\n")]),
            Malformed,
            "control characters",
        );
        refused(with(vec![label("a-b", "1")]), Malformed, "not a label name");
    }

    #[test]
    fn facts_are_cut_and_cleaned_not_refused() {
        let mut hello = hello();
        hello.facts = Some(WireFacts {
            os: format!("Debian\u{7}{}", "é".repeat(200)),
            ..WireFacts::default()
        });
        let (greeting, _) = greeting(&hello, &Limits::default(), 0).unwrap();
        assert!(greeting.facts.os.starts_with("Debiané"));
        assert_eq!(greeting.facts.os.len(), FACT_BYTES);
    }
}
