//! What agents of every released version said, said again to this collector (the compatibility
//! rule is at the top of intake.proto).

use super::*;
use hostwell_proto::column;
use prost::Message;
use std::collections::BTreeSet;
use std::path::Path;

/// (metric, labels, time in ms).
type Sample = (String, Vec<(String, String)>, i64);

fn messages(path: &Path) -> Vec<AgentMessage> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut messages = Vec::new();
    while !rest.is_empty() {
        messages.push(AgentMessage::decode_length_delimited(&mut rest).unwrap());
    }
    messages
}

/// Every sample the messages carry, read without the collector's help.
fn samples(messages: &[AgentMessage]) -> BTreeSet<Sample> {
    let limits = column::Limits {
        ticks_max: 1_000,
        columns_max: 10_000,
        samples_max: 100_000,
    };
    let mut declared = std::collections::BTreeMap::new();
    let mut samples = BTreeSet::new();
    for message in messages {
        match message.kind.as_ref().unwrap() {
            Said::Declare(declare) => {
                for series in &declare.series {
                    let labels = series.labels.iter();
                    let labels: Vec<_> =
                        labels.map(|l| (l.name.clone(), l.value.clone())).collect();
                    let key = (declare.spool_id.clone(), series.number);
                    declared.insert(key, (series.metric.clone(), labels));
                }
            }
            Said::Batch(batch) => {
                let block = column::decode(&batch.block, limits).unwrap();
                for column in &block.columns {
                    let (metric, labels) = &declared[&(batch.spool_id.clone(), column.number)];
                    samples.extend(
                        column.samples().map(|(tick, _)| {
                            (metric.clone(), labels.clone(), block.times_ms[tick])
                        }),
                    );
                }
            }
            Said::Hello(_) | Said::Gap(_) | Said::ProcessNote(_) => {}
        }
    }
    samples
}

async fn stored(collector: &Collector) -> BTreeSet<Sample> {
    let everything = WindowQuery {
        to_ms: i64::MAX,
        samples_max: 100_000,
        ..WindowQuery::default()
    };
    let windows = collector.store().await.windows(everything).await.unwrap();
    let series = windows.into_iter().flat_map(|w| w.series);
    series
        .flat_map(|s| {
            let (metric, labels) = (s.name.metric, s.name.labels);
            let sample = move |time_ms| (metric.clone(), labels.clone(), time_ms);
            s.times_ms.into_iter().map(sample)
        })
        .collect()
}

async fn replay(path: &Path) {
    let messages = messages(path);
    let Some(Said::Hello(hello)) = messages[0].kind.clone() else {
        panic!("{}: no Hello first", path.display())
    };
    let collector = Collector::start().await;
    collector.advance(hello.sent_ms - NOW_MS);
    let mut agent = Agent::greet(&collector, hello).await;
    assert!(matches!(agent.next().await, Answer::Welcome(_)));
    let (mut sent, mut gaps) = (BTreeSet::new(), 0);
    for message in &messages[1..] {
        match message.kind.as_ref().unwrap() {
            Said::Batch(batch) => drop(sent.insert((batch.spool_id.clone(), batch.sequence))),
            Said::Gap(_) => gaps += 1,
            _ => {}
        }
        agent.say(message.kind.clone().unwrap()).await;
    }
    let mut acked = BTreeSet::new();
    for answer in agent.finish().await {
        let Answer::Ack(ack) = answer else {
            panic!("{}: {answer:?}", path.display())
        };
        for range in &ack.ranges {
            acked.extend((range.first..=range.last).map(|s| (ack.spool_id.clone(), s)));
        }
    }
    assert!(
        acked.is_superset(&sent),
        "{}: {sent:?} but {acked:?}",
        path.display()
    );
    let expected = samples(&messages);
    assert!(expected.len() > 100);
    assert!(stored(&collector).await == expected, "{}", path.display());
    let reported = collector
        .store()
        .await
        .gaps(None, 0, i64::MAX)
        .await
        .unwrap();
    assert_eq!(reported.len(), gaps);
    collector.stop().await;
}

#[tokio::test]
async fn every_recorded_agent_is_understood() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/recorded");
    let mut streams = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "stream") {
            replay(&path).await;
            streams += 1;
        }
    }
    assert!(streams > 0, "at least this version's");
}
