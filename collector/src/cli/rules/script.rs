//! `hostwell rules test`: a script says what comes in and what the rules must say to it.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::super::console::Console;
use super::super::table::Tone;
use super::super::{Exit, text};
use crate::rules::script::Script;

/// Longest script; its samples are bounded by the script itself.
const BYTES_MAX: u64 = 1 << 20;

/// Play scripts to the rules and hold what they find against what is expected
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A script gives samples and says what must be found at which moment:

  # a disk that fills by 24 GB an hour
  load 5m node_filesystem_size_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"}  500Gx60
  load 5m node_filesystem_avail_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 100G-2Gx40
  policy disk_full.warning = { raise = 0.85, clear = 0.83 }
  at 30m expect no disk_full
  at 3h  expect disk_full critical on /

All its words: docs/rules.md, \"Scripts\". Exit 1 when something else was found.

Examples:
  hostwell rules test my-disk.script
  hostwell rules test scripts/*.script")]
pub(super) struct TestArgs {
    /// The scripts
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Plays them all.
pub(super) fn run(args: &TestArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let mut exit = Exit::Fine;
    for file in &args.files {
        if !play(file, console)? {
            exit = Exit::Found;
        }
    }
    Ok(exit)
}

/// Plays one; whether everything came true.
fn play(file: &PathBuf, console: &mut Console) -> anyhow::Result<bool> {
    let name = text::clean(&file.display().to_string()).into_owned();
    let size = std::fs::metadata(file)
        .with_context(|| format!("open {name}"))?
        .len();
    if size > BYTES_MAX {
        bail!("{name} has {size} bytes; a script has at most {BYTES_MAX}");
    }
    let script = std::fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    let script = Script::parse(&script).with_context(|| format!("in {name}"))?;
    if script.expectations().next().is_none() {
        bail!("{name} expects nothing: add a line such as `at 1h expect disk_full warning on /`");
    }
    let failures = script.run();
    for (line, expected) in script.expectations() {
        let failure = failures.iter().find(|failure| failure.line == line);
        let (word, tone) = match failure {
            None => ("pass", Tone::Good),
            Some(_) => ("FAIL", Tone::Bad),
        };
        let word = tone.paint(word, console.colour);
        let expected = text::clean(expected);
        console.line(&format!("{word}  {name}:{line}  {expected}"))?;
        if let Some(failure) = failure {
            console.line(&format!("      found: {}", text::clean(&failure.found)))?;
        }
    }
    Ok(failures.is_empty())
}
