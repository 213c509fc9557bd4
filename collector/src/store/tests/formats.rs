//! The file's format is a promise: a committed dump of every released one opens and answers, and a
//! reader written from docs/format alone reads what we wrote.

use rusqlite::Connection;

use super::*;

/// Every released format, oldest first, as a dump with the same content.
const RELEASED: &[(i64, &str)] = &[
    (1, include_str!("../testdata/v1.sql")),
    (2, include_str!("../testdata/v2.sql")),
    (3, include_str!("../testdata/v3.sql")),
    (4, include_str!("../testdata/v4.sql")),
    (5, include_str!("../testdata/v5.sql")),
    (6, include_str!("../testdata/v6.sql")),
    (7, include_str!("../testdata/v7.sql")),
    (8, include_str!("../testdata/v8.sql")),
    (9, include_str!("../testdata/v9.sql")),
    (10, include_str!("../testdata/v10.sql")),
];

/// The content of the dumps: two hosts of which one is merged, blocks, a journal, a gap, findings.
async fn content(folder: &Path) -> Store {
    let (store, ids) = with_host(folder).await;
    store.greet(greeting(2, "old"), T0).await.unwrap();
    let old = store
        .series_ids(host(2), vec![gauge("node_load1")])
        .await
        .unwrap();
    store
        .append(batch(2, 1, &old, &[(T0 - 5000, 9.5)]))
        .await
        .unwrap();
    store
        .append(batch(1, 1, &ids, &[(T0, 0.25), (T0 + 10_000, 1e300)]))
        .await
        .unwrap();
    store.upkeep(T0 + 100 * HOUR).await.unwrap();
    store
        .append(batch(1, 2, &ids[..1], &[(T0 + 5000, -3.0), (T0, 7.0)]))
        .await
        .unwrap();
    let gap = GapRecord {
        spool_id: spool(1).to_string(),
        first_sequence: 4,
        last_sequence: 6,
        from_ms: T0,
        to_ms: T0 + 1,
        samples: 12,
        reason: "bytes".into(),
    };
    store.append_gap(host(1), gap, T0).await.unwrap();
    store.count_refusal(host(1), "time").await.unwrap();
    store.beat(T0).await.unwrap();
    let open = super::register::finding("disk_full", 1, State::Open);
    store.save_findings(vec![open], T0).await.unwrap();
    let seen = Deed {
        at_ms: T0 + 1,
        who: "anna".into(),
        note: Some("disk ordered".into()),
    };
    let acknowledged = store.edit_risks(vec![1], RiskEdit::Acknowledge, seen);
    acknowledged.await.unwrap();
    let noted = store.add_process_note(host(1), super::notes::note(T0, 950));
    noted.await.unwrap();
    let into = HostEdit::MergeInto { into: "web".into() };
    store.edit_host("old", into, T0).await.unwrap();
    store
}

async fn answers(store: &Store) {
    let load = points(store, "web", "node_load1").await;
    assert_eq!(
        load,
        [
            (T0 - 5000, 9.5),
            (T0, 0.25),
            (T0 + 5000, -3.0),
            (T0 + 10_000, 1e300)
        ]
    );
    assert_eq!(
        points(store, "web", "custom_level").await,
        [(T0, 0.25), (T0 + 10_000, 1e300)]
    );
    assert_eq!(
        store.holding(host(1), spool(1)).await.unwrap(),
        [(1, 2), (4, 6)]
    );
    let record = store.hosts().await.unwrap().remove(0);
    assert_eq!((record.name.as_str(), record.dropped_samples), ("web", 12));
    assert_eq!(
        (record.refused["time"], record.labels["role"].as_str()),
        (1, "db")
    );
    let finding = store.findings(None).await.unwrap().remove(0);
    assert_eq!(finding.rule, "disk_full");
    // What was found before there was advice in Chinese is told in English.
    assert_eq!(finding.advice_in(Language::Zh), "delete something");
    let (entry, events) = store.risk(1).await.unwrap();
    assert_eq!(
        (entry.finding.id, &events[0].happened),
        (1, &Happened::Opened)
    );
    assert_eq!(store.watch_spans(T0, T0).await.unwrap().len(), 1);
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
}

