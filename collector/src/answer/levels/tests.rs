use proptest::prelude::*;

use super::*;

#[test]
fn moments_begin_with_the_first_and_none_is_later_than_the_last() {
    let every = |from, to, every_ms| {
        let (from, to) = (Moment::AtMs(from), Moment::AtMs(to));
        moments(Made::Every { from, to, every_ms }, 0)
    };
    assert_eq!(every(10, 30, 10), Ok(vec![10, 20, 30]));
    assert_eq!(every(10, 29, 10), Ok(vec![10, 20]));
    assert_eq!(moments(Made::At(Moment::AgoMs(5)), 7), Ok(vec![2]));
    for (asked, told) in [
        (every(10, 30, 0), "lie apart"),
        (every(30, 10, 1), "ends"),
        (every(0, 10_000, 1), "10001 moments"),
    ] {
        let said = asked.unwrap_err();
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn horizons_are_few_and_within_two_years() {
    assert_eq!(
        horizons(&[7 * DAY_MS, HOUR_MS, HOUR_MS]),
        Ok(vec![HOUR_MS, 7 * DAY_MS])
    );
    let many: Vec<i64> = (1..=17).map(|h| h * HOUR_MS).collect();
    for wrong in [&[][..], &[0], &[800 * DAY_MS], &many] {
        assert!(horizons(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_series_is_called_what_it_was_where_it_came_from() {
    let custom = |labels: &[(&str, &str)]| SeriesName::new("hostwell_custom", labels).origin();
    assert_eq!(custom(&[("name", "CPU ALL %")]), "CPU ALL %");
    assert_eq!(
        custom(&[("name", "fans 9"), ("slot", "1")]),
        "hostwell_custom{name=\"fans 9\",slot=\"1\"}"
    );
    assert_eq!(SeriesName::new("used_kb", &[]).origin(), "used_kb");
}

#[test]
fn the_catalogue_knows_better_than_the_data() {
    let grows = Hours::of((0..240).map(|h| (h * HOUR_MS, h as f64)));
    let of = |metric: &str| class(&SeriesName::new(metric, &[]), &grows, 10 * DAY_MS);
    assert_eq!(of("node_memory_MemAvailable_bytes"), Class::Usage);
    assert_eq!(of("anything"), Class::Store);
    let still = Hours::default();
    let name = SeriesName::new("node_filesystem_avail_bytes", &[]);
    assert_eq!(class(&name, &still, 0), Class::Store);
}

proptest! {
    #[test]
    fn no_question_makes_more_moments_than_allowed(from: i64, length in 0i64.., every_ms: i64) {
        let to = Moment::AtMs(from.saturating_add(length));
        let made = Made::Every { from: Moment::AtMs(from), to, every_ms };
        if let Ok(moments) = moments(made, 0) {
            prop_assert!((1..=MOMENTS_MAX as usize).contains(&moments.len()));
        }
    }
}
