//! The bytes of a segment: a magic number, then records, each with its length and checksum.
//!
//! ```text
//! segment = "HWSPOOL1" record*
//! record  = length(u32) crc32c(u32) kind(u8) payload     length counts kind and payload
//! start   = spool id(16) first sequence(u64) created(i64 ms)           kind 1, first record
//! declare = protobuf hostwell.v1.Declare                               kind 2
//! batch   = sequence(u64) from(i64 ms) to(i64 ms) samples(u32) series(u32) block   kind 3
//! close   = next sequence(u64)                                         kind 4
//! ```
//! Integers are little-endian. The checksum covers the length too, so that a tail of zeroes, which
//! a power cut leaves on some file systems, is never a record. Nothing here panics on any bytes.

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;
use prost::Message;

/// What every segment starts with; the digit is the format's version.
pub(super) const MAGIC: &[u8; 8] = b"HWSPOOL1";
/// Bytes before a record's kind.
pub(super) const FRAME_BYTES: usize = 8;
/// Bytes of a batch record before its block, frame and kind included.
pub(super) const BATCH_HEAD_BYTES: usize = FRAME_BYTES + 1 + 32;
/// Longer records do not exist: a length beyond this is damage.
const RECORD_BYTES_MAX: usize = 16 << 20;

const START: u8 = 1;
const DECLARE: u8 = 2;
const BATCH: u8 = 3;
const CLOSE: u8 = 4;

/// What one record says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record<'a> {
    Start {
        spool: SpoolId,
        first_sequence: u64,
        created_ms: i64,
    },
    Declare(wire::Declare),
    Batch {
        head: BatchHead,
        block: &'a [u8],
    },
    Close {
        next_sequence: u64,
    },
}

/// What is known of a batch without reading its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHead {
    pub(super) sequence: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) samples: u32,
    /// How many series must be declared before this batch: every number in it is below.
    pub(super) series: u32,
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// A record and where the next one starts.
    Record(Record<'a>, usize),
    /// No record, but its length is believable: the next one may start there.
    Damaged(usize),
    /// Nothing that could be a record: a torn tail, or damage that hides what follows.
    Torn,
    /// The end of the file, exactly.
    End,
}

/// Appends a record.
pub(super) fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    match record {
        Record::Start {
            spool,
            first_sequence,
            created_ms,
        } => {
            out.push(START);
            out.extend_from_slice(&spool.0);
            out.extend_from_slice(&first_sequence.to_le_bytes());
            out.extend_from_slice(&created_ms.to_le_bytes());
        }
        Record::Declare(declare) => {
            out.push(DECLARE);
            out.extend_from_slice(&declare.encode_to_vec());
        }
        Record::Batch { head, block } => {
            out.push(BATCH);
            out.extend_from_slice(&head.sequence.to_le_bytes());
            out.extend_from_slice(&head.from_ms.to_le_bytes());
            out.extend_from_slice(&head.to_ms.to_le_bytes());
            out.extend_from_slice(&head.samples.to_le_bytes());
            out.extend_from_slice(&head.series.to_le_bytes());
            out.extend_from_slice(block);
        }
        Record::Close { next_sequence } => {
            out.push(CLOSE);
            out.extend_from_slice(&next_sequence.to_le_bytes());
        }
    }
    let length = (out.len() - start - FRAME_BYTES) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&out[start..start + 4], &out[start + FRAME_BYTES..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(length: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), body)
}

/// Reads what stands at `at`.
pub(super) fn find(bytes: &[u8], at: usize) -> Found<'_> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Found::End;
    }
    let (Some(length), Some(crc)) = (u32_at(rest, 0), u32_at(rest, 4)) else {
        return Found::Torn;
    };
    let length = length as usize;
    if length == 0 || length > RECORD_BYTES_MAX || length > rest.len() - FRAME_BYTES {
        return Found::Torn;
    }
    let body = &rest[FRAME_BYTES..FRAME_BYTES + length];
    let next = at + FRAME_BYTES + length;
    if checksum(&rest[..4], body) != crc {
        return Found::Damaged(next);
    }
    match parse(body[0], &body[1..]) {
        Some(record) => Found::Record(record, next),
        None => Found::Damaged(next),
    }
}

fn parse(kind: u8, payload: &[u8]) -> Option<Record<'_>> {
    Some(match kind {
        START if payload.len() == 32 => Record::Start {
            spool: SpoolId::try_from(&payload[..16]).ok()?,
            first_sequence: u64_at(payload, 16)?,
            created_ms: u64_at(payload, 24)? as i64,
        },
        DECLARE => Record::Declare(wire::Declare::decode(payload).ok()?),
        BATCH => Record::Batch {
            head: BatchHead {
                sequence: u64_at(payload, 0)?,
                from_ms: u64_at(payload, 8)? as i64,
                to_ms: u64_at(payload, 16)? as i64,
                samples: u32_at(payload, 24)?,
                series: u32_at(payload, 28)?,
            },
            block: payload.get(32..)?,
        },
        CLOSE if payload.len() == 8 => Record::Close {
            next_sequence: u64_at(payload, 0)?,
        },
        _ => return None,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    four.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at + 8)?;
    eight.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(sequence: u64, block: &[u8]) -> Record<'_> {
        let head = BatchHead {
            sequence,
            from_ms: -5,
            to_ms: 7,
            samples: 3,
            series: 2,
        };
        Record::Batch { head, block }
    }

    #[test]
    fn records_come_back_as_they_went_in() {
        let declare = wire::Declare {
            spool_id: vec![1; 16],
            series: vec![wire::SeriesDeclaration::default()],
        };
        let records = [
            Record::Start {
                spool: SpoolId([9; 16]),
                first_sequence: 4,
                created_ms: -1,
            },
            Record::Declare(declare),
            batch(1, b"block"),
            batch(2, b""),
            Record::Close { next_sequence: 3 },
        ];
        let mut bytes = Vec::new();
        records.iter().for_each(|record| put(&mut bytes, record));
        let mut at = 0;
        for expected in records {
            let Found::Record(record, next) = find(&bytes, at) else {
                panic!("no record at {at}");
            };
            assert_eq!(record, expected);
            at = next;
        }
        assert_eq!(find(&bytes, at), Found::End);
    }

    #[test]
    fn a_tail_of_zeroes_is_torn_and_a_flipped_bit_is_damage() {
        assert_eq!(find(&[0; 64], 0), Found::Torn);
        let mut bytes = Vec::new();
        put(&mut bytes, &batch(1, b"block"));
        let whole = bytes.clone();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = find(&bytes, 0);
            assert!(
                !matches!(found, Found::Record(..)),
                "bit {bit} went unnoticed"
            );
            bytes.clone_from(&whole);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..220,
        ) {
            find(&bytes, at);
        }

        #[test]
        fn a_valid_frame_around_any_body_is_read_without_a_panic(
            body in proptest::collection::vec(any::<u8>(), 1..100),
        ) {
            let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
            let crc = checksum(&bytes, &body);
            bytes.extend_from_slice(&crc.to_le_bytes());
            bytes.extend_from_slice(&body);
            find(&bytes, 0);
        }
    }
}
