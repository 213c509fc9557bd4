//! Reads a script, line by line.

use hostwell_proto::metric::Metric;

use super::{Beside, Expectation, SAMPLES_MAX, Script, ScriptError, What};
use crate::rules::group::Work;
use crate::rules::{Agent, Carries, Policy, Severity, Verdict, Version, rule};
use crate::series::{Kind, Op, Selector, Series, SeriesName};

pub(super) fn script(text: &str) -> Result<Script, ScriptError> {
    let mut draft = Draft::default();
    for (i, full) in text.lines().enumerate() {
        let line = strip_comment(full).trim();
        if line.is_empty() {
            continue;
        }
        draft.line(i + 1, line).map_err(|what| ScriptError {
            line: i + 1,
            what,
            text: line.chars().take(200).collect(),
        })?;
    }
    draft.finish().map_err(|what| ScriptError {
        line: text.lines().count(),
        what,
        text: String::new(),
    })
}

/// A hash between quotes is part of a label's value.
fn strip_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

#[derive(Default)]
struct Draft {
    interval_ms: Option<i64>,
    every_ms: Option<i64>,
    step_min_ms: Option<i64>,
    samples: usize,
    series: Vec<Series>,
    silent: Vec<(i64, i64)>,
    late: Vec<(i64, i64, i64)>,
    away: Vec<(i64, i64)>,
    skew_ms: i64,
    agents: Vec<(i64, Agent)>,
    groups: Vec<(i64, Beside)>,
    policy: String,
    expectations: Vec<Expectation>,
}

