//! The figures to reach and whether they are.

use std::fmt::Write as _;

/// A figure that has a must: smaller is better.
pub(crate) struct Figure {
    /// What is measured.
    pub(crate) what: String,
    /// To reach; more is a failure.
    pub(crate) must: f64,
    /// What we want.
    pub(crate) aim: f64,
    /// What was measured.
    pub(crate) ours: f64,
}

impl Figure {
    /// A row.
    pub(crate) fn new(what: &str, must: f64, aim: f64, ours: f64) -> Figure {
        Figure {
            what: what.to_owned(),
            must,
            aim,
            ours,
        }
    }

    /// Whether the must is met; what could not be measured is not.
    pub(crate) fn is_met(&self) -> bool {
        self.ours <= self.must
    }
}

/// The figures as a Markdown table.
pub(crate) fn figures(rows: &[Figure]) -> String {
    let mut text = String::from("| figure | must | aim | ours | met |\n|---|---|---|---|---|\n");
    for row in rows {
        let met = match (row.is_met(), row.ours <= row.aim) {
            (false, _) => "**no**",
            (true, false) => "yes",
            (true, true) => "aim",
        };
        let Figure {
            what,
            must,
            aim,
            ours,
        } = row;
        let _ = writeln!(text, "| {what} | ≤ {must} | ≤ {aim} | {ours:.3} | {met} |");
    }
    text
}

/// A Markdown table of free form.
pub(crate) fn free(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "| {} |\n|{}\n",
        header.join(" | "),
        "---|".repeat(header.len())
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
