//! The planning report: gathers its input and has it built and printed.

mod course;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use course::Course;

use super::hosts::{Moment, owned};
use super::presence::{presence, watched};
use super::range::Range;
use super::{AnswerError, Outcomes, Setup, standing, suspects};
use crate::indicators::{self, Indicators, Verdict};
use crate::plan::availability::{Span, Standing};
use crate::report::{self, Status, Unit};
use crate::rules::{self, Finding, State};
use crate::series::{Window, nice_step_ms};
use crate::store::{Entry, HostRecord, Store, WindowQuery};

/// A question for a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportQuestion {
    /// Over which time; none means the last seven days, as far as there is data.
    #[serde(default)]
    pub range: Option<Range>,
    /// Only hosts with all these labels.
    #[serde(default)]
    pub group: BTreeMap<String, String>,
    /// In which form.
    pub format: ReportFormat,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// One self-contained page.
    Html,
    /// Text.
    Markdown,
    /// The report's own versioned document.
    Json,
}

/// A printed report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrintedReport {
    /// The form of `text`.
    pub format: ReportFormat,
    /// The verdict in one sentence.
    pub headline: String,
    /// The whole report.
    pub text: String,
}

/// Samples of one host that are held at a time; a day of a host with many disks.
const SAMPLES_MAX: usize = 20_000_000;
/// Up to here charts are drawn from samples, beyond from rollups.
const SAMPLES_RANGE_MS: i64 = 2 * 86_400_000;
/// What the indicators at the end of a range look at.
const NOW_MS: i64 = 3_600_000;
/// A host's window is read in pieces of this length.
const PIECE_MS: i64 = 86_400_000;
/// Steps of a chart.
const STEPS_MAX: i64 = 120;
/// Without a range.
const DEFAULT_MS: i64 = 7 * 86_400_000;
/// A report over less than this says nothing.
const SHORTEST_MS: i64 = 60_000;

/// Gathers, builds, prints.
pub(super) async fn report(
    store: &Store,
    setup: &Setup,
    question: ReportQuestion,
    now_ms: i64,
) -> Result<PrintedReport, AnswerError> {
    let facts = store.facts(false).await?;
    let period = period(question.range, facts.oldest_ms, now_ms)?;
    let span = Span::new(period.from_ms, period.to_ms);
    let records = in_group(store.hosts().await?, &question.group)?;
    let watched = watched(store, span).await?;
    let moment = Moment::of(store, setup, now_ms).await?;
    let mut hosts = Vec::new();
    for record in &records {
        hosts.push(host(store, record, span, &watched, moment).await?);
    }
    let ids: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let mut entries = store.register(Some(period.from_ms)).await?;
    let about = |f: &Finding| f.state != State::Pending && ids.contains(f.host_id.as_str());
    entries.retain(|entry| about(&entry.finding));
    standing::maintain(store, setup, &mut entries, now_ms).await?;
    let care = care(&entries, now_ms);
    let findings: Vec<Finding> = entries.into_iter().map(|entry| entry.finding).collect();
    let open: Vec<&Finding> = findings.iter().filter(|f| f.state == State::Open).collect();
    let suspects = suspects::of(store, setup, &open, now_ms).await?;
    let who = suspects.iter().map(|(id, found)| (*id, found.words()));
    let built = report::build(&report::Input {
        who: who.collect(),
        care,
        scope: scope(&question.group),
        period,
        now_ms,
        hosts,
        findings,
        collector: report::CollectorInput {
            source: format!(
                "the collector's database as of {}",
                super::range::format_ms(now_ms)
            ),
            version: env!("CARGO_PKG_VERSION").into(),
            watched: watched
                .iter()
                .filter_map(|s| span.within(*s))
                .map(|s| (s.from_ms, s.to_ms))
                .collect(),
            samples: facts.samples,
            series: facts.series,
            file_bytes: facts.file_bytes,
            oldest_ms: facts.oldest_ms,
        },
        rules: notes(),
    });
    Ok(PrintedReport {
        format: question.format,
        headline: built.summary.sentence.clone(),
        text: match question.format {
            ReportFormat::Html => report::html(&built),
            ReportFormat::Markdown => report::markdown(&built),
            ReportFormat::Json => {
                serde_json::to_string_pretty(&built).map_err(AnswerError::Encode)?
            }
        },
    })
}

