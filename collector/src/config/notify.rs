//! Who is told of risks: webhooks and Alertmanagers.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::within;
use crate::rules::Severity;
use crate::rules::terms::FLOOR_MINUTES;

/// Most targets.
const TARGETS_MAX: usize = 16;
/// Most bytes of a target's name.
const NAME_BYTES_MAX: usize = 64;

/// Who is told of risks, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notify {
    /// Least minutes between two messages of a webhook that the same risk is open.
    pub floor_minutes: u32,
    /// A webhook is reminded of what is open and not acknowledged after so many hours; 0: never.
    pub remind_hours: u32,
    /// Targets that get a message a change: `[[notify.webhook]]`.
    pub webhook: Vec<Webhook>,
    /// Targets that are told what is open again and again: `[[notify.alertmanager]]`.
    pub alertmanager: Vec<Alertmanager>,
}

/// A target that gets a message a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called in answers, logs and `hostwell notify test`.
    pub name: String,
    /// Where messages are posted.
    pub url: String,
    /// What is less bad is not told.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// File of the key that messages are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// File of a token sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Authority that signed the target's certificate (PEM); else the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The message's JSON, where it shall not be ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A message so often that says nothing but that the collector lives; 0: none.
    #[serde(default)]
    pub heartbeat_minutes: u32,
    /// Lets http:// leave this machine: whoever listens on the way reads the messages.
    #[serde(default)]
    pub allow_plain: bool,
}

/// A target that is told what is open again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// What it is called in answers and logs.
    pub name: String,
    /// Where it listens; its API is below.
    pub url: String,
    /// What is less bad is not told.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// File of a token sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Authority that signed the target's certificate (PEM); else the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What is open is told again so often. Told no more for five times as long, it is resolved.
    #[serde(default = "minute")]
    pub repeat_seconds: u32,
    /// Whether an alert that always fires goes with it.
    #[serde(default = "yes")]
    pub heartbeat: bool,
    /// Lets http:// leave this machine: whoever listens on the way reads the alerts.
    #[serde(default)]
    pub allow_plain: bool,
}

fn warning() -> Severity {
    Severity::Warning
}

fn minute() -> u32 {
    60
}

fn yes() -> bool {
    true
}

impl Default for Notify {
    fn default() -> Self {
        Notify {
            floor_minutes: FLOOR_MINUTES,
            remind_hours: 24,
            webhook: Vec::new(),
            alertmanager: Vec::new(),
        }
    }
}

impl Notify {
    /// A target of each kind in which every optional setting is given.
    pub(super) fn complete() -> Notify {
        let file = || Some(PathBuf::from("file"));
        Notify {
            webhook: vec![Webhook {
                name: "chat".to_owned(),
                url: "https://chat.example.org/hook".to_owned(),
                severity: warning(),
                secret_file: file(),
                token_file: file(),
                ca: file(),
                template: Some("{}".to_owned()),
                heartbeat_minutes: 0,
                allow_plain: false,
            }],
            alertmanager: vec![Alertmanager {
                name: "alertmanager".to_owned(),
                url: "http://127.0.0.1:9093".to_owned(),
                severity: warning(),
                token_file: file(),
                ca: file(),
                repeat_seconds: minute(),
                heartbeat: true,
                allow_plain: false,
            }],
            ..Notify::default()
        }
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        within("notify.floor_minutes", self.floor_minutes, 0..=10_080)?;
        within("notify.remind_hours", self.remind_hours, 0..=8_760)?;
        let targets = self.webhook.len() + self.alertmanager.len();
        within(
            "the number of targets in [notify]",
            targets,
            0..=TARGETS_MAX,
        )?;
        let mut names = BTreeSet::new();
        let webhooks = self
            .webhook
            .iter()
            .map(|w| (&w.name, &w.url, w.allow_plain));
        let managers = self.alertmanager.iter();
        let managers = managers.map(|a| (&a.name, &a.url, a.allow_plain));
        for (name, url, allow_plain) in webhooks.chain(managers) {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control)
            {
                bail!("[notify]: a target's name has 1 to {NAME_BYTES_MAX} bytes, not {name:?}");
            }
            if !names.insert(name) {
                bail!("[notify]: two targets are named {name:?}");
            }
            check_url(url, allow_plain)
                .with_context(|| format!("[notify] {name:?}: url {url:?}"))?;
        }
        for webhook in &self.webhook {
            let key = format!("notify.webhook {:?} heartbeat_minutes", webhook.name);
            within(&key, webhook.heartbeat_minutes, 0..=10_080)?;
        }
        for manager in &self.alertmanager {
            let key = format!("notify.alertmanager {:?} repeat_seconds", manager.name);
            within(&key, manager.repeat_seconds, 1..=3_600)?;
        }
        Ok(())
    }
}

/// Encrypted, or on this machine, or plainly wanted otherwise.
fn check_url(url: &str, allow_plain: bool) -> anyhow::Result<()> {
    let (scheme, rest) = url
        .split_once("://")
        .context("begin with https:// or http://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        bail!("a name and a password do not belong into it: give a token_file");
    }
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        bail!("it names no host");
    }
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if here || allow_plain => Ok(()),
        "http" => bail!(
            "plain http:// lets others on the way read what is told: use https://, or say \
             allow_plain = true"
        ),
        _ => bail!("begin with https:// or http://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_this_machine_encrypted_unless_somebody_says_otherwise() {
        for (url, allow_plain, well) in [
            ("https://chat.example.org/hook?a=b", false, true),
            ("http://127.0.0.1:9093", false, true),
            ("http://[::1]:9093/prefix", false, true),
            ("http://localhost", false, true),
            ("http://10.0.0.1:9093", false, false),
            ("http://10.0.0.1:9093", true, true),
            ("http://localhost.example.org/", false, false),
            ("https://anna:secret@chat.example.org/", false, false),
            ("chat.example.org", false, false),
            ("ftp://localhost/", false, false),
            ("https:///hook", false, false),
        ] {
            assert_eq!(check_url(url, allow_plain).is_ok(), well, "{url}");
        }
    }
}
