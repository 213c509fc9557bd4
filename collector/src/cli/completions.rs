//! `hostwell completions SHELL` and `hostwell man`: printed from the same definitions as `--help`.

use std::path::PathBuf;

use anyhow::Context;

use super::Exit;
use super::console::Console;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell completions bash > /etc/bash_completion.d/hostwell
  hostwell completions zsh > ~/.zfunc/_hostwell
  hostwell completions fish > ~/.config/fish/completions/hostwell.fish")]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Print the manual, or write one page a command into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell man | man -l -
  hostwell man --out /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write hostwell.1, hostwell-hosts.1, … into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the completions.
pub(super) fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "hostwell", &mut script);
    console.bytes(&script)?;
    Ok(Exit::Fine)
}

/// Prints or writes the manual.
pub(super) fn man(
    args: &ManArgs,
    command: &clap::Command,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    let Some(folder) = &args.out else {
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
        console.bytes(&page)?;
        return Ok(Exit::Fine);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    clap_mangen::generate_to(command.clone(), folder)
        .with_context(|| format!("write the manual into {}", folder.display()))?;
    console.message(&format!("wrote the manual into {}", folder.display()));
    Ok(Exit::Fine)
}
