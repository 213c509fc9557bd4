//! Imports into a real store.

use super::*;
use crate::series::Window;
use crate::store::{StoreOptions, WindowQuery};

const NOW_MS: i64 = 1_795_291_200_000;

/// A sample as the tests of formats expect it.
pub(super) fn sample(series: &str, time_ms: i64, value: f64) -> (String, i64, f64) {
    (series.to_owned(), time_ms, value)
}

type Samples = Vec<(String, i64, f64)>;

/// What a format makes of a text: samples by series in the order met, then by time.
pub(super) fn read_text(
    format: Format,
    text: &str,
    mapping: Mapping,
) -> Result<(Samples, Tally), String> {
    let (send, mut receive) = mpsc::channel(1);
    let gatherer = Gatherer::new(mapping, Limits::default(), send);
    let mut input = Input::of(text.as_bytes());
    let reading = std::thread::spawn(move || read(format, &mut input, gatherer));
    let (mut names, mut samples) = (Vec::new(), Vec::new());
    while let Some(chunk) = receive.blocking_recv() {
        names.extend(chunk.fresh.iter().map(|(name, _)| name.to_string()));
        for (slot, points) in &chunk.columns {
            let name = &names[*slot as usize];
            samples.extend(points.iter().map(|(t, v)| (name.clone(), *t, *v)));
        }
    }
    let tally = reading.join().unwrap().map_err(|e| format!("{e:#}"))?;
    Ok((samples, tally))
}

/// The same with no mapping, without the tally.
pub(super) fn samples(format: Format, text: &str) -> Result<Samples, String> {
    read_text(format, text, Mapping::default()).map(|(samples, _)| samples)
}

struct Place {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn options(&self) -> StoreOptions {
        StoreOptions {
            path: self.folder.path().join("hostwell.db"),
            retention_ms: 15 * 86_400_000,
            series_per_host_max: 1_000,
            hosts_max: 100,
        }
    }

    fn job(&self, files: &[PathBuf]) -> Import {
        Import {
            format: Format::Csv,
            host: "old-1".into(),
            files: files.to_vec(),
            mapping: Mapping::default(),
            kept: true,
            limits: Limits::default(),
            now_ms: NOW_MS,
        }
    }

    fn import(&self, files: &[PathBuf]) -> anyhow::Result<Vec<Imported>> {
        let import = self.job(files);
        self.runtime.block_on(async {
            let store = Store::open(self.options()).await.unwrap();
            let done = run(&import, Some(&store), |_| {}).await;
            store.close().await.unwrap();
            done
        })
    }

    fn window(&self) -> Window {
        self.runtime.block_on(async {
            let store = Store::open_read_only(&self.options().path).await.unwrap();
            let facts = store.facts(true).await.unwrap();
            assert_eq!(facts.problems, Vec::<String>::new());
            let query = WindowQuery {
                hosts: vec!["old-1".into()],
                metrics: Vec::new(),
                from_ms: i64::MIN,
                to_ms: i64::MAX,
                samples_max: 10_000_000,
            };
            store.windows(query).await.unwrap().swap_remove(0)
        })
    }
}

/// Rows of a table, a minute apart, each value another one.
fn table(rows: std::ops::Range<i64>) -> String {
    let mut text = String::from("unix_ms,node_load1,mine_total\n");
    for row in rows {
        let time_ms = 1_600_000_000_000 + row * 60_000;
        text.push_str(&format!("{time_ms},{},{row}\n", row as f64 / 8.0));
    }
    text
}

#[test]
fn an_imported_file_is_in_the_store_and_its_host_has_its_step() {
    let place = Place::new();
    let file = place.file("a.csv", &table(0..100_000));
    let done = place.import(&[file]).unwrap();
    assert_eq!((done[0].samples, done[0].stored), (200_000, 200_000));
    let window = place.window();
    assert_eq!(window.interval_ms, 60_000);
    let load = window.find("node_load1", &[]).unwrap();
    assert_eq!(load.times_ms.len(), 100_000);
    assert_eq!(load.points().nth(9), Some((1_600_000_540_000, 1.125)));
    assert_eq!(window.find("mine_total", &[]).unwrap().kind, Kind::Counter);
    let hosts = place.runtime.block_on(async {
        let store = Store::open_read_only(&place.options().path).await.unwrap();
        store.hosts().await.unwrap()
    });
    assert!(hosts[0].kept, "imported history is not pruned by age");
}

#[test]
fn a_file_that_is_imported_again_changes_nothing() {
    let place = Place::new();
    let file = place.file("a.csv", &table(0..40_000));
    place.import(std::slice::from_ref(&file)).unwrap();
    let first = place.window();
    // By content, not by name.
    let copy = place.file("b.csv", &table(0..40_000));
    let done = place.import(&[file, copy]).unwrap();
    for one in done {
        assert_eq!((one.stored, one.known), (0, 80_000));
    }
    assert_eq!(place.window(), first);
}

#[test]
fn files_that_overlap_are_one_history() {
    let place = Place::new();
    let early = place.file("early.csv", &table(0..3_000));
    let late = place.file("late.csv", &table(2_000..5_000));
    place.import(&[late, early]).unwrap();
    let window = place.window();
    for series in &window.series {
        assert_eq!(series.times_ms.len(), 5_000, "{}", series.name);
    }
}

#[test]
fn an_import_that_was_cut_goes_on_where_it_was() {
    let place = Place::new();
    let file = place.file("a.csv", &table(0..100_000));
    let import = place.job(std::slice::from_ref(&file));
    place.runtime.block_on(async {
        let store = Store::open(place.options()).await.unwrap();
        let (cut, is_cut) = tokio::sync::oneshot::channel::<()>();
        let (mut cut, mut chunks) = (Some(cut), 0);
        let running = run(&import, Some(&store), |_| {
            chunks += 1;
            if chunks == 4 {
                drop(cut.take());
            }
        });
        // Dropped in the middle, as it is when somebody presses Ctrl-C.
        tokio::select! {
            biased;
            _ = is_cut => {}
            _ = running => panic!("it came to its end"),
        }
        store.close().await.unwrap();
    });
    let done = place.import(&[file]).unwrap();
    assert!(done[0].known >= 2 * 32_768, "{done:?}");
    assert_eq!(done[0].known + done[0].stored, 200_000);
    let window = place.window();
    let load = window.find("node_load1", &[]).unwrap();
    assert_eq!(load.times_ms.len(), 100_000);
}

#[test]
fn a_bad_line_says_where_it_is_and_what_is_stored() {
    let place = Place::new();
    let bad = table(0..40_000) + "1,2\n";
    let file = place.file("bad.csv", &bad);
    let error = format!("{:#}", place.import(&[file]).unwrap_err());
    assert!(error.contains("65536 samples of it are stored"), "{error}");
    assert!(
        error.contains("bad.csv:40002:4: expected 3 fields"),
        "{error}"
    );
    let mended = place.file("mended.csv", &table(0..40_000));
    place.import(&[mended]).unwrap();
    let window = place.window();
    assert_eq!(
        window.find("node_load1", &[]).unwrap().times_ms.len(),
        40_000
    );
}
