//! The words of the store: what goes in, what comes out. No SQL, no behaviour.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hostwell_proto::column::Packed;
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::metric::Family;
use serde::{Deserialize, Serialize};

use crate::series::{Agg, Grid, Series, SeriesName, Window};

/// How a store is opened for writing.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The database file; its folder is created.
    pub path: PathBuf,
    /// Raw samples older than this are dropped, whole blocks at a time.
    pub retention_ms: i64,
    /// Most series a host may have.
    pub series_per_host_max: usize,
    /// Most hosts.
    pub hosts_max: usize,
}

/// Steps of one length, and how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Length of a step; a day is a whole number of them, or it is a day.
    pub step_ms: i64,
    /// Older ones are dropped.
    pub age_ms: i64,
}

impl Tier {
    /// A minute for 90 days, an hour and a day for 25 months.
    pub const DEFAULT: [Tier; 3] = [
        Tier::days(60_000, 90),
        Tier::days(3_600_000, 761),
        Tier::days(86_400_000, 761),
    ];

    /// How long the one that is kept longest is kept; without any, as by default.
    pub fn longest_ms(tiers: &[Tier]) -> i64 {
        let ages = |tiers: &[Tier]| {
            let ages = tiers.iter().map(|tier| tier.age_ms);
            ages.filter(|age_ms| *age_ms > 0).max()
        };
        ages(tiers).or(ages(&Tier::DEFAULT)).unwrap_or(i64::MAX)
    }

    const fn days(step_ms: i64, days: i64) -> Tier {
        Tier {
            step_ms,
            age_ms: days * 86_400_000,
        }
    }
}

/// What is kept of the samples, and in how much room.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// Rollups.
    pub tiers: Vec<Tier>,
    /// Where it is otherwise.
    pub classes: BTreeMap<Family, Class>,
    /// Most bytes of the file: above, the oldest of the finest tier goes first. None: as much as
    /// there is room.
    pub bytes_max: Option<u64>,
    /// Notes of what used hosts most, for so long.
    pub processes_ms: i64,
}

/// Notes of processes are kept for a week unless the collector is told otherwise.
pub const PROCESSES_KEPT_MS: i64 = 7 * 86_400_000;

impl Default for Keeping {
    fn default() -> Self {
        Keeping {
            tiers: Tier::DEFAULT.to_vec(),
            classes: BTreeMap::new(),
            bytes_max: None,
            processes_ms: PROCESSES_KEPT_MS,
        }
    }
}

impl Keeping {
    /// The rollups of a family, by its number.
    pub(in crate::store) fn tiers_of(&self, family: i64) -> &[Tier] {
        let own = self.class(family).and_then(|class| class.tiers.as_ref());
        own.unwrap_or(&self.tiers)
    }

    /// How long samples of a family are kept, where those of others are kept for `retention_ms`.
    pub(in crate::store) fn samples_ms(&self, family: i64, retention_ms: i64) -> i64 {
        let own = self.class(family).and_then(|class| class.samples_ms);
        own.unwrap_or(retention_ms)
    }

    fn class(&self, family: i64) -> Option<&Class> {
        let mut classes = self.classes.iter();
        let found = classes.find(|(of, _)| **of as i64 == family);
        found.map(|(_, class)| class)
    }

    /// Every list of rollups that some family has.
    pub(in crate::store) fn lists_mut(&mut self) -> impl Iterator<Item = &mut Vec<Tier>> {
        let own = self.classes.values_mut();
        own.filter_map(|class| class.tiers.as_mut())
            .chain([&mut self.tiers])
    }

    /// How long the rollups are kept that are kept longest.
    pub(in crate::store) fn longest_ms(&self) -> i64 {
        let own = self
            .classes
            .values()
            .filter_map(|class| class.tiers.as_deref());
        let lists = own.chain([&self.tiers[..]]);
        lists.map(Tier::longest_ms).max().unwrap_or(i64::MAX)
    }
}

