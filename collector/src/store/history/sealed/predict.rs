//! Which columns of a block foretell another one.
//!
//! The modes of a CPU make up the elapsed time, free is size without used, a bridge carries what
//! its port carries: a column whose steps are a sum of others' steps need not be stored again.
//! Nothing here knows what a series means. For each column the search adds and subtracts other
//! columns for as long as that makes the remainder smaller, judged by a sample of the ticks.

use super::steps::differences;

/// Ticks that are looked at: enough to tell a relation from luck.
const SAMPLE: usize = 96;
/// The sample is taken in so many pieces, spread over the block.
const PIECES: usize = 4;
/// Neighbours of a column that are tried; a device's series have neighbouring ids.
const REACH: usize = 10;
/// Most columns one column is foretold from.
const SOURCES_MAX: usize = 12;
/// A sum may begin to pay only with its last member: so many steps without a gain are tried.
const PATIENCE: usize = 3;
/// How many numbers a median is taken of.
const MEDIAN_OF: usize = 31;
/// So many columns are tried as the first of a sum.
const BEGINNINGS: usize = 4;
/// Most comparisons for one block.
const EFFORT_MAX: usize = 20_000;
/// What another column costs to name and to read, in bits; a sum must save more for each.
const SOURCE_BITS: usize = 64;
/// It must also save one part in so many of what the column takes alone.
const SAVING_PART: usize = 32;
/// A column that takes fewer bits a tick than this is not worth a search.
const BITS_MIN: usize = 1;

/// How a column is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Plan {
    /// How often differences are taken: 0 the numbers themselves, 1 their steps, 2 steps of steps.
    pub order: usize,
    /// Columns whose numbers (of the same order) are taken away, or added where `true`.
    pub sources: Vec<(usize, bool)>,
}

impl Plan {
    /// A plan without any other column.
    pub(in crate::store) fn alone(order: usize) -> Plan {
        Plan {
            order,
            ..Plan::default()
        }
    }
}

/// A column of whole numbers.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Candidate<'a> {
    pub numbers: &'a [i64],
    /// Columns with different marks have values at different ticks.
    pub mark: usize,
}

/// What is known of a column while plans are made.
struct Sampled {
    /// Numbers, steps, steps of steps at the sampled ticks.
    orders: [Vec<i64>; 3],
    best: usize,
    /// Bits of the sample in the best order.
    cost: usize,
}

/// Bits that numbers take, roughly as pco would: each is told by which bin around the median it
/// is in (one for each doubling of the distance, on either side) and by its place in the bin.
fn cost(numbers: &[i64]) -> usize {
    let Some(median) = middle(numbers) else {
        return 0;
    };
    let mut bins = [0u32; 130];
    let mut places = 0;
    for number in numbers {
        let away = number.wrapping_sub(median);
        let length = 64 - away.unsigned_abs().leading_zeros();
        bins[(length as usize) << 1 | usize::from(away < 0)] += 1;
        places += length.saturating_sub(1);
    }
    let all = numbers.len() as f32;
    let naming: f32 = bins
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f32 * (all / *count as f32).log2())
        .sum();
    naming as usize + places as usize
}

/// The median of a few numbers out of all.
fn middle(numbers: &[i64]) -> Option<i64> {
    let apart = (numbers.len() / MEDIAN_OF).max(1);
    let mut some = [0; MEDIAN_OF];
    let mut count = 0;
    for (place, number) in some.iter_mut().zip(numbers.iter().step_by(apart)) {
        *place = *number;
        count += 1;
    }
    some[..count].sort_unstable();
    some[..count].get(count / 2).copied()
}

fn sampled(numbers: &[i64]) -> Sampled {
    let pieces = if numbers.len() <= SAMPLE + PIECES * 2 {
        vec![numbers]
    } else {
        let length = SAMPLE / PIECES + 2;
        let apart = (numbers.len() - length) / (PIECES - 1);
        (0..PIECES)
            .map(|i| &numbers[i * apart..i * apart + length])
            .collect()
    };
    let mut orders = [Vec::new(), Vec::new(), Vec::new()];
    for piece in pieces {
        let steps = differences(piece, 1);
        orders[0].extend_from_slice(piece.get(2..).unwrap_or_default());
        orders[2].extend(differences(&steps, 1));
        orders[1].extend_from_slice(steps.get(1..).unwrap_or_default());
    }
    let costs = [cost(&orders[0]), cost(&orders[1]), cost(&orders[2])];
    // Another order than steps must be clearly better, also over all ticks: in a sample, noise
    // looks like a gain now and then.
    let clearly = |order: usize| costs[order] + costs[1] / 16 < costs[1];
    let likely = match (clearly(0), clearly(2)) {
        (true, true) if costs[2] < costs[0] => 2,
        (true, _) => 0,
        (false, true) => 2,
        (false, false) => 1,
    };
    let whole = |order: usize| cost(&differences(numbers, order));
    let best = match likely {
        1 => 1,
        other if whole(other) < whole(1) => other,
        _ => 1,
    };
    Sampled {
        cost: costs[best],
        best,
        orders,
    }
}

