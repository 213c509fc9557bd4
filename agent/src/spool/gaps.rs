//! What was dropped and not yet acknowledged as dropped: a small file of its own.

use std::io;
use std::path::{Path, PathBuf};

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;
use prost::Message;

const MAGIC: &[u8; 8] = b"HWGAPS01";
/// More gaps than this are merged away with a loud word: each one is an outage beyond the bounds.
pub(super) const GAPS_MAX: usize = 1000;

/// Dropped batches, oldest first.
#[derive(Debug)]
pub(super) struct Gaps {
    path: PathBuf,
    list: Vec<(wire::Gap, bool)>,
    unsaved: bool,
}

impl Gaps {
    /// Reads the file; a missing one is an empty list, a damaged one too (the second value).
    pub(super) fn open(dir: &Path) -> (Gaps, bool) {
        let path = dir.join("gaps");
        let (list, damaged) = match std::fs::read(&path) {
            Ok(bytes) => match decode(&bytes) {
                Some(list) => (list, false),
                None => (Vec::new(), true),
            },
            Err(error) => (Vec::new(), error.kind() != io::ErrorKind::NotFound),
        };
        let gaps = Gaps {
            path,
            list: list.into_iter().map(|gap| (gap, false)).collect(),
            unsaved: false,
        };
        (gaps, damaged)
    }

    /// Adds a gap, growing the last one where it goes on.
    pub(super) fn add(&mut self, gap: wire::Gap) {
        self.unsaved = true;
        let goes_on = self.list.last_mut().filter(|(last, sent)| {
            !sent
                && last.spool_id == gap.spool_id
                && last.reason == gap.reason
                && last.last_sequence.checked_add(1) == Some(gap.first_sequence)
        });
        match goes_on {
            Some((last, _)) => {
                last.last_sequence = gap.last_sequence;
                last.from_ms = last.from_ms.min(gap.from_ms);
                last.to_ms = last.to_ms.max(gap.to_ms);
                last.samples = last.samples.saturating_add(gap.samples);
            }
            None => self.list.push((gap, false)),
        }
        if self.list.len() > GAPS_MAX {
            let (gap, _) = self.list.remove(0);
            tracing::error!(
                samples = gap.samples,
                "more than {GAPS_MAX} gaps are waiting; the collector will never hear of the oldest"
            );
        }
    }

    /// The next gap to report, marked as sent.
    pub(super) fn take_next(&mut self) -> Option<wire::Gap> {
        let (gap, sent) = self.list.iter_mut().find(|(_, sent)| !sent)?;
        *sent = true;
        Some(gap.clone())
    }

    /// Nothing counts as sent any more.
    pub(super) fn requeue(&mut self) {
        self.list.iter_mut().for_each(|(_, sent)| *sent = false);
    }

    /// Forgets the gaps that lie within this range.
    pub(super) fn ack(&mut self, spool: SpoolId, first: u64, last: u64) {
        let before = self.list.len();
        self.list.retain(|(gap, _)| {
            gap.spool_id != spool.0 || gap.first_sequence < first || gap.last_sequence > last
        });
        self.unsaved |= self.list.len() != before;
    }

    /// Forgets the gap that begins here: the collector will never take it.
    pub(super) fn refuse(&mut self, spool: SpoolId, first: u64) {
        let before = self.list.len();
        self.list
            .retain(|(gap, _)| gap.spool_id != spool.0 || gap.first_sequence != first);
        self.unsaved |= self.list.len() != before;
    }

    /// Whether this batch is already reported as dropped.
    pub(super) fn covers(&self, spool: SpoolId, sequence: u64) -> bool {
        self.list.iter().any(|(gap, _)| {
            gap.spool_id == spool.0 && (gap.first_sequence..=gap.last_sequence).contains(&sequence)
        })
    }

    /// The spools that have gaps.
    pub(super) fn spools(&self) -> impl Iterator<Item = SpoolId> + '_ {
        self.list
            .iter()
            .filter_map(|(gap, _)| SpoolId::try_from(&gap.spool_id[..]).ok())
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &wire::Gap> {
        self.list.iter().map(|(gap, _)| gap)
    }

    /// Writes the file when something changed; a full disk is tried again next time.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !self.unsaved {
            return Ok(());
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 4]);
        for (gap, _) in &self.list {
            bytes.extend_from_slice(&gap.encode_length_delimited_to_vec());
        }
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        let temporary = self.path.with_extension("new");
        std::fs::write(&temporary, &bytes)?;
        std::fs::rename(&temporary, &self.path)?;
        self.unsaved = false;
        Ok(())
    }
}

pub(super) fn decode(bytes: &[u8]) -> Option<Vec<wire::Gap>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (crc, mut rest) = rest.split_at_checked(4)?;
    if crc32c::crc32c(rest).to_le_bytes() != crc {
        return None;
    }
    let mut gaps = Vec::new();
    while !rest.is_empty() && gaps.len() < GAPS_MAX {
        gaps.push(wire::Gap::decode_length_delimited(&mut rest).ok()?);
    }
    Some(gaps)
}
