use proptest::prelude::*;

use super::super::parcel::Parcel;
use super::*;
use hostwell_proto::column::{Block, Column};

const T0: i64 = 1_800_000_000_000;
const ALL: (i64, i64) = (i64::MIN, i64::MAX);

/// A parcel of columns that have a value at every tick or at those given.
fn parcel(ticks: usize, columns: Vec<(Option<Vec<u16>>, Vec<f64>)>) -> Parcel {
    Parcel {
        series: (0..columns.len() as i64).map(|i| 100 + i).collect(),
        block: Block {
            times_ms: (0..ticks as i64).map(|t| T0 + t * 10_000).collect(),
            columns: columns
                .into_iter()
                .enumerate()
                .map(|(i, (ticks, values))| Column {
                    number: i as u32,
                    ticks,
                    values,
                })
                .collect(),
        },
    }
}

fn full(columns: Vec<Vec<f64>>) -> Parcel {
    let ticks = columns[0].len();
    parcel(ticks, columns.into_iter().map(|c| (None, c)).collect())
}

fn encoded(parcel: &Parcel) -> Vec<u8> {
    encode(&Table::of(parcel), None).unwrap().unwrap()
}

fn bits(parcel: &Parcel) -> Vec<(i64, i64, u64)> {
    let mut all = Vec::new();
    parcel.each(|id, time, value| all.push((id, time, value.to_bits())));
    all
}

/// A counter that grows unevenly, always the same one for a seed.
fn counter(seed: u64, ticks: usize, step: u64) -> Vec<f64> {
    let (mut state, mut value) = (seed, 0);
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        value += (state >> 33) % step;
        value as f64
    };
    (0..ticks).map(next).collect()
}

/// User, system, and idle as what these leave of 1,000 a tick.
pub(in crate::store) fn cpu(ticks: usize) -> Vec<Vec<f64>> {
    let (user, system) = (counter(1, ticks, 400), counter(2, ticks, 300));
    let left = |t: usize| 1000.0 * t as f64 - user[t] - system[t];
    let idle = (0..ticks).map(left).collect();
    vec![user, system, idle]
}

fn any_column(ticks: usize) -> impl Strategy<Value = Vec<f64>> {
    let values = |one: BoxedStrategy<f64>| prop::collection::vec(one, ticks).boxed();
    prop_oneof![
        values(any::<u64>().prop_map(f64::from_bits).boxed()),
        values((-300i32..300).prop_map(f64::from).boxed()),
        values((0i64..1 << 52).prop_map(|v| v as f64).boxed()),
        values((0u32..5000).prop_map(|v| f64::from(v) / 100.0).boxed()),
        values(prop_oneof![9 => Just(0.0), 1 => Just(7.0)].boxed()),
        values(prop_oneof![30 => Just(5.0), 1 => Just(-0.0), 1 => Just(f64::NAN)].boxed()),
        Just(vec![4096.0; ticks]),
    ]
}

fn any_parcel() -> impl Strategy<Value = Parcel> {
    (1usize..130)
        .prop_flat_map(|ticks| {
            let present = prop::option::of(prop::collection::vec(any::<bool>(), ticks));
            let column = (present, any_column(ticks));
            (
                Just(ticks),
                prop::collection::vec(column, 1..7),
                any::<bool>(),
            )
        })
        .prop_map(|(ticks, columns, related)| {
            let mut columns: Vec<(Option<Vec<u16>>, Vec<f64>)> = columns
                .into_iter()
                .map(|(present, values)| match present {
                    None => (None, values),
                    Some(bits) => {
                        let ticks: Vec<u16> = (0..bits.len())
                            .filter(|i| bits[*i])
                            .map(|i| i as u16)
                            .collect();
                        let values = ticks.iter().map(|t| values[usize::from(*t)]).collect();
                        (Some(ticks), values)
                    }
                })
                .collect();
            if related {
                columns.extend(cpu(ticks).into_iter().map(|c| (None, c)));
            }
            parcel(ticks, columns)
        })
}