/// A plan for each column; no column is foretold, directly or through others, from itself. Plans
/// that are known are kept where they save something here too; the columns to be searched that have
/// none then are searched.
pub(in crate::store) fn plans(
    columns: &[Option<Candidate<'_>>],
    (known, to_search): (Vec<Plan>, Vec<bool>),
) -> Vec<Plan> {
    let samples: Vec<Option<Sampled>> = columns
        .iter()
        .map(|c| c.map(|c| sampled(c.numbers)))
        .collect();
    let mut search = Search {
        columns,
        samples: &samples,
        effort: 0,
    };
    let mut plans: Vec<Plan> = samples
        .iter()
        .map(|s| Plan::alone(s.as_ref().map_or(1, |s| s.best)))
        .collect();
    for (column, plan) in known.into_iter().enumerate() {
        search.try_one(&mut plans, column, plan);
    }
    let cost_of = |i: &usize| samples[*i].as_ref().map_or(0, |s| s.cost);
    // Only what moves can foretell what moves.
    let places: Vec<usize> = (0..columns.len()).filter(|i| cost_of(i) > 0).collect();
    let mut waiting: Vec<usize> = places
        .iter()
        .copied()
        .filter(|i| to_search[*i] && plans[*i].sources.is_empty())
        .collect();
    waiting.sort_by_key(|i| std::cmp::Reverse(cost_of(i)));
    for column in waiting {
        let place = places.partition_point(|p| *p < column);
        let near = &places[place.saturating_sub(REACH)..(place + REACH + 1).min(places.len())];
        let mark = columns[column].map(|c| c.mark);
        let near: Vec<usize> = near
            .iter()
            .copied()
            .filter(|n| *n != column && columns[*n].map(|c| c.mark) == mark)
            .filter(|n| !depends(&plans, *n, column))
            .collect();
        if let Some(plan) = search.plan(column, near) {
            plans[column] = plan;
        }
    }
    plans
}

/// Whether `column` is foretold from `other`, directly or through others.
fn depends(plans: &[Plan], column: usize, other: usize) -> bool {
    if column == other || plans[column].sources.is_empty() {
        return column == other;
    }
    let mut waiting = vec![column];
    let mut seen = std::collections::HashSet::new();
    while let Some(one) = waiting.pop() {
        if one == other {
            return true;
        }
        if seen.insert(one) {
            waiting.extend(plans[one].sources.iter().map(|s| s.0));
        }
    }
    false
}

/// Adds another row, or takes it away.
pub(in crate::store) fn apply(row: &mut [i64], other: &[i64], away: bool) {
    for (mine, their) in row.iter_mut().zip(other) {
        *mine = if away {
            mine.wrapping_sub(*their)
        } else {
            mine.wrapping_add(*their)
        };
    }
}

struct Search<'a> {
    columns: &'a [Option<Candidate<'a>>],
    samples: &'a [Option<Sampled>],
    effort: usize,
}

