//! The store and the naive model get the same operations in any order and must give the same
//! answers: whatever is late, repeated, overlapping, merged, sealed one by one, reopened or killed.

use super::super::history::newest;
use super::model::Model;
use super::*;
use crate::series::Agg;
use proptest::prelude::*;

const HOSTS: u8 = 3;
const MINUTE: i64 = 60_000;
/// What is asked of whole ranges.
const AGGS: [Agg; 7] = [
    Agg::Avg,
    Agg::Min,
    Agg::Max,
    Agg::Sum,
    Agg::Count,
    Agg::P95,
    Agg::Deriv,
];
const METRICS: [&str; 4] = [
    "node_load1",
    "node_memory_MemFree_bytes",
    "custom_a",
    "custom_b",
];

/// What a host sends.
#[derive(Clone, Debug)]
struct Sent {
    host: u8,
    spool: u8,
    sequence: u64,
    columns: Vec<(u8, Vec<bool>)>,
    ticks: Vec<(i64, f64)>,
    /// When it arrives, in minutes behind T0.
    minute: i64,
}

#[derive(Clone, Debug)]
enum Op {
    Append(Sent),
    Gap {
        host: u8,
        spool: u8,
        first: u64,
        more: u64,
    },
    Merge {
        host: u8,
        into: u8,
    },
    Seal,
    /// The same at a minute of the hour in which everything arrives: only hosts whose hour turned since.
    SealSome(i64),
    /// Some are sealed while several batches come.
    Race(i64, Vec<Sent>),
    /// The row of a host's newest samples goes, as it may at any time.
    Forget(u8),
    /// Whoever else reads the file, or a copy of it.
    Look,
    Reopen,
    Kill,
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-5i32..5).prop_map(f64::from),
        (0u32..1000).prop_map(|v| f64::from(v) / 100.0),
        Just(-0.0),
        any::<f64>().prop_filter("finite", |v| v.is_finite()),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    // Times meet often, and are hours apart often: overlaps and separate blocks.
    let tick =
        ((0i64..12), (0i64..3), value()).prop_map(|(s, h, v)| (T0 + h * 2 * HOUR + s * 1000, v));
    let columns = prop::collection::vec(
        (
            0..METRICS.len() as u8,
            prop::collection::vec(any::<bool>(), 8),
        ),
        1..4,
    );
    let ticks = prop::collection::vec(tick, 0..8);
    (0..HOSTS, 0u8..2, 1u64..20, columns, ticks, 0i64..60).prop_map(
        |(host, spool, sequence, columns, ticks, minute)| Sent {
            host,
            spool,
            sequence,
            columns,
            ticks,
            minute,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => sent().prop_map(Op::Append),
        1 => (0..HOSTS, 0u8..2, 1u64..20, 0u64..4)
            .prop_map(|(host, spool, first, more)| Op::Gap { host, spool, first, more }),
        1 => (0..HOSTS, 0..HOSTS).prop_map(|(host, into)| Op::Merge { host, into }),
        1 => Just(Op::Seal),
        5 => (0i64..60).prop_map(Op::SealSome),
        2 => (0i64..60, prop::collection::vec(sent(), 1..6)).prop_map(|(m, all)| Op::Race(m, all)),
        1 => (0..HOSTS).prop_map(Op::Forget),
        2 => Just(Op::Look),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
    ]
}

fn name(metric: u8) -> SeriesName {
    gauge(METRICS[usize::from(metric)]).0
}

fn never_prune(folder: &Path) -> StoreOptions {
    StoreOptions {
        retention_ms: 100_000 * DAY,
        ..options(folder)
    }
}

/// Both histories, and where the store lives now.
struct Pair {
    model: Model,
    store: Store,
    folder: tempfile::TempDir,
}

