//! What came out for each rule on a host at its last look: a byte a rule.

use super::{Outcome, RULES, Verdict};

/// The last outcomes on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct LastOutcomes {
    /// When the host was last judged, collector's clock, milliseconds since the Unix epoch.
    pub judged_ms: i64,
    /// In the order of [`RULES`]; nothing of a rule that was not asked.
    verdicts: Box<[Option<Verdict>]>,
}

impl LastOutcomes {
    /// Nothing is known yet.
    pub fn new() -> LastOutcomes {
        LastOutcomes {
            judged_ms: 0,
            verdicts: vec![None; RULES.len()].into(),
        }
    }

    /// Takes what came out on this host at `now_ms`. A rule that was not looked at in this turn keeps
    /// what came out when it was.
    pub fn note(&mut self, outcomes: &[Outcome], now_ms: i64) {
        self.judged_ms = now_ms;
        for (at, outcome) in outcomes.iter().enumerate() {
            let is = |at: &usize| RULES[*at].name == outcome.rule;
            // They come in the order of the rules.
            let here = Some(at).filter(|at| *at < RULES.len() && is(at));
            let Some(at) = here.or_else(|| (0..RULES.len()).find(is)) else {
                continue;
            };
            if outcome.verdict != Verdict::Kept || self.verdicts[at].is_none() {
                self.verdicts[at] = Some(outcome.verdict);
            }
        }
    }

    /// Each rule with what came out, causes before their symptoms.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Verdict)> {
        let named = RULES.iter().zip(&self.verdicts);
        named.filter_map(|(rule, verdict)| Some((rule.name, (*verdict)?)))
    }
}

impl Default for LastOutcomes {
    fn default() -> LastOutcomes {
        LastOutcomes::new()
    }
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotApplicable => "not applicable",
            Verdict::Kept => "not looked at yet",
            Verdict::NotEnoughData => "not enough data",
            Verdict::DataSuspect => "data suspect",
            Verdict::Silenced => "silenced",
            Verdict::Risk => "risk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rule: &str, verdict: Verdict) -> Outcome {
        Outcome {
            rule: rule.into(),
            host_id: "a".into(),
            host: "a".into(),
            verdict,
            words: String::new(),
        }
    }

    #[test]
    fn a_rule_takes_one_byte_and_keeps_what_came_out_when_it_was_looked_at() {
        assert_eq!(std::mem::size_of::<Option<Verdict>>(), 1);
        let mut last = LastOutcomes::new();
        assert_eq!(last.each().count(), 0);
        let all =
            |verdict| -> Vec<Outcome> { RULES.iter().map(|r| outcome(r.name, verdict)).collect() };
        last.note(&all(Verdict::Kept), 5);
        assert!(last.each().all(|(_, verdict)| verdict == Verdict::Kept));
        last.note(&all(Verdict::NotEnoughData), 6);
        last.note(&all(Verdict::Kept), 7);
        assert_eq!(last.judged_ms, 7);
        assert_eq!(last.each().count(), RULES.len());
        assert!(last.each().all(|(_, v)| v == Verdict::NotEnoughData));
        // In another order, and of a rule that is no more.
        last.note(
            &[
                outcome("gone", Verdict::Risk),
                outcome("anomaly", Verdict::Ok),
            ],
            8,
        );
        let ok: Vec<&str> = last
            .each()
            .filter_map(|(rule, v)| (v == Verdict::Ok).then_some(rule))
            .collect();
        assert_eq!(ok, ["anomaly"]);
    }
}
