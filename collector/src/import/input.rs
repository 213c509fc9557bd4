//! A file as numbered lines, whatever it is packed with.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow};

/// Longest line: a wide table of twenty thousand series is far below it.
const LINE_BYTES_MAX: u64 = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// What a line should have been, and where it is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub(super) struct Wrong {
    /// Byte of the line it begins at.
    pub at: usize,
    /// What belongs there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl Wrong {
    /// Something else than `found` belongs at byte `at`.
    pub(super) fn new(at: usize, expected: impl Into<String>, found: &str) -> Wrong {
        Wrong {
            at,
            expected: expected.into(),
            found: shown(found),
        }
    }
}

/// A piece of a file in a message: short, and in quotes that show what cannot be seen.
fn shown(text: &str) -> String {
    match text.chars().count() {
        0 => "nothing".into(),
        1..=60 => format!("{text:?}"),
        _ => format!("{:?}…", text.chars().take(60).collect::<String>()),
    }
}

/// Counts what is read of the file itself.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// An open file.
pub(super) struct Input {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    text: Vec<u8>,
}

impl Input {
    /// Opens a file; gzip, bzip2 and zstd are known by their first bytes. `bytes` counts what was
    /// read of the file.
    pub(super) fn open(path: &Path, bytes: Arc<AtomicU64>) -> anyhow::Result<Input> {
        let opening = || format!("open {}", path.display());
        let mut file = File::open(path).with_context(opening)?;
        let mut magic = Vec::new();
        (&mut file)
            .take(4)
            .read_to_end(&mut magic)
            .with_context(opening)?;
        file.rewind().with_context(opening)?;
        let file = Counted { file, bytes };
        let unpacked: Box<dyn Read + Send> = match &magic[..] {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
            [b'B', b'Z', b'h', ..] => Box::new(bzip2::read::MultiBzDecoder::new(file)),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(zstd::stream::read::Decoder::new(file).with_context(opening)?)
            }
            _ => Box::new(file),
        };
        Ok(Input {
            path: path.to_owned(),
            reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)),
            line: 0,
            text: Vec::new(),
        })
    }

    /// Bytes that are in memory already.
    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Input {
        Input {
            path: PathBuf::from("file"),
            reader: Box::new(io::Cursor::new(bytes.to_vec())),
            line: 0,
            text: Vec::new(),
        }
    }

    /// Goes to the next line, which [`Input::text`] then gives; false at the end of the file.
    pub(super) fn advance(&mut self) -> anyhow::Result<bool> {
        self.text.clear();
        self.line += 1;
        let mut bounded = (&mut self.reader).take(LINE_BYTES_MAX + 1);
        let read = bounded
            .read_until(b'\n', &mut self.text)
            .with_context(|| format!("read {} at line {}", self.path.display(), self.line))?;
        if read as u64 > LINE_BYTES_MAX {
            let expected = format!("a line of at most {} MiB", LINE_BYTES_MAX >> 20);
            return Err(self.wrong(&Wrong::new(0, expected, "a longer one")));
        }
        if self.text.last() == Some(&b'\n') {
            self.text.pop();
            if self.text.last() == Some(&b'\r') {
                self.text.pop();
            }
        }
        if self.line == 1 && self.text.starts_with("\u{feff}".as_bytes()) {
            self.text.drain(..3);
        }
        if let Err(error) = std::str::from_utf8(&self.text) {
            let byte = self.text[error.valid_up_to()];
            let wrong = Wrong {
                at: error.valid_up_to(),
                expected: "text in UTF-8".into(),
                found: format!("the byte {byte:#04x}"),
            };
            return Err(self.wrong(&wrong));
        }
        Ok(read > 0)
    }

    /// The line [`Input::advance`] went to, without its end.
    pub(super) fn text(&self) -> &str {
        // Checked by `advance`.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The rest of the file as it is, from the first line on, for formats that have no lines.
    pub(super) fn bytes(&mut self) -> &mut (dyn BufRead + Send) {
        &mut *self.reader
    }

    /// The error that names this file, the line and the column (counted in characters, from 1).
    pub(super) fn wrong(&self, wrong: &Wrong) -> anyhow::Error {
        let before = self.text.get(..wrong.at).unwrap_or(&self.text);
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        anyhow!("{}:{}:{column}: {wrong}", self.path.display(), self.line)
    }

    /// The same, where something else knows line and column.
    pub(super) fn wrong_at(&self, line: usize, column: usize, what: &str) -> anyhow::Error {
        anyhow!("{}:{line}:{column}: {what}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any");
        std::fs::write(&path, bytes).unwrap();
        let mut input = Input::open(&path, Arc::default()).unwrap();
        let mut lines = Vec::new();
        while input.advance().unwrap() {
            lines.push(input.text().to_owned());
        }
        lines
    }

    #[test]
    fn what_a_file_is_packed_with_does_not_show() {
        let text = b"one\r\ntwo\n\nfour";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(text).unwrap();
        let expected = ["one", "two", "", "four"];
        assert_eq!(lines(text), expected);
        assert_eq!(lines(&gzip.finish().unwrap()), expected);
        assert_eq!(lines(&bzip2.finish().unwrap()), expected);
        assert_eq!(lines(&zstd::bulk::compress(text, 1).unwrap()), expected);
        assert_eq!(lines("\u{feff}first".as_bytes()), ["first"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        let mut input = Input::of(b"fine\na\xc3\xa9b\xff");
        assert!(input.advance().unwrap());
        let error = input.advance().unwrap_err().to_string();
        assert_eq!(
            error,
            "file:2:4: expected text in UTF-8, found the byte 0xff"
        );
    }

    #[test]
    fn a_packed_file_that_is_cut_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.zst");
        let packed = zstd::bulk::compress(&b"line\n".repeat(1000), 1).unwrap();
        std::fs::write(&path, &packed[..packed.len() - 4]).unwrap();
        let mut input = Input::open(&path, Arc::default()).unwrap();
        let error = loop {
            match input.advance() {
                Ok(more) => assert!(more),
                Err(error) => break error,
            }
        };
        assert!(format!("{error:#}").contains("cut.zst"), "{error:#}");
    }
}
