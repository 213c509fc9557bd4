//! What people decide about findings, and what the rules make of it afterwards.

use super::register::finding;
use super::*;
use crate::rules::Finding;

const MINUTE: i64 = 60_000;

fn deed(at_ms: i64, who: &str) -> Deed {
    Deed {
        at_ms,
        who: who.into(),
        note: None,
    }
}

/// A store with one open finding, number 1.
async fn with_risk(folder: &Path) -> Store {
    let store = open(folder).await;
    save(&store, State::Open, T0).await;
    store
}

/// What the rules say now of the one finding that these tests are about.
async fn save(store: &Store, state: State, at_ms: i64) {
    judge(store, state, Severity::Warning, at_ms).await;
}

async fn judge(store: &Store, state: State, severity: Severity, at_ms: i64) {
    let live = store.verdicts().await.unwrap().pop();
    let opened = (state == State::Open).then_some(at_ms);
    let judged = Finding {
        id: live.as_ref().map_or(0, |f| f.id),
        state,
        severity,
        opened_ms: live.and_then(|f| f.opened_ms).or(opened),
        closed_ms: (state == State::Closed).then_some(at_ms),
        ..finding("disk_full", 1, state)
    };
    store.save_findings(vec![judged], at_ms).await.unwrap();
}

/// Number and state of what the register shows of the last day.
async fn shown(store: &Store) -> Vec<(i64, State)> {
    let entries = store.register(Some(T0 - DAY)).await.unwrap();
    let shown = entries.iter().map(|e| (e.finding.id, e.finding.state));
    shown.collect()
}

async fn happened(store: &Store, number: i64) -> Vec<Happened> {
    let (_, events) = store.risk(number).await.unwrap();
    events.into_iter().map(|e| e.happened).collect()
}

fn decided(edit: RiskEdit) -> Happened {
    Happened::Decided { edit }
}

#[tokio::test]
async fn decisions_survive_a_restart_with_who_when_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let seen = Deed {
        note: Some("disk ordered".into()),
        ..deed(T0 + 1, "anna")
    };
    let owner = Some("bert".to_owned());
    let mute = RiskEdit::Mute { until_ms: T0 + 60 };
    let edits = [
        (RiskEdit::Acknowledge, seen.clone()),
        (
            RiskEdit::Assign {
                owner: owner.clone(),
            },
            deed(T0 + 2, "anna"),
        ),
        (mute.clone(), deed(T0 + 3, "bert")),
    ];
    for (edit, by) in edits {
        store.edit_risks(vec![1], edit, by).await.unwrap();
    }
    // A verdict does not undo what people decided.
    save(&store, State::Open, T0 + 10).await;
    store.close().await.unwrap();
    let store = open(folder.path()).await;
    let (entry, events) = store.risk(1).await.unwrap();
    assert_eq!(entry.care.acknowledged, Some(seen));
    assert_eq!(entry.care.owner, owner);
    assert!(entry.care.is_muted(T0 + 59), "until then");
    assert!(!entry.care.is_muted(T0 + 60), "a mute passes by itself");
    let told: Vec<_> = events
        .iter()
        .map(|e| (e.at_ms - T0, e.who.as_deref(), e.note.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (0, None, None),
            (1, Some("anna"), Some("disk ordered")),
            (2, Some("anna"), None),
            (3, Some("bert"), None)
        ]
    );
    assert_eq!(events[3].happened, decided(mute));
}

#[tokio::test]
async fn a_risk_that_comes_and_goes_is_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let seen = deed(T0 + 1, "anna");
    let edit = store.edit_risks(vec![1], RiskEdit::Acknowledge, seen);
    edit.await.unwrap();
    for round in 1..4 {
        let at = T0 + round * 40 * MINUTE;
        save(&store, State::Closed, at).await;
        assert_eq!(shown(&store).await, [(1, State::Closed)]);
        save(&store, State::Pending, at + 10 * MINUTE).await;
        save(&store, State::Open, at + 20 * MINUTE).await;
        assert_eq!(shown(&store).await, [(1, State::Open)], "round {round}");
    }
    let (entry, events) = store.risk(1).await.unwrap();
    assert!(entry.care.acknowledged.is_some(), "still the same entry");
    assert_eq!(entry.finding.opened_ms, Some(T0), "and as old as it is");
    assert_eq!(events.len(), 8);
    assert_eq!(events[7].happened, Happened::Reopened);
    // After a longer rest it is news.
    save(&store, State::Closed, T0 + DAY).await;
    save(&store, State::Open, T0 + DAY + 61 * MINUTE).await;
    assert_eq!(shown(&store).await.len(), 2);
    let (entry, _) = store.risk(5).await.unwrap();
    assert_eq!(entry.care, Care::default());
}

