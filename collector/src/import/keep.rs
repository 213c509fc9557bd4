//! Puts chunks into the store. A file is a spool and its chunks are its batches, so that the
//! store's own rule makes an import that is run again go on where it was, or do nothing.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use hostwell_proto::column::Packed;
use hostwell_proto::id::{HostId, SpoolId};
use ring::digest;

use super::gather::{Chunk, Tally};
use crate::series::{Kind, SeriesName};
use crate::store::{Append, Appended, Greeting, HostFacts, SeriesId, Store};

/// Goes into every identity: another way of cutting files into chunks needs another number.
const CUT: &str = "hostwell import 1";
/// The step of a host whose only sample says nothing about it.
const STEP_MS: i64 = 60_000;
/// Samples after which the journal is sealed: bounds what it holds in memory.
const SEAL_SAMPLES: usize = 2_000_000;

/// 128 bits of a hash over parts that cannot run into each other.
fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&context.finish().as_ref()[..16]);
    id
}

/// Who a host is that is known by imports only.
fn host_identity(name: &str) -> HostId {
    HostId(identity([CUT.as_bytes(), b"host", name.as_bytes()]))
}

/// What a file is known by: the host, what is made of it, and its content; not its name.
pub(super) fn file_identity(path: &Path, about: &[&str]) -> anyhow::Result<SpoolId> {
    let mut content = digest::Context::new(&digest::SHA256);
    let reading = || format!("read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(reading)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).with_context(reading)?;
        if read == 0 {
            break;
        }
        content.update(&buffer[..read]);
    }
    let content = content.finish();
    let about = about.iter().map(|part| part.as_bytes());
    let parts = [CUT.as_bytes(), b"file", content.as_ref()];
    Ok(SpoolId(identity(parts.into_iter().chain(about))))
}

/// The host that an import is for.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    id: HostId,
    name: String,
    /// Whether the host exists through imports only: then they say what it is.
    ours: bool,
    kept: bool,
    greeted: Option<(i64, HostFacts)>,
}

impl Owner {
    /// The host of this name, or a new one.
    pub(super) async fn find(store: &Store, name: &str, kept: bool) -> anyhow::Result<Owner> {
        let own = host_identity(name);
        let hosts = store.hosts().await?;
        let id = match hosts.iter().find(|host| host.name == name) {
            Some(host) => host.id.parse().context("read the host's id")?,
            None => own,
        };
        Ok(Owner {
            id,
            name: name.to_owned(),
            ours: id == own,
            kept,
            greeted: None,
        })
    }

    async fn greet(
        &mut self,
        store: &Store,
        step_ms: i64,
        facts: &HostFacts,
        now_ms: i64,
    ) -> anyhow::Result<()> {
        let said = (step_ms, facts.clone());
        if !self.ours || self.greeted.as_ref() == Some(&said) {
            return Ok(());
        }
        let greeting = Greeting {
            host_id: self.id,
            host_name: self.name.clone(),
            interval_ms: step_ms.clamp(1, i64::from(u32::MAX)) as u32,
            facts: facts.clone(),
            labels: Default::default(),
            clock_skew_ms: 0,
            kept: self.kept,
        };
        store.greet(greeting, now_ms).await?;
        self.greeted = Some(said);
        Ok(())
    }
}

/// Keeps the chunks of one file.
pub(super) struct Keeper<'a> {
    store: &'a Store,
    owner: &'a mut Owner,
    spool: SpoolId,
    held: Vec<(u64, u64)>,
    names: Vec<(SeriesName, Kind)>,
    ids: Vec<SeriesId>,
    unsealed: usize,
    now_ms: i64,
    /// Samples stored now.
    pub stored: u64,
    /// Samples that an earlier import of the same file had stored.
    pub known: u64,
}

impl<'a> Keeper<'a> {
    pub(super) async fn new(
        store: &'a Store,
        owner: &'a mut Owner,
        spool: SpoolId,
        now_ms: i64,
    ) -> anyhow::Result<Keeper<'a>> {
        let held = store.holding(owner.id, spool).await?;
        Ok(Keeper {
            store,
            owner,
            spool,
            held,
            names: Vec::new(),
            ids: Vec::new(),
            unsealed: 0,
            now_ms,
            stored: 0,
            known: 0,
        })
    }

    /// Stores a chunk, unless that was done before; durable when it answers.
    pub(super) async fn keep(&mut self, chunk: Chunk) -> anyhow::Result<()> {
        let samples = chunk.samples();
        let sequence = chunk.sequence;
        self.names.extend(chunk.fresh.iter().cloned());
        if self.held.iter().any(|(a, b)| (*a..=*b).contains(&sequence)) {
            self.known += samples as u64;
            return Ok(());
        }
        if self.owner.greeted.is_none() {
            let step_ms = chunk.step_ms.unwrap_or(STEP_MS);
            let facts = HostFacts::default();
            self.owner
                .greet(self.store, step_ms, &facts, self.now_ms)
                .await?;
        }
        if self.ids.len() < self.names.len() {
            let fresh = self.names[self.ids.len()..].to_vec();
            self.ids
                .extend(self.store.series_ids(self.owner.id, fresh).await?);
        }
        let append = Append {
            host_id: self.owner.id,
            spool_id: self.spool,
            sequence,
            received_ms: self.now_ms,
            block: Packed::of(&chunk.block()),
            series: chunk
                .columns
                .iter()
                .map(|(slot, _)| self.ids[*slot as usize])
                .collect(),
        };
        match self.store.append(append).await? {
            Appended::Stored => self.stored += samples as u64,
            Appended::Duplicate => self.known += samples as u64,
        }
        self.unsealed += samples;
        if self.unsealed > SEAL_SAMPLES {
            self.store.seal_all().await?;
            self.unsealed = 0;
        }
        Ok(())
    }

    /// The file was read to its end: tells the store what the host turned out to be.
    pub(super) async fn finish(&mut self, tally: &Tally) -> anyhow::Result<()> {
        if self.stored == 0 {
            return Ok(());
        }
        let step_ms = tally.step_ms.unwrap_or(STEP_MS);
        self.owner
            .greet(self.store, step_ms, &tally.facts, self.now_ms)
            .await
    }
}
