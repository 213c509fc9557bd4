//! Questions about weeks of which only the last days are still there as samples.

use std::collections::BTreeMap;
use std::time::Duration;

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};

use super::hosts::Moment;
use super::presence::presence;
use super::range::{Moment as At, Range};
use super::{
    Answer, AnswerError, Body, LevelQuestion, Made, Question, ReportFormat, ReportQuestion,
    SampleQuestion, Samples, Setup, answer,
};
use crate::plan::availability::Span;
use crate::series::{Agg, Kind, SeriesName};
use crate::store::{Append, Greeting, HostFacts, Store, StoreOptions};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Midnight, UTC.
const START: i64 = 20_833 * DAY;
const NOW: i64 = START + 20 * DAY + 9 * HOUR;

fn host(n: u8) -> HostId {
    HostId([n; 16])
}

/// Two hosts of the role web with three weeks of samples every minute, and three days of raw
/// retention. One is off for two hours of the fifth day. Load climbs from 0 to 99 in steps of one
/// each minute, on the second host it falls.
async fn weeks(folder: &std::path::Path) -> Store {
    let options = StoreOptions {
        path: folder.join("hostwell.db"),
        retention_ms: 3 * DAY,
        series_per_host_max: 100,
        hosts_max: 10,
    };
    let store = Store::open(options).await.unwrap();
    for n in [1u8, 2] {
        let greeting = Greeting {
            host_id: host(n),
            host_name: format!("web-{n}"),
            interval_ms: 60_000,
            facts: HostFacts {
                cpus: 1,
                ..HostFacts::default()
            },
            labels: BTreeMap::from([("role".into(), "web".into())]),
            clock_skew_ms: 0,
            kept: false,
        };
        store.greet(greeting, START).await.unwrap();
        let names = [
            "node_load1",
            "node_time_seconds",
            "node_memory_MemTotal_bytes",
            "node_memory_MemAvailable_bytes",
        ];
        let names = names.map(|metric| (SeriesName::new(metric, &[]), Kind::Gauge));
        let ids = store.series_ids(host(n), names.to_vec()).await.unwrap();
        let off = START + 4 * DAY + 6 * HOUR..START + 4 * DAY + 8 * HOUR;
        let all = (START..=NOW).step_by(MINUTE as usize);
        let times_ms: Vec<i64> = all.filter(|t| n == 1 || !off.contains(t)).collect();
        let load = |t: &i64| match n {
            1 => (t / MINUTE % 100) as f64,
            _ => 99.0 - (t / MINUTE % 100) as f64,
        };
        let column = |number, values| Column {
            number,
            ticks: None,
            values,
        };
        let columns = vec![
            column(0, times_ms.iter().map(load).collect()),
            column(1, times_ms.iter().map(|t| *t as f64 / 1000.0).collect()),
            column(2, vec![100.0; times_ms.len()]),
            column(3, vec![f64::from(n) * 10.0; times_ms.len()]),
        ];
        let append = Append {
            host_id: host(n),
            spool_id: SpoolId([n; 16]),
            sequence: 1,
            received_ms: NOW - HOUR,
            block: Packed::of(&Block { times_ms, columns }),
            series: ids,
        };
        store.append(append).await.unwrap();
    }
    for day in 0..=21 {
        store.beat(START + day * DAY).await.unwrap();
    }
    // One upkeep seals for so long, and no longer: on a slow machine not both hosts.
    store.seal_all().await.unwrap();
    let enough = Duration::from_secs(600);
    store.roll_up(NOW + HOUR, enough).await.unwrap();
    store.upkeep(NOW + HOUR).await.unwrap();
    store
}

fn question(selector: &str, agg: Agg) -> SampleQuestion {
    SampleQuestion {
        selector: selector.into(),
        range: Range::last_ms(18 * DAY),
        step_ms: None,
        agg: Some(agg),
        by: Vec::new(),
        of_mean: false,
        ahead_ms: None,
        top: None,
    }
}

async fn ask(store: &Store, question: SampleQuestion) -> Result<Samples, AnswerError> {
    let setup = Setup::default();
    let Answer { body, .. } = answer(store, &setup, Question::Query(question), NOW).await?;
    match body {
        Body::Samples(samples) => Ok(samples),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn weeks_are_answered_by_rollups_and_the_answer_says_how_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    let told = ask(&store, question("node_load1", Agg::P95)).await.unwrap();
    assert_eq!((told.series.len(), told.error), (2, Some(0.01)));
    for one in &told.series {
        let value = one.values[0];
        assert!((value - 94.0).abs() <= 1.5, "{value}");
    }
    let read = told.read.unwrap();
    let days = read.rollups.iter().find(|of| of.step_ms == DAY);
    assert!(days.is_some() && read.samples < 3 * 1440 * 2, "{read:?}");
    let told = ask(
        &store,
        question("hostwell_memory_used_ratio{host=\"web-1\"}", Agg::Max),
    );
    let told = told.await.unwrap();
    assert_eq!((told.series[0].values[0], told.error), (0.9, None));
    let mut hours = question("node_load1{host=\"web-2\"}", Agg::Count);
    hours.step_ms = Some(HOUR);
    let told = ask(&store, hours).await.unwrap();
    let lost = 18 * 24 + 1 - 2;
    assert_eq!(told.series[0].times_ms.len(), lost, "two hours were off");
}

#[tokio::test]
async fn a_day_whose_samples_are_gone_is_told_by_rollups_or_said_to_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    let since = store.samples_since(vec!["web-1".into()]).await.unwrap();
    let since = since.unwrap();
    assert!((START + 15 * DAY..START + 18 * DAY).contains(&since));
    let day = |from: i64| {
        let mut question = question("node_load1{host=\"web-1\"}", Agg::Max);
        let between = |ms| super::range::Moment::AtMs(ms);
        question.range = Range::Between {
            from: between(from),
            to: between(from + DAY - 1),
        };
        question
    };
    let gone = ask(&store, day(START + 5 * DAY)).await.unwrap();
    assert_eq!((gone.series[0].values[0], gone.kept_since_ms), (99.0, None));
    let mut newest = day(START + 5 * DAY);
    newest.agg = Some(Agg::Last);
    let newest = ask(&store, newest).await.unwrap();
    assert!(newest.series.is_empty());
    assert_eq!(newest.kept_since_ms, Some(since));
    let mut plain = day(START + 5 * DAY);
    plain.agg = None;
    let plain = ask(&store, plain).await.unwrap();
    assert_eq!(plain.kept_since_ms, Some(since));
    let mut fine = day(START + 5 * DAY);
    fine.step_ms = Some(10_000);
    let fine = ask(&store, fine).await.unwrap();
    assert_eq!((fine.series.len(), fine.kept_since_ms), (0, Some(since)));
    let there = ask(&store, day(START + 19 * DAY)).await.unwrap();
    assert_eq!((there.kept_since_ms, there.read), (None, None));
    let before = ask(&store, day(START - 9 * DAY)).await.unwrap();
    assert!(before.series.is_empty());
}

