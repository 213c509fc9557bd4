//! The history half: points by series and time. Knows a host only by its number.
//!
//! The life of a batch: `journal` (a row, alone or with others of its host, and the spool's watermark
//! in the same transaction) → `head` (the same bytes in memory) → `seal` (one block for each family and
//! stretch of time) → `merge` (small blocks become larger ones) → `rollup` (steps of whole days, kept
//! longer) → `retention` (whole blocks dropped). `window` merges what is sealed with what is not;
//! `latest` looks only for the newest samples, `whole` for what all of them come to (`total`, beside
//! each block); `aggregate` answers from rollups and samples; `fold`
//! makes one parcel of several. `gather` puts batches together for both, `table` is what a block is
//! made of.

pub(super) mod aggregate;
pub(super) mod budget;
pub(super) mod checksum;
pub(super) mod churn;
mod fold;
pub(super) mod gaps;
mod gather;
pub(super) mod head;
pub(super) mod journal;
pub(super) mod latest;
pub(super) mod merge;
pub(super) mod names;
pub(super) mod newest;
pub(super) mod parcel;
mod places;
pub(super) mod presence;
pub(super) mod ranges;
pub(super) mod relations;
pub(super) mod retention;
pub(super) mod rollup;
pub(super) mod seal;
pub(super) mod sealed;
pub(super) mod series;
pub(super) mod spools;
mod table;
pub(super) mod total;
pub(super) mod varint;
pub(super) mod whole;
pub(super) mod window;
