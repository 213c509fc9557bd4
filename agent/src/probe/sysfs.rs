//! Folders of small files, as `/sys` has them.

use super::ProbeError;
use crate::source::Source;

/// The names in a folder, sorted.
///
/// # Errors
/// [`ProbeError::Absent`] when there is no such folder.
pub(super) fn names(source: &Source, folder: &str) -> Result<Vec<String>, ProbeError> {
    let entries = std::fs::read_dir(source.path(folder));
    let entries = entries.map_err(|e| ProbeError::io(folder, e))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The whole number in a file; `None` where there is no such file or no such number.
pub(super) fn integer(source: &Source, path: &str) -> Option<i64> {
    source.text(path).ok()?.parse().ok()
}
