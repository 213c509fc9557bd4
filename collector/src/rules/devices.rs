//! Which devices the rules judge: those that stand for themselves.

use super::judge::Case;
use crate::series::Series;
use crate::series::device::{is_disk, is_interface};

/// Why a host is not judged.
pub(super) const NO_DISK: &str = "it reports no disk of its own";
/// Why a host is not judged.
pub(super) const NO_INTERFACE: &str = "it reports no network interface of its own";

/// The series of a metric, one for each disk.
pub(super) fn disks<'a>(case: &Case<'a>, metric: &str) -> impl Iterator<Item = &'a Series> {
    own(case, metric, is_disk)
}

/// The series of a metric, one for each network interface.
pub(super) fn interfaces<'a>(case: &Case<'a>, metric: &str) -> impl Iterator<Item = &'a Series> {
    own(case, metric, is_interface)
}

fn own<'a>(
    case: &Case<'a>,
    metric: &str,
    is_own: fn(&str) -> bool,
) -> impl Iterator<Item = &'a Series> {
    let input = case.input;
    let all = input.window.all(metric).iter();
    all.filter(move |series| is_own(device(series)))
}

/// The device's name.
pub(super) fn device(series: &Series) -> &str {
    series.label("device").unwrap_or("")
}
