//! The command line as a whole: its definitions, its help, its exit codes.

mod answers;
mod at_rest;
mod backtest;
mod fixture;
mod levels;
mod processes;
mod real_data;
mod replayed;
mod risk;
mod rules;
mod running;

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::CommandFactory;

use super::console::Console;
use super::{Cli, Exit, run};

/// What a command printed.
#[derive(Debug)]
struct Outcome {
    exit: Exit,
    out: String,
    err: String,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs `hostwell WORDS…`, as into a pipe.
fn hostwell(words: &[&str]) -> Outcome {
    let (out, err) = (Buffer::default(), Buffer::default());
    let mut console = Console::captured(Box::new(out.clone()), Box::new(err.clone()));
    let line = std::iter::once("hostwell").chain(words.iter().copied());
    let exit = run(line.map(Into::into), &mut console);
    Outcome {
        exit,
        out: out.text(),
        err: err.text(),
    }
}

#[test]
fn the_definitions_of_all_commands_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself_with_an_example() {
    fn walk(command: &clap::Command) {
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let help = sub.clone().render_long_help().to_string();
            assert!(
                help.contains("Example"),
                "{} has no example",
                sub.get_name()
            );
            assert!(sub.get_about().is_some(), "{} says nothing", sub.get_name());
            walk(sub);
        }
    }
    walk(&Cli::command());
}

#[test]
fn help_is_an_answer_and_a_wrong_word_a_message() {
    let help = hostwell(&["--help"]);
    assert_eq!((help.exit, help.err.as_str()), (Exit::Fine, ""));
    assert!(help.out.contains("Usage: hostwell"));
    let wrong = hostwell(&["hots"]);
    assert_eq!((wrong.exit, wrong.out.as_str()), (Exit::Failed, ""));
    assert!(wrong.err.contains("hosts"), "{}", wrong.err);
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let script = hostwell(&["completions", "bash"]).out;
    let page = hostwell(&["man"]).out;
    for command in Cli::command().get_subcommands() {
        assert!(
            script.contains(command.get_name()),
            "{}",
            command.get_name()
        );
        assert!(page.contains(command.get_name()), "{}", command.get_name());
    }
}

#[test]
fn a_configuration_is_checked_by_its_place_or_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("collector.toml");
    std::fs::write(&file, "[limits]\nhosts = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let placed = hostwell(&["config", "check", file]);
    let flagged = hostwell(&["config", "check", "--config", file]);
    for outcome in [&placed, &flagged] {
        assert_eq!((outcome.exit, outcome.err.as_str()), (Exit::Fine, ""));
        assert!(outcome.out.contains("is fine"), "{}", outcome.out);
    }
    assert_eq!(placed.out, flagged.out);
    for wrong in [
        &["config", "check"][..],
        &["config", "check", file, "--config", file],
    ] {
        assert_eq!(hostwell(wrong).exit, Exit::Failed, "{wrong:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_failure_that_names_it() {
    let outcome = hostwell(&["hosts", "--db", "/nowhere/hostwell.db"]);
    assert_eq!((outcome.exit, outcome.out.as_str()), (Exit::Failed, ""));
    assert!(outcome.err.starts_with("hostwell: "), "{}", outcome.err);
}
