//! Which series there are, without their samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::StoreError;
use super::history::names::Names;
use super::history::series;
use super::registry::hosts;
use super::{Fault, Store};
use crate::series::{Kind, SeriesName};

impl Store {
    /// Host, name and kind of every series of these hosts (of all, retired ones too, when none
    /// is named), also of those that have no sample any more; by host, then name.
    ///
    /// # Errors
    /// `NoHost` with the nearest name, `Damaged`, `Io`.
    pub async fn series(
        &self,
        names: Vec<String>,
    ) -> Result<Vec<(String, SeriesName, Kind)>, StoreError> {
        let read = move |conn: &rusqlite::Connection| {
            let (fleet, called) = (hosts::all(conn)?, Names::default());
            let chosen: Vec<&hosts::HostRow> = if names.is_empty() {
                fleet.standing().collect()
            } else {
                let named = names.iter().map(|name| fleet.named(name));
                named.collect::<Result<_, _>>()?
            };
            let mut found = BTreeMap::new();
            for host in chosen {
                for number in fleet.numbers(host.number) {
                    for row in series::of_host(conn, &called, number, &[])? {
                        // Of merged hosts the nearest says what it is.
                        found
                            .entry((host.name.clone(), Arc::unwrap_or_clone(row.name)))
                            .or_insert(row.kind);
                    }
                }
            }
            let flat = found
                .into_iter()
                .map(|((host, name), kind)| (host, name, kind));
            Ok::<_, Fault>(flat.collect())
        };
        self.inner.readers.snapshot("list the series", read).await
    }
}
