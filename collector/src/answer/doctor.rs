//! What is wrong with this set-up, as far as the store knows, and what to do about it.

use serde::{Deserialize, Serialize};

use super::hosts::Moment;
use super::range::format_ms;
use super::{AnswerError, Certificate, HostState, Setup};
use crate::store::{HostRecord, Store, StoreFacts, TargetState};
use crate::words;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Fine,
    /// Works, and somebody should look.
    Watch,
    /// Does not work as it should.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What: "database", "host web-1", ….
    pub subject: String,
    /// How it came out.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

impl Check {
    /// Nothing to do.
    pub fn fine(subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check {
            subject: subject.into(),
            health: Health::Fine,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// Somebody should look.
    pub fn watch(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check {
            health: Health::Watch,
            remedy: remedy.into(),
            ..Check::fine(subject, found)
        }
    }

    /// Somebody must act.
    pub fn wrong(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check {
            health: Health::Wrong,
            remedy: remedy.into(),
            ..Check::fine(subject, found)
        }
    }
}

/// A clock further off than this misplaces samples visibly.
const SKEW_MS_MAX: i64 = 60_000;
/// A certificate that ends sooner than this should be renewed …
const RENEW_DAYS: i64 = 30;
/// … and sooner than this, now.
const RENEW_DAYS_MIN: i64 = 7;
/// The log may be beside the file for a while.
const LOG_BYTES: u64 = 64 << 20;
/// What the disk budget took so lately is worth a word.
const BUDGET_DAYS: i64 = 7;
/// How far back absences of the collector count.
const DAY_MS: i64 = 86_400_000;

/// Looks at everything.
pub(super) async fn checks(
    store: &Store,
    setup: &Setup,
    now_ms: i64,
) -> Result<Vec<Check>, AnswerError> {
    let facts = store.facts(true).await?;
    let hosts = store.hosts().await?;
    let mut checks = vec![database(&facts)];
    checks.extend(disk(store.path()));
    checks.extend(budget(&facts, now_ms));
    let served = setup.certificate.as_ref();
    checks.extend(served.map(|served| certificate(served, now_ms)));
    checks.push(watching(store, now_ms).await?);
    let targets = store.targets().await?;
    checks.extend(targets.iter().map(|state| target(state, now_ms)));
    let moment = Moment::of(store, setup, now_ms).await?;
    checks.push(fleet(&hosts, moment));
    for host in hosts.iter().filter(|host| host.retired_ms.is_none()) {
        checks.extend(host_checks(host, moment));
    }
    Ok(checks)
}

/// How notifications to one target go.
fn target(state: &TargetState, now_ms: i64) -> Check {
    let subject = format!("notifications to {}", state.target);
    let delivery = &state.delivery;
    let lost: u64 = delivery.lost.values().sum();
    let error = delivery.last_error.as_deref().unwrap_or("no error");
    let failing = delivery.last_error_ms > delivery.last_ok_ms;
    let remedy = "is its address right, does it run? `hostwell notify test` tries it";
    match state.oldest_ms {
        Some(oldest_ms) if failing => {
            let waited = words::duration(now_ms - oldest_ms);
            let found = format!("{} wait, the oldest for {waited}: {error}", state.waiting);
            Check::wrong(subject, found, remedy)
        }
        _ if failing => Check::wrong(subject, format!("it fails: {error}"), remedy),
        _ if lost > 0 => {
            let reasons: Vec<String> = delivery
                .lost
                .iter()
                .map(|(r, n)| format!("{n} {r}"))
                .collect();
            let found = format!("{lost} messages were lost: {}", reasons.join(", "));
            Check::watch(subject, found, "the collector's log says which, and why")
        }
        _ => Check::fine(subject, format!("{} delivered", delivery.delivered)),
    }
}

fn database(facts: &StoreFacts) -> Check {
    if !facts.problems.is_empty() {
        return Check::wrong(
            "database",
            facts.problems.join("; "),
            "stop the collector, put the last backup in its place, keep the damaged file for \
             whoever looks into it",
        );
    }
    let newest = facts.newest_ms.map_or("no sample yet".into(), |ms| {
        format!("newest {}", format_ms(ms))
    });
    Check::fine(
        "database",
        format!(
            "sound: format {}, {}, {} samples of {} series, {newest}",
            facts.schema_version,
            words::bytes(facts.file_bytes as f64),
            facts.samples,
            facts.series,
        ),
    )
}

/// Room left where the database lies.
fn disk(path: &std::path::Path) -> Option<Check> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let room = rustix::fs::statvfs(folder.unwrap_or(std::path::Path::new("."))).ok()?;
    let bytes = |blocks: u64| blocks as f64 * room.f_frsize as f64;
    let (free, all) = (bytes(room.f_bavail), bytes(room.f_blocks));
    let found = format!("{} free of {}", words::bytes(free), words::bytes(all));
    let remedy = "make room, or give the collector another --data; a full disk loses nothing \
                  committed, and agents keep their samples until their spools are full";
    const GIB: f64 = (1u64 << 30) as f64;
    Some(if free < 0.25 * GIB {
        Check::wrong("disk", found, remedy)
    } else if free < 2.0 * GIB || free < 0.05 * all {
        Check::watch("disk", found, remedy)
    } else {
        Check::fine("disk", found)
    })
}

/// What the disk budget took, and whether it is held.
fn budget(facts: &StoreFacts, now_ms: i64) -> Option<Check> {
    let lately = |at_ms: i64| now_ms.saturating_sub(at_ms) < BUDGET_DAYS * DAY_MS;
    let taken: Vec<String> = facts
        .dropped
        .iter()
        .filter(|dropped| lately(dropped.at_ms))
        .map(|dropped| {
            let what = match dropped.step_ms {
                0 => "samples".to_owned(),
                step_ms => format!("steps of {}", words::duration(step_ms)),
            };
            format!("{what} up to {}", format_ms(dropped.until_ms))
        })
        .collect();
    let allowed = |bytes_max: u64| words::bytes(bytes_max as f64);
    let over = facts
        .bytes_max
        .filter(|max| facts.file_bytes > max + LOG_BYTES);
    if let Some(bytes_max) = over {
        return Some(Check::wrong(
            "disk budget",
            format!(
                "{} are more than the {} of retention.max_bytes",
                words::bytes(facts.file_bytes as f64),
                allowed(bytes_max)
            ),
            "what may go is gone, or going: give it more room, or shorten what is kept; the newest \
             samples and hosts that are kept are not dropped for it",
        ));
    }
    let budget = facts
        .bytes_max
        .or(facts.dropped.iter().map(|dropped| dropped.bytes_max).max())?;
    if taken.is_empty() {
        let found = format!("{} allowed, nothing dropped for it lately", allowed(budget));
        return Some(Check::fine("disk budget", found));
    }
    Some(Check::watch(
        "disk budget",
        format!(
            "{} allowed; dropped before their age: {}",
            allowed(budget),
            taken.join(", ")
        ),
        "raise retention.max_bytes, or shorten raw_days and rollups to what is really kept",
    ))
}

/// How long the collector's certificate holds.
fn certificate(served: &Certificate, now_ms: i64) -> Check {
    let file = served.file.display();
    let Some(ends_ms) = served.ends_ms else {
        return Check::watch(
            "certificate",
            format!("it cannot be told when {file} ends"),
            format!("see for yourself: `openssl x509 -enddate -noout -in {file}`"),
        );
    };
    let left_ms = ends_ms - now_ms;
    let when = format_ms(ends_ms);
    let remedy = format!(
        "have a new one signed, put it into {file} with its key beside it, and restart the \
         collector, which reads them when it starts; without a valid one no agent and no command \
         gets in"
    );
    let (days, left) = (left_ms.div_euclid(DAY_MS), words::duration(left_ms));
    match days {
        ..0 => Check::wrong("certificate", format!("{file} ended {when}"), remedy),
        0..RENEW_DAYS_MIN => Check::wrong(
            "certificate",
            format!("{file} ends {when}, {left} left"),
            remedy,
        ),
        RENEW_DAYS_MIN..RENEW_DAYS => Check::watch(
            "certificate",
            format!("{file} ends {when}, {left} left"),
            remedy,
        ),
        _ => Check::fine("certificate", format!("holds until {when}, {left} left")),
    }
}

/// Whether the collector was there over the last day.
async fn watching(store: &Store, now_ms: i64) -> Result<Check, AnswerError> {
    let spans = store.watch_spans(now_ms - DAY_MS, now_ms).await?;
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return Ok(Check::watch(
            "watching",
            "no collector has been watching for a day",
            "start one: `hostwell serve --config FILE` or `hostwell up`",
        ));
    };
    let watched: i64 = spans.iter().map(|span| span.to_ms - span.from_ms).sum();
    let since_ms = first.from_ms.max(now_ms - DAY_MS);
    let missed = (last.to_ms - since_ms - watched).max(0);
    let found = format!("since {}", format_ms(last.from_ms));
    if spans.len() > 1 && missed > 60_000 {
        return Ok(Check::watch(
            "watching",
            format!(
                "{found}; it was away {} times in the last day, {} altogether",
                spans.len() - 1,
                words::duration(missed)
            ),
            "look into the collector's log; host outages in those times count as unknown",
        ));
    }
    Ok(Check::fine("watching", found))
}

