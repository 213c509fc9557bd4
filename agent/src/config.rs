//! What the operator decided: a TOML file, over it the environment, over it the flags.
//!
//! Every setting is one row of [`SETTINGS`]; the keys of the file, the names of the environment
//! variables (`HOSTWELL_AGENT_SPOOL_BYTES_MAX`), the flags (`--spool-bytes-max`) and the example
//! file all derive from that row. A key that no row has is an error that names the nearest one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::probe::ProbeOptions;
use crate::top;

mod flags;
mod load;
mod settings;
mod units;

pub use crate::spool::SpoolConfig;
pub use crate::tls::TlsConfig;
pub use flags::Flags;
pub use load::{Overrides, load};
pub use settings::{SETTINGS, Setting, example};

/// Shortest sampling interval: below it the agent would disturb what it measures.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longest sampling interval: above it "host down" would take hours to notice.
pub const INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// Slow subjects are read at least this often: the collector takes a longer silence for a hole.
pub const SLOW_EVERY_MAX: Duration = Duration::from_secs(120);
/// Most labels a host may carry; the collector refuses more.
pub const LABELS_MAX: usize = 32;

/// What is done to messages on top of packing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// gzip, message by message.
    Gzip,
}

/// Everything the agent can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the host calls itself; `None` is the nodename of uname.
    pub host_name: Option<String>,
    /// Time between two samples, a whole number of milliseconds.
    pub interval: Duration,
    /// Longest time samples wait to be sent together; never below the interval.
    pub send_every: Duration,
    /// Where samples go: `https://host:port`, or `http://` to loopback. `None` only spools.
    pub collector: Option<String>,
    /// Where the host's identity and the spool live; nobody else writes there.
    pub state_dir: PathBuf,
    /// Where the host's own `/` is seen from here: `/`, or `/host` in a container.
    pub root: PathBuf,
    /// Reads files and system calls from a recorded machine instead; for tests.
    pub fixture: Option<PathBuf>,
    /// Labels of the host; the operator's labels at the collector win over these.
    pub labels: BTreeMap<String, String>,
    /// Keys for the connection.
    pub tls: TlsConfig,
    /// What is done to messages on top of packing.
    pub compression: Compression,
    /// Bounds of what is kept while the collector is away.
    pub spool: SpoolConfig,
    /// What is sampled.
    pub probes: ProbeOptions,
    /// Probes that do not run, by name.
    pub probes_disabled: Vec<String>,
    /// What is told of processes.
    pub processes: top::Options,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host_name: None,
            interval: Duration::from_secs(10),
            send_every: Duration::from_secs(10),
            collector: None,
            state_dir: PathBuf::from("/var/lib/hostwell-agent"),
            root: PathBuf::from("/"),
            fixture: None,
            labels: BTreeMap::new(),
            tls: TlsConfig::default(),
            compression: Compression::default(),
            spool: SpoolConfig::default(),
            probes: ProbeOptions::default(),
            probes_disabled: Vec::new(),
            processes: top::Options::default(),
        }
    }
}

impl Config {
    /// How many ticks make one batch.
    pub fn ticks_per_batch(&self) -> usize {
        let ticks = self.send_every.as_millis() / self.interval.as_millis().max(1);
        (ticks as usize).clamp(1, 600)
    }
}

#[cfg(test)]
mod tests;
