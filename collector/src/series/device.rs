//! Which devices stand for themselves: what others pass on would count twice.

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

fn none_begins(others: &[&str], name: &str) -> bool {
    !others.iter().any(|other| name.starts_with(other))
}

/// Whether a block device is a disk of its own.
pub fn is_disk(name: &str) -> bool {
    none_begins(NOT_DISKS, name)
}

/// Whether a network interface is one of its own.
pub fn is_interface(name: &str) -> bool {
    none_begins(NOT_INTERFACES, name)
}
