//! Questions and answers: what the command line, the gRPC door and the pages ask of a store.
//!
//! A [`Question`] and an [`Answer`] are versioned JSON documents, the same whether a running
//! collector answers over the network or the command line reads a file at rest. This room turns
//! what the store remembers into inputs of the core and hands on what the core says; it computes
//! nothing itself.

mod aside;
pub mod backtest;
mod doctor;
mod forecast;
mod host;
mod hosts;
mod levels;
#[cfg(test)]
mod long;
mod outcomes;
mod overview;
mod presence;
mod query;
pub mod range;
mod report;
mod risk;
mod risks;
mod shelf;
mod standing;
mod suspects;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use doctor::{Check, Health};
pub use forecast::{Ahead, ForecastLine, ForecastQuestion, Outlook, PastAccuracy, Resource};
pub use host::{Filesystem, HostInDepth, Interface};
pub use hosts::{HostLine, HostState, IndicatorLine, Worst};
pub use levels::{LEVELS_MAX, LevelLine, LevelQuestion, Levels, Made};
pub use outcomes::{Outcomes, RuleOutcome};
pub use query::{BriefSamples, SampleQuestion, SampleSeries, Samples};
pub use report::{PrintedReport, ReportFormat, ReportQuestion};
pub use risk::{RiskChange, RiskInDepth};
pub use risks::{Open, RiskQuestion, Risks};
pub use standing::standing;

use crate::rules::{Language, Maintenance, host_down};
use crate::store::{Entry, HostEdit, HostRecord, Store, StoreError, TargetState};

/// Version of the documents below. It grows when a field changes its meaning or goes away; new
/// fields may come at any time.
pub const SCHEMA_VERSION: u32 = 1;

/// How the collector that answers is set up: what an answer depends on beside the store. A file
/// at rest does not hold how its collector was set up; it is read by the defaults.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// When silence means down.
    pub silence: host_down::Levels,
    /// When nobody is told of what.
    pub maintenance: Vec<Maintenance>,
    /// What it shows to who connects; none without TLS, and for a file at rest.
    pub certificate: Option<Certificate>,
    /// What was made of a large fleet lately.
    pub(crate) board: Arc<hosts::Board>,
    /// The overview as it was written last.
    pub(crate) overview: Arc<overview::Overview>,
}

/// The certificate a collector has served with since it started.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Where it was read from.
    pub file: PathBuf,
    /// When it, or one that it leans on, ends; none when it does not say so intelligibly.
    pub ends_ms: Option<i64>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Every host: state, age of data, indicators, worst finding.
    Hosts {},
    /// One host in depth.
    Host {
        /// Its name.
        name: String,
        /// The stretch that indicators and coverage are taken over; none means the last day, as
        /// far as the host is known.
        #[serde(default)]
        range: Option<range::Range>,
    },
    /// Samples by selector.
    Query(SampleQuestion),
    /// Where resources will be, and when they run out.
    Forecast(ForecastQuestion),
    /// Where series of a host will be, said at moments of their past.
    Levels(LevelQuestion),
    /// The register of risks.
    Risks(RiskQuestion),
    /// One entry of the register, and all that happened to it.
    Risk {
        /// Its number.
        id: i64,
    },
    /// Note what somebody decided about entries of the register.
    EditRisks(RiskChange),
    /// How notifications go, target by target.
    Targets {},
    /// The planning report.
    Report(ReportQuestion),
    /// What is wrong with this set-up.
    Doctor {},
    /// Change a host's registration.
    EditHost {
        /// Its name.
        name: String,
        /// The change.
        edit: HostEdit,
    },
}

impl Question {
    /// Whether it changes what other answers say.
    fn changes(&self) -> bool {
        matches!(self, Question::EditHost { .. } | Question::EditRisks(_))
    }
}

/// An answer, and the moment it is true for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// [`SCHEMA_VERSION`] of who answered.
    pub schema_version: u32,
    /// The moment the answer is for, RFC 3339: now for a running collector, its last beat for a
    /// file at rest.
    pub as_of: String,
    /// The same in milliseconds since the Unix epoch.
    pub as_of_ms: i64,
    /// What was found.
    #[serde(flatten)]
    pub body: Body,
}

