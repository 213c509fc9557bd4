//! Figures to reach and whether they are, as Markdown.

use std::fmt::Write as _;

/// On which side of its must a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    /// Smaller is better.
    Below,
    /// Larger is better.
    Above,
}

/// What came of measuring.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// This.
    Value(f64),
    /// It was tried and is not there; counts as missed.
    Failed(String),
    /// Nobody tried, for this reason; neither met nor missed.
    Untried(String),
}

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        if value.is_nan() {
            return Measured::Failed("not measured".to_owned());
        }
        Measured::Value(value)
    }
}

/// A figure that has a must.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What is measured.
    pub what: String,
    /// Which side is good.
    pub good: Good,
    /// To reach.
    pub must: f64,
    /// What we want.
    pub aim: f64,
    /// What was measured.
    pub ours: Measured,
    /// What others reach at this, in words; empty where nobody says.
    pub reference: &'static str,
}

impl Figure {
    /// A row where smaller is better.
    pub fn below(what: &str, (must, aim): (f64, f64), ours: impl Into<Measured>) -> Figure {
        Figure {
            what: what.to_owned(),
            good: Good::Below,
            must,
            aim,
            ours: ours.into(),
            reference: "",
        }
    }

    /// A row where larger is better.
    pub fn above(what: &str, bounds: (f64, f64), ours: impl Into<Measured>) -> Figure {
        Figure {
            good: Good::Above,
            ..Figure::below(what, bounds, ours)
        }
    }

    /// The same row beside what others reach.
    pub fn beside(self, reference: &'static str) -> Figure {
        Figure { reference, ..self }
    }

    fn reaches(&self, bound: f64) -> bool {
        match (&self.ours, self.good) {
            (Measured::Value(value), Good::Below) => *value <= bound,
            (Measured::Value(value), Good::Above) => *value >= bound,
            _ => false,
        }
    }

    /// Whether the must is missed; what failed is, what nobody tried is not.
    pub fn is_missed(&self) -> bool {
        !matches!(self.ours, Measured::Untried(_)) && !self.reaches(self.must)
    }
}

/// The figures as a Markdown table; with a column for what others reach where any row says it.
pub fn table(rows: &[Figure]) -> String {
    let with_reference = rows.iter().any(|row| !row.reference.is_empty());
    let mut text = String::from(match with_reference {
        true => "| figure | must | aim | ours | met | reference |\n|---|---|---|---|---|---|\n",
        false => "| figure | must | aim | ours | met |\n|---|---|---|---|---|\n",
    });
    for row in rows {
        let met = match (&row.ours, row.reaches(row.must), row.reaches(row.aim)) {
            (Measured::Untried(_), ..) => "–",
            (_, false, _) => "**no**",
            (_, true, false) => "yes",
            (_, true, true) => "aim",
        };
        let ours = match &row.ours {
            Measured::Value(value) => format!("{value:.3}"),
            Measured::Failed(why) => why.clone(),
            Measured::Untried(why) => format!("not measured: {why}"),
        };
        let sign = match row.good {
            Good::Below => '≤',
            Good::Above => '≥',
        };
        let Figure {
            what, must, aim, ..
        } = row;
        let _ = write!(
            text,
            "| {what} | {sign} {must} | {sign} {aim} | {ours} | {met} |"
        );
        text += &match (with_reference, row.reference) {
            (true, "") => " – |\n".to_owned(),
            (true, reference) => format!(" {reference} |\n"),
            (false, _) => "\n".to_owned(),
        };
    }
    text
}

/// A Markdown table of free form.
pub fn free(header: &[&str], rows: &[Vec<String>]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_met_on_its_good_side_and_never_when_it_failed() {
        let below = |ours: f64| Figure::below("x", (2.0, 1.0), ours);
        assert!(!below(2.0).is_missed());
        assert!(below(2.1).is_missed());
        assert!(below(f64::NAN).is_missed());
        assert!(!Figure::above("x", (4.0, 8.0), 5.0).is_missed());
        assert!(Figure::above("x", (4.0, 8.0), 3.9).is_missed());
        assert!(Figure::below("x", (2.0, 1.0), Measured::Failed("e".into())).is_missed());
    }

    #[test]
    fn what_nobody_tried_says_so_and_is_not_called_met() {
        let row = Figure::below("x", (2.0, 1.0), Measured::Untried("no rollups".into()));
        assert!(!row.is_missed());
        let text = table(&[row, Figure::above("y", (4.0, 8.0), 9.0)]);
        assert!(
            text.contains("| x | ≤ 2 | ≤ 1 | not measured: no rollups | – |"),
            "{text}"
        );
        assert!(text.contains("| y | ≥ 4 | ≥ 8 | 9.000 | aim |\n"), "{text}");
    }

    #[test]
    fn what_others_reach_stands_beside_ours_where_anybody_says_it() {
        let known = Figure::above("x", (4.0, 8.0), 9.0).beside("3 to 5");
        let text = table(&[known, Figure::above("y", (4.0, 8.0), 9.0)]);
        assert!(
            text.contains("| x | ≥ 4 | ≥ 8 | 9.000 | aim | 3 to 5 |\n"),
            "{text}"
        );
        assert!(
            text.contains("| y | ≥ 4 | ≥ 8 | 9.000 | aim | – |\n"),
            "{text}"
        );
    }
}
