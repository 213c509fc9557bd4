//! From the bytes of a batch to what the store appends. Pure.

use hostwell_proto::column::{self, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::{Batch, RefusalReason};

use super::Refused;
use super::declare::{Slot, Slots};
use crate::config::Limits;
use crate::store::{Append, SeriesId};

/// A column has at least a number, a header and a value.
const COLUMN_BYTES_MIN: usize = 3;

/// What a batch is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door<'a> {
    pub(super) host_id: HostId,
    pub(super) limits: &'a Limits,
    pub(super) retention_ms: i64,
    pub(super) now_ms: i64,
}

/// Validates a batch of a spool. Samples of series that were refused are left out.
///
/// # Errors
/// Says what is wrong with it; nothing of it will be stored.
pub(super) fn open(
    batch: &Batch,
    spool_id: SpoolId,
    slots: &Slots,
    door: Door<'_>,
) -> Result<Append, Refused> {
    let limits = door.limits;
    if batch.sequence == 0 || i64::try_from(batch.sequence).is_err() {
        return Err(Refused::malformed(format!(
            "sequence {} is not possible: a spool counts from 1",
            batch.sequence
        )));
    }
    if batch.block.len() > limits.message_bytes as usize {
        return Err(Refused::limit(format!(
            "the batch has {} bytes, at most {} are allowed",
            batch.block.len(),
            limits.message_bytes
        )));
    }
    let bounds = column::Limits {
        ticks_max: limits.ticks_per_batch,
        columns_max: limits.series_per_host,
        samples_max: limits.samples_per_batch,
    };
    let mut found = Found {
        slots,
        series: Vec::with_capacity(slots.named().min(batch.block.len() / COLUMN_BYTES_MIN)),
        wrong: None,
    };
    // The values stay packed as the agent packed them.
    let block = Packed::renumbered(&batch.block, bounds, |number, odd| found.keep(number, odd))
        .map_err(|error| match error {
            column::ColumnError::Limit { .. } => Refused::limit(error.to_string()),
            _ => Refused::malformed(error.to_string()),
        })?;
    check_times(&block, door)?;
    match found.wrong {
        Some(refused) => Err(refused),
        None => Ok(Append {
            host_id: door.host_id,
            spool_id,
            sequence: batch.sequence,
            received_ms: door.now_ms,
            block,
            series: found.series,
        }),
    }
}

fn check_times(block: &Packed, door: Door<'_>) -> Result<(), Refused> {
    let Some((oldest, newest)) = block.span() else {
        return Ok(());
    };
    let ahead_ms = newest.saturating_sub(door.now_ms);
    if ahead_ms > i64::from(door.limits.future_seconds) * 1000 {
        return Err(Refused::new(
            RefusalReason::Time,
            format!(
                "a sample is dated {} s ahead of the collector's clock, at most {} s are allowed: set the host's clock",
                ahead_ms / 1000,
                door.limits.future_seconds
            ),
        ));
    }
    let age_ms = door.now_ms.saturating_sub(oldest);
    if age_ms > door.retention_ms {
        return Err(Refused::new(
            RefusalReason::Time,
            format!(
                "a sample is {} days old, samples are kept for {} (retention.raw_days): it would be dropped at once",
                age_ms / 86_400_000,
                door.retention_ms / 86_400_000
            ),
        ));
    }
    Ok(())
}

/// Which of the store's series a batch speaks of, and the first thing that is wrong with it.
struct Found<'a> {
    slots: &'a Slots,
    series: Vec<SeriesId>,
    wrong: Option<Refused>,
}

