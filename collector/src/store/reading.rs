//! Samples for questions: of many hosts at once, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;
use tokio::task::JoinSet;

use super::error::{Fault, StoreError, io};
use super::history::window::{Ask, Room, Source};
use super::history::{latest, whole, window};
use super::registry::hosts;
use super::types::{Chosen, WindowQuery};
use super::{Store, ask};
use crate::series::{Agg, Window};

/// A thread more is worth it for so many hosts.
const HOSTS_MIN: usize = 16;

/// The hosts of a question, by name.
fn asks(fleet: &hosts::Fleet, query: &WindowQuery) -> Result<Vec<Ask>, StoreError> {
    let mut chosen: Vec<&hosts::HostRow> = if query.hosts.is_empty() {
        let active = fleet.standing().filter(|h| h.retired_ms.is_none());
        active.collect()
    } else {
        let named = query.hosts.iter().map(|name| fleet.named(name));
        named.collect::<Result<_, _>>()?
    };
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    chosen.dedup_by_key(|h| h.number);
    Ok(chosen.into_iter().map(|host| ask(fleet, host)).collect())
}

/// How many processors there are. The standard library reads files to find out, which costs as much
/// as a small question.
static THREADS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));

/// How many hosts are read by one thread.
fn part_length(hosts: usize) -> usize {
    match hosts {
        0..=HOSTS_MIN => HOSTS_MIN,
        many => many.div_ceil(*THREADS).max(HOSTS_MIN),
    }
}

impl Store {
    /// Samples of many hosts, one window a host, hosts and series sorted by name. A host without
    /// samples in the range has a window without series.
    ///
    /// # Errors
    /// `NoHost` with the nearest name; `Limit` when the answer would be too large.
    pub async fn windows(&self, query: WindowQuery) -> Result<Vec<Window>, StoreError> {
        let read = |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            window::read(from, asks, (query, None), room)
        };
        self.in_parts("read samples", query, read).await
    }

    /// The same with only the series that are chosen: others cost nothing.
    ///
    /// # Errors
    /// As [`Store::windows`].
    pub async fn chosen_windows(
        &self,
        query: WindowQuery,
        chosen: Chosen,
    ) -> Result<Vec<Window>, StoreError> {
        let read = move |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            window::read(from, asks, (query, Some(&chosen)), room)
        };
        self.in_parts("read samples", query, read).await
    }

    /// The same with only the newest sample in the range of each of these series: what live views
    /// ask for, at a fraction of the cost.
    ///
    /// # Errors
    /// As [`Store::windows`].
    pub async fn latest(
        &self,
        query: WindowQuery,
        chosen: Chosen,
    ) -> Result<Vec<Window>, StoreError> {
        let read = move |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            latest::read(from, asks, (query, &chosen), room)
        };
        let doing = "read the newest samples";
        self.in_parts(doing, query, read).await
    }

    /// The same with one sample for each of these series: the aggregation of all of its samples in
    /// the range. What blocks say of themselves is not read again.
    ///
    /// # Errors
    /// As [`Store::windows`].
    pub async fn whole(
        &self,
        query: WindowQuery,
        chosen: Chosen,
        agg: Agg,
    ) -> Result<Vec<Window>, StoreError> {
        let read = move |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            whole::read(from, asks, (query, &chosen, agg), room)
        };
        self.in_parts("add samples up", query, read).await
    }

    /// Reads hosts in parts, each on a thread and a connection of its own; the windows of all of
    /// them, by the hosts' names.
    async fn in_parts<R>(
        &self,
        doing: &'static str,
        query: WindowQuery,
        read: R,
    ) -> Result<Vec<Window>, StoreError>
    where
        R: Fn(Source<'_>, Vec<Ask>, &WindowQuery, &Room) -> Result<Vec<Window>, Fault>
            + Send
            + Sync
            + 'static,
    {
        let names = self.host_names().await?;
        let asks = asks(&names.0.fleet, &query)?;
        let room = Room::new(query.samples_max);
        let length = part_length(asks.len());
        let shared = Arc::new((query, read, room));
        let part = |asks: Vec<Ask>| {
            let (store, shared) = (self.clone(), Arc::clone(&shared));
            async move {
                let ways = store.ways();
                let work = move |conn: &Connection| {
                    let (query, read, room) = &*shared;
                    read(ways.source(conn), asks, query, room)
                };
                store.inner.readers.with(doing, work).await
            }
        };
        if asks.len() <= length {
            return part(asks).await;
        }
        let mut reading = JoinSet::new();
        for (place, asks) in asks.chunks(length).enumerate() {
            let part = part(asks.to_vec());
            reading.spawn(async move { (place, part.await) });
        }
        let mut parts = Vec::new();
        while let Some(done) = reading.join_next().await {
            let (place, windows) = done.map_err(|e| io(doing, std::io::Error::other(e)))?;
            parts.push((place, windows?));
        }
        parts.sort_unstable_by_key(|(place, _)| *place);
        Ok(parts.into_iter().flat_map(|(_, windows)| windows).collect())
    }
}