impl Answer {
    /// An answer for the moment `as_of_ms`.
    pub fn new(body: Body, as_of_ms: i64) -> Answer {
        Answer {
            schema_version: SCHEMA_VERSION,
            as_of: range::rfc3339(as_of_ms),
            as_of_ms,
            body,
        }
    }

    /// As it travels, in UTF-8.
    fn into_json(mut self) -> Result<Vec<u8>, serde_json::Error> {
        if let Body::Samples(samples) = self.body {
            self.body = BriefSamples::of(samples);
        }
        let mut json = Vec::with_capacity(self.body.room());
        serde_json::to_writer(&mut json, &self)?;
        Ok(json)
    }

    /// Reads what a collector answered to a question as JSON.
    ///
    /// # Errors
    /// When it is no answer that this program knows.
    pub fn from_json(json: &str) -> Result<Answer, serde_json::Error> {
        let mut answer: Answer = serde_json::from_str(json)?;
        if let Body::BriefSamples(brief) = answer.body {
            let in_full = brief.in_full();
            let unfit = || serde::de::Error::custom("a series has other moments than values");
            answer.body = Body::Samples(in_full.ok_or_else(unfit)?);
        }
        Ok(answer)
    }
}

/// The answer itself; `kind` names the question it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// To [`Question::Hosts`].
    Hosts {
        /// By name.
        hosts: Vec<HostLine>,
    },
    /// To [`Question::Host`].
    Host(Box<HostInDepth>),
    /// To [`Question::Query`].
    Samples(Samples),
    /// The same on its way: [`Answer::from_json`] makes [`Body::Samples`] of it.
    BriefSamples(BriefSamples),
    /// To [`Question::Forecast`].
    Forecasts {
        /// What runs out first first.
        forecasts: Vec<ForecastLine>,
    },
    /// To [`Question::Levels`].
    Levels(Levels),
    /// To [`Question::Risks`].
    Risks(Risks),
    /// To [`Question::Risk`].
    Risk(Box<RiskInDepth>),
    /// To [`Question::EditRisks`].
    EditedRisks {
        /// The entries as they are now.
        findings: Vec<Entry>,
    },
    /// To [`Question::Targets`].
    Targets {
        /// By name.
        targets: Vec<TargetState>,
    },
    /// To [`Question::Report`].
    Report(PrintedReport),
    /// To [`Question::Doctor`].
    Doctor {
        /// One a subject that was looked at.
        checks: Vec<Check>,
    },
    /// To [`Question::EditHost`].
    Edited {
        /// The host as it is now.
        host: Box<HostRecord>,
    },
}

impl Body {
    /// Lets findings say what to do in a language: in their `advice`.
    pub fn speak(&mut self, language: Language) {
        let entries = |entries: &mut [Entry]| {
            entries
                .iter_mut()
                .for_each(|entry| entry.finding.speak(language));
        };
        match self {
            Body::Host(host) => host.findings.iter_mut().for_each(|f| f.speak(language)),
            Body::Risks(risks) => entries(&mut risks.findings),
            Body::Risk(depth) => entries(std::slice::from_mut(&mut depth.risk)),
            Body::EditedRisks { findings } => entries(findings),
            _ => {}
        }
    }

