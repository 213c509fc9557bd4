//! Cases: series replayed against a capacity that somebody assumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::read::Stretches;
use super::{AnswerError, Backtest, Backtested, Found, off};
use crate::answer::query;
use crate::forecast::Warned;
use crate::rules::Severity;
use crate::series::{Selector, SeriesName};
use crate::words;

/// What the forecast of what fills tells is called.
const EXHAUSTION: &str = "exhaustion";

/// A series and what it could hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Which series: a selector, `host` counting as a label; or the name of a host that has only one.
    pub series: String,
    /// In the series' unit.
    pub capacity: f64,
    /// Only what was on then or later.
    pub from_ms: Option<i64>,
    /// Nothing later is known.
    pub to_ms: Option<i64>,
}

/// Finds the series that cases mean.
#[derive(Debug)]
pub struct Cases {
    by_host: BTreeMap<String, Vec<SeriesName>>,
}

impl Cases {
    /// Of a database.
    ///
    /// # Errors
    /// What the store says.
    pub async fn of(backtest: &Backtest) -> Result<Cases, AnswerError> {
        let mut by_host: BTreeMap<String, Vec<SeriesName>> = BTreeMap::new();
        for (host, name, _) in backtest.store.series(Vec::new()).await? {
            by_host.entry(host).or_default().push(name);
        }
        Ok(Cases { by_host })
    }

    /// The one series that a case means.
    ///
    /// # Errors
    /// `Asked` when it means none, or several.
    pub fn find(&self, case: &Case) -> Result<(String, SeriesName), AnswerError> {
        let wrong = |what: String| AnswerError::Asked(format!("case {:?}: {what}", case.name));
        if let Some([only]) = self.by_host.get(&case.series).map(Vec::as_slice) {
            return Ok((case.series.clone(), only.clone()));
        }
        let mut selector = query::parse(&case.series).map_err(|e| {
            wrong(format!(
                "no host is called {:?} and has one series, and as a selector: {e}",
                case.series
            ))
        })?;
        let hosts = selector.take("host");
        let mut fitting = self
            .by_host
            .iter()
            .filter(|(host, _)| hosts.iter().all(|matcher| matcher.matches(host)))
            .flat_map(|(host, names)| names.iter().map(move |name| (host, name)))
            .filter(|(_, name)| means(&selector, name));
        match (fitting.next(), fitting.next()) {
            (Some((host, name)), None) => Ok((host.clone(), name.clone())),
            (None, _) => Err(wrong(format!("no series fits {}", case.series))),
            (Some((a, one)), Some((b, two))) => Err(wrong(format!(
                "{} fits more than one series, {one} of {a} and {two} of {b}: say which, with \
                 {{host=\"…\"}}",
                case.series
            ))),
        }
    }
}

/// Whether a selector, which may be without a name, means a series.
fn means(selector: &Selector, name: &SeriesName) -> bool {
    let value = |label: &str| match label {
        "__name__" => name.metric.clone(),
        label => name.label(label).unwrap_or_default().to_owned(),
    };
    (selector.metric.is_empty() || selector.metric == name.metric)
        && selector
            .matchers
            .iter()
            .all(|matcher| matcher.matches(&value(&matcher.label)))
}

impl Backtest {
    /// What the forecast would have said of a case, hour by hour.
    ///
    /// # Errors
    /// What the store says.
    pub async fn case(
        &self,
        case: &Case,
        (host, name): (String, SeriesName),
    ) -> Result<Backtested, AnswerError> {
        let record = self.named(&host)?;
        let (Some(oldest_ms), Some(newest_ms)) = (self.oldest_ms, record.last_sample_ms) else {
            return Ok(Backtested::default());
        };
        let to_ms = case.to_ms.or(self.until_ms()).unwrap_or(newest_ms);
        let only = name.clone();
        let chosen = Arc::new(move |_: &str, name: &SeriesName| *name == only);
        let range = (oldest_ms, to_ms.min(newest_ms));
        let mut stretches = Stretches::new(self.store.clone(), host, range, chosen);
        let mut warned = Warned::new(case.capacity);
        let (mut spells, mut samples) = (Vec::new(), 0);
        while let Some((window, end_ms)) = stretches.next().await? {
            samples += window
                .series
                .iter()
                .map(|s| s.times_ms.len() as u64)
                .sum::<u64>();
            (warned, spells) = off(move || {
                for series in &window.series {
                    warned.take(series.points());
                }
                warned.advance(end_ms, &mut spells);
                (warned, spells)
            })
            .await?;
        }
        // Hours end after the last sample too.
        warned.advance(to_ms, &mut spells);
        let on = warned
            .on()
            .map(|(start_ms, eta_ms)| (start_ms, eta_ms, None));
        let spells = spells
            .into_iter()
            .map(|((start_ms, eta_ms), end_ms)| (start_ms, eta_ms, Some(end_ms)));
        let from_ms = case.from_ms.or(self.since_ms()).unwrap_or(i64::MIN);
        let found = spells
            .chain(on)
            .filter(|(_, _, end_ms)| end_ms.is_none_or(|end_ms| end_ms >= from_ms));
        let found = found.map(|(start_ms, eta_ms, end_ms)| Found {
            host: case.name.clone(),
            metric: name.origin(),
            rule: EXHAUSTION.to_owned(),
            subject: String::new(),
            severity: Severity::Warning,
            start_ms,
            end_ms,
            eta_ms: Some(eta_ms),
            notified: true,
            told_ms: Some(start_ms),
            summary: match eta_ms > start_ms {
                true => format!("It is full in {}.", words::duration(eta_ms - start_ms)),
                false => "It is full.".to_owned(),
            },
        });
        Ok(Backtested {
            found: found.collect(),
            series: usize::from(samples > 0),
            samples,
            ..Backtested::default()
        })
    }
}
