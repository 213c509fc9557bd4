//! Remembers: the registry (hosts, findings) and the history (points), in one SQLite file.
//!
//! [`Store`] is a cheap handle with coarse calls. Behind it are two halves that no SQL statement
//! joins: `registry` (small, transactional) and `history` (large, append-only; it knows a host
//! only by number). Each can get another backend without the other noticing.
//!
//! # Locking
//! One process writes a file: it holds a kernel lock on `hostwell.db.lock`, which ends with the
//! process however it ends; a second one gets [`StoreError::Busy`]. Inside, one thread owns the
//! one writing connection (`writer`). Readers have connections of their own (`readers`), each
//! sees one moment of the file; in write-ahead mode they never wait for the writer, nor it for
//! them. Other processes may read at any time ([`Store::open_read_only`]).
//!
//! # Durability
//! [`Store::append`] answers after the `fsync` of the transaction that holds the batch *and* its
//! spool's watermark: a batch is stored exactly once whatever is killed when. Whatever waits
//! while one commit runs goes into the next one together. Points then live in the journal table
//! and, packed the same way, in memory (the head), until their host's turn comes to be sealed
//! into compressed blocks, about once an hour. Some hours after a day its blocks are rolled up
//! into steps that are kept longer. After a kill the head is rebuilt from the journal.
//! Of two samples of one series with the same time the first committed wins, everywhere.
//! A full disk refuses ([`StoreError::Full`]) and leaves what is committed as it was.
//!
//! While a collector runs, the newest commits are in `hostwell.db-wal`: copy both files, or use
//! [`Store::backup`]. After [`Store::close`] the one file is everything.
//!
//! # Compatibility
//! `PRAGMA application_id` says the file is ours, `PRAGMA user_version` its format. Formats only
//! move forward, one numbered migration in one transaction each (`schema`); a newer file is
//! refused. The bytes inside are described in docs/format/.
//!
//! # Limits
//! Hosts, series of a host, labels given to a host, samples in one answer, readers at once, jobs
//! waiting for the writer, ranges of one spool: each has a bound, and the refusal says which.

mod appender;
mod backup;
mod care;
mod census;
mod check;
mod compact;
mod error;
mod history;
mod listing;
mod moment;
mod notes;
mod open;
mod outbox;
mod outcomes;
mod pulse;
mod queue;
mod readers;
mod reading;
mod register;
mod registry;
mod rolling;
mod schema;
mod types;
mod unzip;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, PoisonError};

use hostwell_proto::id::{HostId, SpoolId};

pub use appender::{Appender, Done, Late};
pub use error::StoreError;
pub use outbox::{BUDGET_MS, Delivery, Letter, Noise, Outcome, TargetState, Telling, Told};
pub use pulse::Pulse;
pub use register::{Care, ClosedByHand, Deed, Entry, Happened, RiskEdit, RiskEvent};
pub use types::{
    AggregateQuery, Aggregated, Append, Appended, Census, CensusRow, Chosen, Class, Dropped,
    GapRecord, Greeting, HostEdit, HostFacts, HostName, HostRecord, Keeping, NotesAsked, NotesHeld,
    PROCESSES_KEPT_MS, Read, RollupDifference, RollupsChecked, RowsRead, SeriesId, Shape,
    StoreFacts, StoreOptions, Tier, Under, WatchSpan, WindowQuery, Written, own_names,
};

use crate::series::presence::Run;
use crate::series::{Kind, SeriesName};
use error::Fault;
use history::{
    aggregate, churn, gaps, head::Head, merge, names::Names, presence, relations, rollup, series,
    spools, window,
};
use readers::Readers;
use registry::known::{self, Known, Moment};
use registry::{edit, hosts, watch};
use writer::{Ledger, Writer};

/// A handle to the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    readers: Arc<Readers>,
    known: Arc<Known>,
    names: Arc<Names>,
    outcomes: outcomes::Outcomes,
    /// `None` when opened for reading only.
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    options: StoreOptions,
    writer: Writer,
    head: Arc<Head>,
    /// Tiers with the finest first.
    keeping: Arc<Keeping>,
    /// The host after which the next turn of retention begins.
    pruned_host: AtomicI64,
    /// When it was last said that the disk budget is not held.
    complained_ms: Mutex<i64>,
    /// When notes of processes were last looked through for old ones.
    notes_pruned_ms: Mutex<i64>,
    /// Whether it was looked whether there are new ones among them.
    tiers_seen: AtomicBool,
    /// One sealing, merging or rolling up at a time: each replaces what it has read.
    sealing: tokio::sync::Mutex<()>,
    /// Which series foretell which, for sealing.
    relations: Arc<relations::Relations>,
    /// Where blocks were sealed that may be merged with their neighbours.
    changed: Mutex<merge::Changed>,
    written: Mutex<Written>,
    /// The watch span of this handle, once it has begun.
    span: Arc<Mutex<Option<i64>>>,
}

