//! The collector's settings: a TOML file, then the environment, then flags.
//!
//! A setting is defined once, as a field here: the known keys, the names in the environment and the
//! suggestions for a misspelt key derive from the struct. `deploy/collector.toml` shows every one
//! with its default.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hostwell_proto::metric::Family;
use serde::{Deserialize, Serialize};

use crate::rules::{Judging, Maintenance, Policy};
use crate::store::{Class, Keeping, PROCESSES_KEPT_MS, Tier};

mod keys;
mod notify;
mod policy;

pub use notify::{Alertmanager, Notify, Webhook};
pub use policy::{Override, Window};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerConfig {
    /// Folder of the collector; the database is `hostwell.db` in it.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub listen: Listen,
    /// Encryption; without it everything stays on loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long what is kept.
    pub retention: Retention,
    /// Bounds on what comes from outside.
    pub limits: Limits,
    /// Who is told of risks.
    pub notify: Notify,
    /// Thresholds of the rules.
    pub rules: Policy,
    /// Other thresholds for some hosts.
    #[serde(rename = "override")]
    pub overrides: Vec<Override>,
    /// Times that come again, in which nobody is told.
    pub maintenance: Vec<Window>,
}

/// Addresses; port 0 takes a free one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listen {
    /// Agents and the command line.
    pub grpc: SocketAddr,
    /// Web pages.
    pub web: SocketAddr,
}

/// PEM files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// The collector's certificate chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authority that signs the certificates of agents and operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Whether they must show one; means something only with `ca`.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Who shows none is let in, unnamed.
    #[default]
    Optional,
    /// Who shows none is not.
    Required,
}

/// How long what is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Samples as they were taken, in days.
    pub raw_days: u32,
    /// Rollups: the length of a step and how long it is kept, "1h 761d".
    pub rollups: Vec<String>,
    /// Most bytes of the database; above, the oldest of the finest tier goes first. 0: as much as
    /// there is room.
    pub max_bytes: u64,
    /// Notes of what used hosts most, in days.
    pub processes_days: u32,
    /// Where the metrics of a family are kept otherwise: `[retention.class.network]`.
    pub class: BTreeMap<String, ClassRetention>,
}

/// How long what is kept of the metrics of one family; what is not given is as for all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRetention {
    /// Samples as they were taken, in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_days: Option<u32>,
    /// Rollups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollups: Option<Vec<String>>,
}

/// Bounds on what comes from outside; what is over one is refused and counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Hosts.
    pub hosts: usize,
    /// Series of one host.
    pub series_per_host: usize,
    /// Labels of one series.
    pub labels_per_series: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value.
    pub label_value_bytes: usize,
    /// Bytes of one message, unpacked.
    pub message_bytes: u32,
    /// Batches of one agent sent and not yet answered.
    pub batches_in_flight: u32,
    /// Moments in one batch.
    pub ticks_per_batch: usize,
    /// Samples in one batch.
    pub samples_per_batch: usize,
    /// How far ahead of the collector's clock a sample may be dated.
    pub future_seconds: u32,
    /// Bytes of batches of all agents together that wait for the disk.
    pub waiting_bytes: u32,
    /// Open connections.
    pub connections: usize,
    /// Open calls on one connection.
    pub streams_per_connection: u32,
    /// Time for a TLS handshake, and for a stream to say who it is.
    pub handshake_seconds: u32,
    /// Silence after which an agent's stream is closed.
    pub idle_seconds: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            data_dir: PathBuf::from("/var/lib/hostwell"),
            listen: Listen::default(),
            tls: None,
            retention: Retention::default(),
            limits: Limits::default(),
            notify: Notify::default(),
            rules: Policy::default(),
            overrides: Vec::new(),
            maintenance: Vec::new(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Listen {
            grpc: local(hostwell_proto::GRPC_PORT),
            web: local(hostwell_proto::WEB_PORT),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        let word = |ms: i64| match ms {
            ms if ms % DAY_MS == 0 => format!("{}d", ms / DAY_MS),
            ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
            ms => format!("{}m", ms / 60_000),
        };
        let tier = |tier: &Tier| format!("{} {}", word(tier.step_ms), word(tier.age_ms));
        Retention {
            raw_days: 15,
            rollups: Tier::DEFAULT.iter().map(tier).collect(),
            max_bytes: 0,
            processes_days: (PROCESSES_KEPT_MS / DAY_MS) as u32,
            class: BTreeMap::new(),
        }
    }
}

/// Most lengths of steps.
const TIERS_MAX: usize = 8;
/// Shortest step.
const STEP_MIN_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;
/// Smallest disk budget: below it free pages and the log are most of the file.
const BUDGET_MIN: u64 = 64 << 20;

