//! Kernel files that stay open: one `pread` a tick each.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::ProbeError;
use super::rows::Rows;
use super::scan::{self, Malformed};
use crate::source::Source;

/// How the kernel hands a file out, which decides when a read was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// In one piece: a read that leaves room in the buffer has seen the end.
    Whole,
    /// Row by row, at most a page a read, never a part of a row. A read that leaves more of the
    /// smallest page free than the longest row needs has seen the end.
    Rows {
        /// No row is longer; `usize::MAX` where nobody knows.
        bytes_max: usize,
    },
}

const PAGE_BYTES_MIN: usize = 4096;
const BUFFER_BYTES: usize = 4096;
/// Counters grow: by so much the wanted rows may get longer until two pieces are read again.
const ROOM_BYTES: usize = 128;
/// The largest kernel file read (a host with thousands of CPUs or interfaces stays far below).
const BUFFER_BYTES_MAX: usize = 8 << 20;

/// A file under the root prefix, opened once, with the buffer it is read into.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: &'static str,
    shape: Shape,
    /// Nothing after the row that begins with this is wanted.
    last_word: Option<&'static [u8]>,
    /// Where that row ended last time, and some room: no more is asked for, because the kernel
    /// writes no more rows than are asked for.
    first_bytes: usize,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl KeptFile {
    /// A file that the kernel hands out in one piece.
    pub(super) fn whole(path: &'static str) -> KeptFile {
        KeptFile {
            path,
            shape: Shape::Whole,
            last_word: None,
            first_bytes: usize::MAX,
            file: None,
            buffer: Vec::new(),
        }
    }

    /// A table that the kernel hands out row by row, none longer than `row_bytes_max`.
    pub(super) fn rows(path: &'static str, row_bytes_max: usize) -> KeptFile {
        KeptFile {
            shape: Shape::Rows {
                bytes_max: row_bytes_max,
            },
            ..KeptFile::whole(path)
        }
    }

    /// The same, read no further than the row that begins with `word`: for some files every piece
    /// costs the kernel as much as all of them. Where no row does, all is read.
    pub(super) fn rows_until(
        path: &'static str,
        row_bytes_max: usize,
        word: &'static [u8],
    ) -> KeptFile {
        KeptFile {
            last_word: Some(word),
            ..KeptFile::rows(path, row_bytes_max)
        }
    }

    /// The path under the root prefix.
    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    /// What the file says now.
    ///
    /// # Errors
    /// [`ProbeError::Absent`] when there is no such file; the failure otherwise.
    pub(super) fn read(&mut self, source: &Source) -> Result<&[u8], ProbeError> {
        if self.file.is_none() || source.is_fixture() {
            let file = File::open(source.path(self.path));
            self.file = Some(file.map_err(|e| ProbeError::io(self.path, e))?);
        }
        match self.fill() {
            Ok(filled) => Ok(&self.buffer[..filled]),
            Err(e) => {
                // The subject may have gone and come back: open anew next time.
                self.file = None;
                Err(ProbeError::io(self.path, e))
            }
        }
    }

    /// Where the last row that is wanted ends, if it has come whole: a piece may be cut anywhere.
    fn enough(&self, filled: usize, piece: usize) -> Option<usize> {
        let word = self.last_word?;
        let text = &self.buffer[..filled];
        // The row that the piece begins in, which may have begun before it.
        let before = text[..filled - piece].iter().rposition(|b| *b == b'\n');
        let mut at = before.map_or(0, |newline| newline + 1);
        while let Some(length) = scan::newline(&text[at..]) {
            if text[at..].starts_with(word) {
                return Some(at + length + 1);
            }
            at += length + 1;
        }
        None
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let Some(file) = &self.file else {
            return Ok(0);
        };
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                if filled >= BUFFER_BYTES_MAX {
                    return Err(std::io::ErrorKind::FileTooLarge.into());
                }
                self.buffer.resize((filled * 2).max(BUFFER_BYTES), 0);
            }
            let limit = match filled {
                0 => self.buffer.len().min(self.first_bytes),
                _ => self.buffer.len(),
            };
            let got = file.read_at(&mut self.buffer[filled..limit], filled as u64)?;
            filled += got;
            let room = filled < limit;
            let last = match self.shape {
                Shape::Whole => room,
                Shape::Rows { bytes_max } => room && got.saturating_add(bytes_max) < PAGE_BYTES_MIN,
            };
            if let Some(end) = self.enough(filled, got) {
                self.first_bytes = end + ROOM_BYTES;
                return Ok(end);
            }
            if got == 0 || last {
                return Ok(filled);
            }
        }
    }
}

