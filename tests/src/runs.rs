//! Runs of benchmarks that are kept: when and on what, as dated files.

use std::path::PathBuf;

use crate::program::{command, repository, run};

fn line(program: &str, arguments: &[&str]) -> String {
    let output = run(command(program).args(arguments).current_dir(repository()));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// When, which commit, and on what machine.
pub fn about() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find(|l| l.starts_with("model name"))
        .and_then(|l| l.split(": ").nth(1));
    format!(
        "{}, commit {}, Linux {}, {} × {}\n",
        line("date", &["-u", "+%Y-%m-%dT%H:%MZ"]),
        line("git", &["rev-parse", "--short", "HEAD"]),
        line("uname", &["-rm"]),
        cpu.matches("processor\t").count(),
        model.unwrap_or("unknown CPU"),
    )
}

/// Writes a run of `kind` to `benches/runs`; answers where.
pub fn save(kind: &str, report: &str) -> PathBuf {
    let folder = repository().join("benches/runs");
    std::fs::create_dir_all(&folder).unwrap();
    let date = line("date", &["-u", "+%Y-%m-%dT%H%MZ"]);
    let path = folder.join(format!("{date}-{kind}.md"));
    std::fs::write(&path, report).unwrap();
    path
}

/// A whole number from the environment.
///
/// Panics when the variable holds something else.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name}={text:?} is not a whole number"))
    })
}
