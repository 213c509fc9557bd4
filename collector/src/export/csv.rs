//! A wide table: a row for each moment at which any of the series has a sample.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use super::openmetrics::full_name;
use super::pages::{Listed, Pages};
use super::{Export, Exported, number};
use crate::series::{Series, SeriesName, union_times_ms};
use crate::store::Store;

/// Writes everything that is listed.
pub(super) async fn write(
    store: &Store,
    export: &Export,
    listed: &[Listed],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Exported> {
    let hosts: BTreeSet<&str> = listed.iter().map(|l| l.host.as_str()).collect();
    let metrics: BTreeSet<&str> = listed.iter().map(|l| l.name.metric.as_str()).collect();
    let mut header = String::from("unix_ms");
    let mut columns: HashMap<(&str, &SeriesName), usize> = HashMap::new();
    for (at, one) in listed.iter().enumerate() {
        // Of one host its name says nothing about a column.
        let name = match hosts.len() {
            1 => one.name.to_string(),
            _ => full_name(&one.name, &one.host),
        };
        header.push_str(&format!(",\"{}\"", name.replace('"', "\"\"")));
        columns.insert((one.host.as_str(), &one.name), at);
    }
    writeln!(out, "{header}")?;
    let mut exported = Exported {
        series: listed.len() as u64,
        samples: 0,
    };
    let mut pages = Pages::new(store, export, hosts, metrics, false);
    while let Some(windows) = pages.next().await? {
        let mut chosen: Vec<(usize, &Series)> = Vec::new();
        for window in &windows {
            for series in &window.series {
                let column = columns.get(&(window.host.as_str(), &series.name));
                chosen.extend(column.map(|at| (*at, series)));
            }
        }
        chosen.sort_by_key(|(at, _)| *at);
        exported.samples += rows(out, listed.len(), &chosen)?;
    }
    Ok(exported)
}

/// The rows of one window; answers how many samples they hold.
fn rows(
    out: &mut (dyn Write + Send),
    columns: usize,
    chosen: &[(usize, &Series)],
) -> std::io::Result<u64> {
    let mut samples = 0;
    let mut places = vec![0; chosen.len()];
    let mut line = String::new();
    for time_ms in union_times_ms(chosen.iter().map(|(_, series)| *series)) {
        line.clear();
        line.push_str(&time_ms.to_string());
        let mut column = 0;
        for ((at, series), place) in chosen.iter().zip(&mut places) {
            if series.times_ms.get(*place) != Some(&time_ms) {
                continue;
            }
            line.extend(std::iter::repeat_n(',', at + 1 - column));
            column = at + 1;
            line.push_str(&number(series.values[*place]));
            *place += 1;
            samples += 1;
        }
        line.extend(std::iter::repeat_n(',', columns - column));
        writeln!(out, "{line}")?;
    }
    Ok(samples)
}