    /// About how many bytes of JSON it makes.
    fn room(&self) -> usize {
        const FEW: usize = 4 << 10;
        const HOST: usize = 1536;
        match self {
            Body::Hosts { hosts } => FEW + HOST * hosts.len(),
            Body::Samples(samples) => FEW + samples.room(),
            Body::BriefSamples(brief) => FEW + brief.room(),
            _ => FEW,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The question cannot be answered as asked; the text says what to change.
    #[error("{0}")]
    Asked(String),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written down.
    #[error("encode the answer")]
    Encode(#[source] serde_json::Error),
    /// The work on the answer did not come to its end: nothing that who asked could do otherwise.
    #[error("{doing} was cut off by a fault in this program")]
    CutOff {
        /// What was worked on.
        doing: &'static str,
        /// How it ended.
        source: tokio::task::JoinError,
    },
}

/// Answers a question for the moment `now_ms` (milliseconds since the Unix epoch).
///
/// # Errors
/// When the question makes no sense, names a host that is not there, or the store fails.
pub async fn answer(
    store: &Store,
    setup: &Setup,
    question: Question,
    now_ms: i64,
) -> Result<Answer, AnswerError> {
    let changes = question.changes();
    let body = match question {
        Question::Hosts {} => Body::Hosts {
            hosts: hosts::hosts(store, setup, now_ms).await?,
        },
        Question::Host { name, range } => {
            let found = host::host(store, setup, &name, range, now_ms).await?;
            Body::Host(Box::new(found))
        }
        Question::Query(question) => Body::Samples(query::samples(store, question, now_ms).await?),
        Question::Forecast(question) => Body::Forecasts {
            forecasts: forecast::forecasts(store, question, now_ms).await?,
        },
        Question::Levels(question) => Body::Levels(levels::levels(store, question, now_ms).await?),
        Question::Risks(question) => {
            Body::Risks(risks::risks(store, setup, question, now_ms).await?)
        }
        Question::Risk { id } => Body::Risk(Box::new(risk::risk(store, setup, id, now_ms).await?)),
        Question::EditRisks(change) => Body::EditedRisks {
            findings: risk::change(store, change, now_ms).await?,
        },
        Question::Targets {} => Body::Targets {
            targets: store.targets().await?,
        },
        Question::Report(question) => {
            Body::Report(report::report(store, setup, question, now_ms).await?)
        }
        Question::Doctor {} => Body::Doctor {
            checks: doctor::checks(store, setup, now_ms).await?,
        },
        Question::EditHost { name, edit } => Body::Edited {
            host: Box::new(store.edit_host(&name, edit, now_ms).await?),
        },
    };
    if changes {
        setup.overview.clear();
    }
    Ok(Answer::new(body, now_ms))
}

async fn written(
    store: &Store,
    setup: &Setup,
    question: Question,
    now_ms: i64,
) -> Result<Vec<u8>, AnswerError> {
    let answer = answer(store, setup, question, now_ms).await?;
    answer.into_json().map_err(AnswerError::Encode)
}

/// Answers a question that came as JSON, with JSON in UTF-8. The overview of a large fleet may be of
/// a few seconds ago, and says so.
///
/// # Errors
/// As [`answer`], and [`AnswerError::Asked`] when the JSON is no question this program knows.
pub async fn answer_json(
    store: &Store,
    setup: &Setup,
    question_json: &str,
    now_ms: i64,
) -> Result<Arc<Vec<u8>>, AnswerError> {
    let question = serde_json::from_str(question_json).map_err(|e| {
        AnswerError::Asked(format!(
            "this collector ({}) does not know such a question: {e}",
            env!("CARGO_PKG_VERSION")
        ))
    })?;
    match question {
        Question::Hosts {} => overview::overview(store, setup, now_ms).await,
        other => Ok(Arc::new(written(store, setup, other, now_ms).await?)),
    }
}

/// The moment a file at rest speaks for: when its collector last beat or received anything, or
/// the newest sample when no collector ever watched (a file made by an import), or `otherwise_ms`
/// when there is nothing.
///
/// # Errors
/// When the store cannot be read.
pub async fn last_beat_ms(store: &Store, otherwise_ms: i64) -> Result<i64, StoreError> {
    let spans = store.watch_spans(0, i64::MAX).await?;
    let Some(beat_ms) = spans.last().map(|span| span.to_ms) else {
        return Ok(store.facts(false).await?.newest_ms.unwrap_or(otherwise_ms));
    };
    // Between the last beat and the end some more may have come in.
    let hosts = store.hosts().await?;
    let received = hosts.iter().filter_map(|host| host.last_received_ms).max();
    Ok(received.map_or(beat_ms, |ms| ms.max(beat_ms)))
}
