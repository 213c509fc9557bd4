//! Undoes `zstd` for what the file holds.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

use super::error::Fault;

thread_local! {
    /// What undoing needs in memory takes as long to set up as a small block to undo.
    static UNDOING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The plain bytes, at most `bytes_max`; `what` they are, for the error: "a block".
pub(super) fn unzip(what: &str, packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let size = zstd::zstd_safe::get_frame_content_size(packed)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= bytes_max)
        .ok_or_else(|| Fault::damaged(format!("{what}: compressed size unknown or too large")))?;
    let undo = || {
        UNDOING.with_borrow_mut(|undoing| {
            let undoing = match undoing {
                Some(undoing) => undoing,
                none => none.insert(Decompressor::new()?),
            };
            undoing.decompress(packed, size)
        })
    };
    undo().map_err(|e| Fault::damaged(format!("{what} does not decompress: {e}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_damaged_leaves_nothing_behind_for_the_next() {
        let plain = b"the same words and the same words and the same words".repeat(20);
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        let text = |fault: Fault| format!("{fault:?}");
        for end in 0..packed.len() {
            let cut = text(unzip("a block", &packed[..end], 10_000).unwrap_err());
            assert!(cut.contains("a block"), "{cut}");
            assert_eq!(unzip("a block", &packed, plain.len()).unwrap(), plain);
        }
        let large = text(unzip("a block", &packed, plain.len() - 1).unwrap_err());
        assert!(large.contains("too large"), "{large}");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_and_any_others_are_an_error_or_short(
            plain in prop::collection::vec(any::<u8>(), 0..3000),
            at in any::<prop::sample::Index>(),
            other in any::<u8>(),
        ) {
            let mut packed = zstd::bulk::compress(&plain, 1).unwrap();
            prop_assert_eq!(unzip("it", &packed, 3000).unwrap(), plain);
            let at = at.index(packed.len());
            packed[at] = other;
            if let Ok(plain) = unzip("it", &packed, 3000) {
                prop_assert!(plain.len() <= 3000);
            }
        }
    }
}
