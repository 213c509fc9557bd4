//! The one printer: where answers and messages go, and what the terminal can show.

use std::io::{self, IsTerminal, Write};

use super::table::Table;

/// Answers go to `out`, messages to `err`; `out` is colourful only on a terminal that wants it.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether `out` may carry colour.
    pub colour: bool,
    /// Cells a line of `out` may take, where it is a terminal.
    pub width: Option<usize>,
    /// Whether `out` is a terminal.
    pub terminal: bool,
}

impl Console {
    /// The process' own standard output and error.
    pub fn standard() -> Console {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        let columns = rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0);
        Console {
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            colour: terminal && wanted,
            width: if terminal { columns.or(Some(80)) } else { None },
            terminal,
        }
    }

    /// A console into buffers, without colour, as a pipe would be.
    pub fn captured(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Console {
        Console {
            out,
            err,
            colour: false,
            width: None,
            terminal: false,
        }
    }

    /// One line of the answer.
    ///
    /// # Errors
    /// Whatever the output says; see [`is_broken_pipe`].
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// A table, fitted to the terminal.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        let lines = table.lines(self.width, self.colour);
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Bytes of the answer, as they are.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// The output itself, for writers that print their own.
    pub fn out(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.out
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// One line to the person, beside the answer. Nobody is left to tell when that fails.
    pub fn message(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }
}

/// Whether the reader of our output went away, which is no failure (`hostwell query … | head`).
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
