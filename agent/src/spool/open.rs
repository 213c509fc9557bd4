//! Recovers what an earlier process left.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hostwell_proto::id::SpoolId;

use super::gaps::Gaps;
use super::segment::Segment;
use super::{Counts, Spool, SpoolConfig, declare, remove};
use crate::sample::SeriesTable;

/// With more series than this a spool is not continued: most of them are long gone.
const SERIES_CONTINUED_MAX: usize = 4000;

pub(super) fn open(
    dir: &Path,
    bounds: SpoolConfig,
    now_ms: i64,
) -> anyhow::Result<(Spool, SeriesTable)> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("create spool folder {}", dir.display()))?;
    let files = list(dir).with_context(|| format!("list spool folder {}", dir.display()))?;
    let next_number = files.last().map_or(1, |(number, _)| number + 1);
    let (gaps, gaps_damaged) = Gaps::open(dir);
    if gaps_damaged {
        tracing::warn!("the spool's list of gaps was damaged and is lost");
    }
    let mut spool = Spool {
        dir: dir.to_path_buf(),
        bounds,
        segments: VecDeque::new(),
        live: false,
        spool: random_spool_id()?,
        next_sequence: 1,
        next_number,
        memory: VecDeque::new(),
        gaps,
        counts: Counts::default(),
        cursor: (0, 0),
        write_failing: false,
        tight: false,
        scratch: Vec::new(),
    };
    let unreadable = spool.load(&files);
    let table = spool.continue_clean(unreadable || gaps_damaged);
    spool.report_lost();
    spool.collect();
    let table = table.unwrap_or_default();
    let sequence = spool.next_sequence;
    match spool.rotate(&table, sequence, now_ms) {
        Ok(()) => spool.make_durable(),
        Err(error) => {
            tracing::warn!("cannot start a spool segment yet: {error}");
            spool.abandon();
        }
    }
    spool.save_gaps();
    Ok((spool, table))
}

fn random_spool_id() -> anyhow::Result<SpoolId> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("draw a spool id: {e}"))?;
    Ok(SpoolId(bytes))
}

fn list(dir: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".seg"))
            .filter(|digits| digits.len() == 16)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .filter(|number| *number < u64::MAX / 2);
        files.extend(number.map(|number| (number, path)));
    }
    files.sort_unstable();
    Ok(files)
}

impl Spool {
    /// Reads every segment; whether any file was unreadable from its beginning.
    fn load(&mut self, files: &[(u64, PathBuf)]) -> bool {
        let mut unreadable = false;
        for (number, path) in files {
            match Segment::scan(path, *number) {
                Ok(Some(segment)) => self.segments.push_back(segment),
                Ok(None) => {
                    unreadable = true;
                    self.counts.damaged += 1;
                    tracing::error!("spool segment {} is unreadable, deleted", path.display());
                    let _ = std::fs::remove_file(path);
                }
                Err(error) => {
                    unreadable = true;
                    tracing::error!("cannot read spool segment {}: {error}", path.display());
                }
            }
        }
        unreadable
    }

    /// Goes on with the last spool when it was stopped cleanly and nothing of it is damaged.
    fn continue_clean(&mut self, damaged: bool) -> Option<SeriesTable> {
        let last = self.segments.back()?;
        let sound = !damaged && self.segments.iter().all(|s| !s.damaged);
        let next = last.close.filter(|_| sound)?;
        let series = last.declarations().ok()?;
        if series.len() > SERIES_CONTINUED_MAX || series.len() != last.declared as usize {
            return None;
        }
        let table = declare::table_of(&series)?;
        self.spool = last.spool;
        self.next_sequence = next;
        Some(table)
    }

    /// Turns what damage has taken into gaps. If the collector holds such a batch after all, its
    /// `Welcome` takes the gap back.
    fn report_lost(&mut self) {
        let mut lost = Vec::new();
        for (position, segment) in self.segments.iter_mut().enumerate() {
            let missing = std::mem::take(&mut segment.lost);
            lost.extend(missing.iter().map(|s| (position, *s)));
            // A torn end: a batch, unless it was only the clean-stop marker.
            if segment.torn {
                lost.push((position, segment.next_sequence()));
            }
        }
        for (position, sequence) in lost {
            let segment = &self.segments[position];
            let (spool, about_ms) = (segment.spool, segment.oldest_ms);
            let next = self.segments.get(position + 1);
            let elsewhere = next.is_some_and(|n| n.spool == spool && n.first_sequence <= sequence);
            if !elsewhere && !self.gaps.covers(spool, sequence) {
                self.lose_damaged(spool, sequence, about_ms);
            }
        }
    }

    /// From here on a crash must find no clean-stop marker at the end of the spool.
    fn make_durable(&mut self) {
        let synced = self
            .segments
            .back_mut()
            .map_or(Ok(()), Segment::sync)
            .and_then(|()| std::fs::File::open(&self.dir)?.sync_all());
        if let Err(error) = synced {
            tracing::warn!("cannot make the spool's new segment durable: {error}");
            self.abandon();
        }
    }

    /// Takes a new spool id: the old clean-stop marker is, or may come back as, the end of the
    /// spool, and would let the next start give out the same numbers again.
    fn abandon(&mut self) {
        if self.live {
            self.segments.pop_back().iter_mut().for_each(remove);
        }
        self.live = false;
        if let Ok(id) = random_spool_id() {
            self.spool = id;
            self.next_sequence = 1;
        }
    }
}
