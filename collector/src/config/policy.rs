//! What the rules judge by on some hosts, and when nobody is told.

use anyhow::{Context, bail};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::within;
use crate::rules::{self, Judging, Maintenance, Policy, Scope};

/// Most sections of each kind.
const SECTIONS_MAX: usize = 200;

/// Other levels for some hosts: `[[override]]`. Of several that are about a host each goes over
/// those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Override {
    /// Names of hosts; one that ends in `*` means all that begin so.
    pub hosts: Vec<String>,
    /// Label and value: "role=db".
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What is other than in `[rules]`.
    pub rules: Table,
}

/// A time that comes again, in which nobody is told of what the rules find: `[[maintenance]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// What it is called.
    pub name: String,
    /// As in [`Override`]; without hosts and without a group it is about all.
    pub hosts: Vec<String>,
    /// As in [`Override`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Only these rules; none: all.
    pub rules: Vec<String>,
    /// Days on which it begins, "mon" to "sun"; none: all.
    pub days: Vec<String>,
    /// When it begins by the clock on the wall, "02:00".
    pub from: String,
    /// When it ends; not later than `from`: on the next day.
    pub to: String,
    /// Whose clock: a name of the IANA database.
    pub zone: String,
}

fn scope(hosts: &[String], group: &str) -> anyhow::Result<Scope> {
    let group = match (group, group.split_once('=')) {
        ("", _) => None,
        (_, Some((label, value))) if !label.is_empty() => {
            Some((label.to_owned(), value.to_owned()))
        }
        _ => bail!("group = {group:?} is no label and value, such as \"role=db\""),
    };
    let hosts = hosts.to_vec();
    Ok(Scope { hosts, group })
}

/// What the rules judge by, host by host.
///
/// # Errors
/// Names the section, and what is wrong with it.
pub(super) fn judging(base: &Policy, sections: &[Override]) -> anyhow::Result<Judging> {
    let what = "the number of [[override]] sections";
    within(what, sections.len(), 0..=SECTIONS_MAX)?;
    let mut judging = Judging::by(base.clone());
    for (place, section) in sections.iter().enumerate() {
        let called = || format!("[[override]] number {}", place + 1);
        let scope = scope(&section.hosts, &section.group).with_context(called)?;
        if scope == Scope::default() {
            bail!(
                "{}: say for whom: hosts = [\"db-*\"] or group = \"role=db\"",
                called()
            );
        }
        let rules = serde_json::to_value(&section.rules).with_context(called)?;
        judging.overrides.push((scope, rules));
        // Over the general levels alone, and over all before it.
        let before: Vec<usize> = (0..=place).collect();
        for chosen in [&before[..], &before[place..]] {
            let policy = judging.policy(chosen).with_context(called)?;
            if let Some(problem) = policy.problems().first() {
                bail!("{}: rules.{problem}", called());
            }
        }
    }
    Ok(judging)
}

/// When nobody is told.
///
/// # Errors
/// Names the section, and what is wrong with it.
pub(super) fn maintenance(sections: &[Window]) -> anyhow::Result<Vec<Maintenance>> {
    let what = "the number of [[maintenance]] sections";
    within(what, sections.len(), 0..=SECTIONS_MAX)?;
    let windows = sections.iter().enumerate().map(|(place, section)| {
        let called = || format!("[[maintenance]] number {} {:?}", place + 1, section.name);
        window(section).with_context(called)
    });
    windows.collect()
}

fn window(section: &Window) -> anyhow::Result<Maintenance> {
    if let Some(unknown) = section
        .rules
        .iter()
        .find(|name| rules::rule(name).is_none())
    {
        bail!("rules: no rule {unknown:?}; docs/rules.md lists them");
    }
    let days = match &section.days[..] {
        [] => WEEK.map(|(_, day)| day).to_vec(),
        given => given
            .iter()
            .map(|word| weekday(word))
            .collect::<anyhow::Result<_>>()?,
    };
    let zone = TimeZone::get(&section.zone).with_context(|| {
        format!(
            "zone = {:?} is no time zone, such as \"Europe/Berlin\"",
            section.zone
        )
    })?;
    Ok(Maintenance {
        name: section.name.clone(),
        scope: scope(&section.hosts, &section.group)?,
        rules: section.rules.clone(),
        days,
        from: time("from", &section.from)?,
        to: time("to", &section.to)?,
        zone,
    })
}

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn weekday(word: &str) -> anyhow::Result<Weekday> {
    let found = WEEK.iter().find(|(name, _)| *name == word);
    let found = found.map(|(_, day)| *day);
    found.with_context(|| format!("days: {word:?} is none of mon, tue, wed, thu, fri, sat, sun"))
}

fn time(key: &str, text: &str) -> anyhow::Result<Time> {
    let is_plain = text.len() == 5 && text.as_bytes()[2] == b':';
    let read = is_plain
        .then(|| format!("{text}:00").parse().ok())
        .flatten();
    read.with_context(|| format!("{key} = {text:?} is no time of day, such as \"02:30\""))
}

#[cfg(test)]
mod tests {
    use crate::config::ServerConfig;

    fn refused(text: &str, expected: &str) {
        let config = ServerConfig::parse(text).unwrap();
        let error = format!("{:#}", config.check().unwrap_err());
        assert!(error.contains(expected), "{error}\nlacks {expected:?}");
    }

    #[test]
    fn an_override_that_makes_no_sense_is_named() {
        refused(
            "[[override]]\nrules = { disabled = [\"reboot\"] }",
            "number 1: say for whom",
        );
        refused("[[override]]\ngroup = \"db\"", "is no label and value");
        let raised = "[[override]]\nhosts = [\"a\"]\nrules.disk_full.warning = { raise = 0.1 }";
        refused(
            raised,
            "[[override]] number 1: rules.disk_full.warning: clear",
        );
        let wrong = "[[override]]\nhosts = [\"a\"]\nrules.disabled = [\"rebot\"]";
        refused(wrong, "no rule \"rebot\"");
        let typed = "[[override]]\nhosts = [\"a\"]\nrules.disk_full.warning = { raise = \"high\" }";
        refused(typed, "[[override]] number 1");
        let typo = "[[override]]\nhosts = [\"a\"]\n[override.rules.disk_ful]\n";
        let error = ServerConfig::parse(typo).unwrap_err().to_string();
        assert!(
            error.contains("line 3: unknown key \"override.rules.disk_ful\""),
            "{error}"
        );
    }

    #[test]
    fn a_maintenance_that_makes_no_sense_is_named() {
        let whole = "[[maintenance]]\nname = \"backup\"\nfrom = \"02:00\"\nto = \"05:00\"\n\
                     zone = \"Europe/Berlin\"\n";
        ServerConfig::parse(whole).unwrap().check().unwrap();
        for (part, wrong, expected) in [
            ("02:00", "2am", "from = \"2am\" is no time of day"),
            ("02:00", "25:00", "from = \"25:00\""),
            (
                "Europe/Berlin",
                "Europe/Berlim",
                "\"backup\": zone = \"Europe/Berlim\" is no time zone",
            ),
        ] {
            refused(&whole.replace(part, wrong), expected);
        }
        refused(&format!("{whole}days = [\"sunday\"]"), "none of mon, tue");
        refused(
            &format!("{whole}rules = [\"disk_ful\"]"),
            "no rule \"disk_ful\"",
        );
        let typo = ServerConfig::parse(&format!("{whole}timezone = \"UTC\""));
        let error = typo.unwrap_err().to_string();
        assert!(
            error.contains("line 6: unknown key \"maintenance.timezone\""),
            "{error}"
        );
    }
}