impl Pair {
    async fn new() -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(never_prune(folder.path())).await.unwrap();
        for n in 0..HOSTS {
            store
                .greet(greeting(n, &format!("h{n}")), T0)
                .await
                .unwrap();
        }
        Pair {
            model: Model::new(usize::from(HOSTS)),
            store,
            folder,
        }
    }

    /// A batch, and what the store has to answer to it.
    async fn append_of(&mut self, sent: Sent) -> (Append, Appended) {
        let Sent { host: n, ticks, .. } = &sent;
        let columns: BTreeMap<u8, Vec<bool>> = sent.columns.iter().cloned().collect();
        let names = columns.keys().map(|m| (name(*m), Kind::Gauge)).collect();
        let series = self.store.series_ids(host(*n), names).await.unwrap();
        let mut samples = Vec::new();
        let mut packed = Vec::new();
        for (number, (metric, present)) in columns.iter().enumerate() {
            let kept: Vec<usize> = (0..ticks.len()).filter(|i| present[*i]).collect();
            samples.extend(
                kept.iter()
                    .map(|i| (name(*metric), ticks[*i].0, ticks[*i].1)),
            );
            packed.push(Column {
                number: number as u32,
                ticks: (kept.len() != ticks.len())
                    .then(|| kept.iter().map(|i| *i as u16).collect()),
                values: kept.iter().map(|i| ticks[*i].1).collect(),
            });
        }
        let append = Append {
            host_id: host(*n),
            spool_id: spool(sent.spool),
            sequence: sent.sequence,
            received_ms: T0 + sent.minute * MINUTE,
            block: Packed::of(&Block {
                times_ms: ticks.iter().map(|t| t.0).collect(),
                columns: packed,
            }),
            series,
        };
        let of = (sent.spool, sent.sequence);
        let wanted = self.model.append((*n).into(), of, samples.into_iter());
        (append, wanted)
    }

    async fn append(&mut self, sent: Sent) {
        let (append, wanted) = self.append_of(sent).await;
        assert_eq!(self.store.append(append).await.unwrap(), wanted);
    }

    async fn race(&mut self, minute: i64, all: Vec<Sent>) {
        let (mut appends, mut wanted) = (Vec::new(), Vec::new());
        for sent in all {
            let (append, answer) = self.append_of(sent).await;
            appends.push(append);
            wanted.push(answer);
        }
        let writer = self.store.writing().unwrap().writer.clone();
        let put = async {
            let (mut appender, mut answers) = (Appender::new(writer, true), Vec::new());
            for append in appends {
                assert!(appender.put(append, None).unwrap().is_none());
                tokio::task::yield_now().await;
            }
            while appender.open() > 0 {
                let done = appender.next().await.into_iter();
                answers.extend(done.map(|done| done.result.unwrap()));
            }
            answers
        };
        let sealed = self.store.upkeep(T0 + minute * MINUTE);
        let (answers, sealed) = tokio::join!(put, sealed);
        sealed.unwrap();
        assert_eq!(answers, wanted);
    }

    /// A copy of the files as they would be if all power failed now.
    fn copy(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        super::crash::copy(self.folder.path(), folder.path());
        folder
    }

    async fn forget(&self, host_number: u8) {
        // Hosts are numbered from one in the order they came.
        let number = i64::from(host_number) + 1;
        let forget = move |ledger: &mut writer::Ledger| newest::forget(&ledger.conn, number);
        self.store.write("forget a row", forget).await.unwrap();
    }

    async fn look(&self) {
        let copy = self.copy();
        let reader = |folder: &Path| {
            let path = folder.join("hostwell.db");
            async move { Store::open_read_only(&path).await.unwrap() }
        };
        let others = [
            reader(self.folder.path()).await,
            reader(copy.path()).await,
            self.store.clone(),
        ];
        let wanted = bits(self.model.windows(&all()));
        let mut counts = Vec::new();
        for store in others {
            let windows = store.windows(all()).await.unwrap();
            assert_eq!(bits(windows), wanted);
            let facts = store.facts(true).await.unwrap();
            assert_eq!(facts.problems, Vec::<String>::new());
            counts.push((facts.samples, facts.journal_batches, facts.newest_ms));
        }
        assert!(counts.iter().all(|one| *one == counts[0]), "{counts:?}");
    }

    /// What is in memory is what waits in the file, neither less nor what is sealed already.
    fn weigh(&self) {
        let path = self.folder.path().join("hostwell.db");
        let conn = rusqlite::Connection::open(path).unwrap();
        let sql = "SELECT coalesce(sum(samples), 0) FROM waiting";
        let waiting: i64 = conn.query_row(sql, [], |r| r.get(0)).unwrap();
        assert_eq!(self.store.pulse().head_samples as i64, waiting);
    }

    async fn gap(&mut self, host_number: u8, spool_number: u8, (first, last): (u64, u64)) {
        let gap = GapRecord {
            spool_id: spool(spool_number).to_string(),
            first_sequence: first,
            last_sequence: last,
            from_ms: T0,
            to_ms: T0,
            samples: 1,
            reason: "age".into(),
        };
        let told = self
            .store
            .append_gap(host(host_number), gap.clone(), T0)
            .await
            .unwrap();
        assert_eq!(
            told,
            self.model.append_gap(host_number.into(), spool_number, gap)
        );
    }

    async fn merge(&mut self, host_number: u8, into: u8) {
        let (from, to) = (usize::from(host_number), usize::from(into));
        let edit = HostEdit::MergeInto {
            into: format!("h{into}"),
        };
        // Two merges of one millisecond have no order of their own.
        let now_ms = T0 + self.model.merges as i64;
        let merged = self
            .store
            .edit_host(&format!("h{host_number}"), edit, now_ms)
            .await;
        if from != to && self.model.stands(from) && self.model.stands(to) {
            merged.unwrap();
            self.model.merge(from, to);
        } else {
            assert!(merged.is_err());
        }
    }

    async fn apply(&mut self, op: Op) {
        match op {
            Op::Append(sent) => self.append(sent).await,
            Op::Gap {
                host,
                spool,
                first,
                more,
            } => {
                self.gap(host, spool, (first, first + more)).await;
            }
            Op::Merge { host, into } => self.merge(host, into).await,
            Op::Seal => self.store.upkeep(T0 + 100 * HOUR).await.unwrap(),
            Op::SealSome(minute) => self.store.upkeep(T0 + minute * MINUTE).await.unwrap(),
            Op::Race(minute, all) => self.race(minute, all).await,
            Op::Forget(n) => self.forget(n).await,
            Op::Look => self.look().await,
            Op::Reopen => {
                self.store.close().await.unwrap();
                self.store = Store::open(never_prune(self.folder.path())).await.unwrap();
            }
            Op::Kill => {
                let folder = self.copy();
                self.store = Store::open(never_prune(folder.path())).await.unwrap();
                self.folder = folder;
            }
        }
    }

    async fn compare(&self) {
        let metrics = |wanted: &[&str]| wanted.iter().map(|m| (*m).to_owned()).collect();
        let queries = [
            all(),
            WindowQuery {
                from_ms: T0 + 3000,
                to_ms: T0 + 2 * HOUR + 5000,
                ..all()
            },
            WindowQuery {
                metrics: metrics(&["custom_b", "node_load1", "no_such"]),
                ..all()
            },
            WindowQuery {
                from_ms: T0 + 1,
                to_ms: T0,
                ..all()
            },
        ];
        let path = self.folder.path().join("hostwell.db");
        let at_rest = Store::open_read_only(&path).await.unwrap();
        for query in queries {
            for store in [&self.store, &at_rest] {
                let windows = store.windows(query.clone()).await.unwrap();
                assert_eq!(bits(windows), bits(self.model.windows(&query)), "{query:?}");
                for metric in METRICS {
                    let only = chosen(metric);
                    let windows = store.chosen_windows(query.clone(), only.clone()).await;
                    let wanted = narrowed(self.model.windows(&query), metric);
                    assert_eq!(bits(windows.unwrap()), bits(wanted), "{query:?}");
                    let latest = store.latest(query.clone(), only).await.unwrap();
                    let wanted = narrowed(self.model.latest(&query), metric);
                    assert_eq!(bits(latest), bits(wanted), "latest of {query:?}");
                    for agg in AGGS {
                        let whole = store.whole(query.clone(), chosen(metric), agg.into()).await;
                        let wanted = narrowed(self.model.whole(&query, agg), metric);
                        let of = narrowed(self.model.windows(&query), metric);
                        let (found, wanted) = match agg {
                            Agg::Deriv => (sloped(whole.unwrap(), &of), sloped(wanted, &of)),
                            _ => (whole.unwrap(), wanted),
                        };
                        assert_near(found, wanted, (&of, agg));
                    }
                }
            }
        }
        for n in 0..HOSTS {
            for s in 0..2 {
                let held = self.store.holding(host(n), spool(s)).await.unwrap();
                assert_eq!(held, self.model.holding(n.into(), s));
            }
            if self.model.stands(n.into()) {
                let name = format!("h{n}");
                let gaps = self.store.gaps(Some(&name), T0, T0).await.unwrap();
                assert_eq!(gaps.len(), self.model.gap_count(n.into()));
            }
        }
        assert_eq!(
            self.store.facts(true).await.unwrap().problems,
            Vec::<String>::new()
        );
    }
}

