//! Samples as they travel: moments at an even pace are told in one piece. Half of a long answer
//! would be moments.

use serde::{Deserialize, Serialize};

use super::super::Body;
use super::Samples;

/// Told in pieces where these are fewer than one for so many samples: alone, a piece takes as much
/// room as two moments.
const SAMPLES_A_PIECE_MIN: usize = 4;

/// Moments at an even pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, usize)", into = "(i64, i64, usize)")]
struct Pace {
    first_ms: i64,
    every_ms: i64,
    /// How many, the first among them.
    count: usize,
}

impl From<(i64, i64, usize)> for Pace {
    fn from((first_ms, every_ms, count): (i64, i64, usize)) -> Pace {
        Pace {
            first_ms,
            every_ms,
            count,
        }
    }
}

impl From<Pace> for (i64, i64, usize) {
    fn from(pace: Pace) -> (i64, i64, usize) {
        (pace.first_ms, pace.every_ms, pace.count)
    }
}

/// An answer's samples without their moments, and the moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BriefSamples {
    /// Of each series, in the same order: (first, milliseconds from one to the next, how many).
    paces: Vec<Vec<Pace>>,
    /// The rest; its series have no moments.
    samples: Samples,
}

impl BriefSamples {
    /// The same in fewer bytes; the samples themselves where they would be no fewer.
    pub(in crate::answer) fn of(mut samples: Samples) -> Body {
        let total: usize = samples.series.iter().map(|s| s.times_ms.len()).sum();
        let mut paces = Vec::with_capacity(samples.series.len());
        let mut pieces = 0;
        for series in &samples.series {
            let told = paces_of(&series.times_ms);
            pieces += told.len();
            if pieces * SAMPLES_A_PIECE_MIN > total {
                return Body::Samples(samples);
            }
            paces.push(told);
        }
        if pieces == 0 {
            return Body::Samples(samples);
        }
        for series in &mut samples.series {
            series.times_ms = Vec::new();
        }
        Body::BriefSamples(BriefSamples { paces, samples })
    }

    /// About how many bytes of JSON it makes.
    pub(in crate::answer) fn room(&self) -> usize {
        const PIECE: usize = 32;
        self.samples.room() + PIECE * self.paces.iter().map(Vec::len).sum::<usize>()
    }

    /// The samples with their moments; nothing where a series has more of the ones than of the
    /// others, or moments that no clock tells.
    pub(in crate::answer) fn in_full(self) -> Option<Samples> {
        let mut samples = self.samples;
        if samples.series.len() != self.paces.len() {
            return None;
        }
        for (series, paces) in samples.series.iter_mut().zip(self.paces) {
            let expected = series.values.len();
            let mut times_ms = Vec::with_capacity(expected);
            for pace in paces {
                if pace.count > expected - times_ms.len() {
                    return None;
                }
                for n in 0..pace.count as i64 {
                    times_ms.push(pace.every_ms.checked_mul(n)?.checked_add(pace.first_ms)?);
                }
            }
            if times_ms.len() != expected {
                return None;
            }
            series.times_ms = times_ms;
        }
        Some(samples)
    }
}

fn paces_of(times_ms: &[i64]) -> Vec<Pace> {
    let mut paces = Vec::new();
    let mut rest = times_ms;
    while let Some((&first_ms, others)) = rest.split_first() {
        let second = others.first();
        let every_ms = second.and_then(|second| second.checked_sub(first_ms));
        let every_ms = every_ms.unwrap_or(0);
        let even = |pair: &&[i64]| pair[1].checked_sub(pair[0]) == Some(every_ms);
        let count = 1 + rest.windows(2).take_while(even).count();
        paces.push(Pace {
            first_ms,
            every_ms,
            count,
        });
        rest = &rest[count..];
    }
    paces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::SampleSeries;
    use super::*;

    fn samples(series: Vec<Vec<i64>>) -> Samples {
        let one = |times_ms: Vec<i64>| SampleSeries {
            labels: [("host".to_owned(), "web-1".to_owned())].into(),
            values: (0..times_ms.len()).map(|n| n as f64).collect(),
            times_ms,
        };
        Samples {
            selector: "node_load1".into(),
            from_ms: 0,
            to_ms: 1,
            step_ms: None,
            agg: None,
            unit: String::new(),
            series: series.into_iter().map(one).collect(),
            error: None,
            kept_since_ms: None,
            read: None,
        }
    }

    fn brief(samples: Samples) -> BriefSamples {
        match BriefSamples::of(samples) {
            Body::BriefSamples(brief) => brief,
            other => panic!("{other:?}"),
        }
    }

    fn every(first_ms: i64, every_ms: i64, count: i64) -> Vec<i64> {
        (0..count).map(|n| first_ms + n * every_ms).collect()
    }

    #[test]
    fn an_even_pace_is_one_piece_and_a_hole_begins_another() {
        let mut times_ms = every(1_795_000_000_000, 10_000, 360);
        times_ms.drain(100..105);
        let brief = brief(samples(vec![times_ms.clone()]));
        let json = serde_json::to_string(&brief).unwrap();
        let paces = "\"paces\":[[[1795000000000,10000,100],[1795001050000,10000,255]]]";
        assert!(json.contains(paces), "{json}");
        assert!(json.len() < brief.room());
        let back: BriefSamples = serde_json::from_str(&json).unwrap();
        assert_eq!(back.in_full(), Some(samples(vec![times_ms])));
    }

    #[test]
    fn what_has_no_pace_or_hardly_a_moment_travels_as_it_is() {
        for times_ms in [
            vec![vec![]],
            vec![],
            vec![vec![5]; 57],
            vec![vec![1, 2, 3]],
            vec![vec![0, 10, 11, 30, 31, 99, 100]],
        ] {
            let plain = samples(times_ms);
            assert_eq!(BriefSamples::of(plain.clone()), Body::Samples(plain));
        }
    }

    #[test]
    fn moments_that_do_not_fit_are_nothing() {
        let good = brief(samples(vec![every(0, 10, 8)]));
        for paces in [
            vec![],
            vec![vec![]],
            vec![vec![(0, 10, 7)]],
            vec![vec![(0, 10, 9)]],
            vec![vec![(0, 10, usize::MAX)]],
            vec![vec![(0, i64::MAX, 8)]],
            vec![vec![(i64::MAX, 10, 8)]],
            vec![vec![(0, 10, 8)], vec![]],
        ] {
            let into = |paces: Vec<(i64, i64, usize)>| paces.into_iter().map(Pace::from);
            let bad = BriefSamples {
                paces: paces.into_iter().map(|p| into(p).collect()).collect(),
                ..good.clone()
            };
            assert_eq!(bad.clone().in_full(), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_moments_come_back(series in prop::collection::vec(
            prop::collection::vec((any::<i64>(), -3i64..20_000, 0i64..40), 0..4), 0..4))
        {
            let runs = |runs: Vec<(i64, i64, i64)>| -> Vec<i64> {
                runs.into_iter().flat_map(|(a, b, n)| every(a >> 2, b, n)).collect()
            };
            let plain = samples(series.into_iter().map(runs).collect());
            let back = match BriefSamples::of(plain.clone()) {
                Body::BriefSamples(brief) => brief.in_full(),
                Body::Samples(same) => Some(same),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(back, Some(plain));
        }
    }
}
