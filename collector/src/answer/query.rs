//! Samples by selector: which series are meant, and what becomes of them.

mod coarse;

use std::collections::BTreeMap;
use std::sync::Arc;

use hostwell_proto::metric::{CATALOGUE, Metric, Unit};
use serde::{Deserialize, Serialize, Serializer};

use super::AnswerError;
use super::host::nearest;
use super::range::Range;
use crate::series::derived;
use crate::series::{
    Agg, Grid, Kind, Matcher, Selector, SelectorError, Series, SeriesName, Total, combine,
};
use crate::store::{Chosen, HostName, HostNames, Read, Store, WindowQuery};

/// Most samples one query reads.
const READ_MAX: usize = 5_000_000;
/// Most samples one query answers.
const ANSWERED_MAX: usize = 500_000;
/// Most steps a series is cut into.
const STEPS_MAX: i64 = 100_000;
/// Samples are kept at least so long whatever the settings say.
const KEPT_MS: i64 = 86_400_000;
/// The label that stands for a metric's name.
const NAME: &str = "__name__";
/// Most labels to group by.
const BY_MAX: usize = 8;

/// A question for samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleQuestion {
    /// `metric{label="value",…}`; `host` and the hosts' own labels count as labels.
    pub selector: String,
    /// Over which time.
    pub range: Range,
    /// Length of a step in milliseconds; without one, and with `agg` or `by`, the whole range is
    /// one step.
    #[serde(default)]
    pub step_ms: Option<i64>,
    /// What becomes of the samples of a step; without step and `by` none means: as they are.
    #[serde(default)]
    pub agg: Option<Agg>,
    /// One series for each combination of these labels.
    #[serde(default)]
    pub by: Vec<String>,
    /// A quantile of a group is that of the group's mean, minute by minute (or hour by hour),
    /// instead of that of all its samples.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_mean: bool,
    /// With `agg` deriv: not how fast the line climbs but where it leads, so long after the end of
    /// the step, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead_ms: Option<i64>,
    /// Only so many series: those with the largest mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
}

/// Samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The selector as it was understood.
    pub selector: String,
    /// First moment, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last moment.
    pub to_ms: i64,
    /// Length of a step; none for samples as they are and for the whole range as one.
    pub step_ms: Option<i64>,
    /// What became of the samples of a step; none for samples as they are.
    pub agg: Option<Agg>,
    /// "seconds", "bytes", "bytes/s", …; empty for a metric that is not in the catalogue.
    pub unit: String,
    /// By host and labels.
    pub series: Vec<SampleSeries>,
    /// Largest relative error of a value; none: exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// What the answer is made from is not kept before, although there was something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since_ms: Option<i64>,
    /// What was read for it, where rollups were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Read>,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleSeries {
    /// Its labels, `host` among them unless it was grouped away.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the Unix epoch; a step is named by its start.
    pub times_ms: Vec<i64>,
    /// One a time.
    #[serde(serialize_with = "briefly")]
    pub values: Vec<f64>,
}

/// Doubles below this are whole numbers exactly when they look like one.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Bytes and counts without a fraction: nearly every sample is one, and written so it is shorter
/// and takes a third of the time.
fn briefly<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().copied().map(Brief))
}

struct Brief(f64);

impl Serialize for Brief {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Brief(value) = *self;
        let is_whole = value.trunc() == value && value.abs() < WHOLE_MAX;
        match is_whole && (value != 0.0 || value.is_sign_positive()) {
            true => to.serialize_i64(value as i64),
            false => to.serialize_f64(value),
        }
    }
}

impl Samples {
    /// About how many bytes of JSON the series make.
    pub(super) fn room(&self) -> usize {
        const SERIES: usize = 256;
        const SAMPLE: usize = 32;
        let one = |series: &SampleSeries| SERIES + SAMPLE * series.times_ms.len();
        self.series.iter().map(one).sum()
    }
}

