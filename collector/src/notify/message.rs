//! What a webhook is told, as JSON: ours, or a template's.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::decide::{Change, Group, News};
use crate::rules::{Finding, Language, Severity};
use crate::words;

/// Most risks that one message lists; the others are counted.
const LISTED_MAX: usize = 100;

/// A message to a webhook. `version` grows when a field changes its meaning or goes away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    pub version: u32,
    /// "firing", "reminder", "resolved", "test", "heartbeat".
    pub status: String,
    /// When it was written, RFC 3339.
    pub at: String,
    /// One line.
    pub title: String,
    /// A line a risk.
    pub text: String,
    /// The same with what to do in Chinese.
    #[serde(default)]
    pub text_zh: String,
    /// The worst of them.
    pub severity: Option<Severity>,
    /// The rule, where they are one rule's.
    pub rule: Option<String>,
    /// The host, where they are one host's.
    pub host: Option<String>,
    /// How many risks it is about.
    pub count: usize,
    /// They, or the first of them.
    pub risks: Vec<Value>,
}

/// Labels of hosts, by name.
pub(super) type Labels = BTreeMap<String, BTreeMap<String, String>>;

impl Message {
    /// What a group of news says.
    pub(super) fn of(
        news: News,
        group: &Group,
        changes: &[&Change<'_>],
        labels: &Labels,
        now_ms: i64,
    ) -> Message {
        let mut changes = changes.to_vec();
        let key = |c: &&Change<'_>| {
            (
                std::cmp::Reverse(c.entry.finding.severity),
                c.entry.finding.id,
            )
        };
        changes.sort_by_key(key);
        let findings: Vec<&Finding> = changes.iter().map(|c| &c.entry.finding).collect();
        let (rule, host) = match group {
            Group::Rule(rule) => (Some(rule.clone()), None),
            Group::Host(host) => (None, Some(host.clone())),
        };
        let what = match (group, &findings[..]) {
            (_, [one]) => format!("{}: {}", one.host, one.summary),
            (Group::Rule(rule), many) => format!("{rule} on {} hosts", many.len()),
            (Group::Host(host), many) => format!("{host}: {} risks", many.len()),
        };
        let prefix = match news {
            News::Firing => "",
            News::Worse => "worse: ",
            News::Reminder => "still: ",
            News::Resolved | News::Muted => "resolved: ",
        };
        Message {
            version: 1,
            status: status(news).to_owned(),
            at: words_at(now_ms),
            title: format!("{prefix}{what}"),
            text: text(news, &findings, Language::En),
            text_zh: text(news, &findings, Language::Zh),
            severity: findings.iter().map(|f| f.severity).max(),
            rule,
            host,
            count: findings.len(),
            risks: changes
                .iter()
                .take(LISTED_MAX)
                .map(|c| risk(c, labels))
                .collect(),
        }
    }

    /// A message that says something about the collector itself.
    pub(super) fn own(status: &str, title: &str, now_ms: i64) -> Message {
        Message {
            version: 1,
            status: status.to_owned(),
            at: words_at(now_ms),
            title: title.to_owned(),
            text: title.to_owned(),
            text_zh: title.to_owned(),
            severity: None,
            rule: None,
            host: None,
            count: 0,
            risks: Vec::new(),
        }
    }

    /// A message as it was written into the outbox.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(written: &str) -> anyhow::Result<Message> {
        let mut message: Message = serde_json::from_str(written).context("read a message")?;
        // One that was written before there was Chinese.
        if message.text_zh.is_empty() {
            message.text_zh.clone_from(&message.text);
        }
        Ok(message)
    }

    /// The body of the request: ours, or the template filled in.
    ///
    /// # Errors
    /// As [`check_template`].
    pub(super) fn body(&self, template: Option<&str>) -> anyhow::Result<String> {
        let ours = serde_json::to_value(self).context("write the message")?;
        let Some(template) = template else {
            return Ok(ours.to_string());
        };
        let mut filled: Value =
            serde_json::from_str(template).context("the template is no JSON")?;
        fill(&mut filled, &ours)?;
        Ok(filled.to_string())
    }
}

/// Whether a template is JSON with nothing in it that cannot be filled in.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_template(template: &str) -> anyhow::Result<()> {
    Message::own("test", "test", 0)
        .body(Some(template))
        .map(drop)
}