impl Found<'_> {
    /// Whether a column is stored: its position is then that of its series in the list.
    fn keep(&mut self, number: u32, odd: Option<f64>) -> bool {
        if let Some(value) = odd {
            self.wrong.get_or_insert_with(|| {
                Refused::new(
                    RefusalReason::NotFinite,
                    format!("series number {number} has the value {value}"),
                )
            });
        }
        match self.slots.get(number) {
            Slot::Series(id) => {
                self.series.push(id);
                true
            }
            Slot::Refused => false,
            Slot::Undeclared => {
                self.wrong.get_or_insert_with(|| {
                    Refused::malformed(format!(
                        "series number {number} was not declared for this spool"
                    ))
                });
                false
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hostwell_proto::column::{Block, Column};

    const NOW_MS: i64 = 1_700_000_000_000;

    fn slots() -> Slots {
        let mut slots = Slots::default();
        slots.set(0, Slot::Series(SeriesId(70))).unwrap();
        slots.set(1, Slot::Refused).unwrap();
        slots.set(2, Slot::Series(SeriesId(72))).unwrap();
        slots
    }

    fn opened(sequence: u64, bytes: Vec<u8>) -> Result<Append, Refused> {
        let limits = Limits {
            ticks_per_batch: 3,
            samples_per_batch: 5,
            ..Limits::default()
        };
        let batch = Batch {
            spool_id: vec![1; 16],
            sequence,
            block: bytes,
        };
        let door = Door {
            host_id: HostId([1; 16]),
            limits: &limits,
            retention_ms: 86_400_000,
            now_ms: NOW_MS,
        };
        open(&batch, SpoolId([1; 16]), &slots(), door)
    }

    /// A batch's block: columns by number, a value for each time.
    pub(crate) fn packed(times_ms: &[i64], columns: &[(u32, &[f64])]) -> Vec<u8> {
        let block = Block {
            times_ms: times_ms.to_vec(),
            columns: columns
                .iter()
                .map(|(number, values)| Column {
                    number: *number,
                    ticks: None,
                    values: values.to_vec(),
                })
                .collect(),
        };
        column::encode(&block, |_| 0)
    }

    #[test]
    fn numbers_become_the_stores_and_refused_series_are_left_out() {
        let append = opened(
            1,
            packed(&[NOW_MS], &[(0, &[1.0]), (1, &[2.0]), (2, &[3.0])]),
        )
        .unwrap();
        assert_eq!(append.series, [SeriesId(70), SeriesId(72)]);
        let bounds = column::Limits {
            ticks_max: 9,
            columns_max: 9,
            samples_max: 9,
        };
        let kept: Vec<_> = append
            .block
            .unpack(bounds)
            .unwrap()
            .columns
            .iter()
            .map(|c| (c.number, c.values[0]))
            .collect();
        assert_eq!(kept, [(0, 1.0), (1, 3.0)]);
    }

    #[test]
    fn a_bad_batch_is_refused_with_its_reason() {
        use RefusalReason::{Limit, Malformed, NotFinite, Time};
        let fine = || packed(&[NOW_MS], &[(0, &[1.0])]);
        let cases: Vec<(u64, Vec<u8>, RefusalReason, &str)> = vec![
            (0, fine(), Malformed, "sequence 0"),
            (u64::MAX, fine(), Malformed, "counts from 1"),
            (1, vec![9, 9, 9], Malformed, "version 9"),
            (1, Vec::new(), Malformed, "ends after 0 bytes"),
            (
                1,
                packed(&[NOW_MS], &[(0, &[f64::NAN])]),
                NotFinite,
                "number 0 has the value NaN",
            ),
            (
                1,
                packed(&[NOW_MS], &[(1, &[f64::INFINITY])]),
                NotFinite,
                "inf",
            ),
            (
                1,
                packed(&[NOW_MS], &[(7, &[1.0])]),
                Malformed,
                "number 7 was not declared",
            ),
            (
                1,
                packed(&[NOW_MS + 601_000], &[(0, &[1.0])]),
                Time,
                "601 s ahead",
            ),
            (
                1,
                packed(&[i64::MAX], &[(0, &[1.0])]),
                Time,
                "set the host's clock",
            ),
            (
                1,
                packed(&[NOW_MS - 2 * 86_400_000], &[(0, &[1.0])]),
                Time,
                "2 days old",
            ),
            (1, packed(&[i64::MIN], &[(0, &[1.0])]), Time, "days old"),
            (
                1,
                packed(&[NOW_MS; 4], &[(0, &[1.0; 4])]),
                Limit,
                "4 ticks, the limit is 3",
            ),
            (
                1,
                packed(&[NOW_MS; 3], &[(0, &[1.0; 3]), (2, &[1.0; 3])]),
                Limit,
                "samples",
            ),
        ];
        for (sequence, bytes, reason, expected) in cases {
            let refused = opened(sequence, bytes).unwrap_err();
            assert_eq!(refused.reason, reason, "{}", refused.message);
            assert!(refused.message.contains(expected), "{}", refused.message);
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_from_outside_never_panic(bytes: Vec<u8>, sequence: u64) {
            let _ = opened(sequence, bytes);
        }
    }
}