/// Answers a question for samples.
pub(super) async fn samples(
    store: &Store,
    question: SampleQuestion,
    now_ms: i64,
) -> Result<Samples, AnswerError> {
    let (from_ms, to_ms) = question.range.resolve(now_ms).map_err(AnswerError::Asked)?;
    let plan = plan(&question, from_ms, to_ms)?;
    let hosts = store.host_names().await?;
    let since_ms = match now_ms.saturating_sub(from_ms) > KEPT_MS {
        true => gone_before(store, &plan, &hosts).await?,
        false => None,
    };
    let coarse = coarse::answer(store, &plan, &question, (&hosts, since_ms)).await?;
    let kept_since_ms = coarse
        .as_ref()
        .map_or(since_ms, |coarse| coarse.kept_since_ms);
    let (mut series, agg, error, read) = match coarse {
        Some(coarse) => (coarse.series, coarse.agg, coarse.error, Some(coarse.read)),
        None => {
            let wanted = wanted(&plan, &question);
            let found = read(store, &plan, (&question, wanted), &hosts).await?;
            let agg = match question.agg {
                None if plan.aggregates => default_agg(&found)?,
                asked => asked,
            };
            let series = match agg {
                Some(agg) => aggregate(found, &plan, &question, wanted.left_of(agg)),
                None => found.into_iter().map(|(series, _)| series).collect(),
            };
            (series, agg, None, None)
        }
    };
    if let Some(top) = question.top {
        largest(&mut series, top);
    }
    let total: usize = series.iter().map(|s| s.times_ms.len()).sum();
    if total > ANSWERED_MAX {
        return Err(AnswerError::Asked(format!(
            "that is {total} samples, more than {ANSWERED_MAX}; shorten the range, narrow the \
             selector, or take --step"
        )));
    }
    Ok(Samples {
        selector: plan.selector.to_string(),
        from_ms,
        to_ms,
        step_ms: question.step_ms,
        agg,
        unit: unit(&plan.selector.metric, agg, question.ahead_ms.is_some()),
        series: series.into_iter().map(answered).collect(),
        error,
        kept_since_ms,
        read,
    })
}

/// The moment before which samples of the range are gone, and only rollups know of them.
async fn gone_before(
    store: &Store,
    plan: &Plan,
    hosts: &[HostName],
) -> Result<Option<i64>, AnswerError> {
    let (_, meant) = meant(plan, hosts)?;
    let names = meant.iter().map(|host| host.name.clone()).collect();
    let since_ms = store.samples_since(names).await?;
    Ok(since_ms.filter(|since_ms| plan.grid.from_ms < *since_ms))
}

/// Keeps the series with the largest mean, the largest first.
fn largest(series: &mut Vec<Series>, top: usize) {
    let mean = |s: &Series| s.values.iter().sum::<f64>() / s.values.len().max(1) as f64;
    series.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    series.truncate(top);
}

/// What a reader expects when nothing was asked for.
fn default_agg(found: &[(Series, i64)]) -> Result<Option<Agg>, AnswerError> {
    let mut kinds = found.iter().map(|(series, _)| series.kind);
    let Some(kind) = kinds.next() else {
        return Ok(None);
    };
    if kinds.any(|other| other != kind) {
        return Err(AnswerError::Asked(
            "counters and gauges together have no aggregation of their own: say --agg".into(),
        ));
    }
    Ok(Some(Agg::default_for(kind)))
}

/// What to read, and how to cut it.
struct Plan {
    selector: Selector,
    grid: Grid,
    aggregates: bool,
    whole: bool,
}

fn plan(question: &SampleQuestion, from_ms: i64, to_ms: i64) -> Result<Plan, AnswerError> {
    let selector = parse(&question.selector)?;
    let asked = |text: String| Err(AnswerError::Asked(text));
    let step_ms = match question.step_ms {
        Some(step) if step <= 0 => return asked("a step must be longer than nothing".into()),
        Some(step) if (to_ms - from_ms) / step > STEPS_MAX => {
            return asked(format!(
                "that is {} steps, more than {STEPS_MAX}; take a longer --step or a shorter range",
                (to_ms - from_ms) / step
            ));
        }
        Some(step) => step,
        // A step begins at a multiple of its length since 1970: one so long holds every moment.
        None => i64::MAX / 4,
    };
    if question.by.len() > BY_MAX {
        return asked(format!("more than {BY_MAX} labels to group by"));
    }
    if question.ahead_ms.is_some() && question.agg != Some(Agg::Deriv) {
        return asked("only a straight line leads anywhere: --ahead needs --agg deriv".into());
    }
    Ok(Plan {
        selector,
        grid: Grid {
            from_ms,
            to_ms,
            step_ms,
        },
        aggregates: question.step_ms.is_some() || !question.by.is_empty(),
        whole: question.step_ms.is_none(),
    })
}

