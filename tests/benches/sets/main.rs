//! Real server data, kept outside the project: imported, and the same samples given to
//! VictoriaMetrics. Bytes a sample of whole files at rest. See docs/benchmarks.md.
//!
//! `HOSTWELL_DATA` is the folder of the sets; without it the benchmark fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on the terminal, and by panicking"
)]

mod ours;
mod theirs;

use std::path::{Path, PathBuf};

use hostwell_tests::figures::{Figure, Measured, free, table};
use hostwell_tests::program::{find, repository};
use hostwell_tests::runs::{about, save};

/// Folders of the data that hold no series: tasks to be judged by, and trees of kernel files.
const NO_SERIES: [&str; 2] = ["forecast_tasks", "proc_fixtures"];
/// Sets whose files are judged one by one: each is a host of its own kind.
const ONE_BY_ONE: [&str; 2] = ["pcp", "self_proc"];

/// What is judged: the file, what it is, must and aim. The 10 s host that the figure was taken from
/// is held out; another one of its kind stands for it.
const JUDGED: [(&str, &str, (f64, f64)); 3] = [
    ("pcp/slack", "bytes a sample, slack, 60 s", (1.2, 0.75)),
    (
        "self_proc/self_1s",
        "bytes a sample, a Debian VM, 1 s",
        (0.6, 0.30),
    ),
    (
        "pcp/f27-zeroconf",
        "bytes a sample, f27-zeroconf, 10 s",
        (1.2, 0.80),
    ),
];

/// Files that become one database.
struct Set {
    name: String,
    files: Vec<PathBuf>,
}

/// What a set came to.
struct Outcome {
    name: String,
    files: usize,
    ours: ours::Kept,
    victoria: Result<f64, String>,
}

fn main() {
    let data = std::env::var_os("HOSTWELL_DATA")
        .map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    let sets = sets(&data);
    if sets.is_empty() {
        eprintln!(
            "sets: no SET/open/HOST.csv.bz2 in {}: set HOSTWELL_DATA",
            data.display()
        );
        std::process::exit(2);
    }
    if find("victoria-metrics").is_none() {
        eprintln!("sets: apt-get install --no-install-recommends victoria-metrics");
        std::process::exit(2);
    }
    let folder = tempfile::tempdir().unwrap();
    let outcomes: Vec<Outcome> = sets
        .iter()
        .map(|set| {
            let outcome = measure(set, &folder.path().join(set.name.replace('/', "-")));
            eprintln!("{}", row(&outcome).join("  "));
            outcome
        })
        .collect();
    let figures = figures(&outcomes);
    let report = format!(
        "# Real server data\n\n{}\n`make bench-sets`; bytes of whole files at rest: ours after \
         `hostwell compact`, VictoriaMetrics' after a forced merge.\n\n{}\n{}",
        about(),
        table(&figures),
        free(
            &[
                "set",
                "files",
                "series",
                "samples",
                "ours",
                "VictoriaMetrics",
                "ours ÷ it",
                "samples/s imported"
            ],
            &outcomes.iter().map(row).collect::<Vec<_>>(),
        )
    );
    println!("{report}");
    println!("saved as {}", save("sets", &report).display());
    let missed = figures.iter().filter(|f| f.is_missed()).count();
    if missed > 0 {
        println!("{missed} musts are missed");
        std::process::exit(1);
    }
}

/// Everything in the folder that is series of hosts.
fn sets(data: &Path) -> Vec<Set> {
    let mut sets = Vec::new();
    for folder in listing(data) {
        let name = stem(&folder);
        let files: Vec<PathBuf> = listing(&folder.join("open"))
            .into_iter()
            .filter(|file| file.to_string_lossy().ends_with(".csv.bz2"))
            .collect();
        if files.is_empty() || NO_SERIES.contains(&name.as_str()) {
            continue;
        }
        if ONE_BY_ONE.contains(&name.as_str()) {
            sets.extend(files.into_iter().map(|file| Set {
                name: format!("{name}/{}", stem(&file)),
                files: vec![file],
            }));
        } else {
            sets.push(Set { name, files });
        }
    }
    sets
}

/// What is in a folder, by name; nothing where there is none.
fn listing(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The name without what says how it is written.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    name.trim_end_matches(".csv.bz2").to_owned()
}

fn measure(set: &Set, folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder).unwrap();
    let db = folder.join("set.db");
    let ours = ours::import(&set.files, &db);
    let exported = folder.join("export.txt");
    ours::export(&db, &exported);
    let victoria = theirs::bytes(folder, &exported).map(|bytes| bytes as f64 / ours.samples as f64);
    std::fs::remove_dir_all(folder).unwrap();
    Outcome {
        name: set.name.clone(),
        files: set.files.len(),
        ours,
        victoria,
    }
}

fn row(outcome: &Outcome) -> Vec<String> {
    let ours = outcome.ours.bytes_per_sample();
    let (victoria, ratio) = match &outcome.victoria {
        Ok(bytes) => (format!("{bytes:.3}"), format!("{:.2}", ours / bytes)),
        Err(why) => (why.clone(), "–".to_owned()),
    };
    vec![
        outcome.name.clone(),
        outcome.files.to_string(),
        outcome.ours.series.to_string(),
        outcome.ours.samples.to_string(),
        format!("{ours:.3}"),
        victoria,
        ratio,
        format!("{:.0}", outcome.ours.samples as f64 / outcome.ours.import_s),
    ]
}

fn figures(outcomes: &[Outcome]) -> Vec<Figure> {
    let figure = |(file, what, bounds): &(&str, &str, (f64, f64))| {
        let found = outcomes.iter().find(|o| o.name == *file);
        let measured = found.map_or_else(
            || Measured::Failed(format!("{file} is not there")),
            |o| Measured::Value(o.ours.bytes_per_sample()),
        );
        Figure::below(what, *bounds, measured)
    };
    JUDGED.iter().map(figure).collect()
}