#[tokio::test]
async fn what_was_only_pending_is_forgotten_and_its_number_never_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    save(&store, State::Pending, T0).await;
    assert_eq!(shown(&store).await, [(1, State::Pending)]);
    let early = store.edit_risks(vec![1], RiskEdit::Acknowledge, deed(T0, "anna"));
    let refused = early.await.unwrap_err().to_string();
    assert!(refused.contains("only pending"), "{refused}");
    save(&store, State::Closed, T0 + 1).await;
    assert_eq!(shown(&store).await, []);
    save(&store, State::Open, T0 + 2).await;
    assert_eq!(shown(&store).await, [(2, State::Open)]);
}

#[tokio::test]
async fn what_is_closed_by_hand_stays_closed_until_it_gets_worse() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let close = |at_ms| store.edit_risks(vec![1], RiskEdit::Close, deed(at_ms, "anna"));
    close(T0 + 5).await.unwrap();
    save(&store, State::Open, T0 + 10).await;
    judge(&store, State::Open, Severity::Info, T0 + 11).await;
    judge(&store, State::Open, Severity::Warning, T0 + 12).await;
    assert_eq!(shown(&store).await, [(1, State::Closed)]);
    assert_eq!(
        store.findings(None).await.unwrap(),
        [],
        "not open for anybody"
    );
    assert_eq!(store.findings(Some(T0 + 6)).await.unwrap(), []);
    let twice = close(T0 + 13).await.unwrap_err().to_string();
    assert!(twice.contains("risk reopen 1"), "{twice}");
    judge(&store, State::Open, Severity::Critical, T0 + 20).await;
    assert_eq!(shown(&store).await, [(1, State::Open)]);
    assert_eq!(
        happened(&store, 1).await,
        [
            Happened::Opened,
            decided(RiskEdit::Close),
            Happened::Severity,
            Happened::Severity,
            Happened::Reopened
        ]
    );
}

#[tokio::test]
async fn closing_by_hand_can_be_undone_while_the_condition_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let edit = |edit, at_ms| store.edit_risks(vec![1], edit, deed(at_ms, "anna"));
    let open = edit(RiskEdit::Reopen, T0 + 1).await.unwrap_err();
    assert!(open.to_string().contains("open already"), "{open}");
    edit(RiskEdit::Close, T0 + 2).await.unwrap();
    let entry = edit(RiskEdit::Reopen, T0 + 3).await.unwrap().remove(0);
    assert_eq!(entry.finding.state, State::Open);
    save(&store, State::Closed, T0 + 4).await;
    let over = edit(RiskEdit::Reopen, T0 + 5).await.unwrap_err();
    assert!(over.to_string().contains("is over"), "{over}");
}

#[tokio::test]
async fn a_condition_that_ended_and_began_anew_opens_what_was_closed_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let close = store.edit_risks(vec![1], RiskEdit::Close, deed(T0 + 5, "anna"));
    close.await.unwrap();
    save(&store, State::Closed, T0 + 10).await;
    save(&store, State::Open, T0 + 20).await;
    assert_eq!(shown(&store).await, [(1, State::Open)]);
}

#[tokio::test]
async fn a_decision_about_several_is_made_for_all_or_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let both = store.edit_risks(vec![1, 99], RiskEdit::Acknowledge, deed(T0 + 1, "anna"));
    let refused = both.await.unwrap_err().to_string();
    assert!(refused.contains("no finding has number 99"), "{refused}");
    let (entry, events) = store.risk(1).await.unwrap();
    assert_eq!((entry.care, events.len()), (Care::default(), 1));
}

#[tokio::test]
async fn late_data_changes_what_is_recorded_of_an_open_risk_and_makes_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_risk(folder.path()).await;
    let mut late = store.verdicts().await.unwrap().remove(0);
    late.since_ms = T0 - HOUR;
    late.summary = "it began an hour before".into();
    store.save_findings(vec![late], T0 + 10).await.unwrap();
    let (entry, events) = store.risk(1).await.unwrap();
    assert_eq!(entry.finding.since_ms, T0 - HOUR);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].summary, "12 GB left", "what was said then");
}
