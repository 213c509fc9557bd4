//! Whether the bytes of a row are those that were written.

use super::super::error::Fault;

/// Fails where they are not. `what` and `number` name the row.
pub(in crate::store) fn verified(
    what: &str,
    number: i64,
    crc32c: u32,
    bytes: &[u8],
) -> Result<(), Fault> {
    match crc32c::crc32c(bytes) == crc32c {
        true => Ok(()),
        false => Err(Fault::damaged(format!(
            "{what} {number} fails its checksum"
        ))),
    }
}
