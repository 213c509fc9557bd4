//! Simulated agents say what they should, and lose nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostwell_tests::ca::Authority;
use hostwell_tests::holdings::{Samples, stored};
use hostwell_tests::load::capture::Capture;
use hostwell_tests::load::derive::{Host, Mould};
use hostwell_tests::load::script::{Script, decimals};
use hostwell_tests::program::{command, run, stdout};
use hostwell_tests::site::{Collector, tls_section};
use hostwell_tests::speaker::now_ms;
use serde_json::Value;

/// A recording of five minutes.
fn recording(folder: &Path) -> (PathBuf, Arc<Mould>) {
    let mut text = String::from(
        "time,\"node_cpu_seconds_total{cpu=0,mode=user} [ticks of 0.01 s]\",\
         \"node_cpu_seconds_total{cpu=0,mode=idle} [ticks of 0.01 s]\",node_load1,\
         node_memory_MemTotal_bytes,node_memory_MemFree_bytes\n",
    );
    for second in 0..300 {
        let (user, idle) = (second * 40, second * 60);
        let free = 600_000_000 - second % 9 * 4_096_000;
        text += &format!(
            "{second},{user},{idle},0.{},1000001536,{free}\n",
            10 + second % 50
        );
    }
    let path = folder.join("host.csv");
    std::fs::write(&path, &text).unwrap();
    (path, Arc::new(Mould::new(Capture::parse(&text).unwrap())))
}

fn load(capture: &Path, arguments: &[&str]) -> Value {
    let output = run(command(env!("CARGO_BIN_EXE_hostwell-load"))
        .arg("--capture")
        .arg(capture)
        .args(arguments)
        .arg("--json"));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// What the store holds of a host of the fleet with seed 1.
fn held(collector: &Collector, mould: &Arc<Mould>, number: u64, interval_ms: u64) -> Samples {
    let script = Script::new(mould, &decimals(mould), (1, 0), number, interval_ms);
    stored(&collector.database(), script.host_id)
}

#[test]
fn the_past_of_a_fleet_is_stored_as_it_was_derived() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, mould) = recording(folder.path());
    let collector = Collector::start(&folder.path().join("collector"));
    let end_ms = now_ms() / 1000 * 1000;
    let end = end_ms.to_string();
    let url = collector.url();
    let summary = load(
        &capture,
        &[
            "--url",
            &url,
            "--hosts",
            "5",
            "--ramp",
            "100ms",
            "--interval",
            "1s",
            "--ticks",
            "7",
            "--backfill",
            "60s",
            "--saturate",
            "--end-ms",
            &end,
        ],
    );
    assert_eq!(summary["unanswered"], 0, "{summary}");
    assert_eq!(summary["acknowledged"], 5 * 9, "{summary}");
    for number in 0..5 {
        let held = held(&collector, &mould, number, 1000);
        let mut host = Host::new(&mould, 1, number, 1000);
        let mut row = Vec::new();
        for tick in 1..=60 {
            host.step(&mut row);
            let time = end_ms - (60 - tick) * 1000;
            for (value, series) in row.iter().zip(&mould.capture().series) {
                let points = &held[&(series.metric.clone(), series.labels.clone())];
                assert_eq!(
                    points.get(&time),
                    Some(value),
                    "{} at {tick}",
                    series.metric
                );
                assert_eq!(points.len(), 60);
            }
        }
    }
}

#[test]
fn a_reconnect_storm_loses_nothing_of_the_present() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, mould) = recording(folder.path());
    let authority = Authority::new(folder.path(), "ca");
    let identity = authority.sign("collector", &["127.0.0.1"]);
    let section = tls_section(None, Some(&identity));
    let collector = Collector::start_with(&folder.path().join("collector"), &section);
    let url = format!("https://{}", collector.grpc);
    let ca = authority.root.display().to_string();
    let summary = load(
        &capture,
        &[
            "--url",
            &url,
            "--ca",
            &ca,
            "--hosts",
            "12",
            "--ramp",
            "200ms",
            "--interval",
            "200ms",
            "--for",
            "3s",
            "--reconnect-storm",
        ],
    );
    assert_eq!(summary["connects"], 24, "{summary}");
    assert_eq!(summary["unanswered"], 0, "{summary}");
    for number in 0..12 {
        for ((metric, _), points) in held(&collector, &mould, number, 200) {
            let times: Vec<i64> = points.into_keys().collect();
            let whole = times.windows(2).all(|pair| pair[1] - pair[0] == 200);
            assert!(whole && times.len() >= 15, "{metric}: {times:?}");
        }
    }
}
