//! At which ticks a column has a value.

use super::super::super::error::Fault;
use super::super::varint::{self, Cursor};
use super::{IN_RUNS, SPARSE};

/// Which ticks have a value: a bit each, or how many in turn have none and have one.
pub(in crate::store) fn put(present: &[u16], ticks: usize) -> (u8, Vec<u8>) {
    let mut runs = Vec::new();
    let mut at = 0usize;
    for run in present.chunk_by(|a, b| u32::from(*a) + 1 == u32::from(*b)) {
        varint::put(&mut runs, (usize::from(run[0]) - at) as u64);
        varint::put(&mut runs, run.len() as u64);
        at = usize::from(run[0]) + run.len();
    }
    if at < ticks {
        varint::put(&mut runs, (ticks - at) as u64);
    }
    if runs.len() < ticks.div_ceil(8) {
        return (SPARSE | IN_RUNS, runs);
    }
    let mut bits = vec![0u8; ticks.div_ceil(8)];
    for tick in present {
        bits[usize::from(*tick) / 8] |= 1 << (tick % 8);
    }
    (SPARSE, bits)
}

/// Reads a bit each.
pub(in crate::store) fn take_bits(body: &mut Cursor<'_>, ticks: usize) -> Result<Vec<u16>, Fault> {
    let bits = body.take(ticks.div_ceil(8))?;
    let present: Vec<u16> = (0..ticks)
        .filter(|i| bits[i / 8] & (1 << (i % 8)) != 0)
        .map(|i| i as u16)
        .collect();
    let set: u32 = bits.iter().map(|b| b.count_ones()).sum();
    if set as usize != present.len() {
        return Err(Fault::damaged("a column has values beyond the last tick"));
    }
    Ok(present)
}

/// Reads how many in turn have none and have one.
pub(in crate::store) fn take_runs(body: &mut Cursor<'_>, ticks: usize) -> Result<Vec<u16>, Fault> {
    let (mut present, mut at) = (Vec::new(), 0);
    let mut has_values = false;
    while at < ticks {
        let length = body.count(ticks - at)?;
        if length == 0 && at > 0 {
            return Err(Fault::damaged("a column's presence has an empty run"));
        }
        if has_values {
            present.extend((at..at + length).map(|t| t as u16));
        }
        at += length;
        has_values = !has_values;
    }
    Ok(present)
}