/// What people decided about entries, by number.
fn care(entries: &[Entry], now_ms: i64) -> BTreeMap<i64, report::Care> {
    let of = |entry: &Entry| report::Care {
        owner: entry.care.owner.clone().unwrap_or_default(),
        standing: standing::decided(entry, now_ms).unwrap_or_default(),
    };
    let cared = entries.iter().map(|entry| (entry.finding.id, of(entry)));
    cared
        .filter(|(_, care)| *care != report::Care::default())
        .collect()
}

fn period(
    range: Option<Range>,
    oldest_ms: Option<i64>,
    now_ms: i64,
) -> Result<report::Period, AnswerError> {
    let asked = range.unwrap_or(Range::last_ms(DEFAULT_MS));
    let (mut from_ms, to_ms) = asked.resolve(now_ms).map_err(AnswerError::Asked)?;
    let mut name = asked.name();
    // A week of which six days are blank hides the seventh.
    if let (None, Some(oldest_ms)) = (range, oldest_ms)
        && oldest_ms > from_ms
    {
        from_ms = oldest_ms.min(to_ms - SHORTEST_MS);
        name = "since the first sample".into();
    }
    if to_ms - from_ms < SHORTEST_MS {
        return Err(AnswerError::Asked(
            "a report needs at least a minute; take a longer --since or --period".into(),
        ));
    }
    Ok(report::Period {
        name,
        from_ms,
        to_ms,
    })
}

