//! What a foreign value has to go through to become ours: a unit, or a rate that becomes the
//! counter it came from, or an uptime that becomes the boot time.

use serde::Deserialize;

/// Factors into base units, by the name a unit has in a header or a mapping file.
const UNITS: &[(&str, f64)] = &[
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ns", 1e-9),
    ("min", 60.0),
    ("h", 3600.0),
    ("ticks", 0.01),
    ("%", 0.01),
    ("percent", 0.01),
    ("ratio", 1.0),
    ("bytes", 1.0),
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("sectors", 512.0),
    ("pages", 4096.0),
    ("bit/s", 0.125),
    ("kbit/s", 125.0),
    ("Mbit/s", 125_000.0),
    ("Gbit/s", 125_000_000.0),
    ("°C", 1.0),
    ("m°C", 1e-3),
];

/// The names of all units, for a message.
pub(super) fn unit_names() -> String {
    let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The factor of a unit: a known name, or `ticks of 0.01 s`.
pub(super) fn unit(name: &str) -> Option<f64> {
    if let Some(rest) = name.strip_prefix("ticks of ") {
        let seconds: f64 = rest.strip_suffix(" s")?.trim().parse().ok()?;
        return (seconds > 0.0 && seconds.is_finite()).then_some(seconds);
    }
    UNITS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

/// What is made of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Become {
    /// The value in its base unit.
    #[default]
    Value,
    /// A rate or a utilisation is summed over time into the counter it came from.
    Integral,
    /// Seconds since the boot become the time of the boot.
    BootTime,
}

/// A factor that is applied without a rounding error that could be avoided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Multiply(f64),
    /// 8102 hundredths divided by 100 are 81.02, multiplied by 0.01 they are not.
    Divide(f64),
}

impl Scale {
    fn of(factor: f64) -> Scale {
        let parts = (1.0 / factor).round();
        if factor.abs() < 1.0 && parts.is_finite() && 1.0 / parts == factor {
            Scale::Divide(parts)
        } else {
            Scale::Multiply(factor)
        }
    }

    fn apply(self, value: f64) -> f64 {
        match self {
            Scale::Multiply(factor) => value * factor,
            Scale::Divide(parts) => value / parts,
        }
    }
}

/// The boot time is only believed to have moved when it moved further than clocks drift.
const BOOT_DRIFT_SECONDS: f64 = 30.0;
/// A rate speaks for the time since the value before it, but not for a hole: at most for so many
/// of the shortest steps seen.
const STEPS_SPOKEN_FOR: i64 = 3;

/// The way from a foreign series to one of ours; remembers what it needs of the values before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    scale: Scale,
    rest_of: Option<f64>,
    becomes: Become,
    last_ms: Option<i64>,
    step_ms: i64,
    sum: f64,
}

impl Shape {
    /// A shape; with `rest_of` the value is what is missing to that number (idle from busy).
    pub(super) fn new(factor: f64, rest_of: Option<f64>, becomes: Become) -> Shape {
        Shape {
            scale: Scale::of(factor),
            rest_of,
            becomes,
            last_ms: None,
            step_ms: i64::MAX,
            sum: if becomes == Become::BootTime {
                f64::NEG_INFINITY
            } else {
                0.0
            },
        }
    }

    /// Our value for a foreign one.
    pub(super) fn apply(&mut self, time_ms: i64, value: f64) -> f64 {
        let value = self.scaled(value);
        match self.becomes {
            Become::Value => value,
            Become::Integral => {
                if value.is_finite()
                    && let Some(last_ms) = self.last_ms
                    && time_ms > last_ms
                {
                    let distance_ms = time_ms - last_ms;
                    self.step_ms = self.step_ms.min(distance_ms);
                    let spoken_ms = distance_ms.min(self.step_ms.saturating_mul(STEPS_SPOKEN_FOR));
                    self.sum += value.max(0.0) * spoken_ms as f64 / 1000.0;
                }
                self.last_ms = self.last_ms.max(Some(time_ms));
                self.sum
            }
            Become::BootTime => {
                let boot = (time_ms as f64 / 1000.0 - value).round();
                if (boot - self.sum).abs() > BOOT_DRIFT_SECONDS {
                    self.sum = boot;
                }
                self.sum
            }
        }
    }

    fn scaled(&self, value: f64) -> f64 {
        let value = self.scale.apply(value);
        self.rest_of.map_or(value, |whole| whole - value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_units_become_exactly_what_the_decimal_says() {
        let ticks = Shape::new(unit("ticks of 0.01 s").unwrap(), None, Become::Value);
        for (native, ours) in [(10292.0, 102.92), (1.0, 0.01), (0.0, 0.0), (29.0, 0.29)] {
            assert_eq!(ticks.clone().apply(0, native), ours);
        }
        let ms = Shape::new(unit("ms").unwrap(), None, Become::Value);
        assert_eq!(ms.clone().apply(0, 50_695.0), 50.695);
        assert_eq!(unit("KiB"), Some(1024.0));
        assert_eq!(unit("furlong"), None);
        assert_eq!(unit("ticks of -1 s"), None);
    }

    #[test]
    fn a_utilisation_becomes_the_counter_it_came_from() {
        let mut busy = Shape::new(0.01, None, Become::Integral);
        let mut idle = Shape::new(0.01, Some(1.0), Become::Integral);
        let seen: Vec<(f64, f64)> = [(0, 90.0), (60_000, 50.0), (120_000, 25.0)]
            .map(|(t, v)| (busy.apply(t, v), idle.apply(t, v)))
            .to_vec();
        assert_eq!(seen, [(0.0, 0.0), (30.0, 30.0), (45.0, 75.0)]);
        // Nothing is known about a hole but its end.
        assert_eq!(busy.apply(120_000 + 3_600_000, 50.0), 45.0 + 90.0);
    }

    #[test]
    fn an_uptime_becomes_a_boot_time_that_stands_still_until_the_next_boot() {
        let mut boot = Shape::new(1.0, None, Become::BootTime);
        let seen = [
            (1_000_000, 100.0),
            (1_060_400, 160.0),
            (1_120_000, 218.0),
            (1_180_000, 20.0),
        ]
        .map(|(t, v)| boot.apply(t, v));
        assert_eq!(seen, [900.0, 900.0, 900.0, 1160.0]);
    }
}
