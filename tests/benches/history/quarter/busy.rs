//! CPU busy of many hosts over months, one value a minute: derived from the recording, the same for
//! the same seed, made while it is read.

use std::f64::consts::TAU;

use hostwell_tests::load::capture::Capture;
use hostwell_tests::load::derive::Random;

/// Busy is told in so many parts of a whole CPU.
pub(crate) const PARTS: f64 = 1000.0;

const MINUTES_DAY: i64 = 1440;
/// Rows of the recording in a minute.
const ROWS: usize = 60;
/// One minute in so many continues elsewhere in the recording.
const JUMP_IN: u64 = 30;
/// A host is as busy as the recorded one times something between these.
const SCALES: (f64, f64) = (0.2, 3.0);
/// Days of a week on which little is done, and how little.
const WEEKEND: (i64, f64) = (2, 0.6);
/// Noise on each value.
const NOISE: f64 = 0.2;

/// How busy the recorded host was in the minute from each second on, 0 to 1.
pub(crate) struct Pattern(Vec<f64>);

impl Pattern {
    /// Of a recording with CPU time.
    pub(crate) fn of(capture: &Capture) -> Result<Pattern, String> {
        let cpu = || {
            let all = capture.series.iter();
            all.filter(|s| s.metric == "node_cpu_seconds_total")
        };
        let spent = |row: usize, idle: bool| -> i64 {
            cpu()
                .filter(|s| !idle || matches!(s.label("mode"), Some("idle" | "iowait")))
                .map(|s| s.values[row + ROWS] - s.values[row])
                .sum()
        };
        let rows = capture.rows().saturating_sub(ROWS);
        let busy = |row| 1.0 - spent(row, true) as f64 / (spent(row, false) as f64).max(1.0);
        match cpu().next() {
            Some(_) if rows > 1 => Ok(Pattern((0..rows).map(busy).collect())),
            _ => Err("the recording has no CPU time of two minutes".to_owned()),
        }
    }
}

/// One host's values, in [`PARTS`], a minute each.
pub(crate) struct Busy<'a> {
    pattern: &'a Pattern,
    random: Random,
    at: usize,
    scale: f64,
    /// Where in the day it is busiest, as a part of it.
    phase: f64,
    minute: i64,
}

impl Busy<'_> {
    /// Host `number` of the fleet of a seed, from a minute since the Unix epoch on.
    pub(crate) fn new(pattern: &Pattern, (seed, number): (u64, u64), minute: i64) -> Busy<'_> {
        let mut random = Random::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let (low, high) = SCALES;
        Busy {
            pattern,
            at: random.bits() as usize % pattern.0.len(),
            scale: low * (high / low).powf(random.part()),
            phase: random.part(),
            random,
            minute,
        }
    }
}

impl Iterator for Busy<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.at += ROWS;
        if self.at >= self.pattern.0.len() || self.random.bits().is_multiple_of(JUMP_IN) {
            self.at = self.random.bits() as usize % self.pattern.0.len();
        }
        let (day, of_day) = (
            self.minute.div_euclid(MINUTES_DAY),
            self.minute.rem_euclid(MINUTES_DAY) as f64 / MINUTES_DAY as f64,
        );
        self.minute += 1;
        let wave = 0.6 + 0.4 * (TAU * (of_day - self.phase)).cos();
        let week = match day.rem_euclid(7) < WEEKEND.0 {
            true => WEEKEND.1,
            false => 1.0,
        };
        let noise = 1.0 + NOISE * self.random.swing();
        let busy = self.pattern.0[self.at] * self.scale * wave * week * noise;
        Some((busy * PARTS).round().clamp(0.0, PARTS) as u16)
    }
}
