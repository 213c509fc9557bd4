//! Which hosts are connected. Two live streams of one host mean a copied state folder (a cloned
//! machine) or a connection that broke unnoticed; either way one stream at a time is served.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostwell_proto::id::HostId;
use tokio_util::sync::CancellationToken;

use crate::auth::Peer;

/// The hosts that are connected; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    streams: Mutex<HashMap<HostId, Arc<Stream>>>,
    suspicions: AtomicU64,
}

#[derive(Debug)]
struct Stream {
    peer: Peer,
    interval_ms: i64,
    heard_ms: AtomicI64,
    replaced: CancellationToken,
}

impl Live {
    /// How many hosts are connected.
    pub fn count(&self) -> usize {
        self.streams().len()
    }

    /// How often two streams claimed one host while both were alive.
    pub fn suspicions(&self) -> u64 {
        self.0.suspicions.load(Ordering::Relaxed)
    }

    /// Ends a host's stream; its agent will greet again.
    pub fn dismiss(&self, host_id: HostId) {
        if let Some(stream) = self.streams().get(&host_id) {
            stream.replaced.cancel();
        }
    }

    /// The hosts that are connected.
    pub fn hosts(&self) -> Vec<HostId> {
        self.streams().keys().copied().collect()
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<HostId, Arc<Stream>>> {
        // Nothing is half done under this lock, so a poisoned table is whole.
        self.0
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a host's place; an earlier stream of it ends. `None` when the place is held by a live
    /// stream with another certificate: then the newcomer is the suspect.
    pub(super) fn enter(
        &self,
        host_id: HostId,
        peer: &Peer,
        interval_ms: i64,
        now_ms: i64,
    ) -> Option<Place> {
        let stream = Arc::new(Stream {
            peer: peer.clone(),
            interval_ms,
            heard_ms: AtomicI64::new(now_ms),
            replaced: CancellationToken::new(),
        });
        let mut streams = self.streams();
        match streams.entry(host_id) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(&stream));
            }
            Entry::Occupied(mut taken) => {
                let older = taken.get();
                let silent_ms = now_ms - older.heard_ms.load(Ordering::Relaxed);
                // A connection that was cut leaves a silent stream behind; a clone leaves a busy one.
                if silent_ms <= 2 * older.interval_ms {
                    self.0.suspicions.fetch_add(1, Ordering::Relaxed);
                    let refuse =
                        older.peer.identity.is_some() && older.peer.identity != peer.identity;
                    tracing::warn!(
                        host = %host_id, older = %older.peer, newer = %peer, kept = if refuse { "older" } else { "newer" },
                        "two live agents claim the same host: a cloned machine? give the copy a new identity by emptying its agent's state folder"
                    );
                    if refuse {
                        return None;
                    }
                }
                older.replaced.cancel();
                taken.insert(Arc::clone(&stream));
            }
        }
        drop(streams);
        Some(Place {
            live: self.clone(),
            host_id,
            stream,
        })
    }
}

/// A host's place; given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    live: Live,
    host_id: HostId,
    stream: Arc<Stream>,
}

impl Place {
    /// Notes that the stream said something.
    pub(super) fn heard(&self, now_ms: i64) {
        self.stream.heard_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Cancelled when the stream has to end.
    pub(super) fn replaced(&self) -> &CancellationToken {
        &self.stream.replaced
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.live.streams();
        if streams
            .get(&self.host_id)
            .is_some_and(|current| Arc::ptr_eq(current, &self.stream))
        {
            streams.remove(&self.host_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;
    use rustls_pki_types::CertificateDer;

    const HOST: HostId = HostId([9; 16]);

    fn peer(certificate: Option<u8>) -> Peer {
        Peer {
            address: ([127, 0, 0, 1], 9).into(),
            identity: certificate.and_then(|c| Identity::of(&[CertificateDer::from(vec![c])])),
        }
    }

    #[test]
    fn a_reconnect_after_silence_is_no_clone() {
        let live = Live::default();
        let older = live.enter(HOST, &peer(None), 1_000, 0).unwrap();
        let _newer = live.enter(HOST, &peer(None), 1_000, 5_000).unwrap();
        assert!(older.replaced().is_cancelled());
        assert_eq!(live.suspicions(), 0);
        drop(older);
        assert_eq!(
            live.count(),
            1,
            "the older one must not take the newer one's place along"
        );
    }

    #[test]
    fn of_two_busy_streams_the_newer_is_kept_and_suspicion_noted() {
        let live = Live::default();
        let older = live.enter(HOST, &peer(None), 1_000, 0).unwrap();
        older.heard(4_500);
        let newer = live.enter(HOST, &peer(None), 1_000, 5_000).unwrap();
        assert!(older.replaced().is_cancelled());
        assert!(!newer.replaced().is_cancelled());
        assert_eq!(live.suspicions(), 1);
    }

    #[test]
    fn another_certificate_cannot_push_a_live_stream_aside() {
        let live = Live::default();
        let older = live.enter(HOST, &peer(Some(1)), 1_000, 0).unwrap();
        assert!(live.enter(HOST, &peer(Some(2)), 1_000, 500).is_none());
        assert!(live.enter(HOST, &peer(None), 1_000, 500).is_none());
        assert!(!older.replaced().is_cancelled());
        assert!(live.enter(HOST, &peer(Some(1)), 1_000, 500).is_some());
        assert!(older.replaced().is_cancelled());
    }

    #[test]
    fn a_place_is_given_up_when_its_stream_ends() {
        let live = Live::default();
        let place = live.enter(HOST, &peer(None), 1_000, 0).unwrap();
        assert_eq!(live.hosts(), [HOST]);
        live.dismiss(HOST);
        assert!(place.replaced().is_cancelled());
        drop(place);
        assert_eq!(live.count(), 0);
    }
}
