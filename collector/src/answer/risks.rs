//! The register of risks.

use serde::{Deserialize, Serialize};

use super::range::Range;
use super::{AnswerError, Setup, standing, suspects};
use crate::rules::{Severity, State};
use crate::store::{Entry, Store};

/// A question for the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskQuestion {
    /// Also what is pending, and what closed within this range.
    #[serde(default)]
    pub all_within: Option<Range>,
    /// Only what is at least as bad.
    #[serde(default)]
    pub severity: Option<Severity>,
}

/// The register, or the part that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risks {
    /// How many are open at each severity, whatever was asked for.
    pub open: Open,
    /// How many conditions hold and are not open yet, whatever was asked for.
    pub pending: usize,
    /// How many of the open ones are muted now, here or in Alertmanager, or maintained.
    #[serde(default)]
    pub muted: Open,
    /// Open before pending before closed, the worst first, of equals the oldest.
    pub findings: Vec<Entry>,
}

/// How many findings are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Worth knowing.
    pub info: usize,
    /// Need planning.
    pub warning: usize,
    /// Need somebody now.
    pub critical: usize,
}

impl Open {
    fn count(&mut self, severity: Severity) {
        match severity {
            Severity::Info => self.info += 1,
            Severity::Warning => self.warning += 1,
            Severity::Critical => self.critical += 1,
        }
    }

    /// How many are at least this bad.
    pub fn at_least(&self, severity: Severity) -> usize {
        match severity {
            Severity::Info => self.info + self.warning + self.critical,
            Severity::Warning => self.warning + self.critical,
            Severity::Critical => self.critical,
        }
    }
}

/// Answers a question for the register.
pub(super) async fn risks(
    store: &Store,
    setup: &Setup,
    question: RiskQuestion,
    now_ms: i64,
) -> Result<Risks, AnswerError> {
    let within = question
        .all_within
        .map(|range| range.resolve(now_ms))
        .transpose()
        .map_err(AnswerError::Asked)?;
    let mut findings = store.register(within.map(|(from_ms, _)| from_ms)).await?;
    standing::maintain(store, setup, &mut findings, now_ms).await?;
    let (mut open, mut muted) = (Open::default(), Open::default());
    for entry in findings.iter().filter(|e| e.finding.state == State::Open) {
        open.count(entry.finding.severity);
        if entry.is_quiet(now_ms) {
            muted.count(entry.finding.severity);
        }
    }
    let is_pending = |e: &&Entry| e.finding.state == State::Pending;
    let pending = findings.iter().filter(is_pending).count();
    findings.retain(|Entry { finding, .. }| {
        let in_time = match (finding.state, within) {
            (State::Open, _) => true,
            (_, None) => false,
            (State::Pending, Some(_)) => true,
            // What never opened was never a risk.
            (State::Closed, Some(_)) if finding.opened_ms.is_none() => false,
            (State::Closed, Some((_, to_ms))) => finding.closed_ms.is_none_or(|ms| ms <= to_ms),
        };
        in_time
            && question
                .severity
                .is_none_or(|least| finding.severity >= least)
    });
    findings.sort_by_key(|Entry { finding: f, .. }| {
        (
            rank(f.state),
            std::cmp::Reverse(f.severity),
            f.since_ms,
            f.id,
        )
    });
    suspects::fill(store, setup, &mut findings, now_ms).await?;
    Ok(Risks {
        open,
        pending,
        muted,
        findings,
    })
}

fn rank(state: State) -> u8 {
    match state {
        State::Open => 0,
        State::Pending => 1,
        State::Closed => 2,
    }
}
