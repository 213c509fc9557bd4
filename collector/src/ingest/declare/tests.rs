use super::*;
use hostwell_proto::wire::RefusalReason;

fn declaration(metric: &str, labels: &[(&str, &str)]) -> SeriesDeclaration {
    SeriesDeclaration {
        number: 0,
        metric: metric.to_owned(),
        labels: labels
            .iter()
            .map(|(name, value)| Label {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
        kind: SeriesKind::Unspecified as i32,
    }
}

#[track_caller]
fn check(metric: &str, labels: &[(&str, &str)], expected: &str) {
    let shown = match series(&declaration(metric, labels), &Limits::default()) {
        Ok((name, kind)) => {
            let labels: Vec<_> = name
                .labels
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            format!("{}{{{}}} {kind:?}", name.metric, labels.join(","))
        }
        Err(refused) => format!("{:?}: {}", refused.reason, refused.message),
    };
    assert!(shown.contains(expected), "{shown}\nlacks {expected:?}");
}

#[test]
fn names_become_series() {
    check("node_load1", &[], "node_load1{} Gauge");
    check(
        "node_cpu_seconds_total",
        &[("mode", "idle"), ("cpu", "0")],
        "node_cpu_seconds_total{cpu=0,mode=idle} Counter",
    );
    check("vendor_fans_total", &[], "vendor_fans_total{} Counter");
    check("vendor:fans", &[("slot", "1")], "vendor:fans{slot=1} Gauge");
    check(
        "fans über 9",
        &[("slot", "1")],
        "hostwell_custom{name=fans über 9,slot=1} Gauge",
    );
    check("9fans", &[], "hostwell_custom{name=9fans} Gauge");
    check("node_load1", &[("new", "1")], "node_load1{new=1}");
}

#[test]
fn what_cannot_be_a_series_is_refused() {
    let many: Vec<(String, &str)> = (0..10_000).map(|i| (format!("l{i}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    check(
        "node_load1",
        &many,
        "Limit: a series of \"node_load1\" has 10000 labels",
    );
    check("", &[], "Limit: a metric's name has 0 bytes");
    check(
        &"x".repeat(257),
        &[],
        "Limit: a metric's name has 257 bytes",
    );
    check(
        "a\u{0}",
        &[],
        "Malformed: a metric's name has control characters",
    );
    check(
        "a",
        &[("b", "\u{9b}x")],
        "Malformed: a series of \"a\": the label b has control characters",
    );
    check("a", &[("b", "1"), ("b", "2")], "a label twice");
    check("a", &[("__name__", "b")], "not a label name");
    check(
        "a",
        &[(&"b".repeat(129), "1")],
        "Limit: a series of \"a\": a label's name has 129 bytes",
    );
    check("a", &[("b", &"1".repeat(1025))], "has 1025 bytes");
    check("a b", &[("name", "c")], "leaves no place");
    check(
        "node_cpu_seconds_total",
        &[("cpu", "0")],
        "lacks its label mode",
    );
}

#[test]
fn a_number_keeps_its_meaning() {
    let mut slots = Slots::default();
    let first = Slot::Series(SeriesId(1));
    assert_eq!(slots.get(3), Slot::Undeclared);
    slots.set(3, first).unwrap();
    slots.set(3, first).unwrap();
    let refused = slots.set(3, Slot::Series(SeriesId(2))).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Malformed);
    slots.set(3, Slot::Refused).unwrap();
    assert_eq!(slots.get(3), first);
    assert_eq!(slots.get(2), Slot::Undeclared);
    let refused = slots.set(u32::MAX, first).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Limit);
}