/// What is kept of the metrics of one family, where that is not what is kept of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// Samples.
    pub samples_ms: Option<i64>,
    /// Rollups.
    pub tiers: Option<Vec<Tier>>,
}

/// What the disk budget took of one tier, before its age.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// Length of the tier's steps; 0: samples.
    pub step_ms: i64,
    /// Blocks of samples, or rows of rollups.
    pub rows: u64,
    /// Of their payloads.
    pub bytes: u64,
    /// Where the newest of them ended.
    pub until_ms: i64,
    /// When it last took some.
    pub at_ms: i64,
    /// The budget then.
    pub bytes_max: u64,
}

/// What the agent said about a host when it connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// `uname -r`.
    pub kernel: String,
    /// PRETTY_NAME of os-release.
    pub os: String,
    /// `uname -m`.
    pub arch: String,
    /// Logical CPUs.
    pub cpus: u32,
    /// MemTotal in bytes.
    pub memory_bytes: u64,
    /// The kernel's boot id: a fact, never part of a key.
    pub boot_id: String,
    /// When the host booted, host's clock, milliseconds since the Unix epoch.
    pub boot_time_ms: i64,
    /// Version of the agent.
    pub agent_version: String,
    /// "none", "container", "vm", or empty.
    pub virtualisation: String,
}

/// A host introducing itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting {
    /// Who it is.
    pub host_id: HostId,
    /// What it calls itself.
    pub host_name: String,
    /// Its declared sampling interval.
    pub interval_ms: u32,
    /// What it is.
    pub facts: HostFacts,
    /// Labels from the agent; the operator's win.
    pub labels: BTreeMap<String, String>,
    /// The host's clock minus the collector's, measured at the greeting.
    pub clock_skew_ms: i64,
    /// Imported history, which no age prunes. Counts at the first greeting; later
    /// [`HostEdit::Keep`] changes it.
    pub kept: bool,
}

/// A host as the registry knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostRecord {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique among hosts that are not merged away; the operator may rename it.
    pub name: String,
    /// What it is.
    pub facts: HostFacts,
    /// Merged labels: the operator's over the agent's.
    pub labels: BTreeMap<String, String>,
    /// Declared sampling interval.
    pub interval_ms: i64,
    /// First sample or greeting, milliseconds since the Unix epoch, collector's clock.
    pub first_seen_ms: i64,
    /// When anything was last received from it, collector's clock.
    pub last_received_ms: Option<i64>,
    /// The newest sample's time, host's clock.
    pub last_sample_ms: Option<i64>,
    /// The host's clock minus the collector's at the last greeting.
    pub clock_skew_ms: i64,
    /// Set when retired: history kept, no findings, out of availability from then on.
    pub retired_ms: Option<i64>,
    /// What was refused, by reason, since the host is known.
    pub refused: BTreeMap<String, u64>,
    /// Samples its agent reported as dropped from its spool.
    pub dropped_samples: u64,
    /// Imported history, which no age prunes.
    #[serde(default)]
    pub kept: bool,
}

impl HostRecord {
    /// Whether it is not retired, and anything came from it after a moment of the collector's clock.
    pub fn is_heard_since(&self, since_ms: i64) -> bool {
        self.retired_ms.is_none() && self.last_received_ms.is_some_and(|ms| ms > since_ms)
    }
}

/// What selectors can say of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostName {
    /// As in [`HostRecord`].
    pub name: String,
    /// As in [`HostRecord`].
    pub labels: BTreeMap<String, String>,
}

/// A change an operator makes to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostEdit {
    /// Keep the history, stop judging, leave availability from then on.
    Retire,
    /// Undo a retirement.
    Revive,
    /// Call it by another name; the agent's own name does not come back.
    Rename {
        /// The new name.
        to: String,
    },
    /// The other host's history becomes part of this one; where both have a sample, this one wins.
    MergeInto {
        /// Name of the host that stays.
        into: String,
    },
    /// Set labels (value) or remove the operator's label (None).
    Label {
        /// Name → value.
        set: BTreeMap<String, Option<String>>,
    },
    /// Whether its history stays whatever its age.
    Keep {
        /// Stays.
        kept: bool,
    },
}

