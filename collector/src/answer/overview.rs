//! The overview of a large fleet as it was written last.
//!
//! Five thousand hosts are five megabytes, and everybody who looks is told the same. So what took long
//! to write is told again for a moment, and written anew in the background; the answer says for which
//! moment it is true. After a change that somebody made it is written anew at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shelf::{Shelf, Shown, Worth};
use super::{AnswerError, Question, Setup, written};
use crate::store::Store;

const WORTH: Worth = Worth {
    quick: Duration::from_millis(20),
    share: 20,
    age_max: Duration::from_secs(5),
};

/// What was written last: JSON.
#[derive(Debug)]
pub(crate) struct Overview(Shelf<Vec<u8>>);

impl Default for Overview {
    fn default() -> Overview {
        Overview(Shelf::new(WORTH))
    }
}

impl Overview {
    /// Somebody changed what it says.
    pub(super) fn clear(&self) {
        self.0.clear();
    }

    async fn write(
        &self,
        store: &Store,
        setup: &Setup,
        now_ms: i64,
    ) -> Result<Arc<Vec<u8>>, AnswerError> {
        let (begun, since) = (self.0.begin(), Instant::now());
        let json = Arc::new(written(store, setup, Question::Hosts {}, now_ms).await?);
        self.0.keep(begun, (now_ms, since.elapsed()), &json);
        Ok(json)
    }
}

/// Every host, as JSON.
///
/// # Errors
/// What the store met.
pub(super) async fn overview(
    store: &Store,
    setup: &Setup,
    now_ms: i64,
) -> Result<Arc<Vec<u8>>, AnswerError> {
    match setup.overview.0.shown(now_ms) {
        Shown::Fresh(json) => Ok(json),
        Shown::Nothing => setup.overview.write(store, setup, now_ms).await,
        Shown::Old(json) => {
            let (store, setup) = (store.clone(), setup.clone());
            tokio::spawn(async move {
                if let Err(error) = setup.overview.write(&store, &setup, now_ms).await {
                    tracing::warn!(%error, "write the overview of all hosts");
                    setup.overview.clear();
                }
            });
            Ok(json)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer_json;
    use super::*;
    use crate::store::{Greeting, HostEdit, HostFacts, StoreOptions};
    use hostwell_proto::id::HostId;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_000_000;

    async fn store(folder: &std::path::Path) -> Store {
        let options = StoreOptions {
            path: folder.join("hostwell.db"),
            retention_ms: i64::MAX / 4,
            series_per_host_max: 10,
            hosts_max: 10,
        };
        let store = Store::open(options).await.unwrap();
        let greeting = Greeting {
            host_id: HostId([1; 16]),
            host_name: "web-1".into(),
            interval_ms: 1000,
            facts: HostFacts::default(),
            labels: BTreeMap::new(),
            clock_skew_ms: 0,
            kept: false,
        };
        store.greet(greeting, NOW).await.unwrap();
        store
    }

    async fn told(store: &Store, setup: &Setup, question: &Question, now_ms: i64) -> String {
        let question = serde_json::to_string(question).unwrap();
        let json = answer_json(store, setup, &question, now_ms).await.unwrap();
        String::from_utf8(json.to_vec()).unwrap()
    }

    /// An overview that took long to write was written at `NOW`: "as it was".
    fn written_before() -> Setup {
        let setup = Setup::default();
        let shelf = &setup.overview.0;
        let long = (NOW, Duration::from_millis(100));
        shelf.keep(shelf.begin(), long, &Arc::new(b"as it was".to_vec()));
        setup
    }

    #[tokio::test]
    async fn what_took_long_to_write_is_told_again_until_somebody_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, setup) = (store(folder.path()).await, written_before());
        let ask = Question::Hosts {};
        assert_eq!(told(&store, &setup, &ask, NOW + 2000).await, "as it was");
        let edit = Question::EditHost {
            name: "web-1".into(),
            edit: HostEdit::Retire,
        };
        told(&store, &setup, &edit, NOW + 2000).await;
        let after = told(&store, &setup, &ask, NOW + 2000).await;
        assert!(after.contains("\"state\":\"retired\""), "{after}");
    }

    #[tokio::test]
    async fn who_finds_an_old_one_has_it_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (store, setup) = (store(folder.path()).await, written_before());
        let ask = Question::Hosts {};
        let old = told(&store, &setup, &ask, NOW + 4000).await;
        assert_eq!(old, "as it was", "nobody waits");
        for _ in 0..500 {
            if told(&store, &setup, &ask, NOW + 4000).await != old {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it was never written anew");
    }
}
