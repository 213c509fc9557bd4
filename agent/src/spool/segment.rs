//! One file of the spool: written once from front to back, read anywhere, deleted whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;

use super::bits::Bits;
use super::record::{self, BATCH_HEAD_BYTES, BatchHead, Found, MAGIC, Record};

/// No batch here: it never reached the disk, or damage hides it.
const ABSENT: u32 = 0;
/// Most sequence numbers that may be missing in a row before we call it damage.
const HOLE_MAX: u64 = 100_000;
/// Larger files are not ours.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most series in one declare record.
const DECLARE_SERIES_MAX: usize = 500;

/// A segment and what became of its batches.
#[derive(Debug)]
pub(super) struct Segment {
    /// Orders the segments; the file's name.
    pub(super) number: u64,
    pub(super) spool: SpoolId,
    pub(super) first_sequence: u64,
    /// Where each batch stands, from `first_sequence` on.
    offsets: Vec<u32>,
    /// Batches handed out and not yet answered.
    pub(super) sent: Bits,
    /// Batches that need no sending: acknowledged, refused or absent.
    pub(super) done: Bits,
    /// Series declared so far; their numbers are `0..declared`.
    pub(super) declared: u32,
    /// Length of the file.
    pub(super) bytes: u64,
    /// How much of that the beginning and its declarations take.
    pub(super) head_bytes: u64,
    /// Earliest time of any batch; `i64::MAX` when there is none.
    pub(super) oldest_ms: i64,
    /// Set while the last record is the clean-stop marker: the sequence to go on with.
    pub(super) close: Option<u64>,
    /// Sequences that are certainly lost, by damage.
    pub(super) lost: Vec<u64>,
    /// Whether anything in the file could not be read.
    pub(super) damaged: bool,
    /// Whether the last thing in the file is damage: a batch at least was there.
    pub(super) torn: bool,
    path: PathBuf,
    file: Option<File>,
}

