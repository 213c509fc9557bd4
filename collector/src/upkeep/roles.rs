//! What each host carried in its last weeks, kept from turn to turn: so that hosts of one role can be
//! compared although their weeks are read one after the other.

use std::collections::HashMap;

use crate::rules::{Carries, HEARD_MS, Member, Past, Roles};
use crate::store::HostRecord;

/// By host id.
#[derive(Debug, Default)]
pub(super) struct Loads {
    by_host: HashMap<String, Carries>,
}

impl Loads {
    /// Puts the hosts that are there beside each other, and forgets those that are not.
    pub(super) fn roles<'a>(&mut self, hosts: &'a [HostRecord], now_ms: i64) -> Roles<'a> {
        let mut kept = HashMap::with_capacity(self.by_host.len());
        let heard = hosts
            .iter()
            .filter(|host| host.is_heard_since(now_ms - HEARD_MS));
        for host in heard.clone() {
            kept.extend(self.by_host.remove_entry(&host.id));
        }
        self.by_host = kept;
        Roles::of(heard.map(|host| self.member(host)))
    }

    /// A host with what is known of it.
    pub(super) fn member<'a>(&self, host: &'a HostRecord) -> Member<'a> {
        Member {
            labels: &host.labels,
            carries: self.by_host.get(&host.id).copied(),
        }
    }

    /// Notes what a host carried.
    pub(super) fn note(&mut self, host_id: &str, past: &Past) {
        self.by_host.insert(host_id.to_owned(), Carries::of(past));
    }
}