/// What a reading thread takes along.
struct Ways {
    head: Option<Arc<Head>>,
    names: Arc<Names>,
}

impl Ways {
    fn source<'a>(&'a self, conn: &'a rusqlite::Connection) -> window::Source<'a> {
        window::Source {
            conn,
            head: self.head.as_deref(),
            names: &self.names,
        }
    }
}

/// Names and labels of all hosts that stand, by name.
#[derive(Clone, Debug)]
pub struct HostNames(Arc<Moment>);

impl std::ops::Deref for HostNames {
    type Target = [HostName];

    fn deref(&self) -> &[HostName] {
        &self.0.names
    }
}

impl HostNames {
    /// A host by its name.
    pub fn named(&self, name: &str) -> Option<&HostName> {
        let at = self.binary_search_by(|host| host.name.as_str().cmp(name));
        self.get(at.ok()?)
    }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| error::io(doing, std::io::Error::other(e)))?
}

/// A standing host as the history half is asked for it.
fn ask(fleet: &hosts::Fleet, host: &hosts::HostRow) -> window::Ask {
    window::Ask {
        host: host.name.clone(),
        interval_ms: host.interval_ms,
        numbers: fleet.numbers(host.number),
        kept: host.kept,
    }
}

/// CPU time this thread has used, in microseconds.
fn cpu_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// The record of the host that stands for a number, both halves put together.
fn record(conn: &rusqlite::Connection, number: i64) -> Result<HostRecord, Fault> {
    let fleet = hosts::around(conn, number)?;
    let host = fleet
        .standing_for(number)
        .ok_or_else(|| Fault::damaged(format!("host number {number} is nobody")))?;
    let mut seen = hosts::Seen::default();
    for part in fleet.numbers(host.number) {
        seen.last.extend(spools::last_seen(conn, Some(part))?);
        seen.dropped.extend(gaps::dropped(conn, Some(part))?);
    }
    Ok(fleet.record(host, &seen))
}

impl Store {
    /// Opens for writing, creating and migrating. One writer a file.
    ///
    /// # Errors
    /// `Busy` when another process has it, `Damaged` with what was found, `Newer`, `Full`, `Io`.
    pub async fn open(options: StoreOptions) -> Result<Store, StoreError> {
        Store::open_with(options, Keeping::default()).await
    }

