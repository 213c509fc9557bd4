//! Which block devices the disk rules judge.

use super::judge::Case;
use crate::series::Series;

/// Why a host is not judged.
pub(super) const NONE: &str = "it reports no disk of its own";

/// Devices that only pass on to others, or to memory: what is slow is the disk below.
const STANDS_FOR_OTHERS: &[&str] = &[
    "dm-", "md", "drbd", "loop", "ram", "zram", "nbd", "sr", "fd",
];

/// The series of a metric, one for each disk.
pub(super) fn disks<'a>(case: &Case<'a>, metric: &str) -> impl Iterator<Item = &'a Series> {
    let input = case.input;
    input.window.all(metric).iter().filter(|series| {
        let device = device(series);
        !STANDS_FOR_OTHERS
            .iter()
            .any(|other| device.starts_with(other))
    })
}

/// The device's name.
pub(super) fn device(series: &Series) -> &str {
    series.label("device").unwrap_or("")
}
