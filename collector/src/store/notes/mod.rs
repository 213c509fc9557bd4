//! Notes on what used hosts most: written beside the batches, put together now and then, dropped
//! after some days. Part of the history half: a host is a number here.

mod codec;
pub(super) mod table;

use std::sync::PoisonError;

use hostwell_proto::id::HostId;
use rusqlite::Connection;

use super::Store;
use super::error::StoreError;
use super::types::NotesAsked;
use super::writer::Ledger;
use crate::processes::ProcessNote;

/// How often notes of hosts that are silent are looked for.
const PRUNE_EVERY_MS: i64 = 600_000;

impl Store {
    /// Keeps a note of a host, committed together with the batches of that moment; answers when it is
    /// durable.
    ///
    /// # Errors
    /// `NoHost` before the host's greeting; `Full`, `Io`: the note is lost.
    pub async fn add_process_note(
        &self,
        host_id: HostId,
        note: ProcessNote,
    ) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let kept_ms = writing.keeping.processes_ms;
        let job = move |ledger: &mut Ledger| {
            let host = ledger.host(host_id)?;
            table::add(&ledger.conn, host, &note, kept_ms)
        };
        writing.writer.join("keep what used a host", job).await
    }

    /// The notes of hosts within ranges, one list for each question, the oldest first. A host that is
    /// not there has none.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn process_notes(
        &self,
        asked: Vec<NotesAsked>,
    ) -> Result<Vec<Vec<ProcessNote>>, StoreError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let moment = registry(conn)?;
            let one = |asked: &NotesAsked| match moment.fleet.named(&asked.host) {
                Ok(host) => {
                    let numbers = moment.fleet.numbers(host.number);
                    table::within(conn, &numbers, (asked.from_ms, asked.to_ms))
                }
                Err(_) => Ok(Vec::new()),
            };
            asked.iter().map(one).collect()
        };
        let doing = "read what used hosts";
        self.inner.readers.snapshot(doing, read).await
    }

    /// The newest note of a host, if there is one.
    ///
    /// # Errors
    /// `NoHost` with the nearest name; `Damaged`, `Io`.
    pub async fn newest_process_note(&self, host: &str) -> Result<Option<ProcessNote>, StoreError> {
        let (host, registry) = (host.to_owned(), self.registry());
        let read = move |conn: &Connection| {
            let moment = registry(conn)?;
            let numbers = moment.fleet.numbers(moment.fleet.named(&host)?.number);
            table::newest(conn, &numbers)
        };
        let doing = "read what used a host";
        self.inner.readers.snapshot(doing, read).await
    }

    /// Drops notes past their age, now and then.
    pub(super) async fn prune_process_notes(&self, now_ms: i64) -> Result<(), StoreError> {
        let writing = self.writing()?;
        {
            let mut last_ms = writing
                .notes_pruned_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if (*last_ms..last_ms.saturating_add(PRUNE_EVERY_MS)).contains(&now_ms) {
                return Ok(());
            }
            *last_ms = now_ms;
        }
        let kept_ms = writing.keeping.processes_ms;
        self.write("drop old notes of processes", move |ledger| {
            // A clock that jumps ahead must not delete what is new.
            let newest_ms = table::newest_ms(&ledger.conn)?;
            let now_ms = newest_ms.map_or(now_ms, |newest| newest.min(now_ms));
            table::prune_all(&ledger.conn, now_ms.saturating_sub(kept_ms)).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
