//! Prints `docs/rules.md` from the rules themselves.

use std::fmt::Write as _;

use super::{PAST_MS, Policy, RULES, Rule, script};
use crate::forecast::DAY_MS;

const HEAD: &str = "\
# Rules

Printed from the rules themselves; `UPDATE_GENERATED=1 cargo test -p hostwell rules` writes it anew.

Every rule has a raise and a clear level and a time for which its condition must hold. A finding is
*pending* until it has, then *open*, then *closed*. For each host and rule the outcome is one of:
ok, risk, not enough data, not applicable, data suspect (the host's clock is wrong, two machines
send as one, or too much is missing), silenced (another finding explains it), kept (looked at once an
hour; what was found stays). `hostwell host NAME` counts them, and lists them with `--rules`. The levels below are
the defaults; a policy changes them by name. `hostwell rules list` and `hostwell rules show RULE` print
the same.
";

const SCRIPTS: &str = "
# Scripts

A script is samples and what the rules must say to them. `hostwell rules test FILE…` plays it and exits
with 1 where something else was found; every rule has one that fires and one that stays silent in
`collector/testdata/rules/`.

";

/// The documentation of all rules, in Markdown.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    text.push_str("\n| rule | watches for | 中文 |\n|---|---|---|\n");
    for rule in RULES {
        let _ = writeln!(
            text,
            "| [`{0}`](#{0}) | {1} | {2} |",
            rule.name, rule.title.en, rule.title.zh
        );
    }
    for rule in RULES {
        section(rule, &mut text);
    }
    text.push_str(SCRIPTS);
    text.push_str(script::LANGUAGE);
    text
}

fn section(rule: &Rule, text: &mut String) {
    let doc = &rule.doc;
    let _ = write!(
        text,
        "\n## {}\n\n**{}** ({})\n",
        rule.name, rule.title.en, rule.title.zh
    );
    let parts = [
        ("What it does", doc.what),
        ("Why it matters", doc.why),
        ("What to do", doc.todo),
    ];
    for (heading, body) in parts {
        let _ = write!(text, "\n### {heading}\n\n{body}\n");
    }
    let _ = write!(text, "\n### Example\n\n> {}\n", doc.example);
    let _ = write!(text, "\n### Source of the thresholds\n\n{}\n", doc.source);
    let levels = levels(rule);
    let _ = write!(
        text,
        "\n### Levels\n\n```toml\n[{}]\n{levels}```\n",
        rule.name
    );
    if !rule.watches.is_empty() {
        let names: Vec<String> = rule.watches.iter().map(|m| format!("`{m}`")).collect();
        let _ = write!(text, "\nLooks at {}.\n", names.join(", "));
    }
    let mut past: Vec<String> = rule
        .past
        .iter()
        .map(|p| format!("`{}`", p.metric))
        .collect();
    past.dedup();
    if !past.is_empty() {
        let days = PAST_MS / DAY_MS;
        let past = past.join(", ");
        let _ = write!(
            text,
            "\nOver the last {days} days, by the hour, once an hour: {past}.\n"
        );
    }
}

/// The default levels of a rule in TOML.
fn levels(rule: &Rule) -> String {
    let levels = default_levels(rule);
    levels
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name} = {value}");
            text
        })
}

/// The default levels of a rule, by the names a policy calls them.
pub fn default_levels(rule: &Rule) -> toml::Table {
    let Ok(toml::Value::Table(mut policy)) = toml::Value::try_from(Policy::default()) else {
        return toml::Table::new();
    };
    match policy.remove(rule.name) {
        Some(toml::Value::Table(levels)) => levels,
        _ => toml::Table::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::language::tests::check_chinese;

    #[test]
    fn the_printed_documentation_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
        let printed = markdown();
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).unwrap();
            std::fs::write(path, &printed).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == printed,
            "docs/rules.md differs from the rules: UPDATE_GENERATED=1 cargo test -p hostwell rules"
        );
    }

    #[test]
    fn every_rule_is_documented_and_has_levels() {
        for rule in RULES {
            let doc = &rule.doc;
            for text in [
                rule.title.en,
                doc.what,
                doc.why,
                doc.todo,
                doc.example,
                doc.source,
            ] {
                assert!(text.len() > 5, "{}: a heading is empty", rule.name);
                assert!(!text.contains("  "), "{}: {text:?}", rule.name);
            }
            check_chinese(rule.title.zh);
            assert!(!rule.title.zh.ends_with('。'), "{}", rule.name);
            assert!(
                !levels(rule).is_empty(),
                "{}: no levels in Policy",
                rule.name
            );
        }
        let names: std::collections::HashSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }
}
