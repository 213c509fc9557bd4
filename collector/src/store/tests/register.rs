use super::*;
use crate::rules::Finding;

pub(super) fn finding(rule: &str, n: u8, state: State) -> Finding {
    Finding {
        id: 0,
        rule: rule.into(),
        host_id: host(n).to_string(),
        host: "web".into(),
        subject: "/".into(),
        severity: Severity::Warning,
        state,
        since_ms: T0,
        opened_ms: None,
        closed_ms: None,
        judged_ms: T0,
        summary: "12 GB left".into(),
        evidence: Vec::new(),
        advice: "delete something".into(),
        advice_zh: String::new(),
        held_ms: Default::default(),
    }
}

fn events(folder: &Path) -> Vec<(i64, String, String)> {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    let mut select = conn
        .prepare("SELECT finding, state, severity FROM finding_event ORDER BY number")
        .unwrap();
    let rows = select
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_finding_keeps_its_number_and_every_change_of_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store
        .save_findings(vec![finding("disk_full", 1, State::Pending)], T0)
        .await
        .unwrap();
    let mut found = store.findings(None).await.unwrap().remove(0);
    assert_eq!(found.id, 1);
    found.state = State::Open;
    found.opened_ms = Some(T0 + 5);
    store
        .save_findings(vec![found.clone()], T0 + 5)
        .await
        .unwrap();
    found.judged_ms = T0 + 9;
    store
        .save_findings(vec![found.clone()], T0 + 9)
        .await
        .unwrap();
    assert_eq!(store.findings(None).await.unwrap(), [found.clone()]);
    found.severity = Severity::Critical;
    store
        .save_findings(vec![found.clone()], T0 + 10)
        .await
        .unwrap();
    found.state = State::Closed;
    found.closed_ms = Some(T0 + 20);
    store
        .save_findings(vec![found.clone()], T0 + 20)
        .await
        .unwrap();
    assert_eq!(store.findings(None).await.unwrap(), []);
    assert_eq!(store.findings(Some(T0 + 20)).await.unwrap(), [found]);
    assert_eq!(store.findings(Some(T0 + 21)).await.unwrap(), []);
    // The same thing much later is another finding.
    store
        .save_findings(vec![finding("disk_full", 1, State::Open)], T0 + DAY)
        .await
        .unwrap();
    assert_eq!(store.findings(None).await.unwrap()[0].id, 2);
    store.close().await.unwrap();
    let kept: Vec<String> = events(folder.path())
        .into_iter()
        .map(|(n, s, v)| format!("{n} {s} {v}"))
        .collect();
    assert_eq!(
        kept,
        [
            "1 pending warning",
            "1 open warning",
            "1 open critical",
            "1 closed critical",
            "2 open warning"
        ]
    );
}

#[tokio::test]
async fn a_new_finding_with_a_live_ones_identity_is_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for _ in 0..2 {
        store
            .save_findings(vec![finding("disk_full", 1, State::Open)], T0)
            .await
            .unwrap();
    }
    assert_eq!(store.findings(None).await.unwrap().len(), 1);
    let unknown = Finding {
        id: 77,
        ..finding("disk_full", 1, State::Open)
    };
    let both = vec![finding("host_down", 1, State::Open), unknown];
    assert!(matches!(
        store.save_findings(both, T0).await,
        Err(StoreError::Conflict(_))
    ));
    assert_eq!(store.findings(None).await.unwrap().len(), 1, "all or none");
}

#[tokio::test]
async fn retiring_a_host_closes_its_findings_and_only_its() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    let both = vec![
        finding("disk_full", 1, State::Open),
        finding("disk_full", 2, State::Open),
    ];
    store.save_findings(both, T0).await.unwrap();
    store
        .edit_host("web", HostEdit::Retire, T0 + 5)
        .await
        .unwrap();
    let live = store.findings(None).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].host_id, host(2).to_string());
    assert_eq!(
        store.findings(Some(T0)).await.unwrap()[0].closed_ms,
        Some(T0 + 5)
    );
}

#[tokio::test]
async fn the_collector_watches_in_spans_that_end_with_it_or_with_silence() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for at in [0, 10_000, 100_000, 300_000, 310_000, 200_000] {
        store.beat(T0 + at).await.unwrap();
    }
    store.close().await.unwrap();
    let store = open(folder.path()).await;
    store.beat(T0 + 320_000).await.unwrap();
    let spans = store.watch_spans(T0, T0 + DAY).await.unwrap();
    let relative: Vec<_> = spans
        .iter()
        .map(|s| (s.from_ms - T0, s.to_ms - T0))
        .collect();
    assert_eq!(
        relative,
        [
            (0, 100_000),
            (200_000, 200_000),
            (300_000, 310_000),
            (320_000, 320_000)
        ],
        "a silence over 90 s, a clock set back and a restart each begin a span"
    );
    assert_eq!(
        store.watch_spans(T0 + 100_001, T0 + 199_999).await.unwrap(),
        []
    );
}
