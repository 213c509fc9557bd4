//! Differences of whole numbers and back, wrapping: nothing is lost whatever the numbers.

/// Differences of neighbours, taken `order` times: each time one number fewer.
pub(in crate::store) fn differences(numbers: &[i64], order: usize) -> Vec<i64> {
    if order == 0 {
        return numbers.to_vec();
    }
    let mut row: Vec<i64> = numbers
        .windows(2)
        .map(|w| w[1].wrapping_sub(w[0]))
        .collect();
    for _ in 1..order {
        for at in 1..row.len() {
            row[at - 1] = row[at].wrapping_sub(row[at - 1]);
        }
        row.pop();
    }
    row
}

/// The numbers whose differences, taken once for each head, are `row`; the heads are the first
/// number, the first difference, and so on.
pub(in crate::store) fn sums(heads: &[i64], mut row: Vec<i64>) -> Vec<i64> {
    for head in heads.iter().rev() {
        let mut next = *head;
        for number in &mut row {
            let here = next;
            next = next.wrapping_add(*number);
            *number = here;
        }
        row.push(next);
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