/// The database as SQL that makes it again.
fn dump(conn: &Connection) -> String {
    let texts = |sql: &str| -> Vec<String> {
        let mut select = conn.prepare(sql).unwrap();
        let rows = select.query_map([], |r| r.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let mut out = String::new();
    for name in ["application_id", "user_version"] {
        let value: i64 = conn.pragma_query_value(None, name, |r| r.get(0)).unwrap();
        out.push_str(&format!("PRAGMA {name} = {value};\n"));
    }
    for sql in texts("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid") {
        out.push_str(&format!("{sql};\n"));
    }
    for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid") {
        let columns = texts(&format!(
            "SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"
        ));
        let row = columns.join(" || ', ' || ");
        for values in texts(&format!("SELECT {row} FROM {table} ORDER BY 1")) {
            out.push_str(&format!("INSERT INTO {table} VALUES ({values});\n"));
        }
    }
    out
}

#[tokio::test]
async fn every_released_format_opens_migrates_and_answers() {
    for (version, sql) in RELEASED {
        let folder = tempfile::tempdir().unwrap();
        let conn = Connection::open(folder.path().join("hostwell.db")).unwrap();
        conn.execute_batch(sql).unwrap();
        let found: i64 = conn
            .pragma_query_value(None, "user_version", |r| r.get(0))
            .unwrap();
        assert_eq!(found, *version);
        drop(conn);
        let path = folder.path().join("hostwell.db");
        let as_it_is = Store::open_read_only(&path).await.unwrap();
        answers(&as_it_is).await;
        let noted = as_it_is.newest_process_note("web").await.unwrap();
        let since_seven = (*version >= 7).then(|| super::notes::note(T0, 950));
        assert_eq!(noted, since_seven, "format {version}");
        let facts = as_it_is.facts(false).await.unwrap();
        assert_eq!(facts.schema_version, *version);
        as_it_is.close().await.unwrap();
        let store = open(folder.path()).await;
        answers(&store).await;
        assert_eq!(
            store.facts(false).await.unwrap().schema_version,
            schema::KNOWN
        );
        // The next finding has a number that none had before.
        let next = super::register::finding("host_down", 1, State::Open);
        store.save_findings(vec![next], T0).await.unwrap();
        assert_eq!(store.findings(None).await.unwrap()[1].id, 2);
    }
}

#[tokio::test]
async fn the_newest_dump_is_what_this_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = content(folder.path()).await;
    answers(&store).await;
    let written = dump(&Connection::open(folder.path().join("hostwell.db")).unwrap());
    let (version, committed) = RELEASED.last().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = format!(
            "{}/src/store/testdata/v{version}.sql",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::write(path, &written).unwrap();
    } else {
        // zstd's bytes may change with its version: what they hold is compared by `answers`.
        let comparable = |sql: &str| -> Vec<String> {
            sql.lines()
                .filter(|l| !l.starts_with("INSERT INTO block"))
                .filter(|l| !l.starts_with("INSERT INTO rollup"))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            comparable(&written),
            comparable(committed),
            "a released format changed"
        );
    }
}

