//! Hosts of a role beside each other. A host is judged beside the others as they were at each moment,
//! and pasts are replayed host by host: so what the hosts of a role carried is read before.

use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::aside::cut_off;
use super::{AnswerError, Backtest, off, read};
use crate::forecast::HOUR_MS;
use crate::rules::replay::{Fellow, Fellows, Track};
use crate::series::presence::PRESENCE_METRICS;
use crate::store::{Chosen, HostRecord};

/// So often at most is looked at all hosts together, each time some sixty bytes are kept of one: where
/// there are very many over very long, less often than once an hour.
const LOOKS_MAX: i64 = 2_000_000;

impl Backtest {
    /// Looks at what these hosts and all others of their roles carried: what they are judged by as hosts
    /// of a role.
    ///
    /// # Errors
    /// What the store says.
    pub async fn look_beside(&mut self, names: &[String]) -> Result<(), AnswerError> {
        let roles = self.roles();
        let mut count: HashMap<&str, usize> = HashMap::new();
        for role in roles.values() {
            *count.entry(role).or_default() += 1;
        }
        let asked: HashSet<&str> = names
            .iter()
            .filter_map(|name| roles.get(name))
            .map(|role| &**role)
            .collect();
        let role = |host: &HostRecord| roles.get(&host.name).filter(|r| asked.contains(&***r));
        let many = |host: &HostRecord| role(host).and_then(|role| count.get(&**role));
        // Beside whom should the only one be put?
        let is_alone = |host: &HostRecord| many(host).is_none_or(|count| *count < 2);
        let hosts = Arc::clone(&self.hosts);
        let of_roles = hosts.iter().filter(|host| role(host).is_some());
        let (alone, shared): (Vec<&HostRecord>, Vec<&HostRecord>) =
            of_roles.partition(|host| is_alone(host));
        let hours = |host: &&HostRecord| {
            let range = self.range(host);
            range.map_or(0, |(from_ms, to_ms)| (to_ms - from_ms).max(0) / HOUR_MS)
        };
        let hours: i64 = shared.iter().map(hours).sum();
        let every_ms = HOUR_MS * (hours / LOOKS_MAX + 1);
        let mut all: Vec<Fellow> = alone
            .into_iter()
            .map(|host| fellow(host, Track::new(every_ms)))
            .collect();
        let at_once = std::thread::available_parallelism().map_or(2, NonZero::get);
        let (mut waiting, mut reading) = (shared.into_iter(), JoinSet::new());
        loop {
            while reading.len() < at_once {
                let Some(host) = waiting.next().cloned() else {
                    break;
                };
                let backtest = self.clone();
                reading.spawn(async move { backtest.track(host, every_ms).await });
            }
            match reading.join_next().await {
                Some(read) => all.push(read.map_err(|e| cut_off("the backtest", e))??),
                None => break,
            }
        }
        self.fellows = off(move || Arc::new(Fellows::of(all, every_ms))).await?;
        Ok(())
    }

    /// What a host carried.
    async fn track(&self, host: HostRecord, every_ms: i64) -> Result<Fellow, AnswerError> {
        let mut track = Track::new(every_ms);
        if let Some(mut stretches) = self.stretches(&host, self.telling(&host).await?) {
            while let Some((window, end_ms)) = stretches.next().await? {
                track = off(move || {
                    track.take(&window, end_ms);
                    track
                })
                .await?;
            }
        }
        Ok(fellow(&host, track))
    }

    /// The series that tell it: few of an agent's, and all of one of whom others are known.
    async fn telling(&self, host: &HostRecord) -> Result<Chosen, AnswerError> {
        let series = self.store.series(vec![host.name.clone()]).await?;
        let mut metrics = series.iter().map(|(_, name, _)| name.metric.as_str());
        Ok(
            match metrics.any(|metric| PRESENCE_METRICS.contains(&metric)) {
                true => read::carried(),
                false => Arc::new(|_, _| true),
            },
        )
    }
}

fn fellow(host: &HostRecord, track: Track) -> Fellow {
    Fellow {
        host_id: host.id.clone(),
        labels: host.labels.clone(),
        retired_ms: host.retired_ms,
        track,
    }
}