fn fleet(hosts: &[HostRecord], moment: Moment) -> Check {
    let standing: Vec<&HostRecord> = hosts.iter().filter(|h| h.retired_ms.is_none()).collect();
    if standing.is_empty() {
        return Check::watch(
            "hosts",
            "no host has reported yet",
            "start an agent: `hostwell-agent run --config FILE`; `hostwell up` brings one along",
        );
    }
    let up = standing
        .iter()
        .filter(|host| moment.state(host) == HostState::Up)
        .count();
    Check::fine("hosts", format!("{up} of {} up", standing.len()))
}

/// What is wrong with one host's delivery; nothing where nothing is.
fn host_checks(host: &HostRecord, moment: Moment) -> Vec<Check> {
    let subject = format!("host {}", host.name);
    let mut checks = Vec::new();
    match moment.state(host) {
        HostState::Down => checks.push(Check::wrong(
            &subject,
            format!(
                "nothing since {}",
                host.last_sample_ms.map_or("ever".into(), format_ms)
            ),
            "is the host up? there: `systemctl status hostwell-agent`, `journalctl -u \
             hostwell-agent`; gone for good: `hostwell host retire`",
        )),
        HostState::Waiting if moment.now_ms - host.first_seen_ms > 300_000 => {
            checks.push(Check::wrong(
                &subject,
                format!("connected {}, no sample yet", format_ms(host.first_seen_ms)),
                "look into the agent's log: its batches may be refused",
            ))
        }
        _ => {}
    }
    if host.clock_skew_ms.abs() > SKEW_MS_MAX {
        let side = if host.clock_skew_ms > 0 {
            "ahead of"
        } else {
            "behind"
        };
        checks.push(Check::wrong(
            &subject,
            format!(
                "its clock is {} {side} the collector's",
                words::duration(host.clock_skew_ms.abs())
            ),
            "synchronise both clocks: `timedatectl set-ntp true` or chrony",
        ));
    }
    for (reason, count) in &host.refused {
        checks.push(Check::watch(
            &subject,
            format!("{count} refused: {reason}"),
            refusal_remedy(reason),
        ));
    }
    if host.dropped_samples > 0 {
        checks.push(Check::watch(
            &subject,
            format!("{} samples dropped from its spool", host.dropped_samples),
            "the collector was away longer than the spool holds: raise the agent's [spool] bounds, \
             or make room on its disk",
        ));
    }
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = &host.facts.agent_version;
    if !theirs.is_empty() && minor(theirs) != minor(ours) {
        checks.push(Check::watch(
            &subject,
            format!("agent {theirs}, this program is {ours}"),
            "bring both to the same version; agents up to two minor versions older are understood",
        ));
    }
    checks
}