impl Segment {
    /// Starts a file that declares these series from its beginning.
    pub(super) fn create(
        dir: &Path,
        number: u64,
        (spool, first_sequence): (SpoolId, u64),
        series: Vec<wire::SeriesDeclaration>,
        now_ms: i64,
    ) -> io::Result<Segment> {
        let path = dir.join(format!("{number:016x}.seg"));
        let mut segment = Segment::empty(number, spool, first_sequence, path);
        let mut bytes = MAGIC.to_vec();
        record::put(
            &mut bytes,
            &Record::Start {
                spool,
                first_sequence,
                created_ms: now_ms,
            },
        );
        segment.declared = series.len() as u32;
        put_declarations(&mut bytes, spool, series);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&segment.path)?;
        segment.file = Some(file);
        segment.head_bytes = bytes.len() as u64;
        match segment.append(&bytes) {
            Ok(_) => Ok(segment),
            Err(error) => {
                // Nothing of it is worth keeping, and the disk may be full.
                let _ = std::fs::remove_file(&segment.path);
                Err(error)
            }
        }
    }

    fn empty(number: u64, spool: SpoolId, first_sequence: u64, path: PathBuf) -> Segment {
        Segment {
            number,
            spool,
            first_sequence,
            offsets: Vec::new(),
            sent: Bits::default(),
            done: Bits::default(),
            declared: 0,
            bytes: 0,
            head_bytes: 0,
            oldest_ms: i64::MAX,
            close: None,
            lost: Vec::new(),
            damaged: false,
            torn: false,
            path,
            file: None,
        }
    }

    /// Reads a file that an earlier process wrote. `None` when it has no readable beginning.
    pub(super) fn scan(path: &Path, number: u64) -> io::Result<Option<Segment>> {
        let bytes = read_file(path)?;
        if bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Ok(None);
        }
        let Found::Record(
            Record::Start {
                spool,
                first_sequence,
                ..
            },
            mut at,
        ) = record::find(&bytes, MAGIC.len())
        else {
            return Ok(None);
        };
        if !(1..1 << 62).contains(&first_sequence) {
            return Ok(None);
        }
        let mut segment = Segment::empty(number, spool, first_sequence, path.to_path_buf());
        loop {
            match record::find(&bytes, at) {
                Found::Record(record, next) => {
                    segment.torn = false;
                    segment.take(&record, at);
                    at = next;
                }
                Found::Damaged(next) => {
                    segment.tear();
                    at = next;
                }
                Found::Torn => {
                    segment.tear();
                    break;
                }
                Found::End => break,
            }
        }
        segment.bytes = bytes.len() as u64;
        Ok(Some(segment))
    }

    fn tear(&mut self) {
        self.damaged = true;
        self.torn = true;
        self.close = None;
    }

    /// Takes in a record found on disk at `at`.
    fn take(&mut self, record: &Record<'_>, at: usize) {
        self.close = None;
        match record {
            Record::Start { .. } => self.damaged = true,
            Record::Declare(declare) => {
                let numbered = declare.series.iter().zip(self.declared..);
                if declare.spool_id == self.spool.0 && numbered.clone().all(|(s, n)| s.number == n)
                {
                    self.declared += declare.series.len() as u32;
                } else {
                    self.damaged = true;
                }
            }
            Record::Batch { head, .. } => {
                let next = self.next_sequence();
                let hole = head.sequence.checked_sub(next);
                match hole {
                    Some(hole) if hole <= HOLE_MAX && head.series <= self.declared => {
                        for sequence in next..head.sequence {
                            self.lose(sequence);
                        }
                        self.add(head, at as u32);
                    }
                    _ => self.damaged = true,
                }
            }
            Record::Close { next_sequence } => {
                let hole = next_sequence.checked_sub(self.next_sequence());
                if hole.is_some_and(|hole| hole <= HOLE_MAX) {
                    self.close = Some(*next_sequence);
                } else {
                    self.damaged = true;
                }
            }
        }
    }

    /// A sequence that should be here and is not.
    pub(super) fn lose(&mut self, sequence: u64) {
        self.absent();
        self.lost.push(sequence);
    }

    /// The next sequence is not in this file, and somebody else answers for it.
    pub(super) fn absent(&mut self) {
        self.done.set(self.offsets.len());
        self.offsets.push(ABSENT);
    }

    fn add(&mut self, head: &BatchHead, offset: u32) {
        self.offsets.push(offset);
        self.oldest_ms = self.oldest_ms.min(head.from_ms);
    }

    /// The sequence after the last one here.
    pub(super) fn next_sequence(&self) -> u64 {
        self.first_sequence + self.offsets.len() as u64
    }

    /// Where a sequence is kept here.
    pub(super) fn index(&self, sequence: u64) -> Option<usize> {
        let index = sequence.checked_sub(self.first_sequence)?;
        (index < self.offsets.len() as u64).then_some(index as usize)
    }

    /// How many batches here still need sending.
    pub(super) fn undone(&self) -> usize {
        self.offsets.len() - self.done.count()
    }

    /// How many sequences this segment speaks for.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Writes bytes at the end, all or nothing; where they start.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.bytes;
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("segment is not open for writing"));
        };
        if let Err(error) = file.write_all(bytes) {
            // A full disk may have taken a part. Without the cut the next batch would stand
            // behind half a record; if even that fails, nothing more goes into this file.
            if file.set_len(at).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        Ok(at)
    }

    /// Writes a batch, with the declarations it needs before it.
    pub(super) fn push(
        &mut self,
        scratch: &mut Vec<u8>,
        series: Vec<wire::SeriesDeclaration>,
        head: &BatchHead,
        block: &[u8],
    ) -> io::Result<()> {
        scratch.clear();
        let new = series.len() as u32;
        put_declarations(scratch, self.spool, series);
        let before = scratch.len();
        record::put(scratch, &Record::Batch { head: *head, block });
        let at = self.append(scratch)?;
        self.declared += new;
        self.add(head, (at + before as u64) as u32);
        Ok(())
    }

    /// Writes the clean-stop marker and waits until all of it is on the disk.
    pub(super) fn close(&mut self, next_sequence: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        record::put(&mut bytes, &Record::Close { next_sequence });
        self.append(&bytes)?;
        self.sync()
    }

    /// Waits until the file is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    /// Whether more can be written here.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Ends writing here.
    pub(super) fn seal(&mut self) {
        self.file = None;
    }

    /// A batch from the disk; `None` when it is absent or has become unreadable.
    pub(super) fn read(&self, index: usize) -> io::Result<Option<(BatchHead, Vec<u8>)>> {
        let Some(offset) = self.offsets.get(index).filter(|o| **o != ABSENT) else {
            return Ok(None);
        };
        let end = self.offsets[index + 1..]
            .iter()
            .find(|o| **o != ABSENT)
            .map_or(self.bytes, |o| u64::from(*o));
        let mut file = File::open(&self.path)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(u64::from(*offset)))?;
        let mut bytes = Vec::new();
        file.take(end.saturating_sub(u64::from(*offset)))
            .read_to_end(&mut bytes)?;
        let Found::Record(Record::Batch { head, .. }, next) = record::find(&bytes, 0) else {
            return Ok(None);
        };
        bytes.truncate(next);
        bytes.drain(..BATCH_HEAD_BYTES);
        Ok(Some((head, bytes)))
    }

    /// What is known of the batches that still need sending, in order.
    pub(super) fn undone_heads(&self) -> Vec<BatchHead> {
        let bytes = read_file(&self.path).unwrap_or_default();
        let known = |index: usize, offset: u32| match record::find(&bytes, offset as usize) {
            Found::Record(Record::Batch { head, .. }, _) => head,
            _ => BatchHead {
                sequence: self.first_sequence + index as u64,
                from_ms: self.oldest_ms,
                to_ms: self.oldest_ms,
                samples: 0,
                series: 0,
            },
        };
        self.offsets
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.done.has(*index))
            .map(|(index, offset)| known(index, *offset))
            .collect()
    }

    /// Every declaration of this file, numbers ascending from 0.
    pub(super) fn declarations(&self) -> io::Result<Vec<wire::SeriesDeclaration>> {
        let bytes = read_file(&self.path)?;
        let mut series = Vec::new();
        let mut at = MAGIC.len();
        loop {
            match record::find(&bytes, at) {
                Found::Record(Record::Declare(declare), next) => {
                    series.extend(declare.series);
                    at = next;
                }
                Found::Record(_, next) | Found::Damaged(next) => at = next,
                Found::Torn | Found::End => return Ok(series),
            }
        }
    }

    /// Deletes the file.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        std::fs::remove_file(&self.path)
    }
}

