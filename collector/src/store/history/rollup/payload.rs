//! The bytes of a rollup: docs/format/rollup.md describes them for strangers.
//!
//! ```text
//! payload  = zstd( version(1) count series… length block sketches… )
//! series   = flags  id | name            flags: 1 counter, 2 named, 4 sketched
//! block    = docs/format/column.md; column = position of the series × 8 + field
//! sketches = of each sketched series, for each step with values and min ≠ max:
//!            count  first(zigzag)  then for each further bucket: step; then each bucket's count
//! ```

use std::collections::BTreeMap;

use hostwell_proto::column::{self, Block, Column, Limits};

use super::super::super::error::{Fault, Trouble};
use super::super::super::unzip::unzip;
use super::super::varint::{self, Cursor};
use crate::series::rollup::{Step, mean_rate};
use crate::series::sketch::Sketch;
use crate::series::{Kind, SeriesName};

const VERSION: u8 = 1;
const COUNTER: u8 = 1;
const NAMED: u8 = 2;
const SKETCHED: u8 = 4;
/// Columns that a series may have.
const FIELDS: u32 = 8;
const BYTES_MAX: usize = 256 << 20;
const SERIES_MAX: usize = 1 << 20;
const ZSTD_LEVEL: i32 = 9;
const LIMITS: Limits = Limits {
    ticks_max: u16::MAX as usize,
    columns_max: 1 << 23,
    samples_max: 1 << 28,
};

/// Which series a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store) enum Key {
    /// One that is stored.
    Id(i64),
    /// A derived one, which only rollups hold.
    Named(SeriesName),
}

/// The steps of one series, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Line {
    pub key: Key,
    pub kind: Kind,
    pub steps: Vec<Step>,
}

/// One field of the steps that have it, or of none.
fn field(line: &Line, which: u32) -> Vec<Option<f64>> {
    let counter = line.kind == Kind::Counter;
    let steps = || line.steps.iter();
    let all = |of: fn(&Step) -> f64| steps().map(|s| Some(of(s))).collect();
    let valued = |of: fn(&Step) -> f64| -> Vec<Option<f64>> {
        steps().map(|s| (s.values > 0).then(|| of(s))).collect()
    };
    let nothing = Vec::new();
    match which {
        0 => all(|s| s.samples as f64),
        1 if steps().any(|s| s.values != s.samples) => all(|s| s.values as f64),
        2 => valued(|s| s.min),
        3 if !counter && steps().any(|s| s.values > 0 && s.mean != s.min) => valued(|s| s.mean),
        4 if steps().any(|s| s.values > 0 && s.max != s.min) => valued(|s| s.max),
        5 if counter => all(|s| s.covered_ms as f64),
        6 if counter => all(|s| s.increase),
        7 if counter && steps().any(|s| s.in_holes != 0.0) => all(|s| s.in_holes),
        _ => nothing,
    }
}

/// Lines as the bytes of a payload.
pub(in crate::store) fn encode(lines: &[Line]) -> Result<Vec<u8>, Fault> {
    let mut times_ms: Vec<i64> = lines
        .iter()
        .flat_map(|l| l.steps.iter().map(|s| s.start_ms))
        .collect();
    times_ms.sort_unstable();
    times_ms.dedup();
    let mut out = vec![VERSION];
    varint::put(&mut out, lines.len() as u64);
    let (mut columns, mut sketches, mut last) = (Vec::new(), Vec::new(), 0i64);
    for (position, line) in (0u32..).zip(lines) {
        put_head(&mut out, line, &mut last);
        let at: Vec<u16> = line
            .steps
            .iter()
            .map(|s| times_ms.partition_point(|t| *t < s.start_ms) as u16)
            .collect();
        for which in 0..FIELDS {
            let found = field(line, which);
            let held = at.iter().zip(&found).filter(|(_, v)| v.is_some());
            let ticks: Vec<u16> = held.map(|(tick, _)| *tick).collect();
            if !ticks.is_empty() {
                columns.push(Column {
                    number: position * FIELDS + which,
                    ticks: (ticks.len() != times_ms.len()).then_some(ticks),
                    values: found.into_iter().flatten().collect(),
                });
            }
        }
        if is_sketched(line) {
            line.steps.iter().for_each(|s| put_sketch(&mut sketches, s));
        }
    }
    let block = column::encode(&Block { times_ms, columns }, |_| 0);
    varint::put(&mut out, block.len() as u64);
    out.extend_from_slice(&block);
    out.extend_from_slice(&sketches);
    zstd::bulk::compress(&out, ZSTD_LEVEL)
        .map_err(|e| Fault::Sql(Trouble::Other(format!("zstd: {e}"))))
}

