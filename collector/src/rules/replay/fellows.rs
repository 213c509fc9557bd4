//! Who shared a role with a host, moment by moment of the past: what a collector would have put beside
//! each other then. Pasts are replayed host by host, so what all of them carried is known before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::group::{self, Carries, Group, HEARD_MS, Member, Roles};
use super::super::past::Gathered;
use crate::series::{Window, union_times_ms};

/// What a host carried, and when it was there.
#[derive(Debug)]
pub struct Track {
    every_ms: i64,
    weeks: Gathered,
    /// The moments after samples at which it was not looked yet.
    due: BTreeSet<i64>,
    /// By the moment at which it was looked.
    carried: Vec<(i64, Carries)>,
    /// The first and the last sample of each time without a pause.
    there: Vec<(i64, i64)>,
}

impl Track {
    /// Of a host at which is looked so often, a number of whole hours.
    pub fn new(every_ms: i64) -> Track {
        Track {
            every_ms,
            weeks: Gathered::default(),
            due: BTreeSet::new(),
            carried: Vec::new(),
            there: Vec::new(),
        }
    }

    /// Takes the samples of a stretch, later than all before and all there are up to `end_ms`.
    pub fn take(&mut self, window: &Window, end_ms: i64) {
        for time_ms in union_times_ms(&window.series) {
            match self.there.last_mut() {
                Some((_, last_ms)) if time_ms - *last_ms <= HEARD_MS => *last_ms = time_ms,
                _ => self.there.push((time_ms, time_ms)),
            }
            self.due.insert(next_look_ms(time_ms, self.every_ms));
        }
        self.weeks.take(window);
        while let Some(at_ms) = self.due.first().copied() {
            if at_ms > end_ms.saturating_add(1) {
                break;
            }
            self.due.pop_first();
            let carries = Carries::of(&self.weeks.past(at_ms));
            self.carried.push((at_ms, carries));
        }
    }

    /// Since when it had been there without a pause; nothing where it was not.
    fn since_ms(&self, now_ms: i64) -> Option<i64> {
        let begun = self.there.partition_point(|(first, _)| *first <= now_ms);
        let (first_ms, last_ms) = self.there.get(begun.checked_sub(1)?)?;
        (now_ms - last_ms < HEARD_MS).then_some(*first_ms)
    }

    /// What was known of it: what was before a pause is forgotten, as by a collector.
    fn carries(&self, now_ms: i64) -> Option<Carries> {
        let since_ms = self.since_ms(now_ms)?;
        let known = self.carried.partition_point(|(at_ms, _)| *at_ms <= now_ms);
        let (at_ms, carries) = self.carried.get(known.checked_sub(1)?)?;
        (*at_ms > since_ms).then_some(*carries)
    }

    /// When one looks while it is there.
    fn looks_ms(&self) -> impl Iterator<Item = i64> {
        self.there.iter().flat_map(|(first_ms, last_ms)| {
            let first = first_ms.div_euclid(self.every_ms);
            let last = last_ms.saturating_add(HEARD_MS).div_euclid(self.every_ms);
            (first..=last).map(|look| look * self.every_ms)
        })
    }
}

/// The first moment after a sample at which one looks.
fn next_look_ms(time_ms: i64, every_ms: i64) -> i64 {
    (time_ms.div_euclid(every_ms) + 1) * every_ms
}

/// A host of a fleet.
#[derive(Debug)]
pub struct Fellow {
    /// 32 hexadecimal digits.
    pub host_id: String,
    /// The labels it has.
    pub labels: BTreeMap<String, String>,
    /// Since when it is retired.
    pub retired_ms: Option<i64>,
    /// What it carried; nothing of one that is alone in its role.
    pub track: Track,
}

impl Fellow {
    fn is_there(&self, now_ms: i64) -> bool {
        let retired = self.retired_ms.is_some_and(|at_ms| at_ms <= now_ms);
        !retired && self.track.since_ms(now_ms).is_some()
    }
}

/// The hosts of a fleet beside each other, over all of their past.
#[derive(Debug, Default)]
pub struct Fellows {
    every_ms: i64,
    /// By host id, with the place in the groups.
    hosts: HashMap<String, (usize, Fellow)>,
    /// By moment; none where nobody was there.
    groups: BTreeMap<i64, Vec<Group>>,
    /// Where nobody was there.
    empty: Vec<Group>,
}

