//! One flag for each setting.

use std::sync::LazyLock;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{Overrides, SETTINGS, Setting};

/// clap keeps names by reference for as long as the program runs.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| SETTINGS.iter().map(Setting::flag).collect());

/// The settings given as flags.
#[derive(Clone, Debug, Default)]
pub struct Flags(pub Overrides);

impl Args for Flags {
    fn augment_args(mut command: Command) -> Command {
        for (setting, name) in SETTINGS.iter().zip(NAMES.iter()) {
            command = command.arg(
                Arg::new(setting.key)
                    .long(name.as_str())
                    .value_name("VALUE")
                    .help(setting.doc)
                    .help_heading("Settings (over the file and the environment)"),
            );
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.0.push((setting.key.to_string(), value.clone()));
            }
        }
        Ok(())
    }
}
