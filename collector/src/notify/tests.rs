//! Deliveries to a webhook that answers as it is told to, from a real database.

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ring::hmac;
use serde_json::Value;

use super::*;
use crate::config::Webhook;
use crate::rules::{Finding, Severity, State};
use crate::store::{StoreOptions, TargetState};

const T0: i64 = 1_800_000_000_000;

/// What a webhook got.
#[derive(Clone, Debug)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A webhook that keeps what it gets, and answers with a status that is set by hand.
#[derive(Clone)]
struct Hook {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    status: Arc<AtomicU16>,
}

impl Hook {
    async fn open() -> Hook {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = Hook {
            url: format!("http://{}/hook?key=1", listener.local_addr().unwrap()),
            got: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
        };
        let take = |Shared(hook): Shared<Hook>, headers: HeaderMap, body: Bytes| async move {
            hook.got.lock().unwrap().push(Got { headers, body });
            StatusCode::from_u16(hook.status.load(Ordering::Relaxed)).unwrap()
        };
        let routes = Router::new().route("/hook", post(take));
        let routes = routes.with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        hook
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What came since the last time.
    fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().unwrap())
    }
}

async fn open(folder: &Path) -> Store {
    let options = StoreOptions {
        path: folder.join("hostwell.db"),
        retention_ms: 86_400_000,
        series_per_host_max: 100,
        hosts_max: 20,
    };
    Store::open(options).await.unwrap()
}

fn settings(hook: &Hook) -> Notify {
    let text = format!("[[webhook]]\nname = \"hook\"\nurl = \"{}\"\n", hook.url);
    toml::from_str(&text).unwrap()
}

fn only(config: &Notify) -> Target {
    targets(config).unwrap().remove(0)
}

fn at(after_ms: i64) -> Clock {
    Clock::new(move || T0 + after_ms)
}

async fn risk(store: &Store, host: &str, severity: Severity, state: State) {
    let live = store.verdicts().await.unwrap();
    let before = live.iter().find(|f| f.host == host);
    let finding = Finding {
        id: before.map_or(0, |f| f.id),
        rule: "disk_full".into(),
        host_id: host.into(),
        host: host.into(),
        subject: "/".into(),
        severity,
        state,
        since_ms: T0,
        opened_ms: Some(T0),
        closed_ms: None,
        judged_ms: T0,
        summary: "/ is 93 % used.".into(),
        evidence: Vec::new(),
        advice: "Make room.".into(),
        advice_zh: "清理空间。".into(),
        held_ms: Default::default(),
    };
    store.save_findings(vec![finding], T0).await.unwrap();
}

async fn state(store: &Store) -> TargetState {
    store.targets().await.unwrap().remove(0)
}

