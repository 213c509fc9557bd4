//! Of what was found, what somebody would have been told: docs/register.md.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::Severity;
use super::super::terms::{DAMPING_MS, FLOOR_MINUTES, HOSTS_MIN, TURN_MS};
use super::Spell;

const FLOOR_MS: i64 = FLOOR_MINUTES as i64 * 60_000;
/// What is less bad is not told.
const SEVERITY_MIN: Severity = Severity::Warning;

/// An entry as it was told last.
struct Told {
    fired_ms: i64,
    severity: Severity,
    end_ms: Option<i64>,
}

/// Marks the spells of one host, ascending by their start, that are told. `free_ms` says when one is in
/// no maintenance for the first time.
pub(super) fn mark(spells: &mut [Spell], free_ms: impl Fn(&Spell) -> Option<i64>) {
    let mut entries: HashMap<(String, String), Told> = HashMap::new();
    for spell in spells {
        if spell.severity < SEVERITY_MIN {
            continue;
        }
        let key = (spell.rule.clone(), spell.subject.clone());
        let Some(mut at_ms) = free_ms(spell) else {
            continue;
        };
        let damped = entries.get_mut(&key).filter(|told| {
            let over_ms = told.end_ms;
            let again = over_ms.is_some_and(|end_ms| spell.start_ms - end_ms <= DAMPING_MS);
            again && at_ms - told.fired_ms < FLOOR_MS && spell.severity <= told.severity
        });
        if let Some(told) = damped {
            // Told when the hour is over, if it still is open by then.
            let rested_ms = told.fired_ms + FLOOR_MS;
            if spell.end_ms.is_some_and(|end_ms| end_ms <= rested_ms) {
                told.end_ms = spell.end_ms;
                continue;
            }
            at_ms = rested_ms;
        }
        spell.told_ms = Some(at_ms);
        let told = Told {
            fired_ms: at_ms,
            severity: spell.severity,
            end_ms: spell.end_ms,
        };
        entries.insert(key, told);
    }
}

/// Something that is told: when, on which host, by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News<'a> {
    /// When.
    pub at_ms: i64,
    /// The host's name.
    pub host: &'a str,
    /// The rule's name.
    pub rule: &'a str,
}

/// Which of the news of a fleet begin a message: the same on three hosts at once is one, and so is all
/// else of one host.
pub fn messages(news: &[News<'_>]) -> Vec<bool> {
    let turn = |one: &News<'_>| one.at_ms.div_euclid(TURN_MS as i64);
    let mut hosts: HashMap<(i64, &str), BTreeSet<&str>> = HashMap::new();
    for one in news {
        hosts
            .entry((turn(one), one.rule))
            .or_default()
            .insert(one.host);
    }
    let mut begun = HashSet::new();
    let begins = news.iter().map(|one| {
        let together = hosts
            .get(&(turn(one), one.rule))
            .is_some_and(|hosts| hosts.len() >= HOSTS_MIN);
        begun.insert(match together {
            true => (turn(one), Some(one.rule), None),
            false => (turn(one), None, Some(one.host)),
        })
    });
    begins.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn spell(rule: &str, severity: Severity, minutes: (i64, i64)) -> Spell {
        Spell {
            rule: rule.into(),
            subject: String::new(),
            severity,
            start_ms: minutes.0 * MINUTE_MS,
            end_ms: Some(minutes.1 * MINUTE_MS),
            eta_ms: None,
            told_ms: None,
            summary: String::new(),
            selector: String::new(),
        }
    }

    fn marked(mut spells: Vec<Spell>) -> Vec<bool> {
        mark(&mut spells, |spell| Some(spell.start_ms));
        let told = spells.iter().map(|spell| spell.told_ms.is_some());
        told.collect()
    }

    #[test]
    fn what_comes_and_goes_is_told_once_an_hour_and_when_it_is_worse() {
        use Severity::{Critical, Warning};
        let told = marked(vec![
            spell("a", Warning, (0, 5)),
            spell("a", Warning, (10, 15)),
            spell("a", Critical, (20, 50)),
            spell("a", Warning, (70, 75)),
            spell("a", Warning, (85, 90)),
            spell("a", Warning, (151, 160)),
        ]);
        assert_eq!(told, [true, false, true, false, true, true]);
    }

    #[test]
    fn what_comes_again_within_the_hour_is_told_when_it_outlasts_it() {
        use Severity::Warning;
        let mut spells = vec![
            spell("a", Warning, (0, 5)),
            spell("a", Warning, (10, 60)),
            spell("a", Warning, (62, 90)),
            spell("a", Warning, (100, 130)),
            spell("b", Warning, (0, 5)),
            spell("b", Warning, (10, 61)),
        ];
        spells[3].end_ms = None;
        mark(&mut spells, |spell| Some(spell.start_ms));
        let told: Vec<_> = spells.iter().map(|spell| spell.told_ms).collect();
        let minutes = |minute: i64| Some(minute * MINUTE_MS);
        assert_eq!(
            told,
            [
                minutes(0),
                None,
                minutes(62),
                minutes(122),
                minutes(0),
                minutes(60)
            ]
        );
    }

    #[test]
    fn in_a_maintenance_nobody_is_told_and_what_comes_again_after_it_is_the_entry_it_was() {
        use Severity::Warning;
        let mut spells = vec![
            spell("a", Warning, (0, 5)),
            spell("a", Warning, (35, 40)),
            // So soon after what was told that it is told no more, and later.
            spell("a", Warning, (55, 58)),
            spell("a", Warning, (75, 80)),
            spell("b", Warning, (20, 90)),
            spell("c", Warning, (20, 25)),
        ];
        let until = 50 * MINUTE_MS;
        let free_ms = |spell: &Spell| match spell.start_ms > 10 * MINUTE_MS {
            true => Some(until.max(spell.start_ms)).filter(|at| spell.end_ms > Some(*at)),
            false => Some(spell.start_ms),
        };
        mark(&mut spells, free_ms);
        let told: Vec<_> = spells.iter().map(|spell| spell.told_ms).collect();
        let minutes = |minute: i64| Some(minute * MINUTE_MS);
        assert_eq!(
            told,
            [minutes(0), None, None, minutes(75), minutes(50), None]
        );
    }

    #[test]
    fn what_is_only_worth_knowing_is_not_told() {
        let told = marked(vec![
            spell("a", Severity::Info, (0, 5)),
            spell("b", Severity::Warning, (1, 5)),
        ]);
        assert_eq!(told, [false, true]);
    }

    #[test]
    fn the_same_on_three_hosts_is_one_message_and_so_is_all_of_one_host() {
        let news = |at_ms, host, rule| News { at_ms, host, rule };
        let begun = messages(&[
            news(30_000, "a", "down"),
            news(30_001, "b", "down"),
            news(44_999, "c", "down"),
            news(30_000, "a", "full"),
            news(30_000, "a", "busy"),
            news(30_000, "b", "busy"),
            news(45_000, "d", "down"),
        ]);
        assert_eq!(begun, [true, false, false, true, false, true, true]);
    }
}
