//! Samples by selector: which series are meant, and what becomes of them.

mod brief;
mod coarse;
mod cut;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hostwell_proto::metric::{CATALOGUE, Metric, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::AnswerError;
use super::host::nearest;
use super::range::Range;
use crate::series::derived;
use crate::series::{
    Agg, Grid, Kind, Matcher, Selector, SelectorError, Series, SeriesName, Whole, Window,
};
use crate::store::{Chosen, HostName, HostNames, Read, Shape, Store, WindowQuery};
pub use brief::BriefSamples;
use cut::{Cut, in_time_and_across};

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
    /// Its labels by name, `host` among them unless it was grouped away. In JSON a map.
    #[serde(serialize_with = "as_map", deserialize_with = "from_map")]
    pub labels: Vec<(String, String)>,
    /// Milliseconds since the Unix epoch; a step is named by its start.
    pub times_ms: Vec<i64>,
    /// One a time.
    #[serde(serialize_with = "briefly")]
    pub values: Vec<f64>,
}

impl SampleSeries {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let place = self.labels.binary_search_by(|(n, _)| n.as_str().cmp(name));
        place.ok().map(|place| self.labels[place].1.as_str())
    }
}

fn as_map<S: Serializer>(labels: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels.iter().map(|(name, value)| (name, value)))
}

fn from_map<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    let labels = BTreeMap::<String, String>::deserialize(from)?;
    Ok(labels.into_iter().collect())
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
        // Through the integer and back: rounding is a call.
        let whole = value as i64;
        let is_whole = whole as f64 == value && value.abs() < WHOLE_MAX;
        match is_whole && (whole != 0 || value.is_sign_positive()) {
            true => to.serialize_i64(whole),
            false => to.serialize_f64(value),
        }
    }
}

impl Samples {
    /// About how many bytes of JSON the series make.
    pub(super) fn room(&self) -> usize {
        const SERIES: usize = 256;
        const MOMENT: usize = 15;
        const VALUE: usize = 18;
        let one = |series: &SampleSeries| {
            SERIES + MOMENT * series.times_ms.len() + VALUE * series.values.len()
        };
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
            let (series, agg) = read(store, &plan, &question, &hosts).await?;
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
fn default_agg(found: &[Window]) -> Result<Option<Agg>, AnswerError> {
    let series = found.iter().flat_map(|window| &window.series);
    let mut kinds = series.map(|series| series.kind);
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

/// Reads the series that are meant and makes of them what was asked for; also how they were
/// aggregated, where they were.
async fn read(
    store: &Store,
    plan: &Plan,
    question: &SampleQuestion,
    hosts: &HostNames,
) -> Result<(Vec<Series>, Option<Agg>), AnswerError> {
    let (selector, meant) = meant(plan, hosts)?;
    if meant.is_empty() {
        return Ok((Vec::new(), question.agg));
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
    let wanted = wanted(plan, question);
    let catalogued = || Metric::by_name(&selector.metric).map(|m| m.descriptor().kind);
    let by_default = || {
        let kind = plan.aggregates.then(catalogued).flatten();
        kind.map(Agg::default_for)
    };
    let agg = question.agg.or_else(by_default);
    let cut = |agg| Cut::new(plan, question, agg, wanted != Wanted::All);
    let selector = Arc::new(selector);
    let chosen = is_sampled(&selector).then(|| chosen(Arc::clone(&selector), hosts.clone()));
    let shaping = Arc::new(Shaping {
        selector: Arc::clone(&selector),
        hosts: hosts.clone(),
        by: question.by.clone(),
        is_chosen: chosen.is_some(),
        cut: agg.map(cut),
        seen: AtomicBool::new(false),
    });
    let of_host = Arc::clone(&shaping);
    let shape: Shape = Arc::new(move |window| of_host.shaped(window));
    let shaped = |windows: Vec<Window>| windows.into_iter().map(|w| shape(w)).collect();
    let windows: Vec<Window> = match (chosen, wanted) {
        (Some(chosen), Wanted::Newest) => shaped(store.latest(query, chosen).await?),
        (Some(chosen), Wanted::Whole(asked)) => shaped(store.whole(query, chosen, asked).await?),
        (chosen, _) => store.shaped_windows(query, chosen, shape).await?,
    };
    if !shaping.seen.load(Ordering::Relaxed) && !selector.metric.is_empty() {
        known(&selector.metric)?;
    }
    let flat = |windows: Vec<Window>| windows.into_iter().flat_map(|w| w.series).collect();
    match &shaping.cut {
        Some(cut) => Ok((cut.of_fleet(flat(windows)), agg)),
        None if plan.aggregates => {
            // Of which kind it is is known only now.
            let Some(agg) = default_agg(&windows)? else {
                return Ok((Vec::new(), None));
            };
            let cut = cut(agg);
            let windows = windows.into_iter();
            let steps = windows.flat_map(|w| cut.of_host(w.series, w.interval_ms));
            Ok((cut.of_fleet(steps.collect()), Some(agg)))
        }
        None => Ok((flat(windows), None)),
    }
}

/// Which series of a host's window are meant, what they are called, and what is made of them.
struct Shaping {
    selector: Arc<Selector>,
    hosts: HostNames,
    by: Vec<String>,
    /// Only what is meant was read.
    is_chosen: bool,
    /// Where it is known how to cut them.
    cut: Option<Cut>,
    /// There was a sample of the metric.
    seen: AtomicBool,
}

impl Shaping {
    /// The series that are meant, each with its host as the label `host`, cut where it is known how.
    fn shaped(&self, mut window: Window) -> Window {
        let selector = &self.selector;
        if !self.is_chosen {
            derived::derive(&mut window, &selector.metric);
        }
        let mut series = std::mem::take(&mut window.series);
        let Some(host) = self.hosts.named(&window.host) else {
            return window;
        };
        series.retain(|s| selector.metric.is_empty() || s.name.metric == selector.metric);
        if !series.is_empty() {
            self.seen.store(true, Ordering::Relaxed);
        }
        series.retain(|s| self.is_chosen || is_meant(&selector.matchers, &s.name, host));
        for one in &mut series {
            let name = std::mem::replace(&mut one.name, SeriesName::new("", &[]));
            one.name = with_host(name, host, &self.by, selector.metric.is_empty());
        }
        window.series = match &self.cut {
            Some(cut) => cut.of_host(series, window.interval_ms),
            None => series,
        };
        window
    }
}

/// Which samples of a series a question needs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    All,
    /// Only the newest.
    Newest,
    /// One for all of them.
    Whole(Whole),
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
            let asked = match question.ahead_ms {
                Some(ahead_ms) => Whole::Ahead { ahead_ms },
                None => Whole::Agg(in_time),
            };
            match asked.is_told() {
                true => Wanted::Whole(asked),
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
    let mut labels = series.name.labels;
    labels.sort_unstable();
    SampleSeries {
        labels,
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
    fn whole_numbers_are_written_without_a_fraction_and_come_back_as_they_were() {
        let values = [0.0, -0.0, 1.0, -7.0, 0.25, 1e15, WHOLE_MAX, -1e300, 4096.5];
        let series = SampleSeries {
            labels: vec![("host".into(), "a".into()), ("mode".into(), "idle".into())],
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
        assert!(
            json.contains("{\"host\":\"a\",\"mode\":\"idle\"}"),
            "{json}"
        );
        assert_eq!(back, series);
        assert_eq!(
            (back.label("mode"), back.label("cpu")),
            (Some("idle"), None)
        );
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
