//! A quarter of CPU busy at one value a minute, and a p95 of it for each host: from rollups here, from
//! the same samples in VictoriaMetrics.
//!
//! `HOSTWELL_BENCH_QUARTER` is the number of hosts (0: not measured). A host's value is derived from
//! the recording (`busy`) and stored as a gauge on both sides. With
//! `HOSTWELL_BENCH_QUARTER_COUNTERS=1` our side is given the CPU's counters instead, twice as many
//! samples, and derives the gauge itself.

mod busy;
mod ours;
mod theirs;

use std::collections::BTreeMap;
use std::path::Path;

use hostwell_tests::figures::free;
use hostwell_tests::runs::setting;

use crate::settings::Samples;
use busy::{Busy, Pattern};
use ours::Rolled;

const DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// Each question is asked so often after a first time: the median counts.
const ASKED: usize = 5;
/// How far our quantile may be from theirs: a sketch's error, and the samples at the edges.
const APART_MAX: f64 = 0.03;
/// A quantile below this is compared as if it were this.
const LEAST: f64 = 0.01;
/// The gauge's name where it is stored.
const GAUGE: &str = "cpu_busy_ratio";

/// What our side is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// What the other side is given.
    Gauge,
    /// The counters that it is derived from.
    Counters,
}

/// The samples of both sides.
struct Months {
    hosts: usize,
    /// Midnight after the last day.
    end_ms: i64,
    pattern: Pattern,
    seed: u64,
    stored: Stored,
}

impl Months {
    fn start_ms(&self) -> i64 {
        self.end_ms - DAYS * DAY_MS
    }

    /// Values of each host.
    fn minutes(&self) -> usize {
        (DAYS * DAY_MS / MINUTE_MS) as usize
    }

    fn busy(&self, number: usize) -> impl Iterator<Item = u16> + '_ {
        let minute = self.start_ms() / MINUTE_MS;
        Busy::new(&self.pattern, (self.seed, number as u64), minute).take(self.minutes())
    }
}

/// A quantile for each host.
type Answers = BTreeMap<String, f64>;

/// One store.
struct Side {
    name: &'static str,
    /// CPU until all was at rest.
    stored_cpu_s: f64,
    /// On disk.
    bytes: u64,
    /// After the questions.
    rss_mib: f64,
    /// Median CPU of the question.
    question_ms: f64,
    answers: Answers,
    note: String,
}

/// What was measured.
pub(crate) struct Quarter {
    months: Months,
    ours: Side,
    theirs: Side,
    rolled: Rolled,
    /// The largest distance of two answers, as a part of theirs.
    apart: f64,
}

/// Measures, where it is asked for.
pub(crate) fn measure(
    folder: &Path,
    samples: &Samples,
    hosts: usize,
) -> Option<Result<Quarter, String>> {
    (hosts > 0).then(|| both(folder, samples, hosts))
}

fn both(folder: &Path, samples: &Samples, hosts: usize) -> Result<Quarter, String> {
    let months = Months {
        hosts,
        end_ms: samples.end_ms.div_euclid(DAY_MS) * DAY_MS,
        pattern: Pattern::of(samples.mould.capture())?,
        seed: samples.seed,
        stored: match setting("HOSTWELL_BENCH_QUARTER_COUNTERS", 0) {
            0 => Stored::Gauge,
            _ => Stored::Counters,
        },
    };
    let (ours, rolled) = ours::measure(&folder.join("quarter-ours"), &months)?;
    let theirs = theirs::measure(&folder.join("quarter-theirs"), &months)?;
    let apart = apart(&ours.answers, &theirs.answers, hosts)?;
    Ok(Quarter {
        months,
        ours,
        theirs,
        rolled,
        apart,
    })
}

/// How far the answers are apart; an error when they do not say the same.
fn apart(ours: &Answers, theirs: &Answers, hosts: usize) -> Result<f64, String> {
    if (ours.len(), theirs.len()) != (hosts, hosts) {
        return Err(format!(
            "{} and {} answers for {hosts} hosts",
            ours.len(),
            theirs.len()
        ));
    }
    let mut worst = 0.0;
    for (host, theirs) in theirs {
        let Some(ours) = ours.get(host) else {
            return Err(format!("no answer of ours for {host}"));
        };
        let apart = (ours - theirs).abs() / theirs.max(LEAST);
        if apart > APART_MAX {
            return Err(format!("{host}: {ours}, VictoriaMetrics {theirs}"));
        }
        worst = f64::max(worst, apart);
    }
    Ok(worst)
}

impl Quarter {
    /// How many hosts.
    pub(crate) fn hosts(&self) -> usize {
        self.months.hosts
    }

    /// CPU of the question, ours ÷ theirs.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.question_ms / self.theirs.question_ms
    }

    /// All of it, for people.
    pub(crate) fn report(&self) -> String {
        let samples = (self.months.hosts * self.months.minutes()) as f64;
        let cell = |side: &Side| {
            vec![
                side.name.to_owned(),
                format!("{:.2}", side.stored_cpu_s),
                format!("{:.3}", side.bytes as f64 / samples),
                format!("{:.0}", side.rss_mib),
                format!("{:.2}", side.question_ms),
                side.note.clone(),
            ]
        };
        let head = [
            "store",
            "CPU s until at rest",
            "bytes on disk a value",
            "RSS MiB",
            "CPU ms a question",
            "",
        ];
        let given = match self.months.stored {
            Stored::Gauge => "the gauge on both sides",
            Stored::Counters => "ours derived from two counters, theirs the gauge",
        };
        let Rolled {
            days,
            cpu_s,
            wall_s,
            ..
        } = self.rolled;
        format!(
            "\n## A quarter\n\n{} hosts × {DAYS} days × one value a minute = {:.1} M, {given}; p95 of \
             each host. The answers are at most {:.2} % apart. Ours without the CPU of rolling up: \
             {days} days of hosts took {cpu_s:.1} s of CPU ({:.2} ms a day) and {wall_s:.0} s.\n\n{}\n{}",
            self.months.hosts,
            samples / 1e6,
            self.apart * 100.0,
            cpu_s * 1e3 / days as f64,
            free(&head, &[cell(&self.ours), cell(&self.theirs)]),
            self.tiers(),
        )
    }

    /// What the tiers take.
    fn tiers(&self) -> String {
        let days = self.rolled.days as f64;
        let cells = self.rolled.tiers.iter().map(|tier| {
            vec![
                tier.step.clone(),
                tier.family.clone(),
                tier.rows.to_string(),
                tier.bytes.to_string(),
                format!("{:.1}", tier.bytes as f64 / days),
            ]
        });
        let head = ["tier", "family", "rows", "bytes", "bytes a day of a host"];
        free(&head, &cells.collect::<Vec<_>>())
    }
}
