//! Reads the three places a setting comes from.

use std::path::Path;

use anyhow::{Context, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{SETTINGS, Setting, Value};
use super::{Config, example};

/// What the environment variables of the agent start with.
pub(super) const PREFIX: &str = "HOSTWELL_AGENT_";

/// Settings by key from somewhere above the file, the strongest last.
pub type Overrides = Vec<(String, String)>;

/// The effective configuration.
///
/// `environment` is every variable of the process (others than the agent's own are ignored);
/// `flags` are (key, value) pairs that win over everything.
///
/// # Errors
/// When the file cannot be read, a key is not known, a value is wrong or two settings contradict.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &Overrides,
) -> anyhow::Result<Config> {
    let mut config = Config::default();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read configuration {}", path.display()))?;
        apply_file(&mut config, &text).with_context(|| format!("in {}", path.display()))?;
    }
    for (variable, value) in environment {
        if variable.starts_with(PREFIX) {
            let setting = by_variable(&variable)?;
            (setting.set)(&mut config, &Value::Text(value))
                .map_err(|what| anyhow::anyhow!("environment variable {variable}: {what}"))?;
        }
    }
    for (key, value) in flags {
        let setting = by_key(key).with_context(|| format!("no setting is called {key}"))?;
        (setting.set)(&mut config, &Value::Text(value.clone()))
            .map_err(|what| anyhow::anyhow!("--{}: {what}", setting.flag()))?;
    }
    check(config)
}

/// What no single setting can see.
fn check(mut config: Config) -> anyhow::Result<Config> {
    config.send_every = config.send_every.max(config.interval);
    if config.tls.cert.is_some() != config.tls.key.is_some() {
        bail!("tls.cert and tls.key belong together: give both or neither");
    }
    if let Some(url) = &config.collector {
        crate::tls::check_url(url, &config.tls)?;
    }
    Ok(config)
}

fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn by_variable(variable: &str) -> anyhow::Result<&'static Setting> {
    if let Some(setting) = SETTINGS.iter().find(|s| s.variable() == variable) {
        return Ok(setting);
    }
    let names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    match nearest(variable, names.iter().map(String::as_str)) {
        Some(near) => bail!("environment variable {variable} is not known; did you mean {near}?"),
        None => bail!("environment variable {variable} is not known"),
    }
}

/// The known word closest to an unknown one, if any is close at all.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::normalized_damerau_levenshtein(word, k), k))
        .filter(|(likeness, _)| *likeness > 0.4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

pub(super) fn apply_file(config: &mut Config, text: &str) -> anyhow::Result<()> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        anyhow::anyhow!("line {line}: {}", error.message())
    })?;
    apply_table(config, text, "", table.get_ref())
}

fn apply_table(
    config: &mut Config,
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
) -> anyhow::Result<()> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let line = line_of(text, name.span().start);
        if let Some(setting) = by_key(&key) {
            let value = value_of(value).with_context(|| format!("line {line}: {key}"))?;
            (setting.set)(config, &value)
                .map_err(|what| anyhow::anyhow!("line {line}: {key}: {what}"))?;
            continue;
        }
        let inner = format!("{key}.");
        match value.get_ref() {
            DeValue::Table(table) if SETTINGS.iter().any(|s| s.key.starts_with(&inner)) => {
                apply_table(config, text, &inner, table)?;
            }
            _ => return Err(unknown(&key, text, line)),
        }
    }
    Ok(())
}

/// Names the nearest known key with its line: in this file when it is there, else in the example.
fn unknown(key: &str, text: &str, line: usize) -> anyhow::Error {
    let tables = SETTINGS.iter().filter_map(|s| s.key.split_once('.'));
    let known = SETTINGS
        .iter()
        .map(|s| s.key)
        .chain(tables.map(|(table, _)| table));
    let Some(near) = nearest(key, known) else {
        return anyhow::anyhow!(
            "line {line}: key {key} is not known; `hostwell-agent config example` prints all keys"
        );
    };
    let last = near.rsplit('.').next().unwrap_or(near);
    let find = |text: &str| {
        text.lines().position(|l| {
            let l = l.trim_start_matches(['#', ' ', '[']);
            l.strip_prefix(last)
                .is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
        })
    };
    let place = match (find(text), find(&example())) {
        (Some(at), _) => format!(" (line {} of this file)", at + 1),
        (None, Some(at)) => format!(" (line {} of `hostwell-agent config example`)", at + 1),
        (None, None) => String::new(),
    };
    anyhow::anyhow!("line {line}: key {key} is not known; did you mean {near}{place}?")
}

fn value_of(value: &Spanned<DeValue<'_>>) -> anyhow::Result<Value> {
    Ok(match value.get_ref() {
        DeValue::Array(items) => {
            Value::List(items.iter().map(scalar).collect::<anyhow::Result<_>>()?)
        }
        DeValue::Table(rows) => Value::Table(
            rows.iter()
                .map(|(name, value)| Ok((name.get_ref().to_string(), scalar(value)?)))
                .collect::<anyhow::Result<_>>()?,
        ),
        _ => Value::Text(scalar(value)?),
    })
}

fn scalar(value: &Spanned<DeValue<'_>>) -> anyhow::Result<String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.as_str().to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_string()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        other => bail!("expected a plain value, got {}", other.type_str()),
    }
}
