//! What the numbers in a batch stand for: series, declared once for each spool. Pure.

use std::collections::HashMap;

use hostwell_proto::metric::{Kind, Metric};
use hostwell_proto::wire::{Label, SeriesDeclaration, SeriesKind};

use super::Refused;
use crate::config::Limits;
use crate::series::SeriesName;
use crate::store::SeriesId;

/// Largest number of a series in a spool, plus one: a bound on the table, far beyond any host's
/// series, since numbers of series that are gone are not used again.
pub(super) const NUMBERS_MAX: usize = 65_536;
const METRIC_BYTES: usize = 256;
/// An illegal metric name goes into this metric's label `name`.
const CUSTOM: &str = "hostwell_custom";

/// What one number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Slot {
    /// Nothing yet: a batch that uses it is refused.
    #[default]
    Undeclared,
    /// A series that was refused: its samples are left out, the rest of the batch is stored.
    Refused,
    /// A series of the store.
    Series(SeriesId),
}

/// The numbers of one spool.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    /// Which number names which series: two numbers for one series would let a batch say two
    /// things about one moment.
    pub(super) fn owners(&self) -> HashMap<SeriesId, u32> {
        let numbered = (0u32..).zip(&self.0);
        numbered
            .filter_map(|(number, slot)| match slot {
                Slot::Series(id) => Some((*id, number)),
                _ => None,
            })
            .collect()
    }

    /// Every number that names something is below this.
    pub(super) fn named(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, number: u32) -> Slot {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    /// Gives a number its meaning.
    ///
    /// # Errors
    /// When it has another one already: the old stays.
    pub(super) fn set(&mut self, number: u32, slot: Slot) -> Result<(), Refused> {
        let at = number as usize;
        if at >= NUMBERS_MAX {
            return Err(Refused::limit(format!(
                "series number {number} is over the limit of {NUMBERS_MAX}; start a new spool"
            )));
        }
        if at >= self.0.len() {
            self.0.resize(at + 1, Slot::Undeclared);
        }
        match (self.0[at], slot) {
            (Slot::Series(old), Slot::Series(new)) if old != new => Err(Refused::malformed(
                format!("series number {number} is declared again with other content"),
            )),
            // What was accepted once stays, also when the limits have been lowered since.
            (Slot::Series(_), Slot::Refused) => Ok(()),
            _ => {
                self.0[at] = slot;
                Ok(())
            }
        }
    }
}

/// Checks one label of a series or a host.
pub(super) fn check_label(label: &Label, limits: &Limits) -> Result<(), Refused> {
    let Label { name, value } = label;
    if name.len() > limits.label_name_bytes {
        return Err(Refused::limit(format!(
            "a label's name has {} bytes, at most {} are allowed",
            name.len(),
            limits.label_name_bytes
        )));
    }
    if !is_label_name(name) {
        return Err(Refused::malformed(format!(
            "{name:?} is not a label name: letters, digits and _ only, no digit first"
        )));
    }
    if value.len() > limits.label_value_bytes {
        return Err(Refused::limit(format!(
            "the label {name} has {} bytes, at most {} are allowed",
            value.len(),
            limits.label_value_bytes
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(Refused::malformed(format!(
            "the label {name} has control characters: {:?}",
            value.chars().take(64).collect::<String>()
        )));
    }
    Ok(())
}

fn is_label_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        // Two leading underscores are reserved for systems like ours and Prometheus.
        && !name.starts_with("__")
        && name.bytes().all(legal)
}

fn is_metric_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(legal)
}

/// The series a declaration names, as it will be stored.
pub(super) fn series(
    declared: &SeriesDeclaration,
    limits: &Limits,
) -> Result<(SeriesName, Kind), Refused> {
    let metric = &declared.metric;
    if metric.is_empty() || metric.len() > METRIC_BYTES {
        return Err(Refused::limit(format!(
            "a metric's name has {} bytes, 1 to {METRIC_BYTES} are allowed",
            metric.len()
        )));
    }
    if declared.labels.len() > limits.labels_per_series {
        return Err(Refused::limit(format!(
            "a series of {metric:?} has {} labels, at most {} are allowed",
            declared.labels.len(),
            limits.labels_per_series
        )));
    }
    for label in &declared.labels {
        check_label(label, limits).map_err(|r| {
            Refused::new(r.reason, format!("a series of {metric:?}: {}", r.message))
        })?;
    }
    let mut labels: Vec<_> = declared
        .labels
        .iter()
        .map(|l| (l.name.clone(), l.value.clone()))
        .collect();
    labels.sort();
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Refused::malformed(format!(
            "a series of {metric:?} has a label twice"
        )));
    }
    if let Some(known) = Metric::by_name(metric) {
        let row = known.descriptor();
        // More labels than we know are a newer agent's; fewer would mix different things.
        if let Some(missing) = row
            .labels
            .iter()
            .find(|name| !labels.iter().any(|(given, _)| given == *name))
        {
            return Err(Refused::malformed(format!(
                "a series of {metric} lacks its label {missing}"
            )));
        }
        let metric = metric.clone();
        return Ok((SeriesName { metric, labels }, row.kind));
    }
    let kind = match declared.kind() {
        SeriesKind::Counter => Kind::Counter,
        SeriesKind::Gauge => Kind::Gauge,
        SeriesKind::Unspecified if metric.ends_with("_total") => Kind::Counter,
        SeriesKind::Unspecified => Kind::Gauge,
    };
    Ok((uncatalogued(metric, labels)?, kind))
}

/// A series that comes in another way than through the door, held to the door's rules: the name
/// and kind it is stored under. `kind` is what its source says, if it says anything.
///
/// # Errors
/// What is wrong with it, in words.
pub fn admit(
    metric: &str,
    labels: &[(String, String)],
    kind: Option<Kind>,
    limits: &Limits,
) -> Result<(SeriesName, Kind), String> {
    let kind = match kind {
        Some(Kind::Counter) => SeriesKind::Counter,
        Some(Kind::Gauge) => SeriesKind::Gauge,
        None => SeriesKind::Unspecified,
    };
    let label = |(name, value): &(String, String)| Label {
        name: name.clone(),
        value: value.clone(),
    };
    let declared = SeriesDeclaration {
        metric: metric.to_owned(),
        labels: labels.iter().map(label).collect(),
        kind: kind.into(),
        ..SeriesDeclaration::default()
    };
    series(&declared, limits).map_err(|refused| refused.message)
}

fn uncatalogued(metric: &str, mut labels: Vec<(String, String)>) -> Result<SeriesName, Refused> {
    if is_metric_name(metric) {
        let metric = metric.to_owned();
        return Ok(SeriesName { metric, labels });
    }
    if metric.chars().any(char::is_control) {
        return Err(Refused::malformed(format!(
            "a metric's name has control characters: {metric:?}"
        )));
    }
    if labels.iter().any(|(name, _)| name == "name") {
        return Err(Refused::malformed(format!(
            "{metric:?} is not a metric name, and its label \"name\" leaves no place for it"
        )));
    }
    labels.push(("name".to_owned(), metric.to_owned()));
    labels.sort();
    Ok(SeriesName {
        metric: CUSTOM.to_owned(),
        labels,
    })
}

#[cfg(test)]
mod tests;