/// A kept file whose rows are series.
#[derive(Debug)]
pub(super) struct KeptTable {
    file: KeptFile,
    rows: Rows,
}

impl KeptTable {
    /// No row has been seen yet.
    pub(super) fn of(file: KeptFile) -> KeptTable {
        KeptTable {
            file,
            rows: Rows::default(),
        }
    }

    /// Reads the file and gives its text to `parse`, with the rows at their beginning.
    ///
    /// # Errors
    /// As [`KeptFile::read`]; what `parse` finds malformed, with the path.
    pub(super) fn read(
        &mut self,
        source: &Source,
        parse: impl FnOnce(&[u8], &mut Rows) -> Result<(), Malformed>,
    ) -> Result<(), ProbeError> {
        self.rows.start();
        let path = self.file.path();
        parse(self.file.read(source)?, &mut self.rows).map_err(|m| m.at(path))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_kept_file_says_the_same_as_reading_it_whole() {
        let source = Source::live(Path::new("/"));
        // Files that do not move while the test runs, one of each shape and longer than a page.
        for mut file in [
            KeptFile::whole("proc/cpuinfo"),
            KeptFile::rows("proc/cpuinfo", usize::MAX),
            KeptFile::rows("proc/filesystems", 64),
            KeptFile::rows("proc/devices", 64),
        ] {
            let expected = std::fs::read(source.path(file.path())).unwrap();
            for _ in 0..2 {
                assert_eq!(file.read(&source).unwrap().len(), expected.len());
            }
        }
    }

    #[test]
    fn a_long_file_is_read_to_its_end_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::live(dir.path());
        for length in [0, 1, 3583, 3584, 4095, 4096, 4097, 20_000] {
            std::fs::write(dir.path().join("table"), vec![b'x'; length]).unwrap();
            for mut file in [KeptFile::whole("table"), KeptFile::rows("table", 512)] {
                assert_eq!(file.read(&source).unwrap().len(), length);
            }
        }
    }

    #[test]
    fn nothing_is_read_behind_the_piece_with_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::live(dir.path());
        let rows = |word: &str| format!("a 1\n{word} 2\n{}", "padding 3\n".repeat(2000));
        for (word, pieces) in [("last", 1), ("lasting", 5), ("other", 5)] {
            std::fs::write(dir.path().join("table"), rows(word)).unwrap();
            let mut file = KeptFile::rows_until("table", 64, b"last ");
            let read = file.read(&source).unwrap().len();
            assert_eq!(read.div_ceil(BUFFER_BYTES), pieces, "{word}: {read} bytes");
        }
    }

    #[test]
    fn what_is_read_ends_with_the_last_word_wherever_it_moves() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::live(dir.path());
        let mut file = KeptFile::rows_until("table", 64, b"last ");
        for before in [10, 11, 600, 5, 900, 0] {
            let wanted = format!("{}last 7\n", "counter 123\n".repeat(before));
            let text = format!("{wanted}{}", "padding 3\n".repeat(2000));
            // The descriptor stays: the file is written over, as the kernel's changes.
            std::fs::write(dir.path().join("table"), text).unwrap();
            for _ in 0..2 {
                let read = file.read(&source).unwrap();
                assert_eq!(read, wanted.as_bytes(), "after {before} rows");
            }
        }
    }

    #[test]
    fn a_missing_file_is_absent_and_a_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let source = Source::live(dir.path());
        assert!(matches!(
            KeptFile::whole("gone").read(&source),
            Err(ProbeError::Absent)
        ));
        assert!(matches!(
            KeptFile::whole("folder").read(&source),
            Err(ProbeError::Io { .. })
        ));
    }
}
