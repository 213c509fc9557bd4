//! OpenMetrics: one family after the other, in each the samples of a series together as far as
//! they fit into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use hostwell_proto::metric::Metric;

use super::pages::{Listed, Pages};
use super::{Export, Exported, number};
use crate::series::SeriesName;
use crate::store::Store;

/// Writes everything that is listed.
pub(super) async fn write(
    store: &Store,
    export: &Export,
    listed: &[Listed],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Exported> {
    let metrics: BTreeSet<&str> = listed.iter().map(|l| l.name.metric.as_str()).collect();
    let mut exported = Exported {
        series: listed.len() as u64,
        samples: 0,
    };
    for family in listed.chunk_by(|a, b| a.name.metric == b.name.metric) {
        let metric = family[0].name.metric.as_str();
        let mut head = Some(heading(metric, family[0].counter, &metrics));
        // One host after the other: within a host all samples of a series are together.
        let hosts: BTreeSet<&str> = family.iter().map(|l| l.host.as_str()).collect();
        for host in hosts {
            let heads: BTreeMap<&SeriesName, String> = family
                .iter()
                .filter(|l| l.host == host)
                .map(|l| (&l.name, full_name(&l.name, host)))
                .collect();
            let only = |text| BTreeSet::from([text]);
            let mut pages = Pages::new(store, export, only(host), only(metric), true);
            while let Some(windows) = pages.next().await? {
                for series in windows.iter().flat_map(|w| &w.series) {
                    let Some(name) = heads.get(&series.name) else {
                        continue;
                    };
                    if let Some(head) = head.take() {
                        out.write_all(head.as_bytes())?;
                    }
                    for (time_ms, value) in series.points() {
                        sample(out, name, time_ms, value)?;
                    }
                    exported.samples += series.times_ms.len() as u64;
                }
            }
        }
    }
    out.write_all(b"# EOF\n")?;
    Ok(exported)
}

fn sample(out: &mut (dyn Write + Send), name: &str, time_ms: i64, value: f64) -> io::Result<()> {
    let (seconds, rest) = (time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
    let value = number(value);
    // A negative time with a fraction would need a carry; none passes the door.
    match rest {
        0 => writeln!(out, "{name} {value} {seconds}"),
        rest => writeln!(out, "{name} {value} {seconds}.{rest:03}"),
    }
}

/// TYPE and HELP of a family. OpenMetrics wants counters to end in `_total` and names their family
/// without it; what does not is of unknown type there.
fn heading(metric: &str, counter: bool, metrics: &BTreeSet<&str>) -> String {
    let (family, kind) = match (counter, metric.strip_suffix("_total")) {
        (true, Some(family)) if !metrics.contains(family) => (family, "counter"),
        (true, _) => (metric, "unknown"),
        (false, _) => (metric, "gauge"),
    };
    let mut text = format!("# TYPE {family} {kind}\n");
    if let Some(known) = Metric::by_name(metric) {
        let help = known.descriptor().help.replace('\\', "\\\\");
        let help = help.replace('"', "\\\"");
        text.push_str(&format!("# HELP {family} {help}\n"));
    }
    text
}

/// A series' name with the host among its labels.
pub(super) fn full_name(name: &SeriesName, host: &str) -> String {
    let mut labels = vec![("host", host)];
    for (label, value) in &name.labels {
        let label = match label.as_str() {
            "host" => "exported_host",
            other => other,
        };
        labels.push((label, value.as_str()));
    }
    SeriesName::new(&name.metric, &labels).to_string()
}