/// A line a risk: what is wrong, and what to do about it, which is said in a language.
fn text(news: News, findings: &[&Finding], language: Language) -> String {
    let line = |f: &&Finding| {
        let advice = match news {
            News::Resolved => String::new(),
            _ => format!(" {}", f.advice_in(language)),
        };
        let severity = f.severity.name();
        format!("{severity} {}: {}{advice}", f.host, f.summary)
    };
    let mut lines: Vec<String> = findings.iter().take(LISTED_MAX).map(line).collect();
    if findings.len() > LISTED_MAX {
        lines.push(format!("and {} more", findings.len() - LISTED_MAX));
    }
    lines.join("\n")
}

fn words_at(now_ms: i64) -> String {
    words::rfc3339(now_ms)
}

fn status(news: News) -> &'static str {
    match news {
        News::Firing | News::Worse => "firing",
        News::Reminder => "reminder",
        News::Resolved | News::Muted => "resolved",
    }
}

fn risk(change: &Change<'_>, labels: &Labels) -> Value {
    let finding = &change.entry.finding;
    json!({
        "id": finding.id,
        "status": status(change.news),
        "rule": finding.rule,
        "host": finding.host,
        "subject": finding.subject,
        "severity": finding.severity,
        "since": words_at(finding.since_ms),
        "opened": finding.opened_ms.map(words_at),
        "closed": finding.closed_ms.map(words_at),
        "summary": finding.summary,
        "advice": finding.advice,
        "advice_zh": finding.advice_in(Language::Zh),
        "owner": change.entry.care.owner,
        "labels": labels.get(&finding.host),
    })
}

/// Fills every string of a template. One that is a single `{{field}}` becomes what the field is;
/// elsewhere a field stands as text. So whatever a host is called, the JSON stays JSON.
fn fill(template: &mut Value, ours: &Value) -> anyhow::Result<()> {
    match template {
        Value::Object(fields) => fields.values_mut().try_for_each(|v| fill(v, ours)),
        Value::Array(values) => values.iter_mut().try_for_each(|v| fill(v, ours)),
        Value::String(text) => {
            *template = filled(text, ours)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn filled(text: &str, ours: &Value) -> anyhow::Result<Value> {
    let field = |name: &str| -> anyhow::Result<&Value> {
        let name = name.trim();
        let Some(value) = ours.get(name) else {
            let known: Vec<&str> = ours
                .as_object()
                .map(|o| o.keys().map(String::as_str).collect())
                .unwrap_or_default();
            bail!(
                "the template has {{{{{name}}}}}; there are {}",
                known.join(", ")
            );
        };
        Ok(value)
    };
    let whole = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}"));
    if let Some(name) = whole.filter(|name| !name.contains("{{")) {
        return field(name).cloned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, after) = behind
            .split_once("}}")
            .context("the template has {{ without }}")?;
        out.push_str(before);
        match field(name)? {
            Value::Null => {}
            Value::String(text) => out.push_str(text),
            other => out.push_str(&other.to_string()),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            severity: Some(Severity::Critical),
            host: Some("a\"b\n{{count}}".into()),
            count: 2,
            risks: vec![json!({"id": 1})],
            ..Message::own("firing", "db-1: 2 risks", 0)
        }
    }

    #[test]
    fn a_message_that_was_written_before_there_was_chinese_is_told_in_english() {
        let mut written = serde_json::to_value(message()).unwrap();
        written.as_object_mut().unwrap().remove("text_zh").unwrap();
        let read = Message::read(&written.to_string()).unwrap();
        assert_eq!(read, message());
    }

    #[test]
    fn a_template_is_filled_and_stays_json_whatever_a_host_is_called() {
        let template = r#"{"text": "[{{ severity }}] {{title}} ({{count}}) {{host}}",
            "all": "{{risks}}", "n": [1, "{{count}}"], "none": "{{rule}}"}"#;
        let body = message().body(Some(template)).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "text": "[critical] db-1: 2 risks (2) a\"b\n{{count}}",
                "all": [{"id": 1}],
                "n": [1, 2],
                "none": null
            })
        );
    }

    #[test]
    fn a_template_that_cannot_be_filled_is_refused_with_what_there_is() {
        let told = |template| format!("{:#}", check_template(template).unwrap_err());
        assert!(told("{").contains("no JSON"));
        let wrong = told(r#"{"text": "{{titel}}"}"#);
        assert!(
            wrong.contains("{{titel}}; there are") && wrong.contains("title"),
            "{wrong}"
        );
        assert!(told(r#"{"text": "a {{title"}"#).contains("without }}"));
        check_template(r#"{"text": "{{title}}: {{text}}"}"#).unwrap();
    }
}
