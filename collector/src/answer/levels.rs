//! Levels: where any series of a host will be, said at any moment of its past, as if nothing of
//! what came later were known.

mod past;

use hostwell_proto::metric::{Family, Metric};
use serde::{Deserialize, Serialize};

use super::AnswerError;
use super::aside::aside;
use super::range::{Moment, Range};
use crate::forecast::{Class, DAY_MS, HOUR_MS, Hours};
use crate::series::SeriesName;
use crate::store::Store;

/// Most moments of one question.
const MOMENTS_MAX: i64 = 10_000;
/// Most horizons of one question.
const HORIZONS_MAX: usize = 16;
/// Nothing is said about later than two years.
const HORIZON_MS_MAX: i64 = 730 * DAY_MS;
/// Most forecasts of one answer.
pub const LEVELS_MAX: usize = 500_000;

/// When forecasts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// At one moment.
    At(Moment),
    /// At the beginning of a range and each so many milliseconds later, its end included.
    Every {
        /// The first one.
        from: Moment,
        /// None is later.
        to: Moment,
        /// Milliseconds from one to the next.
        every_ms: i64,
    },
}

/// A question for forecasts of series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelQuestion {
    /// The host's name.
    pub host: String,
    /// `metric{label="value",…}`; `host` and the host's own labels count as labels.
    pub selector: String,
    /// When they are made.
    pub made: Made,
    /// How far ahead, in milliseconds.
    pub horizons_ms: Vec<i64>,
}

/// Where a series will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelLine {
    /// The host.
    pub host: String,
    /// The series: what it was called where it came from, and its labels if it has any.
    pub metric: String,
    /// The forecast's moment, milliseconds since the Unix epoch; it uses samples before it only.
    pub made_at_ms: i64,
    /// How far ahead, milliseconds.
    pub horizon_ms: i64,
    /// The median of the day that ends then.
    pub value: f64,
    /// Lower end of the band that holds the truth four times of five.
    pub lo80: f64,
    /// Its upper end.
    pub hi80: f64,
    /// By which method.
    pub class: Class,
}

/// Forecasts of a host's series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// By series, moment, horizon.
    pub levels: Vec<LevelLine>,
    /// How many series are meant and have samples.
    pub series: usize,
    /// How often a series had too little history at a moment: fewer than four days, or none of the
    /// last one.
    pub too_little: usize,
}

/// Answers a question for forecasts of series.
pub(super) async fn levels(
    store: &Store,
    question: LevelQuestion,
    now_ms: i64,
) -> Result<Levels, AnswerError> {
    let moments = moments(question.made, now_ms).map_err(AnswerError::Asked)?;
    let horizons_ms = horizons(&question.horizons_ms).map_err(AnswerError::Asked)?;
    let past = past::read(store, &question, &moments).await?;
    let count = past.len() * moments.len() * horizons_ms.len();
    if count > LEVELS_MAX {
        return Err(AnswerError::Asked(format!(
            "{} series of {}, {} moments and {} horizons are {count} forecasts, more than \
             {LEVELS_MAX}; narrow the selector, or take fewer moments or horizons",
            past.len(),
            question.host,
            moments.len(),
            horizons_ms.len()
        )));
    }
    // Thousands of series take a while, which no other question should wait for.
    let work = move || ahead(&question.host, past, &moments, &horizons_ms);
    aside("making forecasts", work).await
}

/// The moments, ascending; there is at least one.
fn moments(made: Made, now_ms: i64) -> Result<Vec<i64>, String> {
    let (from, to, every_ms) = match made {
        Made::At(at) => (at, at, 1),
        Made::Every { from, to, every_ms } => (from, to, every_ms),
    };
    let (from_ms, to_ms) = Range::Between { from, to }.resolve(now_ms)?;
    if every_ms <= 0 {
        return Err("moments must lie apart: --every 84h".into());
    }
    let count = to_ms.saturating_sub(from_ms) / every_ms + 1;
    if count > MOMENTS_MAX {
        return Err(format!(
            "that is {count} moments, more than {MOMENTS_MAX}; take a longer --every or a shorter \
             range"
        ));
    }
    Ok((0..count).map(|n| from_ms + n * every_ms).collect())
}

/// The horizons, ascending, each once.
fn horizons(asked_ms: &[i64]) -> Result<Vec<i64>, String> {
    let mut horizons_ms = asked_ms.to_vec();
    horizons_ms.sort_unstable();
    horizons_ms.dedup();
    if !(1..=HORIZONS_MAX).contains(&horizons_ms.len()) {
        return Err(format!(
            "one to {HORIZONS_MAX} horizons: --horizon 84h,168h"
        ));
    }
    match horizons_ms
        .iter()
        .all(|h| (HOUR_MS..=HORIZON_MS_MAX).contains(h))
    {
        true => Ok(horizons_ms),
        false => Err("a horizon is an hour to two years ahead".into()),
    }
}

fn ahead(
    host: &str,
    past: Vec<(SeriesName, Hours)>,
    moments: &[i64],
    horizons_ms: &[i64],
) -> Levels {
    let mut found = Levels {
        series: past.len(),
        ..Levels::default()
    };
    for (name, hours) in past {
        let metric = name.origin();
        for &made_at_ms in moments {
            let class = class(&name, &hours, made_at_ms);
            let Some(fit) = class.fit(&hours, made_at_ms) else {
                found.too_little += 1;
                continue;
            };
            found.levels.extend(horizons_ms.iter().map(|&horizon_ms| {
                let at = fit.at(horizon_ms);
                LevelLine {
                    host: host.to_owned(),
                    metric: metric.clone(),
                    made_at_ms,
                    horizon_ms,
                    value: at.value,
                    lo80: at.low80,
                    hi80: at.high80,
                    class,
                }
            }));
        }
    }
    found
}

/// The class: by the catalogue, or else by what was known of the series' data at the moment.
fn class(name: &SeriesName, hours: &Hours, now_ms: i64) -> Class {
    let known = Metric::by_name(&name.metric).map(|metric| metric.descriptor().family);
    match known {
        Some(Family::Filesystem) => Class::Store,
        Some(_) => Class::Usage,
        None => Class::of(hours, now_ms),
    }
}

#[cfg(test)]
mod tests;
