//! `-o chart`: each series as one line of blocks, with its smallest, largest and newest value.

use std::io;

use super::console::Console;
use super::table::Tone;
use super::{text, words};
use crate::answer::range::format_ms;
use crate::answer::{SampleSeries, Samples};

/// Cells of a line where the output has no width.
const WIDTH: usize = 80;
/// Most cells of a line: wider tells no more.
const WIDTH_MAX: usize = 160;

/// Prints every series.
pub(super) fn print(samples: &Samples, console: &mut Console) -> io::Result<()> {
    let width = console.width.unwrap_or(WIDTH).clamp(20, WIDTH_MAX);
    let range_ms = samples.to_ms - samples.from_ms;
    // More cells than samples would leave blanks that look like holes.
    let every_ms = samples.step_ms.or_else(|| cadence_ms(&samples.series));
    let due = every_ms.map_or(1, |every_ms| range_ms / every_ms.max(1) + 1);
    let width = width.min(due.max(1) as usize);
    let range = (samples.from_ms, samples.to_ms);
    for series in &samples.series {
        let labels: Vec<String> = series
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        console.line(&text::clean(&labels.join(" ")))?;
        console.line(&Tone::Good.paint(&line(series, range, width), console.colour))?;
        let fold = |pick: fn(f64, f64) -> f64| series.values.iter().copied().reduce(pick);
        let word =
            |value: Option<f64>| value.map_or("-".into(), |v| words::quantity(v, &samples.unit));
        console.line(&format!(
            "min {}  max {}  newest {}\n",
            word(fold(f64::min)),
            word(fold(f64::max)),
            word(series.values.last().copied())
        ))?;
    }
    if !samples.series.is_empty() {
        let (from, to) = (format_ms(samples.from_ms), format_ms(samples.to_ms));
        console.line(&format!(
            "{from} to {to}; a blank is a time without samples"
        ))?;
    }
    Ok(())
}

/// How often samples come, by the series that has most.
fn cadence_ms(series: &[SampleSeries]) -> Option<i64> {
    let longest = series.iter().max_by_key(|s| s.times_ms.len())?;
    let (first, last) = (longest.times_ms.first()?, longest.times_ms.last()?);
    let pairs = longest.times_ms.len() as i64 - 1;
    (pairs > 0).then(|| (last - first) / pairs)
}

/// The mean of each cell's samples as one of eight blocks.
fn line(series: &SampleSeries, (from_ms, to_ms): (i64, i64), width: usize) -> String {
    let mut cells = vec![(0.0, 0u32); width];
    let span = (to_ms - from_ms).max(1) as f64;
    for (time_ms, value) in series.times_ms.iter().zip(&series.values) {
        let share = (time_ms - from_ms) as f64 / span;
        // A step may begin a little before the range.
        let at = ((share * width as f64).max(0.0) as usize).min(width - 1);
        cells[at].0 += value;
        cells[at].1 += 1;
    }
    let means: Vec<Option<f64>> = cells
        .iter()
        .map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count)))
        .collect();
    blocks(&means, None)
}

/// Steps squeezed into so many cells: the largest of each, because a peak must stay visible.
/// Between the bounds, or between the smallest and the largest without.
pub(super) fn course(steps: &[Option<f64>], width: usize, bounds: Option<(f64, f64)>) -> String {
    // A slow subject fills every n-th step only: the ones between are no holes.
    let cell = steps.len().div_ceil(width).max(cadence(steps));
    let cells: Vec<Option<f64>> = steps
        .chunks(cell)
        .map(|some| some.iter().copied().flatten().reduce(f64::max))
        .collect();
    blocks(&cells, bounds)
}

/// The usual distance between steps that have a value; at least 1.
fn cadence(steps: &[Option<f64>]) -> usize {
    let filled: Vec<usize> = (0..steps.len()).filter(|i| steps[*i].is_some()).collect();
    let mut distances: Vec<usize> = filled.windows(2).map(|w| w[1] - w[0]).collect();
    distances.sort_unstable();
    let middle = distances.len().saturating_sub(1) / 2;
    distances.get(middle).copied().unwrap_or(1)
}

/// Each value as one of eight blocks; a blank for none.
fn blocks(cells: &[Option<f64>], bounds: Option<(f64, f64)>) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || cells.iter().copied().flatten();
    let (low, high) = bounds.unwrap_or_else(|| {
        let low = known().reduce(f64::min).unwrap_or(0.0);
        (low, known().reduce(f64::max).unwrap_or(low))
    });
    cells
        .iter()
        .map(|cell| match cell {
            None => ' ',
            Some(_) if high <= low => BLOCKS[0],
            // A cast from float to integer stays within the integer's bounds.
            Some(value) => BLOCKS[(((value - low) / (high - low) * 7.0).round() as usize).min(7)],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_subject_has_no_holes_in_its_course() {
        let steps: Vec<Option<f64>> = (0..12).map(|n| (n % 3 == 0).then_some(1.0)).collect();
        assert_eq!(course(&steps, 24, Some((0.0, 1.0))), "████");
        let hole = [Some(0.0), Some(1.0), None, None, Some(1.0)];
        assert_eq!(course(&hole, 24, None), "▁█  █");
    }

    fn series(points: &[(i64, f64)]) -> SampleSeries {
        let (times_ms, values) = points.iter().copied().unzip();
        SampleSeries {
            labels: Vec::new(),
            times_ms,
            values,
        }
    }

    #[test]
    fn a_line_shows_rises_holes_and_a_flat_series() {
        for (points, expected) in [
            (vec![(0, 0.0), (25, 1.0), (50, 2.0), (100, 7.0)], "▁▂▃█"),
            (vec![(0, 1.0), (99, 3.0)], "▁  █"),
            (vec![(0, 5.0), (30, 5.0), (60, 5.0), (90, 5.0)], "▁▁▁▁"),
            (vec![(-10, 1.0), (90, 2.0)], "▁  █"),
            (vec![], "    "),
        ] {
            assert_eq!(line(&series(&points), (0, 100), 4), expected);
        }
    }
}
