//! Series as the wire names them, and back.

use std::ops::Range;

use hostwell_proto::metric::{Kind, Metric};
use hostwell_proto::wire;

use crate::sample::SeriesTable;

/// The declarations of these series numbers.
pub fn declarations(table: &SeriesTable, numbers: Range<u32>) -> Vec<wire::SeriesDeclaration> {
    numbers
        .filter_map(|number| {
            let key = table.key(number)?;
            let row = key.metric.descriptor();
            let labels = row.labels.iter().zip(key.label_values.iter());
            Some(wire::SeriesDeclaration {
                number,
                metric: row.name.to_string(),
                labels: labels
                    .map(|(name, value)| wire::Label {
                        name: (*name).to_string(),
                        value: value.to_string(),
                    })
                    .collect(),
                kind: match row.kind {
                    Kind::Counter => wire::SeriesKind::Counter.into(),
                    Kind::Gauge => wire::SeriesKind::Gauge.into(),
                },
            })
        })
        .collect()
}

/// The table behind declarations `0..`; `None` when this program cannot give every number the very
/// same meaning again (another version's metric, other labels).
pub(super) fn table_of(series: &[wire::SeriesDeclaration]) -> Option<SeriesTable> {
    let mut table = SeriesTable::default();
    for (expected, declared) in (0u32..).zip(series) {
        let metric = Metric::by_name(&declared.metric)?;
        let names = declared.labels.iter().map(|l| l.name.as_str());
        if !names.eq(metric.descriptor().labels.iter().copied()) {
            return None;
        }
        let values: Vec<&str> = declared.labels.iter().map(|l| l.value.as_str()).collect();
        if declared.number != expected || table.number(metric, &values) != expected {
            return None;
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_give_every_number_its_meaning_back() {
        let mut table = SeriesTable::default();
        table.number(Metric::Load1, &[]);
        table.number(Metric::CpuSeconds, &["0", "idle"]);
        let declared = declarations(&table, 0..9);
        assert_eq!(declared.len(), 2);
        assert_eq!(declared[1].labels[1].name, "mode");
        let back = table_of(&declared).unwrap();
        assert_eq!(back.key(1), table.key(1));
    }

    #[test]
    fn a_table_that_means_something_else_is_not_taken_over() {
        let mut table = SeriesTable::default();
        table.number(Metric::CpuSeconds, &["0", "idle"]);
        let good = declarations(&table, 0..1);
        let mut unknown = good.clone();
        unknown[0].metric = "node_of_the_future".into();
        let mut relabelled = good.clone();
        relabelled[0].labels[0].name = "core".into();
        let mut renumbered = good.clone();
        renumbered[0].number = 4;
        let twice = [
            good[0].clone(),
            wire::SeriesDeclaration {
                number: 1,
                ..good[0].clone()
            },
        ];
        for wrong in [&unknown[..], &relabelled, &renumbered, &twice] {
            assert!(table_of(wrong).is_none(), "{wrong:?}");
        }
    }
}
