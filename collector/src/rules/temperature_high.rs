//! Hardware that is too hot.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::course::Course;
use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::series::derived::sibling;
use crate::words;

const TEMP: &str = "node_hwmon_temp_celsius";
const MAX: &str = "node_hwmon_temp_max_celsius";
const CRIT: &str = "node_hwmon_temp_crit_celsius";

/// Chips without a limit report 0, or the largest number they know.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = 30.0..=150.0;

pub(super) const RULE: Rule = Rule {
    name: "temperature_high",
    title: Bilingual {
        en: "Hardware too hot",
        zh: "硬件温度过高",
    },
    watches: &[TEMP, MAX, CRIT],
    doc: Doc {
        what: "Looks at every sensor whose hardware tells its own limits, chip by chip. Opens as a \
               warning when one has been as hot as it should at most be for 5 minutes, as critical \
               when it has reached the temperature at which the hardware is in danger for 1 minute; \
               closes 5 degrees lower. Sensors without limits, and those of most virtual machines, \
               are not judged.",
        why: "Hot processors slow themselves down, hot disks lose data earlier, and at the critical \
              temperature the machine switches itself off.",
        todo: "Check fans, air filters and the room. One hot host among cool ones: its fan, its \
               dust, its load. All of a rack: the room.",
        example: "coretemp.0: 96 °C, 5 above what it should at most be.",
        source: "At the sensor's own maximum for 5 minutes a warning, at its critical mark critical: \
                 awesome-prometheus-alerts. 5 degrees to close and 1 minute are our own.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When hardware is too hot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Closes when it is this many degrees cooler than the limit.
    pub cooler_celsius: f64,
    /// At the maximum for this long.
    pub for_seconds: i64,
    /// At the critical mark for this long.
    pub critical_for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            cooler_celsius: 5.0,
            for_seconds: 300,
            critical_for_seconds: 60,
        }
    }
}

/// A sensor that tells a limit, all in degrees.
struct Sensor<'a> {
    temp: &'a Series,
    max: Option<f64>,
    crit: Option<f64>,
    /// Above the milder limit now; nothing when it is asleep.
    above: Option<f64>,
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let limit = |metric, temp| {
        let limit = sibling(window, metric, temp).and_then(|limit| case.current(limit));
        limit.filter(|celsius| PLAUSIBLE_CELSIUS.contains(celsius))
    };
    let mut chips: BTreeMap<&str, Vec<Sensor<'_>>> = BTreeMap::new();
    for temp in window.all(TEMP) {
        let (max, crit) = (limit(MAX, temp), limit(CRIT, temp));
        if let Some(limit) = max.or(crit) {
            let chip = temp.label("chip").unwrap_or("");
            let above = case.current(temp).map(|celsius| celsius - limit);
            chips.entry(chip).or_default().push(Sensor {
                temp,
                max,
                crit,
                above,
            });
        }
    }
    if chips.is_empty() {
        return Judged::NotApplicable("no sensor of it tells its limits".into());
    }
    let subjects: Vec<Subject> = chips
        .iter()
        .filter_map(|(chip, sensors)| subject(case, chip, sensors))
        .collect();
    if subjects.is_empty() {
        return Judged::NotEnoughData("no temperature has been reported lately".into());
    }
    Judged::Subjects(subjects)
}

/// A chip is as hot as the sensor that is nearest to its limit.
fn subject(case: &Case<'_>, chip: &str, sensors: &[Sensor<'_>]) -> Option<Subject> {
    let levels = &case.policy.temperature_high;
    let hottest = sensors
        .iter()
        .filter(|sensor| sensor.above.is_some())
        .max_by(|a, b| a.above.partial_cmp(&b.above).unwrap_or(Ordering::Equal))?;
    let above = hottest.above?;
    let celsius = case.current(hottest.temp)?;
    let band = Band::new(0.0, -levels.cooler_celsius);
    let grade = |severity, for_seconds, limit: fn(&Sensor<'_>) -> Option<f64>| {
        let above = sensors
            .iter()
            .filter_map(|sensor| Some((sensor.temp, limit(sensor)?)))
            .map(|(temp, limit)| case.values(temp).map(|celsius| celsius - limit))
            .reduce(Course::worse)
            .unwrap_or_default();
        let moments = above.points.iter().map(|(t, above)| band.at(*t, *above));
        case.grade(chip, severity, for_seconds, moments)
    };
    let direction = if above < 0.0 { "below" } else { "above" };
    Some(Subject {
        name: chip.to_owned(),
        condition: case.condition(&[
            grade(Severity::Warning, levels.for_seconds, |sensor| sensor.max),
            grade(Severity::Critical, levels.critical_for_seconds, |sensor| {
                sensor.crit
            }),
        ]),
        summary: format!(
            "{chip}: {} °C, {} {direction} what it should at most be.",
            words::number(celsius),
            words::number(above.abs())
        ),
        evidence: vec![
            Evidence::new("temperature", celsius, "°C", &hottest.temp.name)
                .against(celsius - above),
        ],
        advice: Bilingual {
            en: "Check fans, air filters and the room: one hot host among cool ones is its own \
                 fan, dust or load; a whole rack is the room.",
            zh: "检查风扇、防尘网和机房：如果只有一台过热，是它自身的风扇、积尘或负载问题；\
                 如果整个机柜都热，是机房问题。",
        }
        .into(),
        silenced_by: &[],
    })
}