    /// Opens for writing, with other rollups than the default ones or a disk budget.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(
        options: StoreOptions,
        mut keeping: Keeping,
    ) -> Result<Store, StoreError> {
        for tiers in keeping.lists_mut() {
            tiers.sort_by_key(|tier| tier.step_ms);
        }
        blocking("open the database", move || {
            let opened = open::writer(&options.path)?;
            let path = options.path.clone();
            let head = Arc::new(opened.head);
            let readers = Readers::new(path.clone(), readers::Access::Shared, opened.reader);
            let writer = Writer::start(opened.conn, opened.lock, path.clone(), Arc::clone(&head))?;
            let sealing = tokio::sync::Mutex::new(());
            let writing = Writing {
                options,
                writer,
                head,
                keeping: Arc::new(keeping),
                pruned_host: AtomicI64::new(i64::MIN),
                complained_ms: Mutex::new(i64::MIN),
                notes_pruned_ms: Mutex::new(i64::MIN),
                tiers_seen: AtomicBool::new(false),
                sealing,
                relations: Arc::default(),
                changed: Mutex::default(),
                written: Mutex::default(),
                span: Arc::default(),
            };
            Ok(Store {
                inner: Arc::new(Inner {
                    path,
                    readers,
                    known: Arc::default(),
                    names: Arc::default(),
                    outcomes: outcomes::Outcomes::default(),
                    writing: Some(writing),
                }),
            })
        })
        .await
    }

    /// Opens for reading, also beside a running collector. Sees everything committed when called.
    ///
    /// # Errors
    /// `Absent`, `Damaged`, `Newer`. An older format is read as it is.
    pub async fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        let path = path.to_owned();
        blocking("open the database for reading", move || {
            let (conn, access) = open::reader(&path)?;
            let readers = Readers::new(path.clone(), access, conn);
            Ok(Store {
                inner: Arc::new(Inner {
                    path,
                    readers,
                    known: Arc::default(),
                    names: Arc::default(),
                    outcomes: outcomes::Outcomes::default(),
                    writing: None,
                }),
            })
        })
        .await
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn writing(&self) -> Result<&Writing, StoreError> {
        self.inner
            .writing
            .as_ref()
            .ok_or_else(|| StoreError::Conflict("the database is open for reading only".into()))
    }

    /// A change of several rows, none of them the registry's: whole or not at all.
    async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let then = |value, _: &Head| value;
        self.writing()?.writer.submit(doing, true, job, then).await
    }

    /// The same, after which the registry is read anew.
    async fn change<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let known = Arc::clone(&self.inner.known);
        let then = move |value, _: &Head| {
            known.changed();
            value
        };
        self.writing()?.writer.submit(doing, true, job, then).await
    }

    /// How the writer does (nothing where it is open for reading only), and the sizes of its files.
    pub fn pulse(&self) -> Pulse {
        let writing = self.inner.writing.as_ref();
        let size = |path: &Path| Some(std::fs::metadata(path).ok()?.len());
        let held = writing.map(|w| w.head.held()).unwrap_or_default();
        Pulse {
            head_samples: held.samples as u64,
            head_bytes: held.bytes as u64,
            database_bytes: size(&self.inner.path),
            log_bytes: size(&open::beside(&self.inner.path, "-wal")),
            ..writing.map(|w| w.writer.pulse()).unwrap_or_default()
        }
    }

    /// What questions are answered from, for whoever brings a connection.
    fn ways(&self) -> Ways {
        Ways {
            head: self.inner.writing.as_ref().map(|w| Arc::clone(&w.head)),
            // A file that somebody else may replace gives ids another meaning.
            names: match self.inner.writing {
                Some(_) => Arc::clone(&self.inner.names),
                None => Arc::default(),
            },
        }
    }

    /// A way to the registry for a read: what is known of it holds only where nobody else writes.
    fn registry(&self) -> impl FnOnce(&rusqlite::Connection) -> Result<Arc<Moment>, Fault> + use<> {
        let known = self
            .inner
            .writing
            .is_some()
            .then(|| Arc::clone(&self.inner.known));
        move |conn: &rusqlite::Connection| match known {
            Some(known) => known.moment(conn),
            None => Ok(Arc::new(known::read(conn)?)),
        }
    }

    /// Registers or refreshes a host; answers its record. A name that another host has gets the
    /// first free number behind it, for good.
    ///
    /// # Errors
    /// `Limit` when there are too many hosts.
    pub async fn greet(&self, greeting: Greeting, now_ms: i64) -> Result<HostRecord, StoreError> {
        let hosts_max = self.writing()?.options.hosts_max;
        let greeted = self
            .change("register a host", move |ledger| {
                let number = match hosts::greet(&ledger.conn, &greeting, hosts_max, now_ms) {
                    Err(Fault::Ours(StoreError::Limit { .. })) => {
                        let gone = churn::forget_hosts(&ledger.conn, now_ms)?;
                        tracing::info!(hosts = gone, "forgot hosts of which nothing is left");
                        ledger.forget();
                        hosts::greet(&ledger.conn, &greeting, hosts_max, now_ms)?
                    }
                    other => other?,
                };
                Ok((number, record(&ledger.conn, number)?))
            })
            .await;
        let (number, record) = greeted?;
        self.forget_series(number).await?;
        Ok(record)
    }

    /// Every host that is not merged into another one, by name; retired ones too.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        let registry = self.registry();
        let read = move |conn: &rusqlite::Connection| {
            let moment = registry(conn)?;
            let fleet = &moment.fleet;
            let seen = hosts::Seen {
                last: spools::last_seen(conn, None)?,
                dropped: gaps::dropped(conn, None)?,
            };
            Ok(fleet.standing().map(|h| fleet.record(h, &seen)).collect())
        };
        self.inner.readers.snapshot("list the hosts", read).await
    }

    /// Names and labels of the hosts of [`Store::hosts`], in the same order; costs nothing while
    /// nothing about them changes.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn host_names(&self) -> Result<HostNames, StoreError> {
        let known = self
            .inner
            .writing
            .as_ref()
            .and_then(|_| self.inner.known.now());
        if let Some(moment) = known {
            return Ok(HostNames(moment));
        }
        let registry = self.registry();
        let read = move |conn: &rusqlite::Connection| registry(conn);
        let moment = self.inner.readers.snapshot("list the hosts", read).await?;
        Ok(HostNames(moment))
    }

    /// Changes a host; answers the record of the host that stands afterwards. Retiring and
    /// merging close the host's findings.
    ///
    /// # Errors
    /// `NoHost` with the nearest name, `Conflict` when the name is taken or makes no sense.
    pub async fn edit_host(
        &self,
        name: &str,
        edit: HostEdit,
        now_ms: i64,
    ) -> Result<HostRecord, StoreError> {
        let name = name.to_owned();
        self.change("change a host", move |ledger| {
            let number = edit::apply(&ledger.conn, &name, &edit, now_ms)?;
            record(&ledger.conn, number)
        })
        .await
    }

    /// The ids of series, given out on first sight, in the order asked: all or none.
    ///
    /// # Errors
    /// `NoHost` before the host's greeting; `Limit` when it would have too many series.
    pub async fn series_ids(
        &self,
        host_id: HostId,
        names: Vec<(SeriesName, Kind)>,
    ) -> Result<Vec<SeriesId>, StoreError> {
        let per_host_max = self.writing()?.options.series_per_host_max;
        let doing = "find series";
        // A host that declares again after a reconnect costs the writer nothing.
        let look = move |conn: &rusqlite::Connection| {
            let Some(host) = hosts::number_of(conn, host_id)? else {
                return Ok((names, None));
            };
            let mut ids = Vec::with_capacity(names.len());
            for (name, _) in &names {
                match series::find(conn, host, name)? {
                    Some(id) => ids.push(SeriesId(id)),
                    None => return Ok((names, None)),
                }
            }
            Ok((names, Some(ids)))
        };
        let (names, found) = self.inner.readers.snapshot(doing, look).await?;
        if let Some(ids) = found {
            return Ok(ids);
        }
        self.write(doing, move |ledger| {
            let host = ledger.host(host_id)?;
            let ids = series::find_or_add(&ledger.conn, host, &names, per_host_max)?;
            Ok(ids.into_iter().map(SeriesId).collect())
        })
        .await
    }

    /// Commits a batch; answers only when it is durable. Concurrent calls share one commit.
    ///
    /// # Errors
    /// `NoHost` before the host's greeting; `Full`: try again later; `Conflict`, `Limit`: never.
    pub async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let mut appender = Appender::new(self.writing()?.writer.clone(), true);
        if let Some(late) = appender.put(append, None)? {
            appender.wait(late).await?;
        }
        let done = appender.next().await.pop();
        done.map_or_else(|| Err(writer::closed()), |done| done.result)
    }

    /// The way in for a stream: its batches may wait a moment for those of others.
    ///
    /// # Errors
    /// `Conflict` when it is open for reading only.
    pub fn appender(&self) -> Result<Appender, StoreError> {
        Ok(Appender::new(self.writing()?.writer.clone(), false))
    }

    /// Records batches that will never come, once each; they count as dealt with from then on.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub async fn append_gap(
        &self,
        host_id: HostId,
        gap: GapRecord,
        received_ms: i64,
    ) -> Result<Appended, StoreError> {
        let job = move |ledger: &mut Ledger| gaps::append(ledger, host_id, &gap, received_ms);
        self.writing()?
            .writer
            .submit("record a gap", false, job, |appended, _| appended)
            .await
    }

    /// Which batches of a spool are dealt with: disjoint, ascending (first, last).
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn holding(
        &self,
        host_id: HostId,
        spool_id: SpoolId,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let read = move |conn: &rusqlite::Connection| match hosts::number_of(conn, host_id)? {
            Some(host) => spools::held(conn, host, spool_id),
            None => Ok(Vec::new()),
        };
        self.inner
            .readers
            .snapshot("read a spool's watermark", read)
            .await
    }

    /// Counts a refusal for a host.
    ///
    /// # Errors
    /// `NoHost`, `Full`, `Io`.
    pub async fn count_refusal(
        &self,
        host_id: HostId,
        reason: &'static str,
    ) -> Result<(), StoreError> {
        self.change("count a refusal", move |ledger| {
            let host = ledger.host(host_id)?;
            hosts::count_refusal(&ledger.conn, host, reason)
        })
        .await
    }

    /// One number a step, from rollups where they are cheaper or all that is left. A range of two
    /// days or less, and what rollups cannot tell, is answered from samples.
    ///
    /// # Errors
    /// `NoHost` with the nearest name; `Limit` when it takes too much to read.
    pub async fn aggregate(&self, query: AggregateQuery) -> Result<Aggregated, StoreError> {
        let ways = self.ways();
        let registry = self.registry();
        let read = move |conn: &rusqlite::Connection| {
            let begun = cpu_us();
            let moment = registry(conn)?;
            let fleet = &moment.fleet;
            let mut asks = Vec::with_capacity(query.hosts.len());
            for name in &query.hosts {
                asks.push(ask(fleet, fleet.named(name)?));
            }
            let tiers = rollup::tiers(conn)?;
            let mut found = aggregate::read(ways.source(conn), &asks, &query, &tiers)?;
            found.read.cpu_us = cpu_us().saturating_sub(begun);
            Ok(found)
        };
        self.inner.readers.with("read rollups", read).await
    }

    /// Since when hosts have samples, where what was before is only known by rollups: of several
    /// the latest such moment. Nothing where nothing is gone.
    ///
    /// # Errors
    /// `NoHost` with the nearest name.
    pub async fn samples_since(&self, names: Vec<String>) -> Result<Option<i64>, StoreError> {
        let head = self.inner.writing.as_ref().map(|w| Arc::clone(&w.head));
        let registry = self.registry();
        let read = move |conn: &rusqlite::Connection| {
            let moment = registry(conn)?;
            let fleet = &moment.fleet;
            let tiers = rollup::tiers(conn)?;
            let (mut latest, head) = (None, head.as_deref());
            for name in &names {
                let ask = ask(fleet, fleet.named(name)?);
                latest = latest.max(aggregate::samples_since(conn, head, &ask, &tiers)?);
            }
            Ok(latest)
        };
        let doing = "find the oldest samples";
        self.inner.readers.with(doing, read).await
    }

    /// When a host was sampled around a range: runs of ticks, ascending. Days that are rolled up are
    /// told whole, also where the range begins or ends within them.
    ///
    /// # Errors
    /// `NoHost` with the nearest name; `Limit` when it takes too many samples.
    pub async fn presence(
        &self,
        name: &str,
        (from_ms, to_ms): (i64, i64),
        samples_max: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let ways = self.ways();
        let name = name.to_owned();
        let read = move |conn: &rusqlite::Connection| {
            let fleet = hosts::all(conn)?;
            let ask = ask(&fleet, fleet.named(&name)?);
            let range = (from_ms, to_ms, samples_max);
            presence::read(ways.source(conn), &ask, range)
        };
        let doing = "read when a host was sampled";
        self.inner.readers.with(doing, read).await
    }

    /// Gaps reported for a host (all hosts when None) that overlap a range, with the host's name.
    ///
    /// # Errors
    /// `NoHost`, `Damaged`, `Io`.
    pub async fn gaps(
        &self,
        host: Option<&str>,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<(String, GapRecord)>, StoreError> {
        let host = host.map(str::to_owned);
        let read = move |conn: &rusqlite::Connection| {
            let fleet = hosts::all(conn)?;
            let only = host
                .map(|name| fleet.named(&name).map(|h| h.number))
                .transpose()?;
            let mut found = Vec::new();
            for (number, gap) in gaps::overlapping(conn, from_ms, to_ms)? {
                if let Some(standing) = fleet.standing_for(number)
                    && only.is_none_or(|n| n == standing.number)
                {
                    found.push((standing.name.clone(), gap));
                }
            }
            Ok(found)
        };
        self.inner.readers.snapshot("read gaps", read).await
    }

    /// Notes that the collector is alive and watching at `now_ms`; starts a span on the first call
    /// of this handle, and after a silence of more than 90 s.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub async fn beat(&self, now_ms: i64) -> Result<(), StoreError> {
        let span = Arc::clone(&self.writing()?.span);
        self.write("note that the collector is watching", move |ledger| {
            let mut span = span.lock().unwrap_or_else(PoisonError::into_inner);
            *span = Some(watch::beat(&ledger.conn, *span, now_ms)?);
            Ok(())
        })
        .await
    }

    /// When the collector was watching, within a range, ascending.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn watch_spans(
        &self,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<WatchSpan>, StoreError> {
        let read = move |conn: &rusqlite::Connection| watch::spans(conn, from_ms, to_ms);
        self.inner
            .readers
            .snapshot("read when the collector was watching", read)
            .await
    }
}

#[cfg(test)]
mod tests;