/// Reads a selector. Without a metric's name (`{__name__=~"node_memory_.*"}`) its metric is empty
/// and its conditions on `__name__` choose the metrics.
pub(super) fn parse(text: &str) -> Result<Selector, AnswerError> {
    let refused = |e: &SelectorError| AnswerError::Asked(pointed(e));
    if !text.trim_start().starts_with('{') {
        return text.parse().map_err(|e| refused(&e));
    }
    // A stand-in for the name, so that one parser reads both.
    let mut selector: Selector = format!("_{text}").parse().map_err(|mut e: SelectorError| {
        e.at = e.at.saturating_sub(1).max(1);
        e.text = e.text.chars().skip(1).collect();
        refused(&e)
    })?;
    selector.metric.clear();
    if selector.matchers.iter().all(|m| m.label != NAME) {
        return Err(AnswerError::Asked(format!(
            "{text} names no metric; write metric{{label=\"value\"}}, or a condition on {NAME}"
        )));
    }
    Ok(selector)
}

/// The error with the selector below it and a mark where it is wrong.
fn pointed(error: &SelectorError) -> String {
    format!(
        "{error}\n  {}\n  {}^",
        error.text,
        " ".repeat(error.at.saturating_sub(1))
    )
}

/// The selector without what it says of hosts, and the hosts it means: none only where there is
/// none.
fn meant<'a>(
    plan: &Plan,
    hosts: &'a [HostName],
) -> Result<(Selector, Vec<&'a HostName>), AnswerError> {
    let mut selector = plan.selector.clone();
    let about_hosts = selector.take("host");
    let named = |host: &&HostName| about_hosts.iter().all(|m| m.matches(&host.name));
    let meant: Vec<&HostName> = hosts.iter().filter(named).collect();
    if meant.is_empty() && !hosts.is_empty() {
        return Err(AnswerError::Asked(
            "no host matches the selector; `hostwell hosts` lists them".into(),
        ));
    }
    Ok((selector, meant))
}

/// Reads the series that are meant, each with its host's interval. A series carries its host as
/// the label `host`.
async fn read(
    store: &Store,
    plan: &Plan,
    (question, wanted): (&SampleQuestion, Wanted),
    hosts: &HostNames,
) -> Result<Vec<(Series, i64)>, AnswerError> {
    let by = &question.by;
    let (selector, meant) = meant(plan, hosts)?;
    if meant.is_empty() {
        return Ok(Vec::new());
    }
    let inputs = derived::inputs(&selector.metric);
    let query = WindowQuery {
        hosts: meant.iter().map(|host| host.name.clone()).collect(),
        // Without a name every metric is read, because those outside the catalogue count too.
        metrics: match selector.metric.as_str() {
            "" => Vec::new(),
            metric => [metric]
                .into_iter()
                .chain(inputs.iter().copied())
                .map(str::to_owned)
                .collect(),
        },
        from_ms: plan.grid.from_ms,
        to_ms: plan.grid.to_ms,
        samples_max: READ_MAX,
    };
    let selector = Arc::new(selector);
    let early = is_sampled(&selector);
    let chosen = early.then(|| chosen(Arc::clone(&selector), hosts.clone()));
    let windows = match chosen {
        Some(chosen) => match wanted {
            Wanted::All => store.chosen_windows(query, chosen).await?,
            Wanted::Newest => store.latest(query, chosen).await?,
            Wanted::Whole(agg) => store.whole(query, chosen, agg).await?,
        },
        None => store.windows(query).await?,
    };
    let mut found = Vec::new();
    let mut seen = false;
    for mut window in windows {
        if !early {
            derived::derive(&mut window, &selector.metric);
        }
        let Some(host) = hosts.named(&window.host) else {
            continue;
        };
        let named = |s: &Series| selector.metric.is_empty() || s.name.metric == selector.metric;
        window.series.retain(named);
        seen |= !window.series.is_empty();
        let interval_ms = window.interval_ms;
        let is_meant = |s: &Series| is_meant(&selector.matchers, &s.name, host);
        found.extend(
            window
                .series
                .into_iter()
                .filter(|series| early || is_meant(series))
                .map(|mut series| {
                    series.name = with_host(series.name, host, by, selector.metric.is_empty());
                    (series, interval_ms)
                }),
        );
    }
    if !seen && !selector.metric.is_empty() {
        known(&selector.metric)?;
    }
    Ok(found)
}