/// Chooses the series of one metric of the first two hosts.
fn chosen(metric: &'static str) -> Chosen {
    Arc::new(move |host, name| host != "h2" && name.metric == metric)
}

/// What [`chosen`] leaves of windows.
fn narrowed(mut windows: Vec<Window>, metric: &'static str) -> Vec<Window> {
    let chosen = chosen(metric);
    for window in &mut windows {
        window.series.retain(|s| chosen(&window.host, &s.name));
    }
    windows
}

/// Slopes that can be compared: one sample has none, and where products of values and times have no
/// room in a double it depends on their order what is left.
fn sloped(mut windows: Vec<Window>, of: &[Window]) -> Vec<Window> {
    for (window, of) in windows.iter_mut().zip(of) {
        let samples = |name: &SeriesName| of.series.iter().find(|s| s.name == *name).unwrap();
        let small = |values: &[f64]| values.iter().all(|v| v.abs() < 1e280);
        let series = &mut window.series;
        series.retain(|s| !s.values.is_empty() && small(&samples(&s.name).values));
    }
    windows
}

type Bits = Vec<(String, Vec<(SeriesName, Vec<(i64, u64)>)>)>;

/// Windows with the values' bits: 0.0 and -0.0 are two values.
fn bits(windows: Vec<Window>) -> Bits {
    let points = |s: &crate::series::Series| {
        s.times_ms
            .iter()
            .copied()
            .zip(s.values.iter().map(|v| v.to_bits()))
            .collect()
    };
    windows
        .into_iter()
        .map(|w| {
            (
                w.host,
                w.series
                    .iter()
                    .map(|s| (s.name.clone(), points(s)))
                    .collect(),
            )
        })
        .collect()
}

