//! The weeks before, for rules that look at days: each host's about once an hour, a few hosts a turn.

use std::collections::{HashMap, HashSet};

use crate::rules::{self, PAST_MS, Past, whole_hours_ms};
use crate::series::Grid;
use crate::store::{AggregateQuery, HostRecord, Store, StoreError, own_names};

const HOUR_MS: i64 = 3_600_000;
/// So often the weeks of a host are read, …
const AGAIN_MS: i64 = HOUR_MS;
/// … while all hosts take at least so long together: after a start, when all are due, …
const ROUND_MS: i64 = HOUR_MS / 2;
/// … at least so many at a turn, and at most so many, however long ago the last one was.
const HOSTS_MIN: usize = 4;
const HOSTS_MAX: usize = 64;
/// What may be read of a host in place of rollups that are not made yet.
const SAMPLES_MAX: usize = 4_000_000;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By host id.
    read_ms: HashMap<String, i64>,
    last_ms: Option<i64>,
}

impl Turns {
    /// The ids of the hosts whose weeks are to be read now: those that wait longest first. Hosts that
    /// have fallen silent have nothing new.
    pub(super) fn due(&mut self, hosts: &[HostRecord], now_ms: i64) -> HashSet<String> {
        self.read_ms
            .retain(|_, read_ms| (now_ms - AGAIN_MS * 2..=now_ms).contains(read_ms));
        let elapsed_ms = self.last_ms.map_or(0, |last_ms| (now_ms - last_ms).max(0));
        self.last_ms = Some(now_ms);
        let share = hosts.len() as i64 * elapsed_ms / ROUND_MS;
        let count = (share as usize).clamp(HOSTS_MIN, HOSTS_MAX);
        let read_ms = |host: &HostRecord| self.read_ms.get(&host.id).copied();
        let mut due: Vec<&HostRecord> = hosts
            .iter()
            .filter(|host| host.is_heard_since(now_ms - AGAIN_MS))
            .filter(|host| read_ms(host).is_none_or(|read_ms| now_ms - read_ms >= AGAIN_MS))
            .collect();
        due.sort_by_key(|host| read_ms(host));
        due.truncate(count);
        let ids: HashSet<String> = due.into_iter().map(|host| host.id.clone()).collect();
        self.read_ms
            .extend(ids.iter().map(|id| (id.clone(), now_ms)));
        ids
    }
}

/// What a host did over weeks, up to the last whole hour by its own clock.
pub(super) async fn read(store: &Store, host: &str, now_ms: i64) -> Result<Past, StoreError> {
    let to_ms = whole_hours_ms(now_ms);
    let mut past = Past::until(to_ms);
    for hourly in rules::hourly() {
        let query = AggregateQuery {
            hosts: vec![host.to_owned()],
            metric: hourly.metric.to_owned(),
            grid: Grid {
                from_ms: to_ms - PAST_MS,
                to_ms: hourly.end_ms(to_ms) - 1,
                step_ms: HOUR_MS,
            },
            agg: Some(hourly.hour.agg()),
            under: own_names(),
            samples_max: SAMPLES_MAX,
        };
        past.put(hourly, store.aggregate(query).await?.series);
    }
    Ok(past)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::HostFacts;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn hosts(count: usize) -> Vec<HostRecord> {
        let host = |n: usize| HostRecord {
            id: format!("{n:032x}"),
            name: format!("web-{n}"),
            facts: HostFacts::default(),
            labels: BTreeMap::new(),
            interval_ms: 10_000,
            first_seen_ms: 0,
            last_received_ms: Some(NOW_MS + 86_400_000),
            last_sample_ms: None,
            clock_skew_ms: 0,
            retired_ms: None,
            refused: BTreeMap::new(),
            dropped_samples: 0,
            kept: false,
        };
        (0..count).map(host).collect()
    }

    #[test]
    fn a_small_fleet_is_read_at_once_and_then_once_an_hour() {
        let (mut turns, hosts) = (Turns::default(), hosts(3));
        assert_eq!(turns.due(&hosts, NOW_MS).len(), 3);
        assert_eq!(turns.due(&hosts, NOW_MS + AGAIN_MS - 1).len(), 0);
        assert_eq!(turns.due(&hosts, NOW_MS + AGAIN_MS).len(), 3);
    }

    #[test]
    fn a_large_fleet_is_read_a_few_hosts_at_a_time_and_each_once_an_hour() {
        let (mut turns, hosts) = (Turns::default(), hosts(1_000));
        let mut read: HashMap<String, Vec<i64>> = HashMap::new();
        for turn in 0..2 * 240 {
            let now_ms = NOW_MS + turn * 15_000;
            let due = turns.due(&hosts, now_ms);
            assert!(due.len() <= 9, "{} at once", due.len());
            for id in due {
                read.entry(id).or_default().push(now_ms);
            }
        }
        assert_eq!(read.len(), 1_000);
        for times in read.values() {
            assert!(times.len() >= 2 || times[0] > NOW_MS, "{times:?}");
            assert!(times.windows(2).all(|w| w[1] - w[0] < AGAIN_MS + 60_000));
        }
    }

    #[test]
    fn retired_and_silent_hosts_are_not_read() {
        let mut hosts = hosts(3);
        hosts[0].retired_ms = Some(NOW_MS);
        hosts[1].last_received_ms = Some(NOW_MS - AGAIN_MS);
        let due = Turns::default().due(&hosts, NOW_MS);
        assert_eq!(due, HashSet::from([hosts[2].id.clone()]));
    }
}
