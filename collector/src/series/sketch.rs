//! A mergeable summary of many values from which quantiles can be told: how many values fell into
//! each of many narrow buckets, in the manner of DDSketch.
//!
//! A bucket's upper end is [`GAMMA`] times its lower end, so whatever lies in it is known within
//! [`ERROR`] of itself. Values nearer to zero than [`FLOOR`] are one bucket: known within it.
//! Merging adds counts, so neither order nor grouping of merges matters.

/// Largest relative error of a value above the floor.
pub const ERROR: f64 = 0.01;
/// Values nearer to zero than this are taken for zero.
pub const FLOOR: f64 = 1e-9;
/// Upper end of a bucket over its lower end.
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// Most buckets: at this width they span 35 powers of ten. Beyond, the smallest values lose their
/// precision first.
const BUCKETS_MAX: usize = 4096;

/// Counts by bucket. Bucket 0 is around zero, 1 and up are positive values, -1 and down negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// (bucket, how many), ascending by bucket, none empty.
    buckets: Vec<(i32, u64)>,
}

/// The bucket of a value.
fn bucket(value: f64) -> i32 {
    let size = value.abs();
    if size <= FLOOR {
        return 0;
    }
    // At least 1 by the line before; at most some 36,000 for the largest double.
    let index = ((size / FLOOR).ln() / GAMMA.ln()).ceil().max(1.0) as i32;
    if value < 0.0 { -index } else { index }
}

/// The value that stands for a bucket: the one nearest to both of its ends.
fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let upper = FLOOR * (GAMMA.ln() * f64::from(bucket.unsigned_abs())).exp();
    (upper * 2.0 / (GAMMA + 1.0)).copysign(f64::from(bucket))
}

