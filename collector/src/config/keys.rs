//! The keys of a configuration: which are known, which one a misspelt key meant, and how each is
//! called in the environment. All derived from a configuration in which every setting is given.

use anyhow::{Context, anyhow, bail};
use hostwell_proto::metric::Family;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{ClassRetention, Notify, Override, Retention, ServerConfig, Tls, Window};
use crate::rules::{Policy, RULES, Severity};

/// A class with terms of its own.
fn of_class(family: Family) -> (String, ClassRetention) {
    let defaults = Retention::default();
    let terms = ClassRetention {
        raw_days: Some(defaults.raw_days),
        rollups: Some(defaults.rollups),
    };
    (family.name().to_owned(), terms)
}

/// Levels with a severity for every rule.
fn complete_policy() -> Policy {
    let each = RULES
        .iter()
        .map(|rule| (rule.name.to_owned(), Severity::Info));
    Policy {
        severity: each.collect(),
        ..Policy::default()
    }
}

/// A configuration in which every optional setting is given, as a table.
fn complete() -> anyhow::Result<Table> {
    let config = ServerConfig {
        tls: Some(Tls {
            ca: Some("ca".into()),
            ..Tls::default()
        }),
        retention: Retention {
            class: Family::ALL.map(of_class).into(),
            ..Retention::default()
        },
        notify: Notify::complete(),
        overrides: vec![Override {
            group: "role=db".to_owned(),
            rules: Table::try_from(complete_policy()).context("list the known levels")?,
            ..Override::default()
        }],
        maintenance: vec![Window {
            group: "role=db".to_owned(),
            ..Window::default()
        }],
        rules: complete_policy(),
        ..ServerConfig::default()
    };
    Table::try_from(config).context("list the known settings")
}

/// Every setting as a dotted path, with a value of its type.
fn leaves(table: &Table, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => leaves(inner, &format!("{path}."), out),
            other => out.push((path, other.clone())),
        }
    }
}

/// Every section as a dotted path.
fn sections(table: &Table, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        if let Value::Table(inner) = value {
            let path = format!("{prefix}{key}");
            sections(inner, &format!("{path}."), out);
            out.push((path, value.clone()));
        } else if let Some(Value::Table(one)) = value.as_array().and_then(|list| list.first()) {
            // A list of sections: what each of them may hold.
            leaves(one, &format!("{prefix}{key}."), out);
        }
    }
}

/// Refuses keys that mean nothing: a misspelt limit must not be a limit silently not set.
pub(super) fn refuse_unknown(text: &str) -> anyhow::Result<()> {
    let parsed = DeTable::parse(text)?;
    let known = complete()?;
    walk(text, parsed.get_ref(), &known, "").map_or(Ok(()), Err)
}

fn walk(text: &str, table: &DeTable<'_>, known: &Table, prefix: &str) -> Option<anyhow::Error> {
    // In the order of the file, so that the first mistake is named first.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let path = format!("{prefix}{}", key.get_ref());
        match (known.get(key.get_ref().as_ref()), value.get_ref()) {
            (None, _) => {
                let line = 1 + text[..key.span().start].matches('\n').count();
                return Some(anyhow!(
                    "line {line}: unknown key \"{}\"; did you mean \"{}\"?",
                    path.escape_debug(),
                    nearest(&path)
                ));
            }
            (Some(Value::Table(inner)), DeValue::Table(given)) => {
                if let Some(wrong) = walk(text, given, inner, &format!("{path}.")) {
                    return Some(wrong);
                }
            }
            (Some(Value::Array(inner)), DeValue::Array(given)) => {
                let Some(Value::Table(inner)) = inner.first() else {
                    continue;
                };
                let tables = given.iter().filter_map(|one| match one.get_ref() {
                    DeValue::Table(table) => Some(table),
                    _ => None,
                });
                let mut wrong = tables.filter_map(|t| walk(text, t, inner, &format!("{path}.")));
                if let Some(wrong) = wrong.next() {
                    return Some(wrong);
                }
            }
            // A wrong type is the parser's to report: it knows the column too.
            _ => {}
        }
    }
    None
}

/// The known key nearest to a path. A key in the wrong section beats a similar spelling.
fn nearest(path: &str) -> String {
    let last = |p: &str| p.rsplit('.').next().unwrap_or(p).to_owned();
    let mut known = Vec::new();
    if let Ok(table) = complete() {
        leaves(&table, "", &mut known);
        sections(&table, "", &mut known);
    }
    known
        .into_iter()
        .map(|(key, _)| key)
        .min_by_key(|key| {
            let misplaced = last(key) == last(path);
            (
                !misplaced,
                strsim::damerau_levenshtein(key, path)
                    .min(1 + strsim::damerau_levenshtein(&last(key), &last(path))),
            )
        })
        .unwrap_or_default()
}

/// Lays the environment over a configuration: `limits.hosts` is `HOSTWELL_LIMITS_HOSTS`.
pub(super) fn with_environment(
    config: ServerConfig,
    env: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<ServerConfig> {
    let mut known = Vec::new();
    leaves(&complete()?, "", &mut known);
    let mut table = Table::try_from(&config).context("lay the environment over the settings")?;
    let mut given = Vec::new();
    for (path, sample) in known {
        let variable = format!("HOSTWELL_{}", path.replace('.', "_").to_uppercase());
        let Some(text) = env(&variable) else { continue };
        let value = match sample {
            Value::Integer(_) => match text.parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => bail!("{variable}={text:?} is not a whole number"),
            },
            Value::Float(_) => match text.parse() {
                Ok(number) => Value::Float(number),
                Err(_) => bail!("{variable}={text:?} is not a number"),
            },
            Value::Array(_) => Value::Array(
                text.split(',')
                    .map(|word| Value::String(word.trim().to_owned()))
                    .collect(),
            ),
            _ => Value::String(text),
        };
        put(&mut table, &path, value);
        given.push(variable);
    }
    if given.is_empty() {
        return Ok(config);
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| anyhow!("{}", e.message().trim_end()))
        .with_context(|| format!("in the environment ({})", given.join(", ")))
}

fn put(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = entry {
                put(inner, rest, value);
            }
        }
    }
}
