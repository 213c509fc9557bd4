//! Which devices the rules judge: those that stand for themselves.

use super::judge::Case;
use crate::series::Series;

/// Why a host is not judged.
pub(super) const NO_DISK: &str = "it reports no disk of its own";
/// Why a host is not judged.
pub(super) const NO_INTERFACE: &str = "it reports no network interface of its own";

/// Block devices that only pass on to others, or to memory: what is slow is the disk below.
const NOT_DISKS: &[&str] = &[
    "dm-", "md", "drbd", "loop", "ram", "zram", "nbd", "sr", "fd",
];

/// Interfaces of containers, tunnels and the host's talk with itself: they come and go, and what
/// they lose is lost on the way to a real one.
const NOT_INTERFACES: &[&str] = &[
    "lo", "veth", "docker", "br-", "virbr", "vnet", "cali", "cni", "flannel", "tap", "tun", "wg",
    "ifb", "dummy",
];

/// The series of a metric, one for each disk.
pub(super) fn disks<'a>(case: &Case<'a>, metric: &str) -> impl Iterator<Item = &'a Series> {
    without(case, metric, NOT_DISKS)
}

/// The series of a metric, one for each network interface.
pub(super) fn interfaces<'a>(case: &Case<'a>, metric: &str) -> impl Iterator<Item = &'a Series> {
    without(case, metric, NOT_INTERFACES)
}

fn without<'a>(
    case: &Case<'a>,
    metric: &str,
    others: &'static [&'static str],
) -> impl Iterator<Item = &'a Series> {
    let input = case.input;
    let all = input.window.all(metric).iter();
    all.filter(|series| !others.iter().any(|other| device(series).starts_with(other)))
}

/// The device's name.
pub(super) fn device(series: &Series) -> &str {
    series.label("device").unwrap_or("")
}
