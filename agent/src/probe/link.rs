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
/// What hardly ever changes is asked again when the state changed, and every so many readings.
const ASK_EVERY: u64 = 10;
const MEGABIT_BYTES: f64 = 1e6 / 8.0;

/// The speed in bytes a second; `None` where the driver does not know it (-1, or nothing).
fn parse_speed(text: &str) -> Option<f64> {
    let megabits: i64 = text.trim().parse().ok()?;
    // Drivers that do not know say -1, or the same as an unsigned number.
    let known = (0..i64::from(u32::MAX)).contains(&megabits);
    known.then_some(megabits as f64 * MEGABIT_BYTES)
}

/// What was last known of an interface.
#[derive(Clone, Debug, Default)]
struct Known {
    state: String,
    /// Times the line came or went; kernels before 3.15 do not tell.
    changes: Option<f64>,
    /// Bytes a second.
    speed: Option<f64>,
}

/// The probe.
#[derive(Debug)]
pub(super) struct Link {
    interfaces: Selection,
    known: HashMap<String, Known>,
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
        let known = self.known.entry(name.to_owned()).or_default();
        // A few files for each of hundreds of interfaces add up: the state is asked every time.
        if known.state != state || self.readings.is_multiple_of(ASK_EVERY) {
            let changes = file("carrier_changes").and_then(|text| text.parse::<u64>().ok());
            known.changes = changes.map(|changes| changes as f64);
            known.speed = file("speed").as_deref().and_then(parse_speed);
            known.state = state;
        }
        let up = f64::from(u8::from(known.state == "up"));
        for (metric, value) in [
            (Metric::NetUp, Some(up)),
            (Metric::NetCarrierChanges, known.changes),
            (Metric::NetSpeed, known.speed),
        ] {
            if let Some(value) = value {
                out.add(metric, &[name], value);
            }
        }
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

    #[test]
    fn a_speed_is_asked_again_when_the_state_changed_or_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let eth0 = dir.path().join(ROOT).join("eth0");
        std::fs::create_dir_all(&eth0).unwrap();
        let source = Source::fixture(dir.path()).unwrap();
        let mut link = Link::new(&ProbeOptions::default());
        let mut speed = |state: &str, megabits: u32| {
            std::fs::write(eth0.join("operstate"), state).unwrap();
            std::fs::write(eth0.join("speed"), megabits.to_string()).unwrap();
            let (mut table, mut readings) = Default::default();
            let mut out = Readings {
                table: &mut table,
                readings: &mut readings,
            };
            link.read(&source, &mut out).unwrap();
            readings[1].1 / MEGABIT_BYTES
        };
        assert_eq!(speed("up", 1000), 1000.0);
        assert_eq!(speed("up", 100), 1000.0, "asked without need");
        assert_eq!(speed("down", 100), 100.0);
        let later: Vec<f64> = (3..=ASK_EVERY).map(|_| speed("down", 10)).collect();
        assert_eq!(later.last(), Some(&10.0), "never asked again");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left_out(text: String) {
            let _ = parse_speed(&text);
        }
    }
}
