//! Samples for questions: of many hosts at once, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;
use tokio::task::JoinSet;

use super::error::{Fault, StoreError, io};
use super::history::window::{Ask, Room, Source};
use super::history::{latest, whole, window};
use super::registry::hosts;
use super::types::{Chosen, Shape, WindowQuery, as_it_is};
use super::{Store, ask};
use crate::series::{Whole, Window};

/// A thread more is worth it for so many hosts.
const HOSTS_MIN: usize = 16;

/// Up to so many ticks of one host and few metrics are read without waking a thread for it: some
/// thousands of samples, a fraction of a millisecond.
const SHORT_TICKS: i64 = 2500;
const SHORT_METRICS: usize = 2;

/// Whether a question reads so little.
type IsShort = fn(&WindowQuery, &[Ask]) -> bool;

/// The newest samples of one host are a few blocks' first bytes, however many series it has.
fn is_lone(_: &WindowQuery, asks: &[Ask]) -> bool {
    asks.len() <= 1
}

fn is_short(query: &WindowQuery, asks: &[Ask]) -> bool {
    let [ask] = asks else { return asks.is_empty() };
    let span_ms = query.to_ms.saturating_sub(query.from_ms);
    (1..=SHORT_METRICS).contains(&query.metrics.len())
        && span_ms / ask.interval_ms.max(1) <= SHORT_TICKS
}

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
        self.shaped_windows(query, None, as_it_is()).await
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
        self.shaped_windows(query, Some(chosen), as_it_is()).await
    }

    /// The same, all series or those that are chosen, each window as `shape` leaves it. `shape` is
    /// called where the window was read, for several hosts at once.
    ///
    /// # Errors
    /// As [`Store::windows`].
    pub async fn shaped_windows(
        &self,
        query: WindowQuery,
        chosen: Option<Chosen>,
        shape: Shape,
    ) -> Result<Vec<Window>, StoreError> {
        let read = move |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            window::read(from, asks, (query, chosen.as_ref(), &shape), room)
        };
        self.in_parts(("read samples", is_short), query, read).await
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
        self.in_parts((doing, is_lone), query, read).await
    }

    /// The same with one sample for each of these series: what is asked of all of its samples in the
    /// range. What blocks say of themselves is not read again.
    ///
    /// # Errors
    /// As [`Store::windows`].
    pub async fn whole(
        &self,
        query: WindowQuery,
        chosen: Chosen,
        asked: Whole,
    ) -> Result<Vec<Window>, StoreError> {
        let read = move |from: Source<'_>, asks: Vec<Ask>, query: &WindowQuery, room: &Room| {
            whole::read(from, asks, (query, &chosen, asked), room)
        };
        self.in_parts(("add samples up", is_short), query, read)
            .await
    }

    /// Reads hosts in parts, each on a thread and a connection of its own; the windows of all of
    /// them, by the hosts' names.
    async fn in_parts<R>(
        &self,
        (doing, is_short): (&'static str, IsShort),
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
            return match is_short(&shared.0, &asks) {
                true => {
                    let ways = self.ways();
                    let (query, read, room) = &*shared;
                    let work = |conn: &Connection| read(ways.source(conn), asks, query, room);
                    self.inner.readers.here(doing, work).await
                }
                false => part(asks).await,
            };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_reads_little_is_read_without_a_thread_of_its_own() {
        let ask = || Ask {
            host: "web-1".into(),
            interval_ms: 10_000,
            numbers: vec![1],
            kept: false,
        };
        let query = |metrics: usize, to_ms| WindowQuery {
            metrics: vec!["node_load1".into(); metrics],
            from_ms: 0,
            to_ms,
            ..WindowQuery::default()
        };
        let quarter_day_ms = 21_600_000;
        for (what, query, hosts, short) in [
            ("six hours of a metric", query(1, quarter_day_ms), 1, true),
            ("a day", query(1, 4 * quarter_day_ms), 1, false),
            ("of all time", query(1, i64::MAX), 1, false),
            ("every metric", query(0, quarter_day_ms), 1, false),
            ("several metrics", query(3, quarter_day_ms), 1, false),
            ("two hosts", query(1, quarter_day_ms), 2, false),
        ] {
            let asks: Vec<Ask> = (0..hosts).map(|_| ask()).collect();
            assert_eq!(is_short(&query, &asks), short, "{what}");
        }
    }
}