/// The same but for what adding the samples `of` a series up in another order leaves: that is a part
/// of the largest of them, also where they come to nothing. A slope is a second's, and there may be a
/// millisecond between two samples.
fn assert_near(found: Vec<Window>, wanted: Vec<Window>, (of, agg): (&[Window], Agg)) {
    assert_eq!(shape(&found), shape(&wanted), "{agg}");
    let part = if agg == Agg::Deriv { 1e-6 } else { 1e-9 };
    let largest = |s: &crate::series::Series| {
        let finite = s.values.iter().filter(|v| v.is_finite());
        finite.fold(f64::MIN_POSITIVE, |most, v| most.max(v.abs()))
    };
    for ((found, wanted), of) in found.iter().zip(&wanted).zip(of) {
        for (one, other) in found.series.iter().zip(&wanted.series) {
            let samples = of.series.iter().find(|s| s.name == one.name).unwrap();
            let near = part * largest(samples);
            for (a, b) in one.values.iter().zip(&other.values) {
                let same = a.to_bits() == b.to_bits() || (a - b).abs() <= near;
                assert!(same || (a.is_nan() && b.is_nan()), "{agg}: {a} and {b}");
            }
        }
    }
}

/// Windows without their values.
fn shape(windows: &[Window]) -> Bits {
    let mut windows = windows.to_vec();
    let series = windows.iter_mut().flat_map(|w| &mut w.series);
    series.for_each(|s| s.values.fill(0.0));
    bits(windows)
}

fn check(ops: Vec<Op>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new().await;
        for op in ops {
            pair.apply(op).await;
            pair.weigh();
        }
        pair.compare().await;
        for last in [Op::Seal, Op::Reopen] {
            pair.apply(last).await;
            pair.compare().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_gives_the_answers_of_the_naive_history(
        ops in prop::collection::vec(op(), 0..30)
    ) {
        check(ops);
    }
}

#[test]
fn blocks_that_are_merged_answer_as_before() {
    let load = |sequence: u64| {
        let columns = [0, 1 + (sequence % 3) as u8].map(|metric| (metric, vec![true; 8]));
        let at = |tick: i64| T0 + (sequence as i64 * 5 + tick) * MINUTE;
        Op::Append(Sent {
            host: 0,
            spool: 0,
            sequence,
            columns: columns.to_vec(),
            ticks: (0..8).map(|t| (at(t), sequence as f64 / 8.0)).collect(),
            minute: 0,
        })
    };
    let ops = (1..20).flat_map(|sequence| [load(sequence), Op::Seal]);
    check(ops.collect());
}

#[test]
fn a_chain_of_merges_answers_by_precedence() {
    let load = |host: u8, value: f64| {
        Op::Append(Sent {
            host,
            spool: 0,
            sequence: 1,
            columns: vec![(0, vec![true; 8])],
            ticks: vec![(T0, value), (T0 + i64::from(host), value)],
            minute: 0,
        })
    };
    let merge = |host, into| Op::Merge { host, into };
    check(vec![
        load(0, 1.0),
        load(1, 2.0),
        Op::Seal,
        load(2, 3.0),
        merge(0, 1),
        merge(1, 2),
    ]);
    check(vec![
        load(2, 1.0),
        load(0, 2.0),
        merge(2, 0),
        Op::Kill,
        load(1, 3.0),
        merge(1, 0),
    ]);
}
