//! A chart as SVG, written by hand: the same input gives the same bytes, nothing is fetched,
//! nothing runs. Colours come from classes of the page's style sheet with a plain grey as the
//! fallback; a gap is hatched and a threshold dashed, so that black and white loses nothing.

use std::fmt::Write as _;

use super::document::Chart;
use super::html::escape;
use super::words;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 121.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 9.0;
const BOTTOM: f64 = 22.0;

/// The numbers of a chart that are worth words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// The smallest value seen.
    pub min: f64,
    /// The mean of the known steps' means.
    pub mean: f64,
    /// The largest value seen.
    pub max: f64,
    /// The newest step's mean.
    pub last: f64,
    /// Known steps over all steps.
    pub known_ratio: f64,
}

/// What a chart's points amount to; nothing when no point is known.
pub fn stats(chart: &Chart) -> Option<Stats> {
    let known: Vec<[f64; 3]> = known(chart).flatten().collect();
    let last = known.last()?[1];
    Some(Stats {
        min: known.iter().map(|p| p[0]).fold(f64::INFINITY, f64::min),
        mean: known.iter().map(|p| p[1]).sum::<f64>() / known.len() as f64,
        max: known.iter().map(|p| p[2]).fold(f64::NEG_INFINITY, f64::max),
        last,
        known_ratio: known.len() as f64 / chart.points.len() as f64,
    })
}

/// The chart as one line of blocks for plain text, `width` characters at most; `·` is a gap.
pub fn sparkline(chart: &Chart, width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let points: Vec<Option<[f64; 3]>> = known(chart).collect();
    let width = width.min(points.len());
    let top = top(chart);
    (0..width)
        .map(|at| {
            let (from, to) = (at * points.len() / width, (at + 1) * points.len() / width);
            let means: Vec<f64> = points[from..to].iter().flatten().map(|p| p[1]).collect();
            if means.is_empty() {
                return '·';
            }
            let mean = means.iter().sum::<f64>() / means.len() as f64;
            LEVELS[((mean / top).clamp(0.0, 1.0) * 7.0).round() as usize]
        })
        .collect()
}

/// The chart as an `<svg>` element. `id` must be unique on the page and safe in an attribute.
pub fn svg(chart: &Chart, id: &str) -> String {
    let drawing = Drawing {
        chart,
        top: top(chart),
    };
    let mut out = String::with_capacity(4096);
    let _ = write!(
        out,
        r##"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{}</title><desc id="{id}-d">{}</desc><defs><pattern id="{id}-g" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="gap-ground" width="6" height="6" fill="#f3f4f6"/><line class="gap-line" x1="0" y1="0" x2="0" y2="6" stroke="#9aa3af" stroke-width="1.6"/></pattern></defs>"##,
        escape(&chart.title),
        escape(&description(chart)),
    );
    drawing.axes(&mut out);
    drawing.gaps(&mut out, id);
    drawing.curve(&mut out);
    drawing.threshold(&mut out);
    out.push_str("</svg>");
    out
}

/// What the picture shows, for those who do not see it.
pub fn description(chart: &Chart) -> String {
    let range = format!(
        "{} to {}",
        words::time(chart.from_ms),
        words::time(chart.to_ms)
    );
    let Some(stats) = stats(chart) else {
        return format!("No data from {range}.");
    };
    let say = |value| words::value(value, chart.unit);
    let mut text = format!(
        "From {range}: minimum {}, mean {}, maximum {}, last {}.",
        say(stats.min),
        say(stats.mean),
        say(stats.max),
        say(stats.last),
    );
    if stats.known_ratio < 1.0 {
        let _ = write!(
            text,
            " No data for {} of the time.",
            words::percent(1.0 - stats.known_ratio)
        );
    }
    text
}

struct Drawing<'a> {
    chart: &'a Chart,
    top: f64,
}