impl Draft {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "load" => self.load(rest)?,
            "interval" => self.interval_ms = Some(positive(rest)?),
            "every" => self.every_ms = Some(positive(rest)?),
            "silent" => self.silent.push(pair(rest)?),
            "away" => self.away.push(pair(rest)?),
            "late" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let [from, to, at] = words[..] else {
                    return Err("expected late FROM TO AT".into());
                };
                self.late.push((time(from)?, time(to)?, time(at)?));
            }
            "skew" => {
                self.skew_ms = match rest.strip_prefix('-') {
                    Some(behind) => -time(behind)?,
                    None => time(rest)?,
                };
            }
            "agent" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let [from, own, newest] = words[..] else {
                    return Err("expected agent TIME VERSION NEWEST".into());
                };
                let version = |text: &str| {
                    Version::parse(text)
                        .ok_or_else(|| format!("{text:?} is not a version; write 0.1.0"))
                };
                let (own, newest) = (version(own)?, version(newest)?);
                self.agents.push((time(from)?, Agent { own, newest }));
            }
            "group" => self.groups.push(group(rest)?),
            "policy" => {
                self.policy.push_str(rest);
                self.policy.push('\n');
            }
            "at" => {
                let (at, what) = rest
                    .split_once("expect")
                    .ok_or("expected at TIME expect …")?;
                self.expectations.push(Expectation {
                    line: number,
                    text: line.to_owned(),
                    at_ms: time(at.trim())?,
                    what: what_of(what.trim())?,
                });
            }
            _ => return Err(format!("no command {word:?}; there are {COMMANDS}")),
        }
        Ok(())
    }

    fn load(&mut self, rest: &str) -> Result<(), String> {
        let (step, rest) = rest
            .split_once(char::is_whitespace)
            .ok_or("expected load STEP SERIES VALUES")?;
        let step_ms = positive(step)?;
        let rest = rest.trim();
        let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // Label values may hold spaces, so a brace that opens decides where the name ends.
        let end = match rest[..word_end].find('{') {
            Some(_) => rest.find('}').map_or(rest.len(), |brace| brace + 1),
            None => word_end,
        };
        let name = series_name(&rest[..end])?;
        let (mut times_ms, mut values) = (Vec::new(), Vec::new());
        let mut at_ms = 0;
        for word in words(&rest[end..])? {
            for value in expand(&word)? {
                if let Some(value) = value {
                    times_ms.push(at_ms);
                    values.push(value);
                }
                at_ms += step_ms;
            }
            if self.samples + times_ms.len() > SAMPLES_MAX {
                return Err(format!("more than {SAMPLES_MAX} samples"));
            }
        }
        self.samples += times_ms.len();
        if times_ms.is_empty() {
            return Err("no values".into());
        }
        self.step_min_ms = Some(self.step_min_ms.map_or(step_ms, |min| min.min(step_ms)));
        let kind = kind_of(&name.metric);
        self.series.push(Series {
            name,
            kind,
            times_ms,
            values,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Script, String> {
        let policy: Policy = toml::from_str(&self.policy)
            .map_err(|e| format!("the policy cannot be read: {}", e.message()))?;
        if let Some(problem) = policy.problems().first() {
            return Err(format!("the policy cannot be used: {problem}"));
        }
        let interval_ms = self
            .interval_ms
            .or(self.step_min_ms)
            .ok_or("nothing is loaded")?;
        self.series.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = self.series.windows(2).find(|w| w[0].name == w[1].name) {
            return Err(format!("{} is loaded twice", twice[0].name));
        }
        Ok(Script {
            interval_ms,
            every_ms: self.every_ms.unwrap_or(60_000),
            series: self.series,
            silent: self.silent,
            late: self.late,
            away: self.away,
            skew_ms: self.skew_ms,
            agents: self.agents,
            groups: self.groups,
            policy,
            expectations: self.expectations,
        })
    }
}

const COMMANDS: &str = "load, interval, every, silent, late, away, skew, agent, group, policy, at";

/// Most hosts of a group.
const GROUP_MAX: usize = 10_000;

/// `0 role=web 5 cpu 20% 30% memory 40%`.
fn group(rest: &str) -> Result<(i64, Beside), String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [from, name, hosts, ref carried @ ..] = words[..] else {
        return Err("expected group TIME ROLE HOSTS [cpu|memory|network VALUE…]…".into());
    };
    let hosts = hosts.parse().ok();
    let hosts: usize = hosts
        .filter(|hosts| (1..=GROUP_MAX).contains(hosts))
        .ok_or_else(|| format!("expected a number of hosts from 1 to {GROUP_MAX}"))?;
    let (mut work, mut at) = (None, 0);
    let mut carry: Vec<Carries> = Vec::new();
    for word in carried {
        if let Some(named) = Work::by_name(word) {
            (work, at) = (Some(named), 0);
            continue;
        }
        let work = work.ok_or_else(|| format!("{word:?} is none of cpu, memory, network"))?;
        if at + 1 >= hosts {
            return Err(format!("{hosts} hosts with it; more values of others"));
        }
        if at == carry.len() {
            carry.push(Carries::default());
        }
        carry[at].put(work, number(word)?);
        at += 1;
    }
    let name = name.to_owned();
    Ok((time(from)?, Beside { name, hosts, carry }))
}

fn kind_of(metric: &str) -> Kind {
    match Metric::by_name(metric) {
        Some(known) => known.descriptor().kind,
        None if metric.ends_with("_total") => Kind::Counter,
        None => Kind::Gauge,
    }
}

fn series_name(text: &str) -> Result<SeriesName, String> {
    let selector: Selector = text.parse().map_err(|e| format!("{e}"))?;
    let mut labels = Vec::new();
    for matcher in &selector.matchers {
        match &matcher.op {
            Op::Equal(value) => labels.push((matcher.label.as_str(), value.as_str())),
            _ => return Err("a series has only label=\"value\"".into()),
        }
    }
    Ok(SeriesName::new(&selector.metric, &labels))
}

/// The words of a list of values, `(1 2)x2` as often as it says.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let Some(inside) = rest.strip_prefix('(') else {
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            continue;
        };
        let (inside, after) = inside.split_once(')').ok_or("a ( without its )")?;
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let more = match &after[..end] {
            "" => Some(0),
            times => times
                .strip_prefix('x')
                .and_then(|n| n.parse::<usize>().ok()),
        };
        let more =
            more.ok_or_else(|| format!("{:?} after ): expected x and a count", &after[..end]))?;
        let group: Vec<&str> = inside.split_whitespace().collect();
        if group.len().saturating_mul(more) > SAMPLES_MAX {
            return Err(format!("more than {SAMPLES_MAX} values"));
        }
        for _ in 0..=more {
            words.extend(group.iter().map(|word| (*word).to_owned()));
        }
        rest = after[end..].trim_start();
    }
    Ok(words)
}