/// Which samples of a series a question needs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    All,
    /// Only the newest.
    Newest,
    /// One for all of them.
    Whole(Agg),
}

impl Wanted {
    /// What is left to do of an aggregation with the samples that come.
    fn left_of(self, agg: Agg) -> Agg {
        match (self, agg) {
            // Counted already.
            (Wanted::Whole(_), Agg::Count) => Agg::Sum,
            _ => agg,
        }
    }
}

fn wanted(plan: &Plan, question: &SampleQuestion) -> Wanted {
    if !plan.whole || !is_sampled(&plan.selector) {
        return Wanted::All;
    }
    let metric = Metric::by_name(&plan.selector.metric).map(Metric::descriptor);
    let is_gauge = metric.is_some_and(|row| row.kind == Kind::Gauge);
    let default = plan.aggregates.then_some(Agg::Avg);
    match question.agg.or(default) {
        Some(Agg::Last) => Wanted::Newest,
        Some(agg) if is_gauge => {
            let (in_time, _) = match question.by.is_empty() {
                true => (agg, agg),
                false => in_time_and_across(agg, Kind::Gauge),
            };
            match Total::can_tell(in_time) {
                true => Wanted::Whole(in_time),
                false => Wanted::All,
            }
        }
        _ => Wanted::All,
    }
}

/// Whether a selector means known metrics that are sampled, none that is derived from others: then
/// its conditions can be held against what is stored.
fn is_sampled(selector: &Selector) -> bool {
    if !selector.metric.is_empty() {
        let is_known = Metric::by_name(&selector.metric).is_some();
        return is_known && derived::inputs(&selector.metric).is_empty();
    }
    let mut metrics = derived::DERIVED.iter().flat_map(|row| row.metrics);
    let named = |metric: &Metric| {
        let name = metric.descriptor().name;
        let mut conditions = selector.matchers.iter().filter(|m| m.label == NAME);
        conditions.all(|condition| condition.matches(name))
    };
    !metrics.any(named)
}

/// Which series of which host a selector means.
pub(super) fn chosen(selector: Arc<Selector>, hosts: HostNames) -> Chosen {
    Arc::new(move |host: &str, name: &SeriesName| {
        let host = hosts.named(host);
        host.is_some_and(|host| is_meant(&selector.matchers, name, host))
    })
}

/// A series' own label wins over its host's label of the same name.
fn is_meant(matchers: &[Matcher], name: &SeriesName, host: &HostName) -> bool {
    matchers.iter().all(|matcher| {
        let own = match matcher.label.as_str() {
            NAME => Some(name.metric.as_str()),
            label => name.label(label),
        };
        let value = own.or_else(|| host.labels.get(&matcher.label).map(String::as_str));
        matcher.matches(value.unwrap_or(""))
    })
}

