use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    ticks_max: 1000,
    columns_max: 1000,
    samples_max: 100_000,
};

fn round_trip(block: &Block) -> Vec<u8> {
    let bytes = encode(block, |_| 2);
    assert_eq!(decode(&bytes, LIMITS).as_ref(), Ok(block));
    bytes
}

fn dense(values: &[f64]) -> Block {
    let times_ms = (0..values.len() as i64)
        .map(|i| 1_700_000_000_000 + i * 10_000)
        .collect();
    Block {
        times_ms,
        columns: vec![Column {
            number: 7,
            ticks: None,
            values: values.to_vec(),
        }],
    }
}

#[test]
fn awkward_values_come_back_bit_for_bit() {
    for value in [
        0.0,
        1.0,
        0.1,
        0.3,
        1e300,
        f64::MIN_POSITIVE,
        2f64.powi(53),
        1e-9,
        102.92,
    ] {
        round_trip(&dense(&[value, value, -value]));
        round_trip(&dense(&[value]));
    }
    let minus_zero = decode(&encode(&dense(&[-0.0]), |_| 0), LIMITS).unwrap();
    assert!(
        minus_zero.columns[0].values[0].is_sign_negative(),
        "the sign of zero is kept"
    );
}

#[test]
fn an_empty_block_is_a_block() {
    round_trip(&Block::default());
}

#[test]
fn a_constant_costs_a_few_bytes_however_long() {
    let short = round_trip(&dense(&[5.0; 2])).len();
    let long = round_trip(&dense(&[5.0; 900])).len();
    assert!(
        long - short <= 900,
        "only the ticks grow: {short} -> {long}"
    );
}

#[test]
fn sparse_columns_keep_their_ticks() {
    let mut block = dense(&[1.0, 2.0, 3.0]);
    block.columns.push(Column {
        number: 9,
        ticks: Some(vec![0, 2]),
        values: vec![4.5, 6.5],
    });
    let bytes = round_trip(&block);
    let back = decode(&bytes, LIMITS).unwrap();
    assert_eq!(
        back.columns[1].samples().collect::<Vec<_>>(),
        [(0, 4.5), (2, 6.5)]
    );
}

#[test]
fn limits_are_held() {
    let bytes = encode(&dense(&[1.0; 900]), |_| 0);
    let tight = Limits {
        ticks_max: 899,
        ..LIMITS
    };
    assert!(matches!(
        decode(&bytes, tight),
        Err(ColumnError::Limit { what: "ticks", .. })
    ));
    let none = Limits {
        columns_max: 0,
        ..LIMITS
    };
    assert!(matches!(
        decode(&bytes, none),
        Err(ColumnError::Limit {
            what: "columns",
            ..
        })
    ));
    let few = Limits {
        samples_max: 899,
        ..LIMITS
    };
    assert!(matches!(
        decode(&bytes, few),
        Err(ColumnError::Limit {
            what: "more samples",
            ..
        })
    ));
}

#[test]
fn every_truncation_is_an_error_and_never_a_panic() {
    let bytes = encode(&dense(&[1.0, 2.5, 1e300]), |_| 0);
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut], LIMITS).is_err(), "cut at {cut}");
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i64>().prop_map(|v| (v >> 12) as f64),
        any::<u32>().prop_map(|v| f64::from(v) / 100.0),
        any::<f64>().prop_filter("finite", |v| v.is_finite()),
    ]
}

fn any_block() -> impl Strategy<Value = Block> {
    // Most batches are of one tick, which is read in a way of its own.
    let steps = prop_oneof![
        prop::collection::vec(any::<i32>(), 1),
        prop::collection::vec(any::<i32>(), 0..20),
    ];
    (steps, 0usize..6).prop_flat_map(|(steps, columns)| {
        let ticks = steps.len();
        let column = prop::collection::vec(prop::option::weighted(0.8, any_value()), ticks);
        prop::collection::vec(column, columns).prop_map(move |columns| Block {
            times_ms: steps
                .iter()
                .map(|s| 1_700_000_000_000 + i64::from(*s))
                .collect(),
            columns: columns
                .into_iter()
                .enumerate()
                .map(|(i, c)| from_options(i as u32 * 3, c))
                .collect(),
        })
    })
}

fn from_options(number: u32, values: Vec<Option<f64>>) -> Column {
    let present: Vec<u16> = values
        .iter()
        .enumerate()
        .filter(|(_, v)| v.is_some())
        .map(|(i, _)| i as u16)
        .collect();
    let ticks = (present.len() != values.len()).then_some(present);
    Column {
        number,
        ticks,
        values: values.into_iter().flatten().collect(),
    }
}

proptest! {
    #[test]
    fn any_block_comes_back(block in any_block()) {
        round_trip(&block);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, LIMITS);
    }

    #[test]
    fn a_block_numbered_anew_is_what_taking_it_apart_gives(block in any_block(), kept: u8) {
        let keep = |number: u32| kept >> (number / 3 % 8) & 1 == 1;
        let packed = Packed::renumbered(&encode(&block, |_| 1), LIMITS, |n, _| keep(n)).unwrap();
        let mut expected = block.clone();
        expected.columns.retain(|c| keep(c.number));
        for (number, column) in (0..).zip(&mut expected.columns) {
            column.number = number;
        }
        prop_assert_eq!(packed.unpack(LIMITS).unwrap(), expected.clone());
        prop_assert_eq!(packed.samples(), expected.samples());
        prop_assert_eq!(packed.numbers_end() as usize, expected.columns.len());
        prop_assert_eq!(packed.span(), Packed::of(&expected).span());
    }

    #[test]
    fn what_decoding_refuses_is_not_numbered_anew(
        block in any_block(), at in any::<prop::sample::Index>(), change: u8,
    ) {
        let mut bytes = encode(&block, |_| 0);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let decoded = decode(&bytes, LIMITS);
        let mut odd = false;
        let packed = Packed::renumbered(&bytes, LIMITS, |_, value| {
            odd |= value.is_some();
            true
        });
        match (decoded, packed) {
            (Ok(block), Ok(packed)) => {
                let finite = |c: &Column| c.values.iter().all(|v| v.is_finite());
                prop_assert_eq!(odd, !block.columns.iter().all(finite));
                if !odd {
                    let columns = packed.unpack(LIMITS).unwrap().columns;
                    let values = |c: &[Column]| c.iter().map(|c| c.values.clone()).collect::<Vec<_>>();
                    prop_assert_eq!(values(&columns), values(&block.columns));
                }
            }
            (decoded, packed) => prop_assert_eq!(decoded.err(), packed.err()),
        }
    }

    #[test]
    fn a_flipped_bit_is_read_or_refused(block in any_block(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&block, |_| 0);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(&bytes, LIMITS);
    }
}