/// `7`, `7x3`, `5+2x3`, `5-2x3`, `_`, `_x4`.
fn expand(word: &str) -> Result<Vec<Option<f64>>, String> {
    let (body, more) = match word.split_once('x') {
        Some((body, times)) => {
            let times: usize = times
                .parse()
                .ok()
                .filter(|times| *times <= SAMPLES_MAX)
                .ok_or_else(|| format!("{word:?}: expected a count after x"))?;
            (body, times)
        }
        None => (word, 0),
    };
    if body == "_" {
        return Ok(vec![None; more.max(1)]);
    }
    // A sign at the start belongs to the number.
    let slope = body
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '+' | '-'))
        .map(|(at, _)| at);
    let (start, step) = match slope {
        Some(at) => (number(&body[..at])?, number(&body[at..])?),
        None => (number(body)?, 0.0),
    };
    Ok((0..=more).map(|i| Some(start + step * i as f64)).collect())
}

fn number(text: &str) -> Result<f64, String> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let scale = match &text[end..] {
        "" => 1.0,
        "%" => 0.01,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        unit => return Err(format!("no unit {unit:?}")),
    };
    let value: f64 = text[..end]
        .parse()
        .map_err(|_| format!("{text:?} is not a number"))?;
    Ok(value * scale)
}

/// `90s`, `5m`, `1h30m`, `2d`, `0`.
fn time(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a time; write 90s, 5m, 1h30m or 2d");
    if text == "0" {
        return Ok(0);
    }
    let (mut total_ms, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit_end = rest[end..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| end + at);
        let unit_ms = match &rest[end..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        total_ms = count
            .checked_mul(unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= 366 * 86_400_000)
            .ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total_ms).ok_or_else(wrong)
}

fn positive(text: &str) -> Result<i64, String> {
    time(text).and_then(|ms| (ms > 0).then_some(ms).ok_or("must be above 0".into()))
}

fn pair(text: &str) -> Result<(i64, i64), String> {
    let (from, to) = text
        .split_once(char::is_whitespace)
        .ok_or("expected FROM TO")?;
    Ok((time(from)?, time(to.trim())?))
}

fn what_of(text: &str) -> Result<What, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["nothing"] => Ok(What::Nothing),
        ["no", name] => Ok(What::No(known(name)?)),
        ["pending", name] => Ok(What::Pending(known(name)?)),
        [name, "is", verdict] => Ok(What::Verdict(known(name)?, verdict_of(verdict)?)),
        [name, ref details @ ..] => open(known(name)?, details),
        [] => Err("nothing is expected".into()),
    }
}

fn open(rule: String, mut details: &[&str]) -> Result<What, String> {
    let (mut severity, mut subject, mut within_ms) = (None, None, None);
    loop {
        details = match details {
            [] => break,
            ["on", name, rest @ ..] => {
                subject = Some((*name).to_owned());
                rest
            }
            ["within", limit, rest @ ..] => {
                within_ms = Some(time(limit)?);
                rest
            }
            ["info", rest @ ..] => {
                severity = Some(Severity::Info);
                rest
            }
            ["warning", rest @ ..] => {
                severity = Some(Severity::Warning);
                rest
            }
            ["critical", rest @ ..] => {
                severity = Some(Severity::Critical);
                rest
            }
            [word, ..] => return Err(format!("{word:?} is no severity, on or within")),
        };
    }
    Ok(What::Open {
        rule,
        severity,
        subject,
        within_ms,
    })
}

fn known(name: &str) -> Result<String, String> {
    match rule(name) {
        Some(rule) => Ok(rule.name.to_owned()),
        None => Err(format!("no rule {name:?}")),
    }
}

fn verdict_of(word: &str) -> Result<Verdict, String> {
    match word {
        "ok" => Ok(Verdict::Ok),
        "risk" => Ok(Verdict::Risk),
        "kept" => Ok(Verdict::Kept),
        "not_enough_data" => Ok(Verdict::NotEnoughData),
        "not_applicable" => Ok(Verdict::NotApplicable),
        "data_suspect" => Ok(Verdict::DataSuspect),
        "silenced" => Ok(Verdict::Silenced),
        _ => Err(format!("no verdict {word:?}")),
    }
}