/// "90d" in milliseconds.
fn duration_ms(word: &str) -> Option<i64> {
    let unit = word.strip_suffix(['s', 'm', 'h', 'd'])?;
    let unit_ms = match word.as_bytes().last()? {
        b's' => 1_000,
        b'm' => 60_000,
        b'h' => 3_600_000,
        _ => DAY_MS,
    };
    let count: u32 = unit.parse().ok()?;
    i64::from(count).checked_mul(unit_ms).filter(|ms| *ms > 0)
}

impl Retention {
    /// What the store keeps of rollups and in how much room.
    ///
    /// # Errors
    /// Names the setting that makes no sense, and why.
    pub fn keeping(&self) -> anyhow::Result<Keeping> {
        let mut classes = BTreeMap::new();
        for (name, class) in &self.class {
            let setting = format!("retention.class.{name}");
            let family = Family::ALL.into_iter().find(|family| family.name() == name);
            let family = family.with_context(|| format!("{setting}: there is no such class"))?;
            let rollups = class.rollups.as_ref();
            let tiers = rollups.map(|texts| tiers(&format!("{setting}.rollups"), texts));
            let kept = Class {
                samples_ms: class.raw_days.map(|days| i64::from(days) * DAY_MS),
                tiers: tiers.transpose()?,
            };
            classes.insert(family, kept);
        }
        Ok(Keeping {
            tiers: tiers("retention.rollups", &self.rollups)?,
            classes,
            bytes_max: Some(self.max_bytes).filter(|bytes| *bytes > 0),
            processes_ms: self.processes_ms(),
        })
    }

    /// For how long samples are kept, where their class says nothing else.
    pub fn raw_ms(&self) -> i64 {
        i64::from(self.raw_days) * DAY_MS
    }

    /// For how long notes of processes are kept.
    pub fn processes_ms(&self) -> i64 {
        i64::from(self.processes_days) * DAY_MS
    }

    /// For how long the samples are kept that are kept longest.
    pub fn longest_raw_ms(&self) -> i64 {
        let days = self.class.values().filter_map(|class| class.raw_days);
        i64::from(days.chain([self.raw_days]).max().unwrap_or(self.raw_days)) * DAY_MS
    }

    fn check(&self) -> anyhow::Result<()> {
        within("retention.raw_days", self.raw_days, 1..=36_500)?;
        within("retention.processes_days", self.processes_days, 1..=366)?;
        for (name, class) in &self.class {
            let days = class.raw_days.unwrap_or(1);
            within(
                &format!("retention.class.{name}.raw_days"),
                days,
                1..=36_500,
            )?;
        }
        if self.max_bytes != 0 {
            let max = i64::MAX as u64;
            within("retention.max_bytes", self.max_bytes, BUDGET_MIN..=max)?;
        }
        self.keeping().map(drop)
    }
}

/// The rollups of a setting.
fn tiers(setting: &str, texts: &[String]) -> anyhow::Result<Vec<Tier>> {
    let mut tiers: Vec<Tier> = Vec::new();
    for text in texts {
        let words: Vec<Option<i64>> = text.split_whitespace().map(duration_ms).collect();
        let [Some(step_ms), Some(age_ms)] = words[..] else {
            bail!(
                "{setting}: {text:?} is not a length of a step and how long it is \
                 kept, such as \"1h 761d\""
            );
        };
        if !(STEP_MIN_MS..=DAY_MS).contains(&step_ms) || DAY_MS % step_ms != 0 {
            bail!(
                "{setting}: {text:?}: a day must be a whole number of steps of at \
                 least 10 s"
            );
        }
        if age_ms < DAY_MS {
            bail!("{setting}: {text:?}: rollups are kept for at least a day");
        }
        if tiers.iter().any(|tier| tier.step_ms == step_ms) {
            bail!("{setting}: {text:?}: there are steps of this length already");
        }
        tiers.push(Tier { step_ms, age_ms });
    }
    within(setting, tiers.len(), 0..=TIERS_MAX)?;
    Ok(tiers)
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hosts: 10_000,
            series_per_host: 20_000,
            labels_per_series: 32,
            label_name_bytes: 128,
            label_value_bytes: 1024,
            message_bytes: 4 << 20,
            batches_in_flight: 16,
            ticks_per_batch: 3_600,
            samples_per_batch: 50_000,
            future_seconds: 600,
            waiting_bytes: 64 << 20,
            connections: 12_000,
            streams_per_connection: 16,
            handshake_seconds: 10,
            idle_seconds: 600,
        }
    }
}

/// What the flags of `hostwell serve` say; they win over the environment and the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen-grpc`.
    pub listen_grpc: Option<SocketAddr>,
    /// `--listen-web`.
    pub listen_web: Option<SocketAddr>,
}

