//! The handle's care of rollups: making them when a day is over, comparing them with the samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Store;
use super::error::{Fault, StoreError};
use super::history::retention;
use super::history::rollup::{self, DAY_MS, roll};
use super::registry::hosts;
use super::types::{Keeping, RollupDifference, RollupsChecked, Tier};

/// What a recomputation found, by host and day.
type Found = (u64, BTreeMap<roll::Due, Vec<String>>);

/// Steps of these lengths, whatever their age.
fn of_any_age(steps_ms: Vec<i64>) -> Keeping {
    let tier = |step_ms| Tier {
        step_ms,
        age_ms: i64::MAX,
    };
    Keeping {
        tiers: steps_ms.into_iter().map(tier).collect(),
        ..Keeping::default()
    }
}

/// What is wanted, and of no age what else there is: it must not say what is not true any more.
fn with_others(mut keeping: Keeping, steps_ms: &[i64]) -> Keeping {
    for tiers in keeping.lists_mut() {
        for step_ms in steps_ms {
            if tiers.iter().all(|tier| tier.step_ms != *step_ms) {
                tiers.push(Tier {
                    step_ms: *step_ms,
                    age_ms: 0,
                });
            }
        }
    }
    keeping
}

/// Recomputes what can be; everything that differs.
fn compare(conn: &Connection) -> Result<Found, Fault> {
    let keeping = of_any_age(rollup::tiers(conn)?);
    let (mut days, mut found) = (0, BTreeMap::new());
    for host in hosts::all(conn)?.rows() {
        let host = rollup::Whose {
            host: host.number,
            interval_ms: host.interval_ms,
        };
        for task in rollup::recomputable(conn, host, &keeping)? {
            days += 1;
            let different = roll::differences(conn, task)?;
            if !different.is_empty() {
                found.insert(task.due, different);
            }
        }
    }
    Ok((days, found))
}

impl Store {
    /// Rolls up the days that are due, oldest first, until so much time is over; answers how many.
    ///
    /// # Errors
    /// `Full`, `Io`. A day whose blocks are damaged is left out, and tried again by a later call.
    pub async fn roll_up(&self, now_ms: i64, time_max: Duration) -> Result<usize, StoreError> {
        let begun = Instant::now();
        let writing = self.writing()?;
        if !writing.tiers_seen.swap(true, Ordering::Relaxed) {
            let keeping = Arc::clone(&writing.keeping);
            let marked = self.write("look for new rollups", move |ledger| {
                rollup::mark_for_new(&ledger.conn, &keeping)
            });
            if marked.await? {
                tracing::info!("steps of a new length: every day with samples is rolled up anew");
            }
        }
        let due = move |conn: &Connection| roll::due(conn, now_ms);
        let readers = &self.inner.readers;
        let due = readers.snapshot("find days to roll up", due).await?;
        let mut done = 0;
        for one in due {
            if begun.elapsed() > time_max {
                break;
            }
            match self.roll_up_day(one, now_ms).await {
                Ok(()) => done += 1,
                Err(StoreError::Damaged { path, what }) => {
                    tracing::error!(day = one.day, host = one.host, ?path, "no rollup: {what}");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(done)
    }

    async fn roll_up_day(&self, due: roll::Due, now_ms: i64) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let keeping = Arc::clone(&writing.keeping);
        let prepare = move |conn: &Connection| {
            let host = hosts::around(conn, due.host)?.row(due.host).cloned();
            let by_samples = retention::by_samples(conn, now_ms)?.unwrap_or(now_ms);
            let kept = host.as_ref().is_some_and(|h| h.kept);
            let keeping = with_others(Keeping::clone(&keeping), &rollup::tiers(conn)?);
            let task = roll::Task {
                due,
                interval_ms: host.map_or(10_000, |h| h.interval_ms),
                keeping: &keeping,
                raw_since_ms: i64::MIN,
                now_ms: (!kept).then_some(by_samples),
            };
            roll::prepare(conn, task)
        };
        self.put_rolled("roll up a day", prepare).await
    }

    /// Makes the rows of a day and puts them in place.
    async fn put_rolled(
        &self,
        doing: &'static str,
        prepare: impl FnOnce(&Connection) -> Result<roll::Rolled, Fault> + Send + 'static,
    ) -> Result<(), StoreError> {
        // The mark is taken away: what is sealed meanwhile would never be rolled up.
        let _one_at_a_time = self.writing()?.sealing.lock().await;
        let rolled = self.inner.readers.snapshot(doing, prepare).await?;
        self.write("write rollups", move |ledger| roll::commit(ledger, rolled))
            .await
    }

    /// Recomputes every rollup whose samples are still there and compares.
    ///
    /// # Errors
    /// `Damaged` when samples cannot be read, `Io`.
    pub async fn verify_rollups(&self) -> Result<RollupsChecked, StoreError> {
        let (days, found) = self.compare_rollups().await?;
        self.checked(days, found, 0).await
    }

    /// Recomputes every rollup whose samples are still there, and rolls the days that differ up
    /// anew. A day some of whose samples are gone keeps what speaks for more of them.
    ///
    /// # Errors
    /// `Damaged` when samples cannot be read, `Conflict` when open for reading only, `Full`, `Io`.
    pub async fn repair_rollups(&self) -> Result<RollupsChecked, StoreError> {
        self.writing()?;
        let (_, found) = self.compare_rollups().await?;
        let days: BTreeSet<roll::Due> = found.into_keys().collect();
        for due in &days {
            let due = *due;
            let prepare = move |conn: &Connection| {
                let interval_ms = hosts::around(conn, due.host)?
                    .row(due.host)
                    .map_or(10_000, |h| h.interval_ms);
                let host = rollup::Whose {
                    host: due.host,
                    interval_ms,
                };
                let keeping = of_any_age(rollup::tiers(conn)?);
                let task = rollup::recomputable(conn, host, &keeping)?
                    .into_iter()
                    .find(|task| task.due == due)
                    .ok_or_else(|| Fault::damaged("a day's samples went while it was repaired"))?;
                roll::prepare(conn, task)
            };
            self.put_rolled("repair a day's rollups", prepare).await?;
        }
        let (all, left) = self.compare_rollups().await?;
        let repaired = days.iter().filter(|due| !left.contains_key(due)).count();
        self.checked(all, left, repaired as u64).await
    }

    async fn compare_rollups(&self) -> Result<Found, StoreError> {
        let readers = &self.inner.readers;
        readers.snapshot("verify rollups", compare).await
    }

    /// What was found, hosts by name.
    async fn checked(
        &self,
        days: u64,
        found: BTreeMap<roll::Due, Vec<String>>,
        repaired: u64,
    ) -> Result<RollupsChecked, StoreError> {
        let name = move |conn: &Connection| {
            let fleet = hosts::all(conn)?;
            let mut differences = Vec::new();
            for (due, different) in found {
                let host = fleet.row(due.host).map_or_else(
                    || format!("host number {}", due.host),
                    |row| row.name.clone(),
                );
                differences.extend(different.into_iter().map(|what| RollupDifference {
                    host: host.clone(),
                    day_ms: due.day.saturating_mul(DAY_MS),
                    what,
                }));
            }
            Ok(RollupsChecked {
                days,
                differences,
                repaired,
            })
        };
        self.inner.readers.snapshot("name the hosts", name).await
    }
}
