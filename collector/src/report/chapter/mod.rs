//! The chapters, in reading order. A chapter turns the input into blocks and knows no renderer.

mod availability;
mod closed;
mod coverage;
mod hosts;
mod method;
mod risks;
mod verdict;

pub(super) use verdict::summary;

use super::document::{Block, Chapter, Summary};
use super::input::Input;
use super::standing::Fleet;

/// What every chapter may look at.
pub(super) struct Context<'a> {
    pub(super) input: &'a Input,
    pub(super) fleet: &'a Fleet<'a>,
    pub(super) summary: &'a Summary,
}

type Build = fn(&Context) -> Vec<Block>;

/// (anchor, title, how it is made): the table of contents.
const CHAPTERS: &[(&str, &str, Build)] = &[
    ("verdict", "Verdict", verdict::blocks),
    ("hosts", "Five indicators per host", hosts::blocks),
    ("risks", "Open risks", risks::blocks),
    ("closed", "Closed in this period", closed::blocks),
    ("availability", "Availability", availability::blocks),
    ("coverage", "Data coverage", coverage::blocks),
    ("method", "How the numbers were obtained", method::blocks),
];

pub(super) fn all(input: &Input, fleet: &Fleet, summary: &Summary) -> Vec<Chapter> {
    let context = Context {
        input,
        fleet,
        summary,
    };
    CHAPTERS
        .iter()
        .map(|(id, title, build)| Chapter {
            id: (*id).into(),
            title: (*title).into(),
            blocks: build(&context),
        })
        .collect()
}
