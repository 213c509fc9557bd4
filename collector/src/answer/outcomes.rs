//! What came out for each rule on a host, live.

use serde::{Deserialize, Serialize};

use crate::rules::{LastOutcomes, Verdict};

/// In which order they are counted.
const ORDER: [Verdict; 7] = [
    Verdict::Ok,
    Verdict::Risk,
    Verdict::NotEnoughData,
    Verdict::DataSuspect,
    Verdict::Silenced,
    Verdict::Kept,
    Verdict::NotApplicable,
];
/// Of which it is said which rules they are about.
const NAMED: [Verdict; 4] = [
    Verdict::Risk,
    Verdict::NotEnoughData,
    Verdict::DataSuspect,
    Verdict::Silenced,
];

/// So many rules of one outcome are named, the others counted: what is silenced by a host that is
/// down is nearly all.
const NAMED_MAX: usize = 5;

/// What came out for each rule on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// When the host was last judged, collector's clock, milliseconds since the Unix epoch.
    pub judged_ms: i64,
    /// Causes before their symptoms.
    pub rules: Vec<RuleOutcome>,
}

/// What came out for a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The rule's name.
    pub rule: String,
    /// What came out when it last looked.
    pub outcome: Verdict,
}

impl Outcomes {
    pub(super) fn of(last: &LastOutcomes) -> Outcomes {
        let rules = last.each().map(|(rule, outcome)| RuleOutcome {
            rule: rule.to_owned(),
            outcome,
        });
        Outcomes {
            judged_ms: last.judged_ms,
            rules: rules.collect(),
        }
    }

    /// "47 rules: 38 ok, 1 risk (disk_full), 4 not enough data (…), 4 not applicable". `named`: says of which
    /// rules something is to be known.
    pub fn words(&self, named: bool) -> String {
        let each = ORDER.into_iter().filter_map(|verdict| {
            let of = self.rules.iter().filter(|r| r.outcome == verdict);
            let rules: Vec<&str> = of.map(|r| r.rule.as_str()).collect();
            let named = match named && NAMED.contains(&verdict) {
                true => format!(" ({})", some(&rules)),
                false => String::new(),
            };
            let words = verdict.words();
            (!rules.is_empty()).then(|| format!("{} {words}{named}", rules.len()))
        });
        let each: Vec<String> = each.collect();
        format!("{} rules: {}", self.rules.len(), each.join(", "))
    }
}

/// "a, b and 7 more".
fn some(rules: &[&str]) -> String {
    match rules.get(..NAMED_MAX) {
        Some(first) if rules.len() > NAMED_MAX => {
            let more = rules.len() - NAMED_MAX;
            format!("{} and {more} more", first.join(", "))
        }
        _ => rules.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_few_and_counts_the_others() {
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(some(&all), "a, b, c, d, e and 2 more");
        assert_eq!(some(&all[..5]), "a, b, c, d, e");
    }

    #[test]
    fn a_line_counts_what_came_out_and_names_what_could_not_be_said() {
        let of = |rule: &str, outcome| RuleOutcome {
            rule: rule.into(),
            outcome,
        };
        let outcomes = Outcomes {
            judged_ms: 0,
            rules: vec![
                of("a", Verdict::NotApplicable),
                of("b", Verdict::NotEnoughData),
                of("c", Verdict::Ok),
                of("d", Verdict::NotEnoughData),
                of("e", Verdict::Risk),
                of("f", Verdict::Kept),
            ],
        };
        assert_eq!(
            outcomes.words(true),
            "6 rules: 1 ok, 1 risk (e), 2 not enough data (b, d), 1 not looked at yet, \
             1 not applicable"
        );
        assert_eq!(
            outcomes.words(false),
            "6 rules: 1 ok, 1 risk, 2 not enough data, 1 not looked at yet, 1 not applicable"
        );
    }
}
