//! What came out for each rule on a host.

use std::io;

use crate::answer::Outcomes;
use crate::answer::range::format_ms;
use crate::cli::console::Console;
use crate::cli::table::{Align, Cell, Table, Tone};
use crate::rules::Verdict;

/// Every rule with what came out.
pub(super) fn print(outcomes: Option<&Outcomes>, console: &mut Console) -> io::Result<()> {
    console.line("")?;
    let Some(outcomes) = outcomes else {
        return console.line(
            "What came out for each rule is known by a collector that runs and has judged the host.",
        );
    };
    let mut table = Table::new(&[("RULE", Align::Left), ("OUTCOME", Align::Left)]);
    for one in &outcomes.rules {
        let tone = match one.outcome {
            Verdict::Risk => Tone::Watch,
            Verdict::NotApplicable => Tone::Faint,
            _ => Tone::Plain,
        };
        let words = Cell::toned(one.outcome.words(), tone);
        table.row(vec![(&one.rule).into(), words]);
    }
    console.table(&table)?;
    let judged = format_ms(outcomes.judged_ms);
    console.line(&format!("judged {judged}"))
}