proptest! {
    #[test]
    fn every_bit_of_every_value_comes_back(parcel in any_parcel()) {
        let bytes = encoded(&parcel);
        prop_assert_eq!(bits(&decode(&bytes, |_| true, ALL).unwrap()), bits(&parcel));
        let known = plans(&bytes).unwrap();
        let again = encode(&Table::of(&parcel), Some(&known)).unwrap().unwrap();
        prop_assert_eq!(bits(&decode(&again, |_| true, ALL).unwrap()), bits(&parcel));
    }

    #[test]
    fn a_column_is_read_without_the_others(parcel in any_parcel(), one in any::<prop::sample::Index>()) {
        let id = parcel.series[one.index(parcel.series.len())];
        let read = decode(&encoded(&parcel), |s| s == id, ALL).unwrap();
        prop_assert_eq!(&read.series, &vec![id]);
        let wanted: Vec<_> = bits(&parcel).into_iter().filter(|s| s.0 == id).collect();
        prop_assert_eq!(bits(&read), wanted);
    }

    #[test]
    fn the_newest_sample_of_a_range_is_what_reading_all_of_it_says(
        parcel in any_parcel(), from in 0i64..140, length in 0i64..140
    ) {
        let range = (T0 + from * 10_000 - 1, T0 + (from + length) * 10_000);
        let read = newest(&encoded(&parcel), |id| id != 101, range).unwrap();
        let read: Vec<_> = read.into_iter().map(|(id, (time, v))| (id, time, v.to_bits())).collect();
        let mut wanted: Vec<_> = bits(&parcel)
            .into_iter()
            .filter(|s| s.0 != 101 && (range.0..=range.1).contains(&s.1))
            .collect();
        wanted.reverse();
        wanted.dedup_by_key(|s| s.0);
        wanted.reverse();
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn only_the_ticks_of_a_range_are_read(parcel in any_parcel(), from in 0i64..40, length in 0i64..40) {
        let range = (T0 + from * 10_000 - 1, T0 + (from + length) * 10_000);
        let read = decode(&encoded(&parcel), |_| true, range).unwrap();
        let within = |t: i64| (range.0..=range.1).contains(&t);
        let wanted: Vec<_> = bits(&parcel).into_iter().filter(|s| within(s.1)).collect();
        prop_assert_eq!(bits(&read), wanted);
        prop_assert!(read.block.times_ms.iter().all(|t| within(*t)));
    }

    #[test]
    fn any_bytes_are_read_or_called_damage(mut bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        let _ = decode(&bytes, |_| true, ALL);
        let _ = decode(&bytes, |_| true, (0, 1));
        let _ = newest(&bytes, |_| true, ALL);
        let _ = plans(&bytes);
    }

    #[test]
    fn a_block_with_a_wrong_byte_is_read_or_called_damage(
        parcel in any_parcel(), at in any::<prop::sample::Index>(), to in any::<u8>()
    ) {
        let mut bytes = encoded(&parcel);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(&bytes, |_| true, ALL);
        let known = plans(&bytes).ok();
        // Whatever relations a damaged block tells of: what is written with them can be read.
        let again = encode(&Table::of(&parcel), known.as_ref()).unwrap().unwrap();
        prop_assert_eq!(bits(&decode(&again, |_| true, ALL).unwrap()), bits(&parcel));
    }

    #[test]
    fn a_cut_block_is_damage(parcel in any_parcel(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&parcel);
        prop_assert!(decode(&bytes[..at.index(bytes.len())], |_| true, ALL).is_err());
    }

    #[test]
    fn every_row_of_whole_numbers_comes_back(
        numbers in prop::collection::vec(
            prop_oneof![any::<i64>(), -9i64..9, Just(i64::MIN), Just(i64::MAX), (0i64..99).prop_map(|n| n << 12)],
            0..80,
        ),
        order in 0usize..3,
    ) {
        let mut bytes = Vec::new();
        numbers::put(&mut bytes, &numbers).unwrap();
        prop_assert_eq!(&numbers::read(&bytes, numbers.len()).unwrap(), &numbers);
        if numbers.len() > order {
            let row = || differences(&numbers, order);
            let heads: Vec<i64> = (0..order).map(|o| differences(&numbers, o)[0]).collect();
            prop_assert_eq!(&steps::sums(&heads, row()), &numbers);
            let last = |order| *differences(&numbers, order).last().unwrap();
            let heads: Vec<i64> = (0..order).map(last).collect();
            prop_assert_eq!(&steps::sums_to(&heads, row()), &numbers);
        }
    }
}

#[test]
fn what_the_other_modes_leave_costs_next_to_nothing() {
    let all = cpu(600);
    let with = encoded(&full(all.clone())).len();
    let without = encoded(&full(all[..2].to_vec())).len();
    assert!(with < without + 30, "{with} bytes, without idle {without}");
}

#[test]
fn equal_devices_cost_one() {
    let lo = counter(7, 600, 50_000);
    let one = encoded(&full(vec![lo.clone()])).len();
    let two = encoded(&full(vec![lo.clone(), lo])).len();
    assert!(two < one + 20, "{one} and {two} bytes");
}

#[test]
fn free_is_foretold_through_other_columns_and_is_read_alone() {
    let (used, cached) = (counter(3, 600, 90_000), counter(4, 600, 50_000));
    let free: Vec<f64> = used
        .iter()
        .zip(&cached)
        .map(|(u, c)| 1e12 - u - c)
        .collect();
    let available: Vec<f64> = free.iter().map(|f| f - 5000.0).collect();
    let parcel = full(vec![free.clone(), available, used, cached]);
    let read = decode(&encoded(&parcel), |id| id == 100, ALL).unwrap();
    assert_eq!(read.block.columns[0].values, free);
}

#[test]
fn what_held_in_the_block_before_is_tried_and_left_where_it_does_not_hold() {
    let before = plans(&encoded(&full(cpu(600)))).unwrap();
    let alike = full(cpu(500));
    let tried = encode(&Table::of(&alike), Some(&before))
        .unwrap()
        .unwrap()
        .len();
    assert!(tried <= encoded(&alike).len() + 8);
    let nothing = full(vec![
        counter(5, 500, 9),
        counter(6, 500, 99),
        counter(7, 500, 999),
    ]);
    let tried = encode(&Table::of(&nothing), Some(&before))
        .unwrap()
        .unwrap()
        .len();
    assert_eq!(
        tried,
        encode(&Table::of(&nothing), Some(&Plans::default()))
            .unwrap()
            .unwrap()
            .len()
    );
}

#[test]
fn a_column_that_is_foretold_from_itself_is_damage() {
    // Two series, two ticks; each column's only source is the other one.
    let mut bytes = vec![VERSION, 1, 14, 2, 2, 0, 2, 0, 2];
    let column = |source: u8| vec![WHOLE, 1 | 1 << 2, source << 1, 0, 0, 2];
    let (first, second) = (column(2), column(1));
    bytes.extend([first.len() as u8, second.len() as u8]);
    bytes.extend(first);
    bytes.extend(second);
    let error = format!("{:?}", decode(&bytes, |_| true, ALL).unwrap_err());
    assert!(error.contains("foretold from itself"), "{error}");
}

#[test]
fn regular_times_take_a_few_bytes_and_irregular_ones_come_back() {
    let mut even = full(vec![vec![1.0; 2000]]);
    assert!(encoded(&even).len() < 30);
    even.block
        .times_ms
        .iter_mut()
        .enumerate()
        .for_each(|(i, t)| *t += i as i64 * 7 % 5);
    let read = decode(&encoded(&even), |_| false, ALL).unwrap();
    assert_eq!(read.block.times_ms, even.block.times_ms);
}
