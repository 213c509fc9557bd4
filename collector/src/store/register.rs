//! The register of risks: what the rules found, and what people decided about it.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::registry::{care, findings};
use crate::processes::Suspects;
use crate::rules::{Finding, Severity, State};

/// Who did something, when and why. Nobody checks who they are: it is what they claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, collector's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who, as they say.
    pub who: String,
    /// Why, if they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where people stand with a finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// Somebody has seen it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Deed>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Nobody wants to hear of it until then, collector's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until_ms: Option<i64>,
    /// Somebody closed it although its condition still held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedByHand>,
}

impl Care {
    /// Whether it is muted at a moment. A mute passes by itself.
    pub fn is_muted(&self, now_ms: i64) -> bool {
        self.muted_until_ms.is_some_and(|until| until > now_ms)
    }
}

/// Closed by somebody while the condition held. It comes back when the finding gets worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedByHand {
    /// By whom.
    #[serde(flatten)]
    pub by: Deed,
    /// How bad it was then.
    pub severity: Severity,
}

/// An entry of the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was found; `Closed` also when somebody closed it by hand.
    #[serde(flatten)]
    pub finding: Finding,
    /// Where people stand with it.
    #[serde(flatten)]
    pub care: Care,
    /// The target of notifications in which somebody silenced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_in: Option<String>,
    /// When the maintenance ends that is going on; told by whoever knows the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintained_until_ms: Option<i64>,
    /// Who used most of what it is about when it began; told by whoever looks that up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Suspects>,
}

impl Entry {
    /// A finding as people see it.
    pub(super) fn new(finding: Finding, care: Care) -> Entry {
        let finding = match &care.closed {
            Some(closed) if finding.state != State::Closed => Finding {
                state: State::Closed,
                closed_ms: Some(closed.by.at_ms),
                ..finding
            },
            _ => finding,
        };
        Entry {
            finding,
            care,
            silenced_in: None,
            maintained_until_ms: None,
            processes: None,
        }
    }

    /// Whether nobody wants to hear of it at a moment.
    pub fn is_quiet(&self, now_ms: i64) -> bool {
        let maintained = self.maintained_until_ms.is_some_and(|until| until > now_ms);
        self.care.is_muted(now_ms) || maintained || self.silenced_in.is_some()
    }
}

/// What somebody decides about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskEdit {
    /// It has been seen and is being worked on.
    Acknowledge,
    /// It is somebody's.
    Assign {
        /// Whose; none takes it from everybody.
        owner: Option<String>,
    },
    /// Nobody wants to hear of it until then; a moment that has passed ends a mute.
    Mute {
        /// Collector's clock, milliseconds since the Unix epoch.
        until_ms: i64,
    },
    /// It is over, or accepted.
    Close,
    /// Closed by hand too early.
    Reopen,
}

/// What happened to a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happened {
    /// Its condition began to hold.
    Pending,
    /// It became a risk.
    Opened,
    /// It was closed and is a risk again.
    Reopened,
    /// It became another severity.
    Severity,
    /// Its condition is over.
    Closed,
    /// Somebody decided something.
    Decided {
        /// What.
        edit: RiskEdit,
    },
}

/// An event in the life of a finding. Kept for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskEvent {
    /// When, collector's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub happened: Happened,
    /// How bad it was then.
    pub severity: Severity,
    /// What the finding said then.
    pub summary: String,
    /// Who, where it was somebody, as they claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why, if they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Store {
    /// The register as people see it: pending and open entries, and those that closed since.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn register(&self, closed_since_ms: Option<i64>) -> Result<Vec<Entry>, StoreError> {
        let read = move |conn: &Connection| care::entries(conn, closed_since_ms);
        self.inner.readers.snapshot("read the register", read).await
    }

    /// The findings of [`Store::register`].
    ///
    /// # Errors
    /// As [`Store::register`].
    pub async fn findings(&self, closed_since_ms: Option<i64>) -> Result<Vec<Finding>, StoreError> {
        let entries = self.register(closed_since_ms).await?;
        Ok(entries.into_iter().map(|entry| entry.finding).collect())
    }

    /// What the rules hold to be pending or open, whatever people decided.
    ///
    /// # Errors
    /// As [`Store::register`].
    pub async fn verdicts(&self) -> Result<Vec<Finding>, StoreError> {
        let read = |conn: &Connection| findings::list(conn, None);
        self.inner.readers.snapshot("read the findings", read).await
    }

    /// One entry and all that happened to it, oldest first.
    ///
    /// # Errors
    /// `Conflict` when there is none with this number.
    pub async fn risk(&self, number: i64) -> Result<(Entry, Vec<RiskEvent>), StoreError> {
        let read =
            move |conn: &Connection| Ok((care::entry(conn, number)?, care::events(conn, number)?));
        self.inner.readers.snapshot("read a finding", read).await
    }

    /// Writes findings back by id (0 = new), keeping each change of state in the history for ever.
    /// A new one with the rule, host and subject of a live one becomes that one; one that opens
    /// shortly after it closed is the entry it was.
    ///
    /// # Errors
    /// `Conflict` for an id that was never given out.
    pub async fn save_findings(
        &self,
        findings: Vec<Finding>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        self.write("save the findings", move |ledger| {
            findings
                .iter()
                .try_for_each(|f| findings::save(&ledger.conn, f, now_ms))
        })
        .await
    }

    /// Notes what somebody decided about some findings, all or none; answers them as they are then.
    ///
    /// # Errors
    /// `Conflict` when there is no such finding, or the decision makes no sense for one of them.
    pub async fn edit_risks(
        &self,
        numbers: Vec<i64>,
        edit: RiskEdit,
        deed: Deed,
    ) -> Result<Vec<Entry>, StoreError> {
        self.write("change findings", move |ledger| {
            numbers
                .iter()
                .map(|number| care::decide(&ledger.conn, *number, &edit, &deed))
                .collect()
        })
        .await
    }
}