impl ServerConfig {
    /// Reads the file (where there is one), lays the environment and the flags over it, and checks
    /// the result. `env` answers the value of a variable.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, an unknown key (with its line and the nearest known
    /// one), a value out of bounds, an address other machines can reach without `[tls]`.
    pub fn load(
        file: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> anyhow::Result<Self> {
        let mut config = match file {
            None => ServerConfig::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("read configuration {}", path.display()))?;
                Self::parse(&text).with_context(|| format!("in {}", path.display()))?
            }
        };
        config = keys::with_environment(config, env)?;
        if let Some(data) = &overrides.data {
            config.data_dir.clone_from(data);
        }
        config.listen.grpc = overrides.listen_grpc.unwrap_or(config.listen.grpc);
        config.listen.web = overrides.listen_web.unwrap_or(config.listen.web);
        config.check()?;
        Ok(config)
    }

    /// Reads TOML text; nothing is laid over it and bounds are not checked.
    ///
    /// # Errors
    /// Text that is not TOML, a value of the wrong type, an unknown key: each with its line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        keys::refuse_unknown(text)?;
        Ok(toml::from_str(text)?)
    }

    /// By which levels which host is judged.
    ///
    /// # Errors
    /// Names the section, and what is wrong with it.
    pub fn judging(&self) -> anyhow::Result<Judging> {
        policy::judging(&self.rules, &self.overrides)
    }

    /// When nobody is told of what.
    ///
    /// # Errors
    /// Names the section, and what is wrong with it.
    pub fn maintenance(&self) -> anyhow::Result<Vec<Maintenance>> {
        policy::maintenance(&self.maintenance)
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("hostwell.db")
    }

    /// Holds every value against its bounds and the loopback rule.
    ///
    /// # Errors
    /// Names the setting, what is wrong with it, and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        let l = &self.limits;
        self.retention.check()?;
        within("limits.hosts", l.hosts, 1..=1_000_000)?;
        within("limits.series_per_host", l.series_per_host, 1..=60_000)?;
        within("limits.labels_per_series", l.labels_per_series, 1..=256)?;
        within("limits.label_name_bytes", l.label_name_bytes, 16..=1024)?;
        within("limits.label_value_bytes", l.label_value_bytes, 16..=65_536)?;
        within("limits.message_bytes", l.message_bytes, 65_536..=64 << 20)?;
        within("limits.batches_in_flight", l.batches_in_flight, 1..=1024)?;
        within("limits.ticks_per_batch", l.ticks_per_batch, 1..=65_535)?;
        within(
            "limits.samples_per_batch",
            l.samples_per_batch,
            100..=10_000_000,
        )?;
        within("limits.future_seconds", l.future_seconds, 1..=86_400)?;
        // A single message must fit, or no agent could ever send it.
        within(
            "limits.waiting_bytes",
            l.waiting_bytes,
            l.message_bytes..=u32::MAX >> 3,
        )?;
        within("limits.connections", l.connections, 1..=1_000_000)?;
        within(
            "limits.streams_per_connection",
            l.streams_per_connection,
            1..=1024,
        )?;
        within("limits.handshake_seconds", l.handshake_seconds, 1..=600)?;
        within("limits.idle_seconds", l.idle_seconds, 1..=86_400)?;
        self.notify.check()?;
        if let Some(problem) = self.rules.problems().first() {
            bail!("rules.{problem}");
        }
        self.judging()?;
        self.maintenance()?;
        self.check_addresses()
    }

    fn check_addresses(&self) -> anyhow::Result<()> {
        let addresses = [
            ("listen.grpc", self.listen.grpc),
            ("listen.web", self.listen.web),
        ];
        match &self.tls {
            None => {
                for (key, address) in addresses {
                    if !address.ip().is_loopback() {
                        bail!(
                            "{key} = \"{address}\" lets other machines in without encryption; \
                             give [tls] cert and key (PEM files) in the configuration, or listen \
                             on 127.0.0.1:{}",
                            address.port()
                        );
                    }
                }
            }
            Some(tls) => {
                if tls.ca.is_none() && tls.client_certificates == ClientCertificates::Required {
                    bail!(
                        "tls.client_certificates = \"required\" needs tls.ca, the authority that signs them"
                    );
                }
            }
        }
        Ok(())
    }
}

fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    bounds: RangeInclusive<T>,
) -> anyhow::Result<()> {
    if !bounds.contains(&value) {
        let (least, most) = bounds.into_inner();
        bail!("{key} = {value} is out of bounds: from {least} to {most}");
    }
    Ok(())
}

/// A configuration file with every setting, its default and what it is for.
pub fn example() -> &'static str {
    include_str!("../../../deploy/collector.toml")
}

#[cfg(test)]
mod tests;