/// "0.1.7" → "0.1".
fn minor(version: &str) -> &str {
    let mut dots = version.match_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or(version, |end| &version[..end])
}

fn refusal_remedy(reason: &str) -> &'static str {
    match reason {
        r if r.contains("time") => "check the host's clock and the collector's retention",
        r if r.contains("limit") => {
            "raise the limit in the collector's [limits], or send less: the collector's log says \
             which"
        }
        r if r.contains("finite") => "a probe reads nonsense: report it with the host's kernel",
        r if r.contains("host") => "the host is retired: `hostwell host revive` lets it in again",
        _ => "the collector's log has the details under the id in the agent's log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_to_be_renewed_a_month_before_it_ends_and_urgently_in_the_last_week() {
        let ends_ms = 1_800_000_000_000;
        let check = |left_ms| {
            let served = Certificate {
                file: "/etc/hostwell/collector.crt".into(),
                ends_ms: Some(ends_ms),
            };
            certificate(&served, ends_ms - left_ms)
        };
        for (left_ms, health, found) in [
            (400 * DAY_MS, Health::Fine, "400 d left"),
            (30 * DAY_MS, Health::Fine, "30 d left"),
            (30 * DAY_MS - 1, Health::Watch, "29 d 23 h left"),
            (7 * DAY_MS, Health::Watch, "7 d left"),
            (7 * DAY_MS - 1, Health::Wrong, "6 d 23 h left"),
            (1, Health::Wrong, "1 ms left"),
            (-1, Health::Wrong, "ended 2027-01-15 08:00:00Z"),
        ] {
            let check = check(left_ms);
            assert_eq!(check.health, health, "{}", check.found);
            assert!(check.found.contains(found), "{}", check.found);
            assert_eq!(check.remedy.is_empty(), health == Health::Fine);
        }
    }

    #[test]
    fn what_the_disk_budget_took_is_told_for_a_week() {
        let now_ms = 1_800_000_000_000;
        let mut facts = StoreFacts {
            file_bytes: 90 << 20,
            ..StoreFacts::default()
        };
        assert_eq!(budget(&facts, now_ms), None, "there is none");
        facts.bytes_max = Some(100 << 20);
        assert_eq!(budget(&facts, now_ms).unwrap().health, Health::Fine);
        facts.dropped = vec![crate::store::Dropped {
            until_ms: now_ms - 9 * DAY_MS,
            at_ms: now_ms - DAY_MS,
            bytes_max: 100 << 20,
            ..crate::store::Dropped::default()
        }];
        let told = budget(&facts, now_ms).unwrap();
        assert_eq!(told.health, Health::Watch);
        assert!(
            told.found.contains("samples up to 2027-01-06"),
            "{}",
            told.found
        );
        let later = budget(&facts, now_ms + 7 * DAY_MS).unwrap();
        assert_eq!(later.health, Health::Fine);
        facts.file_bytes = 170 << 20;
        assert_eq!(budget(&facts, now_ms).unwrap().health, Health::Wrong);
    }

    #[test]
    fn a_certificate_that_does_not_say_when_it_ends_is_to_be_looked_at() {
        let served = Certificate {
            file: "odd.crt".into(),
            ends_ms: None,
        };
        let check = certificate(&served, 0);
        assert_eq!(check.health, Health::Watch);
        assert!(check.remedy.contains("odd.crt"), "{}", check.remedy);
    }
}
