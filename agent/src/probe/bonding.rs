//! Bonds: how many interfaces are configured in each, and how many of them have a line.

use hostwell_proto::metric::Metric;

use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const MASTERS: &str = "sys/class/net/bonding_masters";

/// The slaves of a bond and whether each has a line, as `/proc/net/bonding/<bond>` says: the only
/// place before kernel 3.14.
fn parse_slaves(text: &str) -> Vec<(String, bool)> {
    let mut slaves: Vec<(String, bool)> = Vec::new();
    for line in text.lines() {
        let Some((word, value)) = line.split_once(':') else {
            continue;
        };
        match (word.trim(), slaves.last_mut()) {
            ("Slave Interface", _) => slaves.push((value.trim().to_owned(), false)),
            ("MII Status", Some(slave)) => slave.1 = value.trim() == "up",
            _ => {}
        }
    }
    slaves
}

/// (configured, active) slaves of a bond.
fn count(source: &Source, bond: &str) -> Result<(usize, usize), ProbeError> {
    let listed = format!("sys/class/net/{bond}/bonding/slaves");
    let slaves = source
        .text(&listed)
        .map_err(|e| ProbeError::io(&listed, e))?;
    let table = source
        .text(&format!("proc/net/bonding/{bond}"))
        .unwrap_or_default();
    let table = parse_slaves(&table);
    let has_line = |slave: &&str| {
        let status = [
            format!("{bond}/lower_{slave}"),
            format!("{bond}/slave_{slave}"),
            (*slave).to_owned(),
        ]
        .iter()
        .find_map(|dir| {
            let path = format!("sys/class/net/{dir}/bonding_slave/mii_status");
            source.text(&path).ok()
        });
        match status {
            Some(status) => status == "up",
            None => table.iter().any(|(name, up)| name == slave && *up),
        }
    };
    let slaves: Vec<&str> = slaves.split_ascii_whitespace().collect();
    let active = slaves.iter().filter(|slave| has_line(slave)).count();
    Ok((slaves.len(), active))
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Bonding;

impl Probe for Bonding {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let masters = source
            .text(MASTERS)
            .map_err(|e| ProbeError::io(MASTERS, e))?;
        for bond in masters.split_ascii_whitespace() {
            let (configured, active) = count(source, bond)?;
            out.add(Metric::BondSlaves, &[bond], configured as f64);
            out.add(Metric::BondActive, &[bond], active as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bonds_own_status_is_not_a_slaves() {
        let text = "Bonding Mode: IEEE 802.3ad\nMII Status: up\n\nSlave Interface: eth0\n\
                    MII Status: up\n\nSlave Interface: eth1\nMII Status: down\n";
        let expected = [("eth0".to_owned(), true), ("eth1".to_owned(), false)];
        assert_eq!(parse_slaves(text), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            parse_slaves(&text);
        }

        #[test]
        fn slaves_come_back(slaves in prop::collection::vec(("[a-z]{1,8}", any::<bool>()), 0..6)) {
            let text: String = slaves.iter().map(|(name, up)| {
                let status = if *up { "up" } else { "down" };
                format!("Slave Interface: {name}\nMII Status: {status}\nSpeed: 1000 Mbps\n")
            }).collect();
            prop_assert_eq!(parse_slaves(&text), slaves);
        }
    }
}