#[tokio::test]
async fn a_groups_quantile_pools_its_samples_or_takes_their_mean_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    let mut group = question("node_load1", Agg::P95);
    group.by = vec!["role".into()];
    let pooled = ask(&store, group.clone()).await.unwrap();
    assert_eq!(pooled.series.len(), 1);
    assert_eq!(pooled.series[0].labels, [("role".into(), "web".into())]);
    assert!((pooled.series[0].values[0] - 94.0).abs() <= 1.5);
    group.of_mean = true;
    let of_mean = ask(&store, group).await.unwrap();
    // One climbs as the other falls: their mean is always the same, where both are there.
    assert!(
        (of_mean.series[0].values[0] - 49.5).abs() <= 0.1,
        "{of_mean:?}"
    );
    let mut nonsense = question("node_load1", Agg::Avg);
    nonsense.of_mean = true;
    assert!(matches!(
        ask(&store, nonsense).await,
        Err(AnswerError::Asked(_))
    ));
}

#[tokio::test]
async fn the_largest_come_first_and_only_so_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    for range in [Range::last_ms(18 * DAY), Range::last_ms(HOUR)] {
        let mut largest = question("hostwell_memory_used_ratio", Agg::Avg);
        (largest.top, largest.range) = (Some(1), range);
        let told = ask(&store, largest).await.unwrap();
        assert_eq!(told.series.len(), 1);
        assert_eq!(told.series[0].label("host"), Some("web-1"));
    }
}

#[tokio::test]
async fn a_report_over_weeks_draws_what_is_gone_and_counts_no_outage_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    let question = ReportQuestion {
        range: Some(Range::last_ms(18 * DAY)),
        group: BTreeMap::new(),
        format: ReportFormat::Json,
    };
    let setup = Setup::default();
    let told = answer(&store, &setup, Question::Report(question), NOW);
    let told = told.await.unwrap();
    let Body::Report(report) = told.body else {
        panic!("no report");
    };
    let document: serde_json::Value = serde_json::from_str(&report.text).unwrap();
    assert_eq!(document["schema_version"], 1);
    let range = Span::new(NOW - 18 * DAY, NOW);
    let hosts = store.hosts().await.unwrap();
    let moment = Moment::of(&store, &setup, NOW).await.unwrap();
    let present = presence(&store, &hosts[1], range, &[range], moment).await;
    let known = present.unwrap().availability;
    let off = START + 4 * DAY + 6 * HOUR;
    // To the second, although the samples of that day are gone.
    assert_eq!(known.outages(), [Span::new(off - MINUTE, off + 2 * HOUR)]);
    assert!(known.coverage.received * 1000 >= known.coverage.expected * 990);
}

#[tokio::test]
async fn levels_of_the_past_are_forecast_from_rollups_where_samples_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = weeks(folder.path()).await;
    let levels = async |selector: &str, at_ms: i64| {
        let question = Question::Levels(LevelQuestion {
            host: "web-1".into(),
            selector: selector.into(),
            made: Made::At(At::AtMs(at_ms)),
            horizons_ms: vec![7 * DAY],
        });
        let answered = answer(&store, &Setup::default(), question, NOW).await;
        match answered.unwrap().body {
            Body::Levels(levels) => levels,
            other => panic!("{other:?}"),
        }
    };
    for at_ms in [START + 10 * DAY, NOW] {
        let time = levels("node_time_seconds", at_ms).await;
        // Of the last day's 24 hours, each known by the middle of its minutes.
        let middle_ms = at_ms - 12 * HOUR - MINUTE / 2;
        let apart = time.levels[0].value / (middle_ms as f64 / 1000.0) - 1.0;
        // Rollups have six digits of a mean.
        assert!(apart.abs() < 5e-6, "{time:?}");
        let memory = levels("hostwell_memory_used_ratio", at_ms).await;
        assert!((memory.levels[0].value - 0.9).abs() < 1e-12, "{memory:?}");
        let all = levels("{__name__=~\".+\"}", at_ms).await;
        assert_eq!((all.series, all.levels.len(), all.too_little), (4, 4, 0));
    }
    assert_eq!(
        levels("node_time_seconds", START + 3 * DAY)
            .await
            .too_little,
        1
    );
}