fn in_group(
    records: Vec<HostRecord>,
    group: &BTreeMap<String, String>,
) -> Result<Vec<HostRecord>, AnswerError> {
    let known: BTreeSet<String> = records
        .iter()
        .flat_map(|record| &record.labels)
        .filter(|(name, _)| group.contains_key(*name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let asked = records.len();
    let chosen: Vec<HostRecord> = records
        .into_iter()
        .filter(|record| {
            let has = |(name, value)| record.labels.get(name) == Some(value);
            group.iter().all(has)
        })
        .collect();
    if !chosen.is_empty() || asked == 0 {
        return Ok(chosen);
    }
    let known: Vec<String> = known.into_iter().take(20).collect();
    Err(AnswerError::Asked(if known.is_empty() {
        format!(
            "no host has {}; `hostwell host label NAME {}` gives one the label",
            scope(group),
            scope(group)
        )
    } else {
        format!(
            "no host has {}; there are {}",
            scope(group),
            known.join(", ")
        )
    }))
}

fn scope(group: &BTreeMap<String, String>) -> String {
    if group.is_empty() {
        return "all hosts".into();
    }
    let words: Vec<String> = group.iter().map(|(k, v)| format!("{k}={v}")).collect();
    words.join(" ")
}

fn notes() -> Vec<report::RuleNote> {
    rules::RULES
        .iter()
        .map(|rule| report::RuleNote {
            rule: rule.name.into(),
            opens_when: rule.doc.what.into(),
            if_ignored: rule.doc.why.into(),
        })
        .collect()
}

async fn host(
    store: &Store,
    record: &HostRecord,
    span: Span,
    watched: &[Span],
    moment: Moment,
) -> Result<report::HostInput, AnswerError> {
    let skew_ms = moment.by_clock_of(record) - moment.now_ms;
    let indicators = match record.retired_ms {
        Some(_) => Vec::new(),
        None => indicators_over(store, record, span, skew_ms).await?,
    };
    let present = presence(store, record, span, watched, moment).await?;
    let known = &present.availability;
    let mut gaps: Vec<report::GapInput> = known
        .spans
        .iter()
        .filter_map(|(span, standing)| {
            let reason = match standing {
                Standing::Up => return None,
                Standing::Down => "the host was down or cut off",
                Standing::Unknown => "the collector was not watching",
            };
            Some(gap(*span, reason.into()))
        })
        .collect();
    gaps.extend(present.gaps.iter().map(|dropped| {
        let reason = format!(
            "{} samples dropped from the agent's spool ({})",
            dropped.samples, dropped.reason
        );
        gap(Span::new(dropped.from_ms, dropped.to_ms), reason)
    }));
    gaps.sort_by_key(|gap| gap.from_ms);
    let outages = known.outages();
    let availability = report::AvailabilityInput {
        up_ms: known.up_ms(),
        down_ms: known.down_ms(),
        unknown_ms: known.unknown_ms(),
        outages: outages.iter().map(|s| (s.from_ms, s.to_ms)).collect(),
        silence: moment.silence,
    };
    let coverage = report::CoverageInput {
        expected: known.coverage.expected,
        received: known.coverage.received.min(known.coverage.expected),
        gaps,
    };
    let mut host = described(record, indicators, availability, coverage);
    // What came out is known of now only.
    if span.to_ms == moment.now_ms {
        let last = store.last_outcomes(&record.id);
        host.outcomes = last.map_or_else(String::new, |last| Outcomes::of(&last).words(false));
    }
    Ok(host)
}

fn gap(span: Span, reason: String) -> report::GapInput {
    report::GapInput {
        from_ms: span.from_ms,
        to_ms: span.to_ms,
        reason,
    }
}

fn described(
    record: &HostRecord,
    indicators: Vec<report::IndicatorInput>,
    availability: report::AvailabilityInput,
    coverage: report::CoverageInput,
) -> report::HostInput {
    let facts = &record.facts;
    report::HostInput {
        name: record.name.clone(),
        id: record.id.clone(),
        labels: record.labels.clone(),
        os: facts.os.clone(),
        kernel: facts.kernel.clone(),
        arch: facts.arch.clone(),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        boot_time_ms: facts.boot_time_ms,
        agent_version: facts.agent_version.clone(),
        interval_ms: record.interval_ms,
        first_seen_ms: record.first_seen_ms,
        last_sample_ms: record.last_sample_ms,
        retired_ms: record.retired_ms,
        indicators,
        availability,
        outcomes: String::new(),
        coverage,
    }
}

/// The five at the end of the range, with their course over it. Read in pieces: a week of a
/// host's samples need not be in memory at once.
async fn indicators_over(
    store: &Store,
    record: &HostRecord,
    span: Span,
    skew_ms: i64,
) -> Result<Vec<report::IndicatorInput>, AnswerError> {
    let step_ms = nice_step_ms(span.length_ms(), STEPS_MAX, record.interval_ms);
    if span.length_ms() > SAMPLES_RANGE_MS {
        let window = piece(store, record, span.to_ms - NOW_MS, span.to_ms).await?;
        let found = indicators::indicators(&window, span.to_ms + skew_ms);
        let courses = course::from_rollups(store, record, (span, step_ms), &found).await?;
        return Ok(inputs(&found, courses));
    }
    let mut courses: Vec<Course> = (0..5).map(|_| Course::new(span, step_ms)).collect();
    let mut at_ms = span.from_ms;
    loop {
        let end_ms = (at_ms + PIECE_MS).min(span.to_ms);
        let window = piece(store, record, at_ms, end_ms).await?;
        let found = indicators::indicators(&window, end_ms + skew_ms);
        for (course, indicator) in courses.iter_mut().zip(found.all()) {
            course.add(indicator);
        }
        if end_ms >= span.to_ms {
            return Ok(inputs(&found, courses));
        }
        at_ms = end_ms;
    }
}

async fn piece(
    store: &Store,
    record: &HostRecord,
    from_ms: i64,
    to_ms: i64,
) -> Result<Window, AnswerError> {
    let windows = store
        .windows(WindowQuery {
            hosts: vec![record.name.clone()],
            metrics: owned(indicators::metrics()),
            from_ms,
            to_ms,
            samples_max: SAMPLES_MAX,
        })
        .await?;
    Ok(windows.into_iter().next().unwrap_or_else(|| Window {
        host: record.name.clone(),
        from_ms,
        to_ms,
        interval_ms: record.interval_ms,
        series: Vec::new(),
    }))
}

fn inputs(found: &Indicators, courses: Vec<Course>) -> Vec<report::IndicatorInput> {
    found
        .all()
        .into_iter()
        .zip(courses)
        .map(|(indicator, course)| report::IndicatorInput {
            name: indicator.name.clone(),
            status: match indicator.verdict {
                Verdict::Ok => Status::Ok,
                Verdict::Unknown => Status::Unknown,
                Verdict::Watch => Status::Watch,
                Verdict::Risk => Status::Risk,
            },
            now: indicator.value,
            unit: match indicator.unit.as_str() {
                "ratio" => Unit::Ratio,
                "bytes_per_second" => Unit::BytesPerSecond,
                _ => Unit::Number,
            },
            words: indicator.words.clone(),
            // The network's level is a share of the link's speed, its value is not.
            threshold: indicator
                .levels
                .as_ref()
                .filter(|_| indicator.unit != "bytes_per_second")
                .map(|levels| levels.watch),
            levels: indicator
                .levels
                .as_ref()
                .map(|levels| levels.source.clone())
                .unwrap_or_default(),
            trend: course.trend(),
        })
        .collect()
}
