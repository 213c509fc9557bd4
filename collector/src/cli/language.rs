//! `--lang`, the same on every command that says what to do.

use crate::rules::Language;

/// In which language
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct LanguageArgs {
    /// What to do is said in English or in Chinese; all else is English
    #[arg(long, value_name = "LANG", value_enum, default_value_t)]
    lang: Word,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Word {
    #[default]
    En,
    Zh,
}

impl LanguageArgs {
    /// What was asked for.
    pub(super) fn language(self) -> Language {
        match self.lang {
            Word::En => Language::En,
            Word::Zh => Language::Zh,
        }
    }
}