/// A series' name with its host's name as a label, those of the host's labels it is grouped by, and
/// its metric's name where several metrics may be meant.
fn with_host(mut name: SeriesName, host: &HostName, by: &[String], named: bool) -> SeriesName {
    let labels = &mut name.labels;
    for (label, value) in host.labels.iter().filter(|(label, _)| by.contains(label)) {
        if !labels.iter().any(|(known, _)| known == label) {
            labels.push((label.clone(), value.clone()));
        }
    }
    labels.retain(|(label, _)| label != "host");
    labels.push(("host".into(), host.name.clone()));
    if named {
        labels.push((NAME.into(), name.metric.clone()));
    }
    labels.sort();
    name
}

/// A metric without a single sample is a slip of the hand unless the catalogue has it.
fn known(metric: &str) -> Result<(), AnswerError> {
    if Metric::by_name(metric).is_some() {
        return Ok(());
    }
    let near = nearest(metric, CATALOGUE.iter().map(|row| row.name));
    Err(AnswerError::Asked(match near {
        Some(near) => format!("no samples of a metric {metric:?}; did you mean {near:?}?"),
        None => format!("no samples of a metric {metric:?}; docs/metrics.md lists the catalogue"),
    }))
}

/// What an aggregation means in time and then across the series of a group. Means, extremes and
/// quantiles are over all samples; everything else adds up: the sum of a group's rates, counts,
/// newest values, and of its mean values (adding one gauge's samples up means nothing).
fn in_time_and_across(agg: Agg, kind: Kind) -> (Agg, Agg) {
    match agg {
        Agg::Sum if kind == Kind::Gauge => (Agg::Avg, Agg::Sum),
        Agg::Sum | Agg::Count | Agg::Last => (agg, Agg::Sum),
        Agg::Rate | Agg::Increase | Agg::Delta | Agg::Deriv => (agg, Agg::Sum),
        Agg::Avg | Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99 => (agg, agg),
    }
}

fn aggregate(
    found: Vec<(Series, i64)>,
    plan: &Plan,
    question: &SampleQuestion,
    agg: Agg,
) -> Vec<Series> {
    let by = &question.by;
    let cut = |(series, interval_ms): &(Series, i64)| match question.ahead_ms {
        Some(ahead_ms) => series.ahead(plan.grid, ahead_ms, *interval_ms),
        None => series.resample(plan.grid, agg, *interval_ms),
    };
    let mut series: Vec<Series> = match (by.as_slice(), question.ahead_ms) {
        ([], _) => found.iter().map(cut).collect(),
        (_, Some(_)) => {
            let lines: Vec<Series> = found.iter().map(cut).collect();
            let by: Vec<&str> = by.iter().map(String::as_str).collect();
            combine(&lines, &by, agg)
        }
        _ => grouped(&found, plan.grid, by, agg),
    };
    series.retain(|s| !s.times_ms.is_empty());
    if plan.whole {
        for one in &mut series {
            one.times_ms.fill(plan.grid.from_ms);
        }
    }
    series
}

fn grouped(found: &[(Series, i64)], grid: Grid, by: &[String], agg: Agg) -> Vec<Series> {
    let kind = found.first().map_or(Kind::Gauge, |(series, _)| series.kind);
    let (in_time, across) = in_time_and_across(agg, kind);
    let quantile = matches!(agg, Agg::P50 | Agg::P95 | Agg::P99);
    let cut: Vec<Series> = found
        .iter()
        .map(|(series, interval_ms)| match quantile {
            // A quantile of quantiles is no quantile.
            true => pooled(series, grid, *interval_ms),
            false => series.resample(grid, in_time, *interval_ms),
        })
        .collect();
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    combine(&cut, &by, across)
}

/// Every sample (of a counter: every rate between neighbours) under the start of its step.
fn pooled(series: &Series, grid: Grid, interval_ms: i64) -> Series {
    let (times_ms, values) = match series.kind {
        Kind::Counter => series.rates(grid, interval_ms),
        Kind::Gauge => (series.times_ms.clone(), series.values.clone()),
    };
    Series {
        name: series.name.clone(),
        kind: Kind::Gauge,
        times_ms: grid.steps_of(&times_ms),
        values,
    }
}

