//! What can go wrong, in our words, and how SQLite's troubles become them.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What went wrong in the store, in our words.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No database at this path.
    #[error("no database at {0}")]
    Absent(PathBuf),
    /// Another collector has it open for writing.
    #[error("another collector is using {0}")]
    Busy(PathBuf),
    /// The file is not ours, or is cut or damaged.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Written by a newer collector.
    #[error("{path} has format {found}, this program reads up to {known}")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The disk is full: nothing committed is lost, nothing new is taken.
    #[error("no space left for {0}")]
    Full(PathBuf),
    /// A limit was reached.
    #[error("{what}: {got} is over the limit of {max}; {remedy}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much was asked.
        got: u64,
        /// The limit.
        max: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// No host of this name.
    #[error("no host named {name:?}{}", .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    NoHost {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
    },
    /// The change contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// Reading or writing failed.
    #[error("{doing}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What SQLite ran into, in a form that every caller of a shared commit can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No space, or the page limit is reached.
    Full,
    /// The file contradicts itself or is not a database.
    Damaged(String),
    /// Anything else, in SQLite's words.
    Other(String),
}

/// Why a piece of work inside the store failed: our own refusal, or SQLite's trouble.
#[derive(Debug)]
pub(super) enum Fault {
    /// Decided by us: nothing is wrong with the file.
    Ours(StoreError),
    /// Met in SQLite: a transaction around it is void.
    Sql(Trouble),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Ours(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(Trouble::from(&error))
    }
}

impl From<&rusqlite::Error> for Trouble {
    fn from(error: &rusqlite::Error) -> Trouble {
        let text = error.to_string();
        match error.sqlite_error() {
            Some(cause) => match cause.code {
                ErrorCode::DiskFull => Trouble::Full,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Trouble::Damaged(text),
                // The shared memory file beside the log cannot grow: a full disk by another name.
                ErrorCode::SystemIoFailure
                    if cause.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE =>
                {
                    Trouble::Full
                }
                _ => Trouble::Other(format!("{text} (code {})", cause.extended_code)),
            },
            None => match error {
                // A value of another type than the schema says: somebody else wrote it.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => Trouble::Damaged(text),
                _ => Trouble::Other(text),
            },
        }
    }
}

impl Trouble {
    /// The trouble as an error about this file.
    pub(super) fn at(&self, path: &Path, doing: &'static str) -> StoreError {
        match self {
            Trouble::Full => StoreError::Full(path.to_owned()),
            Trouble::Damaged(what) => StoreError::Damaged {
                path: path.to_owned(),
                what: what.clone(),
            },
            Trouble::Other(text) => StoreError::Io {
                doing,
                source: text.clone().into(),
            },
        }
    }
}

impl Fault {
    /// The fault as an error about this file.
    pub(super) fn at(self, path: &Path, doing: &'static str) -> StoreError {
        match self {
            Fault::Ours(error) => error,
            Fault::Sql(trouble) => trouble.at(path, doing),
        }
    }

    /// Content that passed SQLite's eyes but not ours.
    pub(super) fn damaged(what: impl Into<String>) -> Fault {
        Fault::Sql(Trouble::Damaged(what.into()))
    }
}

/// The error for a failed call to the operating system.
pub(super) fn io(doing: &'static str, source: std::io::Error) -> StoreError {
    StoreError::Io {
        doing,
        source: Box::new(source),
    }
}
