use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hostwell_proto::metric::Metric;
use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_760_000_000_000;

fn bounds() -> SpoolConfig {
    SpoolConfig {
        bytes_max: 1 << 20,
        age_max: Duration::from_secs(86_400),
        free_bytes_min: 0,
        free_ratio_min: 0.0,
    }
}

fn table(series: usize) -> SeriesTable {
    let mut table = SeriesTable::default();
    for cpu in 0..series {
        table.number(Metric::CpuSeconds, &[&cpu.to_string(), "idle"]);
    }
    table
}

fn packed(content: u64, bytes: usize, time_ms: i64) -> Packed {
    let mut block = content.to_le_bytes().to_vec();
    block.resize(bytes.max(8), content as u8);
    Packed {
        block,
        from_ms: time_ms,
        to_ms: time_ms + 9,
        samples: 10,
    }
}

fn reopen(dir: &Path) -> (Spool, SeriesTable) {
    open(dir, bounds(), NOW_MS).unwrap()
}

/// Everything the spool would still send, by its identity.
fn pending(spool: &mut Spool) -> BTreeMap<(SpoolId, u64), Vec<u8>> {
    spool.requeue();
    let mut all = BTreeMap::new();
    while let Some(batch) = spool.take_next().or_else(|| spool.take_held()) {
        let twice = all.insert((batch.spool, batch.sequence), batch.block);
        assert!(twice.is_none(), "batch {} handed out twice", batch.sequence);
    }
    spool.requeue();
    all
}

fn dropped(spool: &Spool) -> u64 {
    let gaps = spool.gaps.all();
    gaps.map(|g| g.last_sequence - g.first_sequence + 1).sum()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    files.sort();
    files
}

#[test]
fn batches_come_out_oldest_first_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let table = table(3);
    let pushed: Vec<Outgoing> = (0..5)
        .map(|i| spool.push(&table, packed(i, 20, NOW_MS), NOW_MS))
        .collect();
    assert_eq!(
        pushed.iter().map(|b| b.sequence).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert!(spool.mark_sent(pushed[4].spool, 5), "sent live");
    let order: Vec<Outgoing> = std::iter::from_fn(|| spool.take_next()).collect();
    assert_eq!(order, pushed[..4]);
    assert!(!spool.mark_sent(pushed[0].spool, 1), "already sent");
    spool.ack(pushed[0].spool, 1, 4);
    spool.requeue();
    assert_eq!(spool.take_next().unwrap(), pushed[4]);
    spool.release(pushed[4].spool, 5);
    assert_eq!(
        spool.take_next().unwrap(),
        pushed[4],
        "a released batch comes again"
    );
    spool.refuse(pushed[4].spool, 5, "time");
    assert_eq!(
        (spool.counts().batches, spool.counts().refused),
        (0, vec![("time", 1)])
    );
}

#[test]
fn a_clean_stop_goes_on_with_the_same_numbers_and_series() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let first = spool.push(&table(3), packed(7, 20, NOW_MS), NOW_MS);
    spool.close().unwrap();
    drop(spool);
    // Twice: the second process pushes nothing and still keeps what numbers mean.
    let (mut spool, _) = reopen(dir.path());
    spool.close().unwrap();
    drop(spool);
    let (mut spool, known) = reopen(dir.path());
    assert_eq!(known.len(), 3);
    let second = spool.push(&known, packed(8, 20, NOW_MS), NOW_MS);
    assert_eq!((second.spool, second.sequence), (first.spool, 2));
    assert_eq!(pending(&mut spool).len(), 2);
    assert_eq!(spool.declarations_of(second.spool, 2).unwrap().len(), 3);
}

#[test]
fn after_a_crash_new_numbers_come_under_a_new_spool_id() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let old = spool.push(&table(3), packed(7, 20, NOW_MS), NOW_MS);
    drop(spool);
    let (mut spool, known) = reopen(dir.path());
    assert!(known.is_empty());
    let new = spool.push(&table(1), packed(8, 20, NOW_MS), NOW_MS);
    assert_ne!(new.spool, old.spool);
    assert_eq!(new.sequence, 1);
    assert_eq!(spool.spool_ids(), [old.spool, new.spool]);
    assert_eq!(pending(&mut spool)[&(old.spool, 1)], old.block);
    assert_eq!(spool.declarations_of(old.spool, 1).unwrap().len(), 3);
    assert_eq!(spool.declarations_of(new.spool, 1).unwrap().len(), 1);
    spool.ack(old.spool, 1, 1);
    assert_eq!(spool.spool_ids(), [new.spool]);
}