/// The store's number for a series of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub i64);

/// A validated batch on its way in. Columns are numbered by the *store's* series ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Whose.
    pub host_id: HostId,
    /// From which spool.
    pub spool_id: SpoolId,
    /// Which batch of it.
    pub sequence: u64,
    /// When it arrived, collector's clock.
    pub received_ms: i64,
    /// Times and values; `Column::number` is a position in `series`.
    pub block: Packed,
    /// The series of the block's columns.
    pub series: Vec<SeriesId>,
}

/// Batches a spool will never deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapRecord {
    /// 32 hexadecimal digits.
    pub spool_id: String,
    /// First dropped sequence.
    pub first_sequence: u64,
    /// Last dropped sequence.
    pub last_sequence: u64,
    /// The time they covered, host's clock.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// How many samples.
    pub samples: u64,
    /// Which bound was reached.
    pub reason: String,
}

/// What `append` did, once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Committed now.
    Stored,
    /// This (host, spool, sequence) was committed before; nothing changed.
    Duplicate,
}

/// A question for notes of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotesAsked {
    /// The host's name.
    pub host: String,
    /// First moment, included, host's clock, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
}

/// How many notes of processes there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotesHeld {
    /// Rows they are in.
    pub rows: u64,
    /// Notes.
    pub notes: u64,
    /// Of their payloads.
    pub bytes: u64,
    /// The oldest, host's clock.
    pub oldest_ms: Option<i64>,
    /// The newest.
    pub newest_ms: Option<i64>,
}

/// Which hosts and series a question is about.
#[derive(Clone, Debug, Default)]
pub struct WindowQuery {
    /// Names of hosts; empty means all that are not retired.
    pub hosts: Vec<String>,
    /// Names of metrics; empty means all.
    pub metrics: Vec<String>,
    /// First moment, included, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
    /// Most samples the answer may hold; more is an error that says how to narrow.
    pub samples_max: usize,
}

/// Whether a series of a host, given by the host's name and its own, is meant.
pub type Chosen = Arc<dyn Fn(&str, &SeriesName) -> bool + Send + Sync>;

/// What is made of a host's window as soon as it is read: so a fleet's samples need not all be held
/// until the last of them is there.
pub type Shape = Arc<dyn Fn(Window) -> Window + Send + Sync>;

/// Nothing is made of it.
pub(super) fn as_it_is() -> Shape {
    Arc::new(|window| window)
}

/// Under which name a series of a host counts; `None`: it is not meant.
pub type Under = Arc<dyn Fn(&str, &SeriesName) -> Option<SeriesName> + Send + Sync>;

/// Every series under its own name: for one host.
pub fn own_names() -> Under {
    Arc::new(|_: &str, name: &SeriesName| Some(name.clone()))
}

/// A coarse question: one number a step instead of samples.
#[derive(Clone)]
pub struct AggregateQuery {
    /// Names of hosts.
    pub hosts: Vec<String>,
    /// One metric, sampled or derived.
    pub metric: String,
    /// The range and its steps; a step much longer than the range makes it one.
    pub grid: Grid,
    /// What becomes of a step; none: rates of counters, means of gauges.
    pub agg: Option<Agg>,
    /// Series that come under one name are pooled: every value of each counts.
    pub under: Under,
    /// Most samples to read.
    pub samples_max: usize,
}

impl AggregateQuery {
    /// The series that come under some name.
    pub(super) fn chosen(&self) -> Option<Chosen> {
        let under = Arc::clone(&self.under);
        Some(Arc::new(move |host, name| under(host, name).is_some()))
    }
}