fn unit(metric: &str, agg: Option<Agg>, ahead: bool) -> String {
    let Some(metric) = Metric::by_name(metric) else {
        return String::new();
    };
    let row = metric.descriptor();
    let unit = match row.unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes/s",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Celsius => "celsius",
        Unit::Flag => "flag",
    };
    let rates = row.kind == Kind::Counter;
    match agg {
        Some(Agg::Count) => "count".into(),
        Some(Agg::Rate) => format!("{unit}/s"),
        Some(Agg::Deriv) if !ahead => format!("{unit}/s"),
        Some(Agg::Avg | Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99) if rates => {
            format!("{unit}/s")
        }
        _ => unit.into(),
    }
}

fn answered(series: Series) -> SampleSeries {
    SampleSeries {
        labels: series.name.labels.into_iter().collect(),
        times_ms: series.times_ms,
        values: series.values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_selector_may_choose_metrics_by_a_condition_on_their_name() {
        let selector = parse("{__name__=~\"node_load.*\",host=\"a\"}").unwrap();
        assert_eq!((selector.metric.as_str(), selector.matchers.len()), ("", 2));
        assert!(parse("{host=\"a\"}").is_err());
    }

    #[test]
    fn only_what_is_sampled_is_looked_for_among_what_is_stored() {
        for (text, sampled) in [
            ("node_load1", true),
            ("hostwell_cpu_busy_ratio", false),
            ("nobody_knows", false),
            ("{__name__=~\"node_.*\"}", true),
            ("{__name__=~\"node_load1|hostwell_cpu_busy_ratio\"}", false),
            ("{__name__!=\"node_load1\"}", false),
        ] {
            assert_eq!(is_sampled(&parse(text).unwrap()), sampled, "{text}");
        }
    }

    #[test]
    fn the_mark_stands_under_what_is_wrong() {
        for (text, mark) in [
            ("node_load1{host=web}", "                ^"),
            ("{__name__=web}", "          ^"),
            ("", "^"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            let lines: Vec<&str> = told.lines().collect();
            assert_eq!(
                lines[1..],
                [format!("  {text}"), format!("  {mark}")],
                "{told}"
            );
        }
    }

    #[test]
    fn times_and_sums_across_a_group_are_what_they_say() {
        let series = |device: &str, values: &[f64]| {
            let times_ms = (0..values.len() as i64).map(|n| n * 10_000).collect();
            let series = Series {
                name: SeriesName::new("g", &[("device", device)]),
                kind: Kind::Gauge,
                times_ms,
                values: values.to_vec(),
            };
            (series, 10_000)
        };
        let found = [series("a", &[1.0, 3.0]), series("b", &[10.0, 20.0])];
        let grid = Grid {
            from_ms: 0,
            to_ms: 20_000,
            step_ms: 60_000,
        };
        for (agg, value) in [
            (Agg::Sum, 17.0),
            (Agg::Avg, 8.5),
            (Agg::Max, 20.0),
            (Agg::Count, 4.0),
            (Agg::Last, 23.0),
            (Agg::P50, 6.5),
        ] {
            let groups = grouped(&found, grid, &[], agg);
            assert_eq!(groups[0].values, [value], "{agg}");
        }
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction_and_come_back_as_they_were() {
        let values = [0.0, -0.0, 1.0, -7.0, 0.25, 1e15, WHOLE_MAX, -1e300, 4096.5];
        let series = SampleSeries {
            labels: BTreeMap::new(),
            times_ms: (0..values.len() as i64).collect(),
            values: values.to_vec(),
        };
        let json = serde_json::to_string(&series).unwrap();
        assert!(
            json.contains("[0,-0.0,1,-7,0.25,1000000000000000,"),
            "{json}"
        );
        let back: SampleSeries = serde_json::from_str(&json).unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        assert_eq!(bits(&back.values), bits(&values));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_its_mark_is_inside(text in "\\PC{0,60}") {
            if let Err(error) = parse(&text) {
                let told = error.to_string();
                let lines: Vec<&str> = told.lines().collect();
                if let [_, shown, mark] = lines[..] {
                    prop_assert!(mark.chars().count() <= shown.chars().count() + 1, "{told}");
                }
            }
        }
    }
}
