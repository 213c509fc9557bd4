//! Our side: the program as an operator uses it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hostwell_tests::program::{binary, command, run, stdout};
use serde_json::Value;

/// What a database holds, and what it cost.
pub(crate) struct Kept {
    pub(crate) samples: u64,
    pub(crate) series: u64,
    /// Of the whole file, compacted.
    pub(crate) bytes: u64,
    /// Seconds of all imports.
    pub(crate) import_s: f64,
}

impl Kept {
    pub(crate) fn bytes_per_sample(&self) -> f64 {
        self.bytes as f64 / self.samples as f64
    }
}

fn hostwell(words: &[&str]) -> String {
    stdout(&run(command(binary("hostwell")).args(words)))
}

/// Imports each file as a host of its own, and compacts.
pub(crate) fn import(files: &[PathBuf], db: &Path) -> Kept {
    let db_text = db.to_str().unwrap();
    let begun = Instant::now();
    for file in files {
        let host = crate::stem(file);
        let file = file.to_str().unwrap();
        hostwell(&["import", "csv", file, "--host", &host, "--db", db_text]);
    }
    let import_s = begun.elapsed().as_secs_f64();
    hostwell(&["compact", "--db", db_text]);
    let told = hostwell(&["stats", "--db", db_text, "-o", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let number = |name: &str| told[name].as_u64().unwrap();
    Kept {
        samples: number("samples"),
        series: number("series"),
        bytes: std::fs::metadata(db).unwrap().len(),
        import_s,
    }
}

/// Writes every sample as OpenMetrics text.
pub(crate) fn export(db: &Path, out: &Path) {
    let words = ["export", "openmetrics", "--db"].map(str::to_owned);
    let mut words: Vec<String> = words.into();
    words.push(db.display().to_string());
    words.push("--out".to_owned());
    words.push(out.display().to_string());
    hostwell(&words.iter().map(String::as_str).collect::<Vec<_>>());
}
