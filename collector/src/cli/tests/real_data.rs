//! Real server data, kept outside the project: looked for in `$HOSTWELL_DATA`, by default beside
//! the workspace.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::hostwell;
use crate::cli::Exit;

/// A file of the data; tells `make test`, which counts it, when it is not there.
fn data(test: &str, file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HOSTWELL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    if let Some(skipped) = std::env::var_os("HOSTWELL_SKIPPED") {
        let mut notes = std::fs::OpenOptions::new();
        let mut notes = notes.append(true).create(true).open(skipped).unwrap();
        writeln!(notes, "data {test}").unwrap();
    }
    None
}

fn unpacked(path: &Path) -> String {
    let (file, mut text) = (std::fs::File::open(path).unwrap(), String::new());
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap(),
        _ => bzip2::read::MultiBzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap(),
    };
    text
}

/// Imports a table and holds what is in the database against what the file says: the number of
/// values, and the last value of one column.
fn import_whole(path: &Path, (column, selector): (usize, &str), scale: f64) {
    let text = unpacked(path);
    let values = text
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').skip(1))
        .filter(|v| v.parse::<f64>().is_ok_and(f64::is_finite))
        .count();
    let last = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(column)?.parse::<f64>().ok())
        .last()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("h.db");
    let db = db.to_str().unwrap();
    let words = [
        "import",
        "csv",
        path.to_str().unwrap(),
        "--host",
        "real",
        "--db",
        db,
    ];
    let imported = hostwell(&[&words[..], &["-o", "json"]].concat());
    assert_eq!(imported.exit, Exit::Fine, "{}", imported.err);
    let imported: serde_json::Value = serde_json::from_str(&imported.out).unwrap();
    assert_eq!(imported["files"][0]["stored"], values);
    let verified = hostwell(&["verify", "--db", db, "-o", "json"]);
    let verified: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(verified["sound"], true);
    assert_eq!(verified["samples"], values);
    let to = imported["files"][0]["to_ms"].as_i64().unwrap();
    let to = crate::answer::range::rfc3339(to);
    let asked = hostwell(&[
        "query", selector, "--from", "1h", "--to", &to, "-o", "jsonl", "--db", db,
    ]);
    let line = asked
        .out
        .lines()
        .last()
        .unwrap_or_else(|| panic!("{}", asked.err));
    let row: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(row["value"].as_f64(), Some(last / scale), "{selector}");
}

#[test]
fn a_capture_with_native_units_is_imported_as_it_is() {
    let test = "a_capture_with_native_units_is_imported_as_it_is";
    if let Some(path) = data(test, "../bench/host-capture-1s.csv.gz") {
        let busy = "node_disk_io_time_seconds_total{device=\"vda\"}";
        let header = unpacked(&path).lines().next().unwrap().to_owned();
        // Commas inside quotes are no separators: count what stands between series.
        let before = header
            .split("node_disk_io_time_seconds_total")
            .next()
            .unwrap();
        let quoted: usize = before
            .split('"')
            .skip(1)
            .step_by(2)
            .map(|q| q.matches(',').count())
            .sum();
        let column = before.matches(',').count() - quoted;
        import_whole(&path, (column, busy), 1000.0);
    }
}

#[test]
fn the_tables_of_real_servers_are_imported_whole() {
    let test = "the_tables_of_real_servers_are_imported_whole";
    for (set, column, series) in [
        ("asd", 3, "m03"),
        ("gitstore", 1, "used_bytes"),
        ("nab", 1, "value"),
        (
            "pcp",
            1,
            "hostwell_custom{name=\"kernel.all.load-1 minute\"}",
        ),
    ] {
        let Some(folder) = data(test, &format!("{set}/open")) else {
            return;
        };
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "bz2"))
            .collect();
        // The smallest file of the set: enough to see that it fits.
        files.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
        import_whole(&files[0], (column, series), 1.0);
    }
}