/// A reader of docs/format that shares no code with the store.
mod stranger {
    pub(super) struct Bytes<'a>(pub &'a [u8]);

    impl Bytes<'_> {
        fn byte(&mut self) -> u8 {
            let (first, rest) = self.0.split_first().unwrap();
            self.0 = rest;
            *first
        }

        fn unsigned(&mut self) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = self.byte();
                value |= u64::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    return value;
                }
            }
        }

        fn signed(&mut self) -> i64 {
            let n = self.unsigned();
            if n & 1 == 0 {
                (n / 2) as i64
            } else {
                -((n / 2) as i64) - 1
            }
        }

        fn runs(&mut self) -> Vec<i64> {
            let (mut series, mut end) = (Vec::new(), 0);
            for _ in 0..self.unsigned() {
                let first = end + self.signed();
                end = first + self.unsigned() as i64;
                series.extend(first..end);
            }
            series
        }

        fn double(&mut self) -> f64 {
            f64::from_le_bytes(std::array::from_fn(|_| self.byte()))
        }

        fn row(&mut self, count: usize) -> Vec<i64> {
            if count == 0 {
                return Vec::new();
            }
            let form = self.byte();
            let times = if form & 32 == 0 {
                1
            } else {
                self.unsigned() as i64
            };
            let mut row = Vec::new();
            while row.len() < count {
                let number = self.signed() * times;
                let often = match form & 7 {
                    0 => count,
                    1 => 1,
                    2 => self.unsigned() as usize,
                    other => panic!("a row of form {other} needs pco"),
                };
                row.extend(std::iter::repeat_n(number, often));
            }
            row
        }

        /// (series id, time, value) of a packed block whose columns have no sources.
        pub(super) fn packed(&mut self) -> Vec<(i64, i64, f64)> {
            assert_eq!(self.byte(), 3);
            let series = self.runs();
            let count = self.unsigned() as usize;
            let mut times = vec![self.signed()];
            self.unsigned();
            for step in self.row(count - 1) {
                times.push(times[times.len() - 1] + step);
            }
            let lengths: Vec<usize> = series.iter().map(|_| self.unsigned() as usize).collect();
            let mut found = Vec::new();
            for (id, length) in series.into_iter().zip(lengths) {
                let (column, rest) = self.0.split_at(length);
                self.0 = rest;
                found.extend(Bytes(column).packed_column(&times).map(|(t, v)| (id, t, v)));
            }
            assert!(self.0.is_empty(), "nothing follows");
            found
        }

        fn packed_column(&mut self, times: &[i64]) -> impl Iterator<Item = (i64, f64)> + use<> {
            let header = self.byte();
            let present: Vec<i64> = match header & 12 {
                0 => times.to_vec(),
                4 => {
                    let bits: Vec<u8> = (0..times.len().div_ceil(8)).map(|_| self.byte()).collect();
                    let has = |i: &usize| bits[i / 8] >> (i % 8) & 1 == 1;
                    (0..times.len()).filter(has).map(|i| times[i]).collect()
                }
                _ => {
                    let (mut present, mut at, mut has) = (Vec::new(), 0, false);
                    while at < times.len() {
                        let next = at + self.unsigned() as usize;
                        if has {
                            present.extend_from_slice(&times[at..next]);
                        }
                        (at, has) = (next, !has);
                    }
                    present
                }
            };
            let ten = 10f64.powi(i32::from(header >> 4));
            let count = present.len();
            let values: Vec<f64> = match header & 3 {
                0 => vec![self.signed() as f64 / ten; count],
                1 => {
                    let plan = self.byte();
                    assert_eq!(plan >> 2, 0, "sources");
                    let heads: Vec<i64> = (0..plan & 3).map(|_| self.signed()).collect();
                    let mut row = self.row(count - heads.len());
                    for head in heads.into_iter().rev() {
                        let mut sums = vec![head];
                        sums.extend(row.iter().rev().scan(head, |sum, n| {
                            *sum -= n;
                            Some(*sum)
                        }));
                        sums.reverse();
                        row = sums;
                    }
                    row.into_iter().map(|n| n as f64 / ten).collect()
                }
                _ => {
                    assert_eq!(self.byte(), 4, "a row of doubles needs pco");
                    (0..count).map(|_| self.double()).collect()
                }
            };
            present.into_iter().zip(values)
        }

        /// (series id, time, value) of a parcel.
        pub(super) fn parcel(&mut self) -> Vec<(i64, i64, f64)> {
            assert_eq!(self.byte(), 1);
            let series = self.runs();
            assert_eq!(self.byte(), 1);
            let ticks = self.unsigned() as usize;
            let (mut times, mut step) = (Vec::new(), 0);
            for i in 0..ticks {
                let read = self.signed();
                if i == 0 {
                    times.push(read);
                } else {
                    step += read;
                    times.push(times[i - 1] + step);
                }
            }
            let (mut number, mut found) = (0, Vec::new());
            for _ in 0..self.unsigned() {
                number += self.unsigned() as usize;
                let header = self.byte();
                let present: Vec<usize> = if header & 4 == 0 {
                    (0..ticks).collect()
                } else {
                    let bits: Vec<u8> = (0..ticks.div_ceil(8)).map(|_| self.byte()).collect();
                    (0..ticks)
                        .filter(|i| bits[i / 8] >> (i % 8) & 1 == 1)
                        .collect()
                };
                let ten = 10f64.powi(i32::from(header >> 4));
                let mut mantissa = 0;
                for (i, tick) in present.into_iter().enumerate() {
                    let value = match header & 3 {
                        2 => self.double(),
                        encoding => {
                            if i == 0 || encoding == 1 {
                                mantissa += self.signed();
                            }
                            mantissa as f64 / ten
                        }
                    };
                    found.push((series[number], times[tick], value));
                }
            }
            assert!(self.0.is_empty(), "nothing follows");
            found
        }
    }
}