#[test]
fn a_restart_without_a_new_batch_is_still_a_clean_end_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let first = spool.push(&table(1), packed(1, 20, NOW_MS), NOW_MS);
    spool.close().unwrap();
    drop(spool);
    let (mut spool, known) = reopen(dir.path());
    let second = spool.push(&known, packed(2, 20, NOW_MS), NOW_MS);
    drop(spool);
    let (mut spool, known) = reopen(dir.path());
    let third = spool.push(&known, packed(3, 20, NOW_MS), NOW_MS);
    assert_eq!(first.spool, second.spool);
    assert_ne!(
        third.spool, second.spool,
        "the old marker does not count any more"
    );
}

#[test]
fn the_bound_on_bytes_drops_the_oldest_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let table = table(3);
    let mut last = None;
    for i in 0..300u64 {
        last = Some(spool.push(&table, packed(i, 8 << 10, NOW_MS), NOW_MS));
        spool.enforce(NOW_MS, None);
        assert!(spool.counts().bytes <= 1 << 20, "bound after batch {i}");
    }
    let kept = pending(&mut spool).len() as u64;
    assert_eq!(
        kept + dropped(&spool),
        300,
        "every batch is kept or reported"
    );
    assert_eq!(spool.counts().dropped_bytes, dropped(&spool) * 10);
    let gap = spool.take_gap().unwrap();
    assert_eq!((gap.first_sequence, gap.last_sequence), (1, 300 - kept));
    assert_eq!(
        (gap.samples, gap.reason.as_str()),
        ((300 - kept) * 10, "bytes")
    );
    assert_eq!((gap.from_ms, gap.to_ms), (NOW_MS, NOW_MS + 9));
    assert!(spool.take_gap().is_none(), "one gap, not one a batch");
    drop(spool);

    let (mut spool, _) = reopen(dir.path());
    assert_eq!(spool.take_gap().unwrap(), gap, "a gap outlives the process");
    spool.ack(last.unwrap().spool, gap.first_sequence, gap.last_sequence);
    drop(spool);
    let (mut spool, _) = reopen(dir.path());
    assert!(
        spool.take_gap().is_none(),
        "and is acknowledged like a batch"
    );
}

#[test]
fn the_bound_on_age_drops_what_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let table = table(1);
    let hour = 3_600_000;
    for i in 0..30 {
        let now_ms = NOW_MS + i * hour;
        spool.push(&table, packed(i as u64, 20, now_ms), now_ms);
        spool.enforce(now_ms, None);
        let oldest = spool.counts().oldest_ms.unwrap();
        assert!(
            now_ms - oldest <= 24 * hour,
            "nothing older than a day after {i} hours"
        );
    }
    let kept = pending(&mut spool).len();
    assert!((22..=25).contains(&kept), "about a day is kept: {kept}");
    assert_eq!(spool.gaps.all().next().unwrap().reason, "age");
    spool.enforce(NOW_MS + 400 * 24 * hour, None);
    assert_eq!(pending(&mut spool).len(), 0, "the live segment ages too");
    assert_eq!(
        kept as u64 + spool.counts().dropped_age / 10 - kept as u64,
        30
    );
    let next = spool.push(&table, packed(31, 20, NOW_MS), NOW_MS);
    assert_eq!(next.sequence, 31);
}

#[test]
fn the_bound_on_free_space_shrinks_the_spool_to_little() {
    let dir = tempfile::tempdir().unwrap();
    let mut bounds = bounds();
    bounds.free_bytes_min = 1000;
    bounds.free_ratio_min = 0.5;
    let (mut spool, _) = open(dir.path(), bounds, NOW_MS).unwrap();
    let table = table(3);
    let roomy = Some(Free {
        bytes: 5000,
        total: 9000,
    });
    for i in 0..50 {
        spool.push(&table, packed(i, 8 << 10, NOW_MS), NOW_MS);
        spool.enforce(NOW_MS, roomy);
    }
    assert_eq!(spool.counts().dropped_free_space, 0);
    for free in [
        Free {
            bytes: 900,
            total: 1000,
        },
        Free {
            bytes: 4000,
            total: 9000,
        },
    ] {
        for i in 0..50 {
            let batch = spool.push(&table, packed(i, 8 << 10, NOW_MS), NOW_MS);
            spool.enforce(NOW_MS, Some(free));
            assert!(
                pending(&mut spool).contains_key(&(batch.spool, batch.sequence)),
                "the newest batch, perhaps on its way, stays"
            );
        }
        assert!(
            spool.counts().bytes <= 160 << 10,
            "{}",
            spool.counts().bytes
        );
    }
    let kept = pending(&mut spool).len() as u64;
    assert_eq!(kept + dropped(&spool), 150);
    assert_eq!(spool.gaps.all().next().unwrap().reason, "free_space");
}

