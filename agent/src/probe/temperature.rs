//! `/sys/class/hwmon` and `/sys/class/thermal`: temperatures, where the hardware tells them.

use hostwell_proto::metric::Metric;

use super::sysfs;
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const HWMON: &str = "sys/class/hwmon";
const THERMAL: &str = "sys/class/thermal";
const MILLIDEGREES: f64 = 1000.0;
/// More sensors than this on one chip are left out.
const SENSORS_MAX: usize = 256;

/// The sensor that a file's name tells: `temp3` of `temp3_input`.
fn sensor(file: &str) -> Option<&str> {
    let sensor = file.strip_suffix("_input")?;
    let number = sensor.strip_prefix("temp")?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(sensor)
}

/// Letters, digits, colons and underscores, as node_exporter writes a chip's name.
fn clean(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let clean: String = lower.chars().map(|c| if ok(c) { c } else { '_' }).collect();
    clean.trim_matches('_').to_owned()
}

/// A name for the chip that stays when others come: the device it sits on, else its own.
fn chip(source: &Source, dir: &str) -> String {
    let device = std::fs::canonicalize(source.path(&format!("{HWMON}/{dir}/device")));
    let from_device = device.ok().and_then(|path| {
        let name = clean(&path.file_name()?.to_string_lossy());
        let bus = clean(&path.parent()?.file_name()?.to_string_lossy());
        let parts = [bus, name];
        let parts: Vec<_> = parts.iter().filter(|p| !p.is_empty()).collect();
        (!parts.is_empty()).then(|| {
            parts
                .iter()
                .map(|p| p.as_str())
                .collect::<Vec<_>>()
                .join("_")
        })
    });
    from_device
        .or_else(|| {
            let name = clean(&source.text(&format!("{HWMON}/{dir}/name")).ok()?);
            (!name.is_empty()).then_some(name)
        })
        .unwrap_or_else(|| dir.to_owned())
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Temperature;

impl Temperature {
    fn chips(source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        for dir in sysfs::names(source, HWMON)? {
            let folder = format!("{HWMON}/{dir}");
            let Ok(files) = sysfs::names(source, &folder) else {
                continue;
            };
            let sensors: Vec<&str> = files.iter().filter_map(|f| sensor(f)).collect();
            if sensors.is_empty() {
                continue;
            }
            let chip = chip(source, &dir);
            for sensor in sensors.into_iter().take(SENSORS_MAX) {
                for (suffix, metric) in [
                    ("input", Metric::HwmonTemp),
                    ("max", Metric::HwmonTempMax),
                    ("crit", Metric::HwmonTempCrit),
                ] {
                    // A sensor without a limit, or asleep with its disk, has no such number.
                    let path = format!("{folder}/{sensor}_{suffix}");
                    if let Some(milli) = sysfs::integer(source, &path) {
                        out.add(metric, &[&chip, sensor], milli as f64 / MILLIDEGREES);
                    }
                }
            }
        }
        Ok(())
    }

    fn zones(source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        for dir in sysfs::names(source, THERMAL)? {
            let Some(zone) = dir.strip_prefix("thermal_zone") else {
                continue;
            };
            let kind = source.text(&format!("{THERMAL}/{dir}/type"));
            let temp = sysfs::integer(source, &format!("{THERMAL}/{dir}/temp"));
            if let (Ok(kind), Some(milli)) = (kind, temp) {
                let celsius = milli as f64 / MILLIDEGREES;
                out.add(Metric::ThermalZoneTemp, &[&kind, zone], celsius);
            }
        }
        Ok(())
    }
}

impl Probe for Temperature {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let before = out.readings.len();
        for result in [
            Temperature::chips(source, out),
            Temperature::zones(source, out),
        ] {
            match result {
                Ok(()) | Err(ProbeError::Absent) => {}
                Err(e) => return Err(e),
            }
        }
        // Virtual machines have the folders and nothing in them.
        match out.readings.len() > before {
            true => Ok(()),
            false => Err(ProbeError::Absent),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_temperature_inputs_name_a_sensor() {
        assert_eq!(sensor("temp12_input"), Some("temp12"));
        for other in [
            "temp1_max",
            "fan1_input",
            "temp_input",
            "tempx_input",
            "temp1",
        ] {
            assert_eq!(sensor(other), None, "{other}");
        }
    }

    #[test]
    fn chip_names_are_clean() {
        assert_eq!(clean("0000:00:18.3\n"), "0000:00:18_3");
        assert_eq!(clean("-K10 temp-"), "k10_temp");
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_clean_one(name: String) {
            let name = clean(&name);
            prop_assert!(!name.starts_with('_') && !name.ends_with('_'));
            prop_assert!(sensor(&name).is_none_or(|s| s.starts_with("temp")));
        }
    }
}
