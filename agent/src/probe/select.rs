//! Which devices count: patterns to leave out, and patterns that win over them.

use wildmatch::WildMatch;

/// Names to read, by two lists of patterns (`*` and `?` are wild).
#[derive(Debug, Default)]
pub(super) struct Selection {
    include: Vec<WildMatch>,
    exclude: Vec<WildMatch>,
}

impl Selection {
    /// `include` wins over `exclude`; what neither names is read.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Selection {
        let compiled = |patterns: &[String]| patterns.iter().map(|p| WildMatch::new(p)).collect();
        Selection {
            include: compiled(include),
            exclude: compiled(exclude),
        }
    }

    /// Whether a pattern asks for `name`.
    pub(super) fn includes(&self, name: &str) -> bool {
        self.include.iter().any(|p| p.matches(name))
    }

    /// Whether `name` is read.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.includes(name) || !self.exclude.iter().any(|p| p.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProbeOptions;
    use super::*;

    #[test]
    fn by_default_physical_bond_bridge_and_vlan_interfaces_are_read() {
        let options = ProbeOptions::default();
        let selection = Selection::new(&options.interfaces_include, &options.interfaces_exclude);
        for name in [
            "eth0", "eno1", "enp3s0f1", "wlan0", "bond0", "br0", "vlan7", "eth0.7", "ib0", "team0",
            "usb0",
        ] {
            assert!(selection.takes(name), "{name}");
        }
        for name in [
            "lo", "veth12ab", "docker0", "br-0a1b", "cali9f", "tap3", "tun0", "cni0", "ifb0",
        ] {
            assert!(!selection.takes(name), "{name}");
        }
    }

    #[test]
    fn a_pattern_to_include_wins() {
        let selection = Selection::new(&["tun1?".into()], &["tun*".into()]);
        assert!(selection.takes("tun10") && !selection.takes("tun2"));
    }
}