impl Drawing<'_> {
    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * step / self.chart.points.len().max(1) as f64
    }

    fn x_time(&self, at_ms: i64) -> f64 {
        let span = (self.chart.to_ms - self.chart.from_ms).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * (at_ms - self.chart.from_ms) as f64 / span
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn axes(&self, out: &mut String) {
        for (level, class) in [(0.0, "axis"), (0.5, "grid"), (1.0, "grid")] {
            let y = self.y(level * self.top);
            let _ = write!(
                out,
                r##"<line class="{class}" x1="{LEFT}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="#c9d0d9"/><text class="label" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
                WIDTH - RIGHT,
                LEFT - 5.0,
                y + 3.5,
                words::value(level * self.top, self.chart.unit),
            );
        }
        let (step_ms, format) = tick_step(self.chart.to_ms - self.chart.from_ms);
        let mut at_ms = self.chart.from_ms.div_euclid(step_ms) * step_ms;
        // Bounded: tick_step gives at most seven ticks for any range.
        while at_ms <= self.chart.to_ms {
            let x = self.x_time(at_ms);
            if x >= LEFT {
                let half = 3.1 * format_width(format);
                let anchor = x.clamp(LEFT, WIDTH - half);
                let _ = write!(
                    out,
                    r##"<line class="axis" x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{:.1}" stroke="#c9d0d9"/><text class="label" x="{anchor:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
                    HEIGHT - BOTTOM,
                    HEIGHT - BOTTOM + 3.5,
                    HEIGHT - 4.5,
                    words::strftime(at_ms, format),
                );
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
    }

    fn gaps(&self, out: &mut String, id: &str) {
        for (from, to) in runs(self.chart, false) {
            let (left, right) = (self.x(from as f64), self.x(to as f64));
            let _ = write!(
                out,
                r#"<rect class="gap" x="{left:.1}" y="{TOP}" width="{:.1}" height="{:.1}" fill="url(#{id}-g)"/>"#,
                right - left,
                HEIGHT - TOP - BOTTOM,
            );
        }
    }

    fn curve(&self, out: &mut String) {
        let points: Vec<Option<[f64; 3]>> = known(self.chart).collect();
        let at = |step: usize, which: usize| {
            let value = points[step].map_or(0.0, |p| p[which]);
            format!("{:.1},{:.1} ", self.x(step as f64 + 0.5), self.y(value))
        };
        let mut last = None;
        for (from, to) in runs(self.chart, true) {
            last = Some(to - 1);
            if to - from == 1 {
                self.bar(out, from, points[from]);
                continue;
            }
            let upper: String = (from..to).map(|step| at(step, 2)).collect();
            let lower: String = (from..to).rev().map(|step| at(step, 0)).collect();
            let _ = write!(
                out,
                r##"<polygon class="band" points="{}" fill="#d5dde7"/>"##,
                format!("{upper}{lower}").trim_end(),
            );
            let mean: String = (from..to).map(|step| at(step, 1)).collect();
            let _ = write!(
                out,
                r##"<polyline class="line" points="{}" fill="none" stroke="#1f2937" stroke-width="1.6"/>"##,
                mean.trim_end(),
            );
        }
        if let Some(step) = last
            && let Some(point) = points[step]
        {
            let _ = write!(
                out,
                r##"<circle class="dot" cx="{:.1}" cy="{:.1}" r="3" fill="#1f2937"/>"##,
                self.x(step as f64 + 0.5),
                self.y(point[1]),
            );
        }
    }

    /// A lone step between gaps: a line needs two, so its range stands as a bar with a tick.
    fn bar(&self, out: &mut String, step: usize, point: Option<[f64; 3]>) {
        let Some([min, mean, max]) = point else {
            return;
        };
        let (left, right) = (self.x(step as f64), self.x(step as f64 + 1.0));
        let (high, low, y) = (self.y(max), self.y(min), self.y(mean));
        let _ = write!(
            out,
            r##"<rect class="band" x="{left:.1}" y="{high:.1}" width="{:.1}" height="{:.1}" fill="#d5dde7"/><line class="line" x1="{left:.1}" y1="{y:.1}" x2="{right:.1}" y2="{y:.1}" stroke="#1f2937" stroke-width="1.6"/>"##,
            right - left,
            (low - high).max(0.0),
        );
    }

    fn threshold(&self, out: &mut String) {
        let Some(level) = self
            .chart
            .threshold
            .filter(|l| l.is_finite() && *l <= self.top)
        else {
            return;
        };
        let y = self.y(level);
        let _ = write!(
            out,
            r##"<line class="threshold" x1="{LEFT}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="#6b7280" stroke-width="1.2" stroke-dasharray="5 3"/>"##,
            WIDTH - RIGHT,
        );
    }
}

/// The points that are sane numbers; anything else counts as not known.
fn known(chart: &Chart) -> impl Iterator<Item = Option<[f64; 3]>> + '_ {
    chart
        .points
        .iter()
        .map(|point| point.filter(|p| p.iter().all(|v| words::sane(*v).is_some())))
}

/// Stretches of known (or unknown) points as half-open ranges of steps.
fn runs(chart: &Chart, wanted: bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (step, point) in known(chart).enumerate() {
        if point.is_some() != wanted {
            continue;
        }
        match runs.last_mut() {
            Some((_, to)) if *to == step => *to = step + 1,
            _ => runs.push((step, step + 1)),
        }
    }
    runs
}

/// Where the vertical axis ends: as asked, else the next round number over everything drawn.
fn top(chart: &Chart) -> f64 {
    let asked = chart
        .top
        .filter(|t| words::sane(*t).is_some_and(|t| t > 0.0));
    let seen = known(chart).flatten().map(|p| p[2]).fold(0.0, f64::max);
    let held = chart.threshold.and_then(words::sane).unwrap_or(0.0);
    match asked {
        Some(top) => top,
        None => round_up(seen.max(held)),
    }
}

fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let factor = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= value * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// How far apart the labels of a time axis stand, and how they are written.
fn tick_step(span_ms: i64) -> (i64, &'static str) {
    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 86_400_000;
    let steps = [
        (5_000, "%H:%M:%S"),
        (15_000, "%H:%M:%S"),
        (30_000, "%H:%M:%S"),
        (MINUTE_MS, "%H:%M"),
        (5 * MINUTE_MS, "%H:%M"),
        (15 * MINUTE_MS, "%H:%M"),
        (30 * MINUTE_MS, "%H:%M"),
        (HOUR_MS, "%H:%M"),
        (3 * HOUR_MS, "%H:%M"),
        (6 * HOUR_MS, "%H:%M"),
        (12 * HOUR_MS, "%d %H:%M"),
        (DAY_MS, "%m-%d"),
        (2 * DAY_MS, "%m-%d"),
        (7 * DAY_MS, "%m-%d"),
        (14 * DAY_MS, "%m-%d"),
        (30 * DAY_MS, "%m-%d"),
        (90 * DAY_MS, "%Y-%m"),
        (180 * DAY_MS, "%Y-%m"),
        (365 * DAY_MS, "%Y"),
    ];
    let last = (span_ms.max(1) / 4).max(365 * DAY_MS);
    steps
        .into_iter()
        .find(|(step_ms, format)| span_ms <= step_ms * if format.len() > 6 { 4 } else { 6 })
        .unwrap_or((last, "%Y"))
}

/// How many characters a label of this format has.
fn format_width(format: &str) -> f64 {
    match format {
        "%Y" => 4.0,
        "%H:%M:%S" | "%d %H:%M" => 8.0,
        "%Y-%m" => 7.0,
        _ => 5.0,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{expect, expect_file};

    use super::*;
    use crate::report::document::Unit;

    fn chart(points: Vec<Option<[f64; 3]>>) -> Chart {
        Chart {
            title: "CPU busy on <db-1>".into(),
            unit: Unit::Ratio,
            from_ms: 1_795_219_200_000,
            to_ms: 1_795_305_600_000,
            points,
            top: Some(1.0),
            threshold: Some(0.9),
        }
    }

    fn gapped() -> Chart {
        chart(vec![
            Some([0.1, 0.2, 0.3]),
            Some([0.2, 0.3, 0.6]),
            None,
            None,
            Some([0.5, 0.5, 0.95]),
            None,
            Some([0.4, 0.5, 0.6]),
            Some([f64::NAN, 0.5, 0.6]),
        ])
    }

    #[test]
    fn a_chart_is_drawn_with_its_gaps_band_and_threshold() {
        expect_file!["golden/chart.svg"].assert_eq(&svg(&gapped(), "c1"));
    }

    #[test]
    fn a_sparkline_keeps_gaps() {
        expect!["▂▃··▅·▅·"].assert_eq(&sparkline(&gapped(), 8));
        expect!["▃·▅▅"].assert_eq(&sparkline(&gapped(), 4));
        assert_eq!(sparkline(&chart(Vec::new()), 8), "");
    }

    #[test]
    fn a_description_says_the_numbers_and_what_is_missing() {
        expect!["From 2026-11-21T00:00:00Z to 2026-11-22T00:00:00Z: minimum 10 %, mean 38 %, maximum 95 %, last 50 %. No data for 50 % of the time."]
        .assert_eq(&description(&gapped()));
        assert!(description(&chart(vec![None])).starts_with("No data"));
    }

    #[test]
    fn nothing_drawn_leaves_the_picture() {
        let mut wild = gapped();
        wild.points.push(Some([-1e17, 1e17, 1e17]));
        wild.points.push(Some([1e300, 1e308, f64::INFINITY]));
        wild.top = None;
        wild.threshold = Some(f64::INFINITY);
        for text in [
            svg(&wild, "c"),
            svg(&chart(Vec::new()), "c"),
            svg(&gapped(), "c"),
        ] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            for points in text.split("points=\"").skip(1) {
                for pair in points.split('"').next().unwrap().split(' ') {
                    let (x, y) = pair.split_once(',').unwrap();
                    let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                    assert!(
                        (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y),
                        "{pair}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_time_axis_of_any_length_has_few_labels() {
        for exponent in 0..45 {
            let span_ms = 1000 * (1_i64 << exponent.min(43));
            let (step_ms, _) = tick_step(span_ms);
            assert!(span_ms / step_ms <= 6, "{span_ms} in steps of {step_ms}");
        }
    }
}