impl Fellows {
    /// Puts hosts beside each other; those without a role are left out. `every_ms` is that of their
    /// tracks.
    pub fn of(all: Vec<Fellow>, every_ms: i64) -> Fellows {
        let mut by_key: HashMap<_, usize> = HashMap::new();
        let (mut places, mut labels) = (Vec::with_capacity(all.len()), Vec::new());
        for fellow in &all {
            places.push(group::key(&fellow.labels).map(|key| {
                *by_key.entry(key).or_insert_with(|| {
                    labels.push(&fellow.labels);
                    labels.len() - 1
                })
            }));
        }
        let each = |roles: &Roles<'_>| -> Vec<Group> {
            labels.iter().filter_map(|of| roles.place(of)).collect()
        };
        let looks: BTreeSet<i64> = all.iter().flat_map(|one| one.track.looks_ms()).collect();
        let groups = looks.into_iter().map(|at_ms| {
            let there = all.iter().filter(|fellow| fellow.is_there(at_ms));
            let members = there.map(|fellow| Member {
                labels: &fellow.labels,
                carries: fellow.track.carries(at_ms),
            });
            (at_ms, each(&Roles::of(members)))
        });
        let (groups, empty) = (groups.collect(), each(&Roles::default()));
        let placed = all.into_iter().zip(places);
        let hosts = placed
            .filter_map(|(fellow, place)| Some((fellow.host_id.clone(), (place?, fellow))))
            .collect();
        Fellows {
            every_ms,
            hosts,
            groups,
            empty,
        }
    }

    /// A host that is there, among those of its role; nothing where it has none. What is told is what
    /// was known when one looked last.
    pub fn group(&self, host_id: &str, now_ms: i64) -> Option<Group> {
        let (place, fellow) = self.hosts.get(host_id)?;
        let look_ms = now_ms.div_euclid(self.every_ms) * self.every_ms;
        let groups = self.groups.get(&look_ms).unwrap_or(&self.empty);
        let mut group = groups.get(*place)?.clone();
        match fellow.is_there(look_ms) {
            true => group.own = fellow.track.carries(look_ms),
            // It has come since.
            false => group.hosts += 1,
        }
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::group::Work;
    use super::*;
    use crate::forecast::{DAY_MS, HOUR_MS};
    use crate::series::{Kind, Series, SeriesName};

    /// Samples of memory, a tenth of an hour after each of these hours begins.
    fn memory(hours: impl Iterator<Item = i64>, used: f64) -> Window {
        let times_ms: Vec<i64> = hours.map(|hour| hour * HOUR_MS + HOUR_MS / 10).collect();
        let series = |metric, value| Series {
            name: SeriesName::new(metric, &[]),
            kind: Kind::Gauge,
            values: vec![value; times_ms.len()],
            times_ms: times_ms.clone(),
        };
        Window {
            host: "web-1".into(),
            from_ms: 0,
            to_ms: i64::MAX,
            interval_ms: HOUR_MS,
            series: vec![
                series("node_memory_MemAvailable_bytes", 1e9 * (1.0 - used)),
                series("node_memory_MemTotal_bytes", 1e9),
            ],
        }
    }

    fn fellow(id: &str, role: &str, used: f64, hours: impl Iterator<Item = i64>) -> Fellow {
        let mut track = Track::new(HOUR_MS);
        track.take(&memory(hours, used), 100 * DAY_MS);
        Fellow {
            host_id: id.into(),
            labels: BTreeMap::from([("role".into(), role.into())]),
            retired_ms: None,
            track,
        }
    }

    fn own(fellows: &Fellows, id: &str, now_ms: i64) -> Option<f64> {
        fellows.group(id, now_ms)?.own?.get(Work::Memory)
    }

    fn hosts(fellows: &Fellows, id: &str, now_ms: i64) -> usize {
        fellows.group(id, now_ms).map_or(0, |group| group.hosts)
    }

    #[test]
    fn a_host_is_counted_from_the_hour_after_its_first_sample_to_a_day_after_its_last() {
        let all = vec![
            fellow("a", "web", 0.2, 0..240),
            fellow("b", "web", 0.4, 48..72),
            fellow("c", "db", 0.4, 0..240),
        ];
        let fellows = Fellows::of(all, HOUR_MS);
        let of_a = |now_ms| hosts(&fellows, "a", now_ms);
        let came_ms = 48 * HOUR_MS + HOUR_MS / 10;
        assert_eq!((of_a(HOUR_MS / 2), of_a(came_ms)), (1, 1), "nobody looked");
        assert_eq!((of_a(49 * HOUR_MS), of_a(60 * HOUR_MS)), (2, 2));
        assert_eq!(hosts(&fellows, "b", came_ms), 2, "it is there itself");
        let gone_ms = 71 * HOUR_MS + HOUR_MS / 10 + DAY_MS;
        assert_eq!((of_a(gone_ms), of_a(gone_ms + HOUR_MS)), (2, 1));
        assert_eq!(hosts(&fellows, "c", 60 * HOUR_MS), 1);
        assert_eq!(hosts(&fellows, "c", 500 * DAY_MS), 1, "after all samples");
    }

    #[test]
    fn what_a_host_carries_is_known_at_the_end_of_each_hour_and_forgotten_after_a_day() {
        let most = (0..240).chain(300..310);
        let all = vec![fellow("a", "web", 0.3, most)];
        let fellows = Fellows::of(all, HOUR_MS);
        let at = |hour: i64| own(&fellows, "a", hour * HOUR_MS);
        assert_eq!(at(119), None, "fewer than five days");
        assert!((at(120).unwrap() - 0.3).abs() < 1e-9);
        assert!(at(262).is_some(), "it fell silent at 239");
        assert_eq!((at(264), at(301)), (None, at(305)));
    }

    #[test]
    fn nothing_later_than_a_moment_is_known_at_it() {
        let until = |hours: i64| {
            let all = vec![
                fellow("a", "web", 0.2, 0..hours.min(240)),
                fellow("b", "web", 0.6, 60..hours.min(200)),
            ];
            Fellows::of(all, HOUR_MS)
        };
        let whole = until(1_000);
        // b comes in the hour 60; of a enough is known after 120.
        for hour in [50, 60, 61, 100, 119, 180, 190, 230] {
            let known = until(hour).group("a", hour * HOUR_MS);
            assert_eq!(whole.group("a", hour * HOUR_MS), known, "{hour}");
        }
    }

    #[test]
    fn cutting_the_past_into_stretches_changes_nothing() {
        let (mut whole, mut cut) = (Track::new(HOUR_MS), Track::new(HOUR_MS));
        whole.take(&memory(0..400, 0.5), 400 * HOUR_MS);
        for from in [0, 133, 250] {
            let to = [133, 250, 400].into_iter().find(|to| *to > from).unwrap();
            cut.take(&memory(from..to, 0.5), to * HOUR_MS - 1);
        }
        assert_eq!((&whole.carried, &whole.there), (&cut.carried, &cut.there));
        assert_eq!(whole.carried.len(), 400);
    }
}
