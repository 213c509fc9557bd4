//! What all parts share: where the data is, the programs, and what was imported and replayed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hostwell_tests::program::{binary, command, repository, run, stdout};
use serde_json::Value;

use crate::python::python;
use crate::table::Table;

/// An evaluation that runs.
pub(crate) struct Bench {
    data: PathBuf,
    eval: PathBuf,
    python: PathBuf,
    /// Which half of the data.
    pub(crate) split: String,
    place: tempfile::TempDir,
    told: String,
}

fn folder(variable: &str, default: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map_or_else(
        || repository().join("../shared").join(default),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!("eval: {} is not there: set {variable}", folder.display());
        std::process::exit(2);
    }
    folder
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let (data, eval) = (
            folder("HOSTWELL_DATA", "data"),
            folder("HOSTWELL_EVAL", "eval"),
        );
        let split = std::env::var("HOSTWELL_SPLIT")
            .ok()
            .filter(|s| !s.is_empty());
        Bench {
            python: python(&eval),
            data,
            eval,
            split: split.unwrap_or_else(|| "open".to_owned()),
            place: tempfile::tempdir().unwrap(),
            told: String::new(),
        }
    }

    /// Where the data is.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The half of a set.
    pub(crate) fn half(&self, set: &str) -> PathBuf {
        self.data.join(set).join(&self.split)
    }

    /// A file to write to.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The hosts of a set whose findings count: name, from, to.
    pub(crate) fn scored(&self, set: &str) -> Vec<(String, i64, i64)> {
        let table = Table::read(&self.half(set).join("scored.csv"));
        let at = ["host", "from_ms", "to_ms"].map(|name| table.column(name));
        let whole = |text: &str| crate::table::whole(text).unwrap();
        let rows = table.rows();
        rows.map(|row| (row[at[0]].to_owned(), whole(row[at[1]]), whole(row[at[2]])))
            .collect()
    }

    /// Runs `hostwell WORDS… --db SET.db`; answers what it prints.
    pub(crate) fn hostwell(&self, set: &str, words: &[&str]) -> String {
        let mut hostwell = command(binary("hostwell"));
        hostwell
            .args(words)
            .arg("--db")
            .arg(self.file(&format!("{set}.db")));
        stdout(&run(&mut hostwell))
    }

    /// Imports a table as a host into a database, by the mapping of its set where there is one.
    pub(crate) fn import(&self, (set, database): (&str, &str), table: &Path, host: &str) {
        let map = repository().join(format!("tests/eval/{set}.toml"));
        let mut words = vec!["import", "csv", table.to_str().unwrap(), "--host", host];
        if map.exists() {
            words.extend(["--map", map.to_str().unwrap()]);
        }
        self.hostwell(database, &words);
    }

    /// The tables of a set's half, by the names of their hosts; none where there is no such half.
    pub(crate) fn tables(&self, set: &str) -> BTreeMap<String, PathBuf> {
        let files = std::fs::read_dir(self.half(set)).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path());
        let named = paths.filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".csv.bz2")?;
            Some((name.to_owned(), path.clone()))
        });
        named.collect()
    }

    /// Imports the hosts of a set that count.
    pub(crate) fn import_scored(&self, set: &str) {
        eprintln!("eval: import {set}");
        for (host, ..) in self.scored(set) {
            let table = self.half(set).join(format!("{host}.csv.bz2"));
            self.import((set, set), &table, &host);
        }
    }

    /// Replays what was imported of a set; answers the file of what was found. Without words the
    /// configuration is that of the evaluation.
    pub(crate) fn backtest(&mut self, set: &str, name: &str, words: &[&str]) -> PathBuf {
        eprintln!("eval: replay {name}");
        let config = repository().join("tests/eval/collector.toml");
        let own = ["--config", config.to_str().unwrap()];
        let words = if words.is_empty() { &own[..] } else { words };
        let begun = Instant::now();
        let mut hostwell = command(binary("hostwell"));
        hostwell
            .args(["rules", "backtest", "-o", "jsonl"])
            .args(words);
        let done = run(hostwell.arg("--db").arg(self.file(&format!("{set}.db"))));
        let file = self.file(&format!("{name}.jsonl"));
        std::fs::write(&file, stdout(&done)).unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        let told = told.lines().last().unwrap_or_default();
        self.tell(&format!("{name}: {told}"));
        eprintln!("eval: {told} ({:.1} s)", begun.elapsed().as_secs_f64());
        file
    }

    /// The same by default policy.
    pub(crate) fn backtest_by_default(&mut self, set: &str) -> PathBuf {
        let config = self.file("default.toml");
        std::fs::write(&config, "").unwrap();
        let words = ["--config", config.to_str().unwrap()];
        self.backtest(set, &format!("{set} by default"), &words)
    }

    /// Adds a line to what was imported and replayed.
    pub(crate) fn tell(&mut self, line: &str) {
        let _ = writeln!(self.told, "* {line}");
    }

    /// What was replayed, as a list.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// Runs a scorer; answers what it prints.
    pub(crate) fn scorer(&self, name: &str, words: &[&str]) -> String {
        let mut python = command(&self.python);
        python
            .arg(self.eval.join(name))
            .args(["--split", &self.split]);
        stdout(&run(python.args(words).env("DATA", &self.data)))
    }

    /// Scores findings against a set's labels; answers the scorer's JSON.
    pub(crate) fn findings(&self, set: &str, findings: &Path, words: &[&str]) -> Value {
        let own = [
            "--set",
            set,
            "--findings",
            findings.to_str().unwrap(),
            "--json",
        ];
        let printed = self.scorer("score_findings.py", &[&own[..], words].concat());
        serde_json::from_str(&printed).unwrap()
    }
}

/// What a file of findings holds.
pub(crate) fn lines(findings: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(findings).unwrap();
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A number of a scorer's JSON.
pub(crate) fn number(scores: &Value, name: &str) -> f64 {
    scores[name].as_f64().unwrap_or(f64::NAN)
}
