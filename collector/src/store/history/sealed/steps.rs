//! Differences of whole numbers and back, wrapping: nothing is lost whatever the numbers.

/// Differences of neighbours, taken `order` times: each time one number fewer.
pub(in crate::store) fn differences(numbers: &[i64], order: usize) -> Vec<i64> {
    let mut row = numbers.to_vec();
    for _ in 0..order {
        row = row.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    }
    row
}

/// The numbers whose differences, taken once for each head, are `row`; the heads are the first
/// number, the first difference, and so on.
pub(in crate::store) fn sums(heads: &[i64], mut row: Vec<i64>) -> Vec<i64> {
    for head in heads.iter().rev() {
        let mut last = *head;
        row.insert(0, last);
        for number in &mut row[1..] {
            last = last.wrapping_add(*number);
            *number = last;
        }
    }
    row
}

/// The numbers whose differences, taken once for each head, are `row`; the heads are the last
/// number, the last difference, and so on.
pub(in crate::store) fn sums_to(heads: &[i64], mut row: Vec<i64>) -> Vec<i64> {
    for head in heads.iter().rev() {
        let mut next = *head;
        row.push(next);
        for number in row.iter_mut().rev().skip(1) {
            next = next.wrapping_sub(*number);
            *number = next;
        }
    }
    row
}
