//! History goes to Prometheus and comes back.

use std::path::Path;

use hostwell_tests::program::{binary, command, foreign, run, stdout};

fn hostwell(words: &[&str]) -> String {
    stdout(&run(command(binary("hostwell")).args(words)))
}

/// Samples of a database as CSV, without the name of the host.
fn samples(db: &str) -> String {
    hostwell(&["export", "csv", "--db", db])
}

#[test]
fn what_is_exported_goes_through_prometheus_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut table = String::from(
        "unix_ms,node_load1,\"node_cpu_seconds_total{cpu=0,mode=user}\",\"odd{l=\"\"a \\\"\" , \\\\ ü\"\"}\"\n",
    );
    for row in 0..2000i64 {
        let time_ms = 1_600_000_000_123 + row * 15_000;
        let odd = if row % 3 == 0 {
            format!("{}", -1e-9 * row as f64)
        } else {
            String::new()
        };
        table.push_str(&format!(
            "{time_ms},{},{},{odd}\n",
            row as f64 / 7.0,
            row * row
        ));
    }
    std::fs::write(path("t.csv"), table).unwrap();
    let (first, second) = (path("first.db"), path("second.db"));
    hostwell(&[
        "import",
        "csv",
        &path("t.csv"),
        "--host",
        "old-1",
        "--db",
        &first,
    ]);
    let text = path("export.txt");
    hostwell(&["export", "openmetrics", "--db", &first, "--out", &text]);
    let promtool = foreign("promtool", "prometheus");
    let blocks = path("blocks");
    stdout(&run(command(&promtool).args([
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        &text,
        &blocks,
    ])));
    // A server's log is what the dump looks for first; blocks made from a file have none.
    std::fs::create_dir(Path::new(&blocks).join("wal")).unwrap();
    let dumped = stdout(&run(command(&promtool).args(["tsdb", "dump", &blocks])));
    assert!(
        dumped.contains("host=\"old-1\""),
        "{}",
        &dumped[..dumped.len().min(500)]
    );
    std::fs::write(path("dump.txt"), dumped).unwrap();
    hostwell(&[
        "import",
        "openmetrics",
        &path("dump.txt"),
        "--host",
        "old-1",
        "--db",
        &second,
    ]);
    assert!(Path::new(&second).exists());
    assert_eq!(samples(&first), samples(&second));
}
