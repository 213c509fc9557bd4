//! Time series and their arithmetic: the only place that knows counter resets.

use serde::{Deserialize, Serialize};

pub use hostwell_proto::metric::Kind;

/// A series' name: metric and labels (sorted by label name, the metric name not among them).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesName {
    /// Metric name.
    pub metric: String,
    /// Sorted (name, value).
    pub labels: Vec<(String, String)>,
}

/// Samples of one series, ascending in time, no time twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: SeriesName,
    /// Counter (raw, cumulative) or gauge.
    pub kind: Kind,
    /// Milliseconds since the Unix epoch.
    pub times_ms: Vec<i64>,
    /// One value a time, in the metric's base unit.
    pub values: Vec<f64>,
}

/// Everything the core needs to judge one host over one range. Immutable.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The host's name.
    pub host: String,
    /// First moment, milliseconds since the Unix epoch, included.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
    /// The host's declared sampling interval.
    pub interval_ms: i64,
    /// Sorted by name.
    pub series: Vec<Series>,
}