fn is_sketched(line: &Line) -> bool {
    line.steps.iter().any(|s| s.sketch.is_some())
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_head(out: &mut Vec<u8>, line: &Line, last: &mut i64) {
    let mut flags = 0;
    flags |= if line.kind == Kind::Counter {
        COUNTER
    } else {
        0
    };
    flags |= if is_sketched(line) { SKETCHED } else { 0 };
    match &line.key {
        Key::Id(id) => {
            out.push(flags);
            varint::put_signed(out, id.wrapping_sub(*last));
            *last = *id;
        }
        Key::Named(name) => {
            out.push(flags | NAMED);
            put_text(out, &name.metric);
            varint::put(out, name.labels.len() as u64);
            for (label, value) in &name.labels {
                put_text(out, label);
                put_text(out, value);
            }
        }
    }
}

/// Where all values of a step are the same there is nothing to say.
fn says_itself(step: &Step) -> bool {
    step.values == 0 || step.min == step.max
}

fn put_sketch(out: &mut Vec<u8>, step: &Step) {
    if says_itself(step) {
        return;
    }
    let buckets = step.sketch.as_ref().map_or(&[][..], Sketch::buckets);
    varint::put(out, buckets.len() as u64);
    let mut before: Option<i32> = None;
    for (bucket, _) in buckets {
        let bucket_number = i64::from(*bucket);
        match before {
            None => varint::put_signed(out, bucket_number),
            Some(before) => varint::put(out, (bucket_number - i64::from(before)) as u64),
        }
        before = Some(*bucket);
    }
    for (_, count) in buckets {
        varint::put(out, *count);
    }
}

fn take_text(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    let length = cursor.count(BYTES_MAX)?;
    let text = std::str::from_utf8(cursor.take(length)?);
    Ok(text
        .map_err(|_| Fault::damaged("a rollup names a series in no text"))?
        .to_owned())
}

fn take_head(cursor: &mut Cursor<'_>, last: &mut i64) -> Result<(Key, Kind, bool), Fault> {
    let flags = cursor.byte()?;
    let kind = match flags & COUNTER {
        0 => Kind::Gauge,
        _ => Kind::Counter,
    };
    let key = if flags & NAMED == 0 {
        *last = last.wrapping_add(cursor.signed()?);
        Key::Id(*last)
    } else {
        let metric = take_text(cursor)?;
        let mut labels = Vec::new();
        for _ in 0..cursor.unsigned()? {
            labels.push((take_text(cursor)?, take_text(cursor)?));
        }
        Key::Named(SeriesName { metric, labels })
    };
    Ok((key, kind, flags & SKETCHED != 0))
}

/// Reads bytes whose checksum was right; what does not fit is damage all the same. Lines that
/// nobody wants are not built.
pub(in crate::store) fn decode(
    payload: &[u8],
    wanted: impl Fn(&Key) -> bool,
) -> Result<Vec<Line>, Fault> {
    let plain = unzip("a rollup", payload, BYTES_MAX)?;
    let mut cursor = Cursor::new(&plain, "a rollup");
    let version = cursor.byte()?;
    if version != VERSION {
        return Err(Fault::damaged(format!(
            "a rollup of unknown version {version}"
        )));
    }
    let (mut heads, mut last) = (Vec::new(), 0i64);
    for _ in 0..cursor.count(SERIES_MAX)? {
        heads.push(take_head(&mut cursor, &mut last)?);
    }
    let length = cursor.count(BYTES_MAX)?;
    let block = cursor.take(length)?;
    let block = column::decode(block, LIMITS)
        .map_err(|e| Fault::damaged(format!("a rollup's steps: {e}")))?;
    let mut columns: BTreeMap<u32, Vec<&Column>> = BTreeMap::new();
    for column in &block.columns {
        let of = columns.entry(column.number / FIELDS);
        of.or_default().push(column);
    }
    let mut lines = Vec::new();
    for (position, (key, kind, sketched)) in (0u32..).zip(heads) {
        let is_wanted = wanted(&key);
        if !is_wanted && !sketched {
            continue;
        }
        let columns = columns.remove(&position).unwrap_or_default();
        let mut steps = steps(kind, &block.times_ms, &columns)?;
        if sketched {
            for step in &mut steps {
                take_sketch(&mut cursor, step)?;
            }
        }
        if is_wanted {
            lines.push(Line { key, kind, steps });
        }
    }
    Ok(lines)
}

fn steps(kind: Kind, times_ms: &[i64], columns: &[&Column]) -> Result<Vec<Step>, Fault> {
    let fields: [Option<&Column>; FIELDS as usize] = std::array::from_fn(|which| {
        let mut of = columns.iter().filter(|c| c.number % FIELDS == which as u32);
        of.next().copied()
    });
    let Some(samples) = fields[0] else {
        return Ok(Vec::new());
    };
    let mut found: Vec<Step> = Vec::with_capacity(samples.values.len());
    let mut ticks = Vec::with_capacity(samples.values.len());
    for (tick, value) in samples.samples() {
        let mut step = Step::empty(times_ms[tick]);
        step.samples = value as u64;
        step.values = step.samples;
        ticks.push(tick);
        found.push(step);
    }
    let mut put = |which: usize, set: fn(&mut Step, f64)| -> Result<bool, Fault> {
        let Some(column) = fields[which] else {
            return Ok(false);
        };
        let mut at = 0;
        for (tick, value) in column.samples() {
            at += ticks[at.min(ticks.len())..].partition_point(|t| *t < tick);
            if ticks.get(at) != Some(&tick) {
                return Err(Fault::damaged(
                    "a rollup has values of a step without samples",
                ));
            }
            set(&mut found[at], value);
        }
        Ok(true)
    };
    put(1, |s, v| s.values = v as u64)?;
    put(2, |s, v| (s.min, s.mean, s.max) = (v, v, v))?;
    put(4, |s, v| s.max = v)?;
    put(3, |s, v| s.mean = v)?;
    put(5, |s, v| s.covered_ms = v as i64)?;
    put(6, |s, v| s.increase = v)?;
    put(7, |s, v| s.in_holes = v)?;
    if kind == Kind::Counter {
        for step in &mut found {
            step.mean = mean_rate(step.increase, step.covered_ms, (step.min, step.max));
        }
    }
    Ok(found)
}

fn take_sketch(cursor: &mut Cursor<'_>, step: &mut Step) -> Result<(), Fault> {
    if step.values == 0 {
        return Ok(());
    }
    if says_itself(step) {
        step.sketch = Some(Sketch::repeated(step.min, step.values));
        return Ok(());
    }
    let wrong = || Fault::damaged("a rollup's sketch contradicts itself");
    let length = cursor.count(cursor.rest().len())?;
    let mut buckets: Vec<(i32, u64)> = Vec::with_capacity(length);
    let mut at = 0i64;
    for i in 0..length {
        at = match i {
            0 => cursor.signed()?,
            _ => at
                .checked_add_unsigned(cursor.unsigned()?)
                .ok_or_else(wrong)?,
        };
        buckets.push((i32::try_from(at).map_err(|_| wrong())?, 0));
    }
    for bucket in &mut buckets {
        bucket.1 = cursor.unsigned()?;
    }
    step.sketch = Some(Sketch::from_buckets(buckets).ok_or_else(wrong)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Series, rollup};
    use proptest::prelude::*;

    fn any_line(kind: Kind) -> impl Strategy<Value = Vec<Step>> {
        let value = prop_oneof![
            3 => (0i32..50).prop_map(|v| f64::from(v) / 10.0),
            1 => Just(7.0),
            1 => -1e9f64..1e9,
        ];
        prop::collection::vec((1i64..400, value), 1..60).prop_map(move |drawn| {
            let mut time = 0;
            let points: Vec<(i64, f64)> = drawn
                .iter()
                .map(|(gap, value)| {
                    time += gap * 10_000;
                    (time, *value)
                })
                .collect();
            let series = Series {
                name: SeriesName::new("m", &[]),
                kind,
                times_ms: points.iter().map(|p| p.0).collect(),
                values: points.iter().map(|p| p.1).collect(),
            };
            rollup::steps(&series, (0, i64::MAX / 4), 3_600_000, 10_000, true)
        })
    }

    /// With NaN where there are no values, equality needs words.
    fn told(lines: &[Line]) -> String {
        format!("{lines:?}")
    }

    proptest! {
        #[test]
        fn every_step_comes_back(
            gauge in any_line(Kind::Gauge), counter in any_line(Kind::Counter), id in any::<i64>()
        ) {
            let name = SeriesName::new("hostwell_disk_busy_ratio", &[("device", "sda")]);
            let mut plain = gauge.clone();
            plain.iter_mut().for_each(|s| s.sketch = None);
            let lines = [
                Line { key: Key::Id(id), kind: Kind::Gauge, steps: gauge },
                Line { key: Key::Id(3), kind: Kind::Counter, steps: counter },
                Line { key: Key::Named(name), kind: Kind::Gauge, steps: plain },
            ];
            let payload = encode(&lines).unwrap();
            prop_assert_eq!(told(&decode(&payload, |_| true).unwrap()), told(&lines));
            let one = decode(&payload, |key| matches!(key, Key::Named(_))).unwrap();
            prop_assert_eq!(told(&one), told(&lines[2..]));
            let second = decode(&payload, |key| *key == Key::Id(3)).unwrap();
            prop_assert_eq!(told(&second), told(&lines[1..2]));
        }

        #[test]
        fn any_bytes_are_read_or_called_damage(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = decode(&bytes, |_| true);
            let mut framed = vec![VERSION];
            framed.extend_from_slice(&bytes);
            let packed = zstd::bulk::compress(&framed, 1).unwrap();
            let _ = decode(&packed, |_| true);
        }
    }
}