#[test]
fn a_disk_that_takes_nothing_costs_only_what_memory_cannot_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let (mut spool, _) = reopen(&path);
    let table = table(3);
    let first = spool.push(&table, packed(0, 20, NOW_MS), NOW_MS);
    // The folder is gone and cannot come back: every new segment fails.
    spool.live = false;
    std::fs::rename(&path, dir.path().join("away")).unwrap();
    std::fs::write(&path, "in the way").unwrap();
    for i in 1..=70 {
        spool.push(&table, packed(i, 20, NOW_MS), NOW_MS);
        spool.enforce(NOW_MS, None);
    }
    let counts = spool.counts();
    assert_eq!(counts.write_errors, 70);
    assert_eq!(counts.dropped_free_space, 60, "64 of 70 are held");
    let held = spool.take_held().unwrap();
    assert_eq!(held.sequence, 8);
    spool.ack(first.spool, held.sequence, held.sequence);

    std::fs::remove_file(&path).unwrap();
    std::fs::rename(dir.path().join("away"), &path).unwrap();
    let next = spool.push(&table, packed(71, 20, NOW_MS), NOW_MS);
    assert_eq!(
        (next.spool, next.sequence),
        (first.spool, 72),
        "numbers go on"
    );
    let pending = pending(&mut spool);
    assert_eq!(pending.len(), 65, "one before, 63 held, one after");
    assert_eq!(pending[&(next.spool, 72)], next.block);
}

#[test]
fn a_batch_that_rots_on_disk_becomes_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let table = table(1);
    for i in 0..3 {
        spool.push(&table, packed(i, 100, NOW_MS), NOW_MS);
    }
    let file = files(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() - 150;
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let kept: Vec<u64> = pending(&mut spool).keys().map(|(_, s)| *s).collect();
    assert_eq!(kept, [1, 3]);
    let gap = spool.take_gap().unwrap();
    assert_eq!((gap.first_sequence, gap.reason.as_str()), (2, "damaged"));
    drop(spool);
    let (mut spool, _) = reopen(dir.path());
    assert_eq!(
        dropped(&spool),
        1,
        "reported once, not again at the next start"
    );
    assert_eq!(pending(&mut spool).len(), 2);
}

#[test]
fn what_the_collector_holds_takes_a_gap_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = reopen(dir.path());
    let batch = spool.push(&table(1), packed(1, 100, NOW_MS), NOW_MS);
    drop(spool);
    let file = files(dir.path()).pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let (mut spool, _) = reopen(dir.path());
    assert_eq!(dropped(&spool), 1);
    assert_eq!(
        spool.spool_ids()[0],
        batch.spool,
        "the spool of a gap is named in Hello"
    );
    spool.ack(batch.spool, 1, 1);
    assert_eq!(dropped(&spool), 0);
}

#[test]
fn a_crash_loop_does_not_pile_up_segments() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        drop(reopen(dir.path()));
    }
    assert!(files(dir.path()).len() <= 2, "{:?}", files(dir.path()));
}

#[derive(Clone, Debug)]
enum Step {
    Push { bytes: usize },
    Ack { index: usize },
    Send,
    Disconnect,
    Crash,
    CleanRestart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (8usize..30_000).prop_map(|bytes| Step::Push { bytes }),
        4 => (0usize..40).prop_map(|index| Step::Ack { index }),
        3 => Just(Step::Send),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Crash),
        1 => Just(Step::CleanRestart),
    ];
    proptest::collection::vec(step, 1..60)
}

