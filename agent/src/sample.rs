//! What probes produce and the spool stores: numbered series and their readings at one tick.

use std::collections::HashMap;

use hostwell_proto::metric::Metric;

/// The agent's number for a series; starts at 0, grows by one, never means another series.
pub type SeriesNumber = u32;

/// A metric with its label values, in the order of the catalogue's label names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The catalogue's metric.
    pub metric: Metric,
    /// One value for each of the metric's label names.
    pub label_values: Box<[Box<str>]>,
}

/// Every series this agent has sampled since it started. A number stays valid for the process.
#[derive(Clone, Debug, Default)]
pub struct SeriesTable {
    keys: Vec<SeriesKey>,
    numbers: HashMap<SeriesKey, SeriesNumber>,
}

impl SeriesTable {
    /// The number of a series, given out on first sight. Probes keep the answer: a look-up hashes.
    pub fn number(&mut self, metric: Metric, label_values: &[&str]) -> SeriesNumber {
        debug_assert_eq!(
            metric.descriptor().labels.len(),
            label_values.len(),
            "{}",
            metric.name()
        );
        let key = SeriesKey {
            metric,
            label_values: label_values.iter().map(|v| (*v).into()).collect(),
        };
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.keys.len() as SeriesNumber;
        self.keys.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    /// The series behind a number.
    pub fn key(&self, number: SeriesNumber) -> Option<&SeriesKey> {
        self.keys.get(number as usize)
    }

    /// How many series there are; numbers are `0..len`.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing was sampled yet.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// All readings of one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The tick's wall-clock time, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// (series, value in the metric's base unit), in the order read; no series twice.
    pub readings: Vec<(SeriesNumber, f64)>,
}

/// Where a probe puts what it read.
#[derive(Debug)]
pub struct Readings<'a> {
    /// Gives out numbers.
    pub table: &'a mut SeriesTable,
    /// Collects the tick's values.
    pub readings: &'a mut Vec<(SeriesNumber, f64)>,
}

impl Readings<'_> {
    /// Adds a value for a series whose number the probe kept.
    pub fn put(&mut self, number: SeriesNumber, value: f64) {
        self.readings.push((number, value));
    }

    /// Adds a value, looking the series up: for what is read rarely.
    pub fn add(&mut self, metric: Metric, label_values: &[&str], value: f64) {
        let number = self.table.number(metric, label_values);
        self.put(number, value);
    }
}