#[tokio::test]
async fn a_stranger_with_the_documents_reads_every_sample() {
    let folder = tempfile::tempdir().unwrap();
    let store = content(folder.path()).await;
    let conn = Connection::open(folder.path().join("hostwell.db")).unwrap();
    let mut met: BTreeMap<(String, i64), f64> = BTreeMap::new();
    // Host 1 stands, host 2 was merged into it.
    for host in [1, 2] {
        for sql in [
            "SELECT payload, 1 FROM block WHERE host = ?1 ORDER BY number",
            "SELECT payload, 0 FROM waiting WHERE host = ?1 ORDER BY number",
        ] {
            let mut select = conn.prepare(sql).unwrap();
            let rows = select.query_map([host], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get(1)?)));
            for row in rows.unwrap() {
                let (payload, sealed) = row.unwrap();
                let packed = sealed && payload[0] == 3;
                let plain = if sealed && !packed {
                    zstd::decode_all(&payload[..]).unwrap()
                } else {
                    payload
                };
                let mut plain = stranger::Bytes(&plain);
                let samples = if packed {
                    plain.packed()
                } else {
                    plain.parcel()
                };
                for (id, time, value) in samples {
                    let name = "SELECT name FROM series JOIN metric ON metric.id = series.metric
                                WHERE series.id = ?1";
                    let metric = conn.query_row(name, [id], |r| r.get(0)).unwrap();
                    met.entry((metric, time)).or_insert(value);
                }
            }
        }
    }
    let windows = store.windows(all()).await.unwrap();
    let ours: BTreeMap<(String, i64), f64> = windows[0]
        .series
        .iter()
        .flat_map(|s| {
            let name = s.name.metric.clone();
            s.times_ms
                .iter()
                .zip(&s.values)
                .map(move |(t, v)| ((name.clone(), *t), *v))
        })
        .collect();
    assert_eq!(met, ours);
}

#[test]
fn the_example_of_the_document_is_what_we_write() {
    let document = include_str!("../../../../docs/format/block.md");
    let example = document
        .split("```text")
        .last()
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let hex = |word: &&str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let bytes: Vec<u8> = example
        .lines()
        .flat_map(|line| line.split_whitespace().take_while(hex).collect::<Vec<_>>())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let one = [(T0, 1.0), (T0 + 10_000, 2.0)];
    let other = [(T0, 5.0), (T0 + 10_000, 5.0)];
    let parcel = history::parcel::Parcel::of(&[(7, &one), (8, &other)]);
    let spelled: Vec<String> = parcel.pack().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(bytes, parcel.pack(), "{}", spelled.join(" "));
}