impl Sketch {
    /// The sketch of some values; what is not finite is left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Sketch {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let mut all: Vec<i32> = finite.map(bucket).collect();
        all.sort_unstable();
        let buckets = all.chunk_by(|a, b| a == b);
        let mut sketch = Sketch {
            buckets: buckets.map(|same| (same[0], same.len() as u64)).collect(),
        };
        sketch.hold();
        sketch
    }

    /// The same value so many times.
    pub fn repeated(value: f64, count: u64) -> Sketch {
        match count {
            0 => Sketch::default(),
            _ => Sketch {
                buckets: vec![(bucket(value), count)],
            },
        }
    }

    /// A sketch from its buckets; nothing when they do not ascend or one is empty.
    pub fn from_buckets(buckets: Vec<(i32, u64)>) -> Option<Sketch> {
        let sound = buckets.is_sorted_by(|a, b| a.0 < b.0)
            && buckets.len() <= BUCKETS_MAX
            && buckets.iter().all(|(_, count)| *count > 0);
        sound.then_some(Sketch { buckets })
    }

    /// (bucket, how many), ascending.
    pub fn buckets(&self) -> &[(i32, u64)] {
        &self.buckets
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Takes the values of another one in.
    pub fn merge(&mut self, other: &Sketch) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut ours, mut theirs) = (&self.buckets[..], &other.buckets[..]);
        while let (Some(a), Some(b)) = (ours.first(), theirs.first()) {
            merged.push(match a.0.cmp(&b.0) {
                std::cmp::Ordering::Less => *a,
                std::cmp::Ordering::Greater => *b,
                std::cmp::Ordering::Equal => (a.0, a.1.saturating_add(b.1)),
            });
            ours = &ours[usize::from(a.0 <= b.0)..];
            theirs = &theirs[usize::from(b.0 <= a.0)..];
        }
        merged.extend_from_slice(ours);
        merged.extend_from_slice(theirs);
        self.buckets = merged;
        self.hold();
    }

    /// Holds the bound: the buckets nearest to zero become one.
    fn hold(&mut self) {
        let Some(over) = self.buckets.len().checked_sub(BUCKETS_MAX) else {
            return;
        };
        if over == 0 {
            return;
        }
        let mut nearest: Vec<i32> = self.buckets.iter().map(|(b, _)| b.abs()).collect();
        nearest.sort_unstable();
        let bound = nearest[over];
        let near = |b: &(i32, u64)| b.0.abs() <= bound;
        let count = self.buckets.iter().filter(|b| near(b)).map(|b| b.1).sum();
        let at = self.buckets.partition_point(|b| b.0 < -bound);
        self.buckets.retain(|b| !near(b));
        self.buckets.insert(at, (0, count));
    }

    /// The value of a rank, counted from 0.
    fn ranked(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        let holds = |(bucket, count): &(i32, u64)| {
            before += count;
            (before > rank).then(|| middle(*bucket))
        };
        self.buckets.iter().find_map(holds)
    }

    /// The `q`-quantile, between the same two neighbours as [`super::quantile`] takes; nothing
    /// of nothing.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        let position = q.clamp(0.0, 1.0) * last as f64;
        let below = self.ranked(position.floor() as u64)?;
        let above = self.ranked(position.ceil() as u64)?;
        Some(below + (above - below) * position.fract())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-1e3f64..1e3),
            (-40.0f64..40.0).prop_map(f64::exp),
            (-40.0f64..40.0).prop_map(|e| -e.exp()),
            Just(0.0),
            (0u32..101).prop_map(|n| f64::from(n) / 100.0),
        ]
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_one_percent_of_the_exact_neighbours(
            values in prop::collection::vec(any_value(), 1..400), q in 0.0f64..=1.0
        ) {
            let sketch = Sketch::of(values.iter().copied());
            prop_assert_eq!(sketch.count(), values.len() as u64);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let position = q * (values.len() - 1) as f64;
            let near = [sorted[position.floor() as usize], sorted[position.ceil() as usize]];
            let largest = near[0].abs().max(near[1].abs());
            let exact = crate::series::quantile(&mut sorted, q).unwrap();
            let told = sketch.quantile(q).unwrap();
            let allowed = largest * ERROR * (1.0 + 1e-9) + FLOOR;
            prop_assert!((told - exact).abs() <= allowed, "{told} for {exact}");
        }

        #[test]
        fn merging_in_any_order_is_the_sketch_of_all(
            parts in prop::collection::vec(prop::collection::vec(any_value(), 0..40), 0..8),
            turned in any::<prop::sample::Index>()
        ) {
            let whole = Sketch::of(parts.iter().flatten().copied());
            let mut forth = Sketch::default();
            parts.iter().for_each(|part| forth.merge(&Sketch::of(part.iter().copied())));
            prop_assert_eq!(&forth, &whole);
            let mut turned_round = parts.clone();
            if !parts.is_empty() {
                turned_round.rotate_left(turned.index(parts.len()));
                turned_round.reverse();
            }
            let mut pairs: Vec<Sketch> = turned_round
                .iter()
                .map(|part| Sketch::of(part.iter().copied()))
                .collect();
            // As a tree instead of one after the other.
            while pairs.len() > 1 {
                pairs = pairs
                    .chunks(2)
                    .map(|two| {
                        let mut one = two[0].clone();
                        two[1..].iter().for_each(|other| one.merge(other));
                        one
                    })
                    .collect();
            }
            prop_assert_eq!(&pairs.pop().unwrap_or_default(), &whole);
        }

        #[test]
        fn buckets_come_back_as_the_same_sketch(values in prop::collection::vec(any_value(), 0..99)) {
            let sketch = Sketch::of(values);
            let again = Sketch::from_buckets(sketch.buckets().to_vec());
            prop_assert_eq!(again, Some(sketch));
        }
    }

    #[test]
    fn whatever_is_put_in_it_stays_small_and_what_is_large_stays_precise() {
        let wide = (-20_000..20_000).map(|e| (f64::from(e) / 60.0).exp());
        let values: Vec<f64> = wide.flat_map(|v| [v, -v]).collect();
        let sketch = Sketch::of(values.iter().copied());
        assert!(sketch.buckets().len() <= BUCKETS_MAX);
        assert_eq!(sketch.count(), values.len() as u64);
        let largest = (19_999.0f64 / 60.0).exp();
        let told = sketch.quantile(1.0).unwrap();
        assert!((told / largest - 1.0).abs() <= ERROR);
    }

    #[test]
    fn what_is_no_number_is_left_out_and_nothing_has_no_quantile() {
        let sketch = Sketch::of([f64::NAN, f64::INFINITY, 5.0]);
        assert_eq!(sketch.count(), 1);
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!(Sketch::from_buckets(vec![(2, 1), (1, 1)]), None);
        assert_eq!(Sketch::repeated(5.0, 1), sketch);
        assert_eq!(Sketch::repeated(5.0, 0), Sketch::default());
    }
}
