//! `/sys/class/net`: whether an interface is up, how fast it is, how often its line came and went.

use std::collections::HashMap;

use hostwell_proto::metric::Metric;

use super::select::Selection;
use super::sysfs;
use super::{Probe, ProbeError, ProbeOptions};
use crate::sample::Readings;
use crate::source::Source;

const ROOT: &str = "sys/class/net";
/// More interfaces than this are left out, in the order of their names.
const INTERFACES_MAX: usize = 1024;
/// The speed is asked again when the line came or went, and every so many readings.
const SPEED_EVERY: u64 = 10;
const MEGABIT_BYTES: f64 = 1e6 / 8.0;

/// The speed in bytes a second; `None` where the driver does not know it (-1, or nothing).
fn parse_speed(text: &str) -> Option<f64> {
    let megabits: i64 = text.trim().parse().ok()?;
    // Drivers that do not know say -1, or the same as an unsigned number.
    let known = (0..i64::from(u32::MAX)).contains(&megabits);
    known.then_some(megabits as f64 * MEGABIT_BYTES)
}

/// The probe.
#[derive(Debug)]
pub(super) struct Link {
    interfaces: Selection,
    /// What was last known of each interface: changes of the line, speed.
    known: HashMap<String, (Option<u64>, Option<f64>)>,
    readings: u64,
}

impl Link {
    /// Reads the interfaces that the options ask for.
    pub(super) fn new(options: &ProbeOptions) -> Link {
        Link {
            interfaces: Selection::new(&options.interfaces_include, &options.interfaces_exclude),
            known: HashMap::new(),
            readings: 0,
        }
    }

    fn read_one(&mut self, source: &Source, name: &str, out: &mut Readings<'_>) {
        let file = |what: &str| source.text(&format!("{ROOT}/{name}/{what}")).ok();
        // A file here that is no interface (bonding_masters) has nothing below it.
        let Some(state) = file("operstate") else {
            return;
        };
        let up = f64::from(u8::from(state == "up"));
        out.add(Metric::NetUp, &[name], up);
        let changes = file("carrier_changes").and_then(|text| text.parse().ok());
        if let Some(changes) = changes {
            out.add(Metric::NetCarrierChanges, &[name], changes as f64);
        }
        let speed = match self.known.get(name) {
            Some((before, speed))
                if *before == changes && !self.readings.is_multiple_of(SPEED_EVERY) =>
            {
                *speed
            }
            _ => file("speed").as_deref().and_then(parse_speed),
        };
        if let Some(speed) = speed {
            out.add(Metric::NetSpeed, &[name], speed);
        }
        self.known.insert(name.to_owned(), (changes, speed));
    }
}

impl Probe for Link {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let mut names = sysfs::names(source, ROOT)?;
        names.retain(|name| self.interfaces.takes(name));
        names.truncate(INTERFACES_MAX);
        self.known.retain(|name, _| names.contains(name));
        for name in &names {
            self.read_one(source, name, out);
        }
        self.readings += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_speed_is_bytes_a_second_and_an_unknown_one_is_absent() {
        assert_eq!(parse_speed("10000\n"), Some(1.25e9));
        for unknown in ["-1", "4294967295", "", "fast"] {
            assert_eq!(parse_speed(unknown), None, "{unknown:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left_out(text: String) {
            let _ = parse_speed(&text);
        }
    }
}
