//! What is told to others: the messages on their way, what each target was last told of a finding,
//! and how its deliveries go.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::registry::outbox;
use super::{Entry, Store};
use crate::rules::Severity;

/// Over so long it is counted how often a host was the reason that somebody was told.
pub const BUDGET_MS: i64 = 7 * 86_400_000;
/// So many moments are kept of one finding: more than one an hour.
const FIRED_MAX: usize = 200;

/// What a target was last told of a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Whether it was told that the finding is open.
    pub firing: bool,
    /// How bad it was said to be.
    pub severity: Severity,
    /// When it was last told anything of it, collector's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// When it was last told that it is open.
    pub fired_ms: i64,
    /// When it was told that it is open, in the last [`BUDGET_MS`], oldest first: also that it is worse,
    /// and still open. Of very many the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fired: Vec<i64>,
    /// Under which labels, where the target knows it by labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The target says that somebody there silenced it.
    #[serde(default)]
    pub silenced: bool,
}

impl Told {
    /// The moments before `now_ms` that still count, and it.
    pub fn fired_until(before: Option<&Told>, now_ms: i64) -> Vec<i64> {
        let mut fired = Told::counted(before, now_ms);
        fired.push(now_ms);
        let old = fired.len().saturating_sub(FIRED_MAX);
        fired.drain(..old);
        fired
    }

    /// The moments that still count.
    pub fn counted(before: Option<&Told>, now_ms: i64) -> Vec<i64> {
        let all = before.map_or(&[][..], |told| &told.fired);
        let counts = |at_ms: &&i64| now_ms - **at_ms < BUDGET_MS;
        all.iter().filter(counts).copied().collect()
    }
}

/// A host that was the reason that somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// The host.
    pub host: String,
    /// How many messages told that something is open on it: to the target that got most of them.
    pub messages: u64,
}

/// What is told in one step: committed together, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telling {
    /// By number of the finding; none: no need to remember it any more.
    pub told: BTreeMap<i64, Option<Told>>,
    /// Messages to be sent, in this order.
    pub messages: Vec<String>,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number: the same however often it is tried.
    pub number: i64,
    /// When it was written, collector's clock.
    pub made_ms: i64,
    /// Not to be tried before.
    pub next_ms: i64,
    /// How often it was tried.
    pub tries: u32,
    /// What it says.
    pub body: String,
}

/// How a try went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target has it.
    Delivered,
    /// It failed and is tried again.
    Postponed {
        /// Not before.
        next_ms: i64,
        /// What was met.
        error: String,
    },
    /// It will not be tried again.
    Lost {
        /// In a word: "refused", "age".
        reason: &'static str,
        /// What was met.
        error: String,
    },
}

/// How the deliveries to a target go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// Messages it has taken.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Messages that it will never have, by reason.
    pub lost: BTreeMap<String, u64>,
    /// When it last took something, collector's clock.
    pub last_ok_ms: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_ms: Option<i64>,
}

/// A target and what is on its way to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetState {
    /// Its name.
    pub target: String,
    /// Messages that wait.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub oldest_ms: Option<i64>,
    /// How it went so far.
    #[serde(flatten)]
    pub delivery: Delivery,
}

impl Store {
    /// What a target was told, by number of the finding.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn told(&self, target: &str) -> Result<BTreeMap<i64, Told>, StoreError> {
        let target = target.to_owned();
        let read = move |conn: &Connection| outbox::told(conn, &target);
        let doing = "read what was told";
        self.inner.readers.snapshot(doing, read).await
    }

    /// The hosts that somebody was told of in the last [`BUDGET_MS`], most often first. What is told of a
    /// host at one moment is one message, of however many findings, and of however many hosts.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn noise(&self, now_ms: i64) -> Result<Vec<Noise>, StoreError> {
        let read = move |conn: &Connection| outbox::noise(conn, now_ms);
        let doing = "read what was told";
        self.inner.readers.snapshot(doing, read).await
    }

    /// Entries of the register by number, whatever their state; those that are gone are left out.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn entries(&self, numbers: Vec<i64>) -> Result<Vec<Entry>, StoreError> {
        let read = move |conn: &Connection| outbox::entries(conn, &numbers);
        self.inner.readers.snapshot("read the register", read).await
    }

    /// Writes messages into the outbox and notes what they tell. Of a target that takes nothing for
    /// long the oldest messages make room and are counted as lost.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub async fn tell(
        &self,
        target: &str,
        telling: Telling,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let target = target.to_owned();
        self.write("write messages", move |ledger| {
            outbox::tell(&ledger.conn, &target, &telling, now_ms)
        })
        .await
    }

    /// The oldest message to a target.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn next_letter(&self, target: &str) -> Result<Option<Letter>, StoreError> {
        let target = target.to_owned();
        let read = move |conn: &Connection| outbox::next(conn, &target);
        self.inner.readers.snapshot("read the outbox", read).await
    }

    /// Notes how a try went; without a letter it was a message that is not in the outbox.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub async fn tried(
        &self,
        target: &str,
        letter: Option<i64>,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let target = target.to_owned();
        self.write("note a delivery", move |ledger| {
            outbox::tried(&ledger.conn, &target, letter, &outcome, now_ms)
        })
        .await
    }

    /// Forgets what is on its way to targets that are no more, and what they were told; their
    /// messages count as lost.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub async fn keep_targets(&self, targets: Vec<String>) -> Result<(), StoreError> {
        self.write("forget targets", move |ledger| {
            outbox::keep(&ledger.conn, &targets)
        })
        .await
    }

    /// Every target that ever was told something, by name.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn targets(&self) -> Result<Vec<TargetState>, StoreError> {
        let read = |conn: &Connection| outbox::targets(conn);
        self.inner.readers.snapshot("read the outbox", read).await
    }
}
