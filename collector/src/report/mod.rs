//! Composes one [`Report`] out of what is known and prints it in a format.
//!
//! [`Input`] → [`build`] → [`Report`] (chapters of blocks; serialised it is the JSON format) →
//! [`markdown`] or [`html`]. Chapters know blocks and no renderer; renderers know blocks and no
//! chapter: a new chapter is one file and one line in [`chapter`], a new format one renderer.
//! Everything here is pure: the same input gives the same bytes.

mod chapter;
pub mod chart;
mod document;
mod html;
mod input;
mod markdown;
mod standing;
pub mod words;

pub use document::*;
pub use html::html;
pub use input::*;
pub use markdown::markdown;

use standing::Fleet;

/// Builds the report. Never fails: what is missing is said in the report.
pub fn build(input: &Input) -> Report {
    let fleet = Fleet::of(input);
    let summary = chapter::summary(input, &fleet);
    Report {
        schema_version: SCHEMA_VERSION,
        title: "Host health report".into(),
        scope: input.scope.clone(),
        period: input.period.clone(),
        generated_ms: input.now_ms,
        source: input.collector.source.clone(),
        chapters: chapter::all(input, &fleet, &summary),
        summary,
    }
}

#[cfg(test)]
mod tests;