/// What a coarse question came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregated {
    /// By name; a step is named by its start.
    pub series: Vec<Series>,
    /// What became of the steps; none when there was nothing.
    pub agg: Option<Agg>,
    /// Largest relative error of a value; none: exact.
    pub error: Option<f64>,
    /// What the answer is made from is not kept before, although there was something.
    pub kept_since_ms: Option<i64>,
    /// What it took.
    pub read: Read,
}

/// How many rows of rollups were read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowsRead {
    /// The length of their steps in milliseconds.
    pub step_ms: i64,
    /// How many.
    pub rows: u64,
}

/// What was read for an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Rows of rollups, by the length of their steps.
    pub rollups: Vec<RowsRead>,
    /// Their packed bytes.
    pub bytes: u64,
    /// Samples.
    pub samples: u64,
    /// CPU time in microseconds.
    pub cpu_us: u64,
}

/// A day of a host whose rollups do not say what its samples say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollupDifference {
    /// The host's name.
    pub host: String,
    /// Where the day begins.
    pub day_ms: i64,
    /// Which rollup, and what is wrong with it.
    pub what: String,
}

/// What a recomputation of the rollups came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RollupsChecked {
    /// Days of hosts that were recomputed.
    pub days: u64,
    /// Those that differ; after a repair those that still do.
    pub differences: Vec<RollupDifference>,
    /// Days that were rolled up anew.
    pub repaired: u64,
}

/// When the collector itself was alive: outages are only counted while it was watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchSpan {
    /// Start, collector's clock, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last beat.
    pub to_ms: i64,
}

/// What sealing and merging wrote since the store was opened. Samples written for each sample
/// sealed: `(sealed_samples + merged_samples) / sealed_samples`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples that left the journal for blocks.
    pub sealed_samples: u64,
    /// Samples written again because their blocks were merged.
    pub merged_samples: u64,
}

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreFacts {
    /// `PRAGMA user_version`.
    pub schema_version: i64,
    /// Size of the database and its log.
    pub file_bytes: u64,
    /// Samples in sealed blocks and in the journal.
    pub samples: u64,
    /// Series known.
    pub series: u64,
    /// Hosts known.
    pub hosts: u64,
    /// Oldest sample.
    pub oldest_ms: Option<i64>,
    /// Newest sample.
    pub newest_ms: Option<i64>,
    /// Rows of the journal, not sealed yet: a batch each, or several that were committed together.
    pub journal_batches: u64,
    /// What the disk budget took, the finest tier first.
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// The disk budget of the collector that has the file.
    #[serde(default)]
    pub bytes_max: Option<u64>,
    /// Problems found by the check, empty when sound.
    pub problems: Vec<String>,
}

/// What takes how much room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// `PRAGMA user_version`.
    pub schema_version: i64,
    /// Size of the database file.
    pub file_bytes: u64,
    /// Size of SQLite's log beside it.
    pub log_bytes: u64,
    /// Of the file: pages that are free for new data.
    pub free_bytes: u64,
    /// Hosts known, merged ones not counted.
    pub hosts: u64,
    /// Series known.
    pub series: u64,
    /// By tier and family.
    pub rows: Vec<CensusRow>,
    /// What the disk budget took, the finest tier first.
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// Notes of what used hosts most.
    #[serde(default)]
    pub processes: NotesHeld,
}

/// One family in one tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CensusRow {
    /// Family of metrics, or what is not sealed yet.
    pub family: String,
    /// Step of a rollup; none for the samples themselves.
    pub tier_ms: Option<i64>,
    /// Rows of the table.
    pub blocks: u64,
    /// Samples in it; for a rollup those it speaks for.
    pub samples: u64,
    /// Bytes of the payloads.
    pub bytes: u64,
    /// Oldest sample.
    pub oldest_ms: Option<i64>,
    /// Newest sample.
    pub newest_ms: Option<i64>,
}