impl Search<'_> {
    /// Takes a plan that held elsewhere if it saves something here too.
    fn try_one(&self, plans: &mut [Plan], column: usize, plan: Plan) {
        let mark = |i: usize| self.columns[i].map(|c| c.mark);
        let fits = |s: &(usize, bool)| {
            mark(s.0).is_some() && mark(s.0) == mark(column) && !depends(plans, s.0, column)
        };
        let Some(own) = &self.samples[column] else {
            return;
        };
        if !plan.sources.is_empty() && plan.sources.iter().all(fits) {
            let bits = cost(&self.sample_row(column, &plan));
            if bits + bits / SAVING_PART < own.cost {
                plans[column] = plan;
            }
        }
    }

    /// The best plan that was found, if it holds for the whole column: from several beginnings,
    /// because the first member of a sum rarely shows that it is one.
    fn plan(&mut self, column: usize, near: Vec<usize>) -> Option<Plan> {
        let own = self.samples[column].as_ref()?;
        if own.cost <= own.orders[1].len() * BITS_MIN || self.effort > EFFORT_MAX {
            return None;
        }
        let order = own.best.min(1);
        let mut first = self.by_gain(&own.orders[order], order, &near);
        first.truncate(BEGINNINGS);
        let mut best: Option<(usize, Plan)> = None;
        for (_, source, away) in first {
            let found = self.beginning_with(column, (source, !away), near.clone());
            if found.0 < best.as_ref().map_or(own.cost, |b| b.0) {
                best = Some(found);
            }
        }
        let (_, plan) = best?;
        self.holds(column, own.best, &plan).then_some(plan)
    }

    /// Adds sources one after another, each time the one that leaves least, and keeps as many as
    /// left least of all.
    fn beginning_with(
        &mut self,
        column: usize,
        first: (usize, bool),
        mut near: Vec<usize>,
    ) -> (usize, Plan) {
        // What holds between numbers holds between their steps.
        let order = self.samples[column].as_ref().map_or(1, |s| s.best.min(1));
        let mut plan = Plan::alone(order);
        plan.sources.push(first);
        near.retain(|n| *n != first.0);
        let mut rest = self.sample_row(column, &plan);
        let (mut least, mut kept) = (cost(&rest), 1);
        while plan.sources.len() < SOURCES_MAX && plan.sources.len() < kept + PATIENCE && least > 0
        {
            let Some((bits, other, away)) = self.by_gain(&rest, order, &near).first().copied()
            else {
                break;
            };
            if let Some(theirs) = &self.samples[other] {
                apply(&mut rest, &theirs.orders[order], away);
            }
            near.retain(|n| *n != other);
            plan.sources.push((other, !away));
            if bits + bits / SAVING_PART < least {
                (least, kept) = (bits, plan.sources.len());
            }
        }
        plan.sources.truncate(kept);
        let least = self.prune(column, &mut plan, least);
        (least, plan)
    }

    /// Drops sources that others made needless.
    fn prune(&mut self, column: usize, plan: &mut Plan, mut least: usize) -> usize {
        let mut at = 0;
        while at < plan.sources.len() && plan.sources.len() > 1 {
            let mut fewer = plan.clone();
            fewer.sources.remove(at);
            let bits = cost(&self.sample_row(column, &fewer));
            self.effort += 1;
            if bits <= least {
                (*plan, least, at) = (fewer, bits, 0);
            } else {
                at += 1;
            }
        }
        least
    }

    /// The sampled row of a column, as the plan says.
    fn sample_row(&self, column: usize, plan: &Plan) -> Vec<i64> {
        let of = |column: usize| {
            let sample = self.samples[column].as_ref();
            sample.map_or(&[][..], |s| s.orders[plan.order].as_slice())
        };
        let mut row = of(column).to_vec();
        for (other, added) in &plan.sources {
            apply(&mut row, of(*other), !added);
        }
        row
    }

    /// Columns by what they leave of a row: (bits, column, taken away or else added).
    fn by_gain(&mut self, rest: &[i64], order: usize, near: &[usize]) -> Vec<(usize, usize, bool)> {
        let mut found = Vec::with_capacity(near.len());
        let mut attempt = Vec::with_capacity(rest.len());
        for other in near {
            let Some(theirs) = &self.samples[*other] else {
                continue;
            };
            for away in [true, false] {
                self.effort += 1;
                attempt.clear();
                attempt.extend_from_slice(rest);
                apply(&mut attempt, &theirs.orders[order], away);
                found.push((cost(&attempt), *other, away));
            }
        }
        found.sort_unstable();
        found
    }

    /// The columns' row, as the plan says.
    fn row(&self, column: usize, plan: &Plan) -> Vec<i64> {
        let Some(own) = self.columns[column] else {
            return Vec::new();
        };
        let mut row = differences(own.numbers, plan.order);
        for (other, added) in &plan.sources {
            if let Some(theirs) = self.columns[*other] {
                apply(&mut row, &differences(theirs.numbers, plan.order), !added);
            }
        }
        row
    }

    /// Whether a plan saves enough over all ticks.
    fn holds(&mut self, column: usize, alone: usize, plan: &Plan) -> bool {
        let before = self.row(column, &Plan::alone(alone));
        let before = cost(&before);
        let after = cost(&self.row(column, plan));
        after + before / SAVING_PART + plan.sources.len() * SOURCE_BITS < before
    }
}