fn put_declarations(out: &mut Vec<u8>, spool: SpoolId, series: Vec<wire::SeriesDeclaration>) {
    let mut series = series.into_iter().peekable();
    while series.peek().is_some() {
        let declare = wire::Declare {
            spool_id: spool.0.to_vec(),
            series: series.by_ref().take(DECLARE_SERIES_MAX).collect(),
        };
        record::put(out, &Record::Declare(declare));
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_leaves_the_batches_before_it_readable() {
        let dir = tempfile::tempdir().unwrap();
        let spool = SpoolId([1; 16]);
        let mut segment = Segment::create(dir.path(), 1, (spool, 1), Vec::new(), 0).unwrap();
        let head = |sequence| BatchHead {
            sequence,
            from_ms: 5,
            to_ms: 5,
            samples: 1,
            series: 0,
        };
        let mut scratch = Vec::new();
        let mut push = |segment: &mut Segment, sequence| {
            segment.push(&mut scratch, Vec::new(), &head(sequence), b"block")
        };
        push(&mut segment, 1).unwrap();
        let file = segment.file.replace(File::create("/dev/full").unwrap());
        let error = push(&mut segment, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(
            !segment.is_open(),
            "a file that cannot be cut back takes nothing more"
        );
        assert!(push(&mut segment, 2).is_err());

        // There is room again, in this file even.
        segment.file = file;
        push(&mut segment, 2).unwrap();
        let found = Segment::scan(&segment.path, 1).unwrap().unwrap();
        assert_eq!((found.next_sequence(), found.damaged), (3, false));
        assert_eq!(found.read(1).unwrap(), Some((head(2), b"block".to_vec())));
    }
}