#[tokio::test]
async fn a_message_is_signed_over_its_body_and_says_what_is_wrong() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let key = folder.path().join("key");
    std::fs::write(&key, "s3cret\n").unwrap();
    let mut config = settings(&hook);
    config.webhook[0].secret_file = Some(key);
    let mut target = only(&config);
    risk(&store, "db-1", Severity::Critical, State::Open).await;
    target.round(&store, &[], &at(0)).await.unwrap();
    let got = hook.take().remove(0);
    let tag = got.headers["x-hostwell-signature"].to_str().unwrap();
    let tag = tag.strip_prefix("sha256=").unwrap();
    let tag: Vec<u8> = (0..tag.len() / 2)
        .map(|i| u8::from_str_radix(&tag[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    // The line end in the file is not part of the key.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    hmac::verify(&key, &got.body, &tag).unwrap();
    assert_eq!(got.headers["content-type"], "application/json");
    let message = got.json();
    assert_eq!(message["status"], "firing");
    assert_eq!(message["title"], "db-1: / is 93 % used.");
    assert_eq!(message["text"], "critical db-1: / is 93 % used. Make room.");
    assert_eq!(
        message["text_zh"],
        "critical db-1: / is 93 % used. 清理空间。"
    );
    let told = &message["risks"][0];
    assert_eq!(told["id"], 1);
    assert_eq!(told["advice"], "Make room.");
    assert_eq!(told["advice_zh"], "清理空间。");
    assert_eq!(message["at"], "2027-01-15T08:00:00Z");
    target.round(&store, &[], &at(1)).await.unwrap();
    assert!(hook.take().is_empty(), "told once");
    risk(&store, "db-1", Severity::Critical, State::Closed).await;
    target.round(&store, &[], &at(2)).await.unwrap();
    assert_eq!(hook.take()[0].json()["status"], "resolved");
    assert_eq!(state(&store).await.delivery.delivered, 2);
}

#[tokio::test]
async fn a_message_that_fails_is_tried_again_later_and_survives_a_restart() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let config = settings(&hook);
    hook.answer(503);
    risk(&store, "db-1", Severity::Critical, State::Open).await;
    let mut target = only(&config);
    target.round(&store, &[], &at(0)).await.unwrap();
    target.round(&store, &[], &at(4_999)).await.unwrap();
    assert_eq!(hook.take().len(), 1, "not before its time");
    target.round(&store, &[], &at(5_000)).await.unwrap();
    target.round(&store, &[], &at(14_999)).await.unwrap();
    let second = hook.take();
    assert_eq!(second.len(), 1, "the pause doubles");
    store.close().await.unwrap();
    let store = open(folder.path()).await;
    hook.answer(200);
    let mut target = only(&config);
    target.round(&store, &[], &at(15_000)).await.unwrap();
    let third = hook.take();
    assert_eq!(third.len(), 1);
    let delivery = |got: &Got| got.headers["x-hostwell-delivery"].clone();
    assert_eq!(delivery(&third[0]), delivery(&second[0]), "known again");
    assert_eq!(third[0].body, second[0].body);
    let state = state(&store).await;
    assert_eq!((state.waiting, state.delivery.failed), (0, 2));
    let error = state.delivery.last_error.unwrap();
    assert!(error.contains("503"), "{error}");
}

#[tokio::test]
async fn behind_a_message_that_fails_the_others_keep_their_order() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let mut target = only(&settings(&hook));
    hook.answer(500);
    risk(&store, "db-1", Severity::Critical, State::Open).await;
    target.round(&store, &[], &at(0)).await.unwrap();
    risk(&store, "db-1", Severity::Critical, State::Closed).await;
    target.round(&store, &[], &at(1)).await.unwrap();
    assert_eq!(state(&store).await.waiting, 2);
    hook.take();
    hook.answer(204);
    target.round(&store, &[], &at(60_000)).await.unwrap();
    let told: Vec<Value> = hook
        .take()
        .iter()
        .map(|g| g.json()["status"].clone())
        .collect();
    assert_eq!(told, ["firing", "resolved"]);
}

#[tokio::test]
async fn a_message_that_is_not_understood_is_lost_and_counted() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let mut target = only(&settings(&hook));
    hook.answer(400);
    risk(&store, "db-1", Severity::Critical, State::Open).await;
    target.round(&store, &[], &at(0)).await.unwrap();
    target.round(&store, &[], &at(3_600_000)).await.unwrap();
    assert_eq!(hook.take().len(), 1);
    // A target that nobody has mended for days gets nothing of what is old.
    hook.answer(404);
    risk(&store, "db-2", Severity::Critical, State::Open).await;
    target.round(&store, &[], &at(3_600_001)).await.unwrap();
    assert_eq!(state(&store).await.waiting, 1, "it may be mended");
    target
        .round(&store, &[], &at(4 * 86_400_000))
        .await
        .unwrap();
    let state = state(&store).await;
    let lost: Vec<_> = state.delivery.lost.into_iter().collect();
    assert_eq!(lost, [("age".to_owned(), 1), ("refused".to_owned(), 1)]);
}