/// The spool against a map: what was pushed and not acknowledged is what comes out.
fn run(dir: &Path, steps: &[Step]) -> (Spool, BTreeMap<(SpoolId, u64), Vec<u8>>) {
    let (mut spool, mut table) = reopen(dir);
    let mut model: BTreeMap<(SpoolId, u64), Vec<u8>> = BTreeMap::new();
    let mut ever = std::collections::HashSet::new();
    for (content, step) in steps.iter().enumerate() {
        match step {
            Step::Push { bytes } => {
                table.number(Metric::CpuSeconds, &[&content.to_string(), "idle"]);
                let out = spool.push(&table, packed(content as u64, *bytes, NOW_MS), NOW_MS);
                assert!(
                    ever.insert((out.spool, out.sequence)),
                    "a number given out twice"
                );
                model.insert((out.spool, out.sequence), out.block);
            }
            Step::Ack { index } => {
                if let Some(key) = model.keys().nth(*index).copied() {
                    spool.ack(key.0, key.1, key.1);
                    model.remove(&key);
                }
            }
            Step::Send => drop(spool.take_next()),
            Step::Disconnect => spool.requeue(),
            Step::Crash => {
                drop(spool);
                (spool, table) = reopen(dir);
            }
            Step::CleanRestart => {
                spool.close().unwrap();
                drop(spool);
                (spool, table) = reopen(dir);
            }
        }
    }
    (spool, model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_spool_is_the_map_of_what_was_pushed_and_not_acknowledged(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut model) = run(dir.path(), &steps);
        // Acknowledged batches that share a segment with others come back after a restart:
        // the collector's Welcome names them. None is missing, none has other content.
        let pending = pending(&mut spool);
        for (key, block) in &pending {
            if let Some(expected) = model.remove(key) {
                prop_assert_eq!(block, &expected);
            }
        }
        prop_assert!(model.is_empty() || dropped(&spool) >= model.len() as u64, "{:?}", model.keys());
    }

    #[test]
    fn every_series_a_batch_needs_is_declared_in_its_own_segment(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = run(dir.path(), &steps);
        spool.requeue();
        while let Some(batch) = spool.take_next() {
            let declared = spool.declarations_of(batch.spool, batch.sequence).unwrap();
            prop_assert!(declared.len() >= batch.series as usize);
            let ordered = declared.iter().zip(0u32..).all(|(d, n)| d.number == n);
            prop_assert!(ordered);
        }
    }

    #[test]
    fn damage_anywhere_costs_little_and_invents_nothing(
        steps in steps(), place in any::<prop::sample::Index>(), which in any::<prop::sample::Index>(),
        kind in 0u8..4, junk in any::<u8>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (spool, model) = run(dir.path(), &steps);
        let last_id = spool.spool;
        drop(spool);
        let files = files(dir.path());
        let file = &files[which.index(files.len())];
        let mut bytes = std::fs::read(file).unwrap();
        let at = place.index(bytes.len());
        match kind {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= junk | 1,
            2 => bytes[at..].fill(0),
            _ => { bytes.insert(at, junk); }
        }
        std::fs::write(file, &bytes).unwrap();
        let (mut spool, _) = reopen(dir.path());
        prop_assert_ne!(spool.spool, last_id, "never the same numbers after damage");
        for (key, block) in pending(&mut spool) {
            if let Some(expected) = model.get(&key) {
                prop_assert_eq!(&block, expected, "content of {:?}", key);
            }
        }
        let new = spool.push(&table(2), packed(1, 50, NOW_MS), NOW_MS);
        prop_assert!(pending(&mut spool).contains_key(&(new.spool, new.sequence)));
    }

    #[test]
    fn any_bytes_as_files_are_opened_without_a_panic(
        segment in proptest::collection::vec(any::<u8>(), 0..300), magic in any::<bool>(),
        gaps in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = if magic { record::MAGIC.to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&segment);
        std::fs::write(dir.path().join("00000000000000aa.seg"), &bytes).unwrap();
        std::fs::write(dir.path().join("gaps"), &gaps).unwrap();
        let (mut spool, _) = reopen(dir.path());
        prop_assert!(pending(&mut spool).is_empty());
        gaps::decode(&gaps);
    }

    #[test]
    fn any_declared_numbers_in_valid_records_are_read_without_a_panic(
        first in any::<u64>(), sequence in any::<u64>(), next in any::<u64>(), close in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = record::MAGIC.to_vec();
        let spool = SpoolId([3; 16]);
        record::put(&mut bytes, &record::Record::Start { spool, first_sequence: first, created_ms: 0 });
        let head = BatchHead { sequence, from_ms: i64::MIN, to_ms: i64::MAX, samples: u32::MAX, series: 0 };
        record::put(&mut bytes, &record::Record::Batch { head, block: b"x" });
        if close {
            record::put(&mut bytes, &record::Record::Close { next_sequence: next });
        }
        std::fs::write(dir.path().join("0000000000000001.seg"), &bytes).unwrap();
        let (mut spool, _) = reopen(dir.path());
        spool.enforce(NOW_MS, None);
        pending(&mut spool);
        spool.push(&table(1), packed(1, 50, NOW_MS), NOW_MS);
    }
}