#[tokio::test]
async fn the_outbox_of_a_target_that_takes_nothing_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let messages = |n: usize| crate::store::Telling {
        messages: vec!["{}".to_owned(); n],
        ..Default::default()
    };
    store.tell("hook", messages(700), T0).await.unwrap();
    store.tell("hook", messages(500), T0 + 1).await.unwrap();
    store.tell("other", messages(1), T0).await.unwrap();
    let targets = store.targets().await.unwrap();
    assert_eq!((targets[0].waiting, targets[1].waiting), (1_000, 1));
    assert_eq!(targets[0].delivery.lost["queue"], 200);
    let next = store.next_letter("hook").await.unwrap().unwrap();
    assert_eq!(next.number, 201, "the oldest went");
    // A target that is no more leaves nothing that waits for ever.
    store.keep_targets(vec!["other".into()]).await.unwrap();
    let targets = store.targets().await.unwrap();
    assert_eq!((targets[0].waiting, targets[1].waiting), (0, 1));
    assert_eq!(targets[0].delivery.lost["removed"], 1_000);
}

#[tokio::test]
async fn in_a_maintenance_nobody_is_told_until_it_ends() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let mut target = only(&settings(&hook));
    risk(&store, "db-1", Severity::Critical, State::Open).await;
    let window = "[[maintenance]]\nname = \"backup\"\nhosts = [\"db-*\"]\nfrom = \"08:00\"\n\
                  to = \"09:00\"\nzone = \"UTC\"\n";
    let config = crate::config::ServerConfig::parse(window).unwrap();
    let windows = config.maintenance().unwrap();
    // T0 is eight o'clock.
    for minute in [0, 30, 59] {
        let now = at(minute * 60_000);
        target.round(&store, &windows, &now).await.unwrap();
    }
    assert!(hook.take().is_empty());
    target
        .round(&store, &windows, &at(3_600_000))
        .await
        .unwrap();
    assert_eq!(hook.take().len(), 1);
}

#[tokio::test]
async fn a_heartbeat_comes_in_its_time_and_a_test_says_that_it_is_one() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    let mut config = settings(&hook);
    config.webhook[0].heartbeat_minutes = 5;
    let mut target = only(&config);
    for minute in 0..11 {
        target
            .round(&store, &[], &at(minute * 60_000))
            .await
            .unwrap();
    }
    let beats = hook.take();
    assert_eq!(beats.len(), 3);
    assert!(beats.iter().all(|got| got.json()["status"] == "heartbeat"));
    target.test(T0).await.unwrap();
    assert_eq!(hook.take()[0].json()["status"], "test");
    hook.answer(403);
    let error = format!("{:#}", target.test(T0).await.unwrap_err());
    assert!(error.contains("403"), "{error}");
}

#[tokio::test]
async fn a_courier_tells_by_itself_until_it_is_stopped() {
    let (folder, hook) = (tempfile::tempdir().unwrap(), Hook::open().await);
    let store = open(folder.path()).await;
    risk(&store, "db-1", Severity::Warning, State::Open).await;
    risk(&store, "db-2", Severity::Info, State::Open).await;
    let mut config = settings(&hook);
    config.webhook.push(Webhook {
        name: "nobody".into(),
        url: "http://127.0.0.1:1".into(),
        ..config.webhook[0].clone()
    });
    let courier = Courier::new(store.clone(), &config, Vec::new()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(courier.run(at(0), stop.clone()));
    let tried = |t: &TargetState| t.delivery.delivered + t.delivery.failed > 0;
    let told = async {
        while store
            .targets()
            .await
            .unwrap()
            .iter()
            .filter(|t| tried(t))
            .count()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told)
        .await
        .unwrap();
    stop.cancel();
    running.await.unwrap();
    let got = hook.take();
    assert_eq!(
        (got.len(), &got[0].json()["count"]),
        (1, &Value::from(1)),
        "info is not told"
    );
    let nobody = store.targets().await.unwrap().remove(1);
    let error = nobody.delivery.last_error.unwrap();
    assert!(error.contains("127.0.0.1:1"), "{error}");
    assert_eq!(nobody.waiting, 1, "its message stays");
}
