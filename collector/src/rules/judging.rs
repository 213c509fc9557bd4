//! By which levels which host is judged.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Policy, Scope};

/// The levels of all hosts, and where some differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judging {
    /// For all hosts.
    pub base: Policy,
    /// For some: which, and the levels that are others. Each goes over those before it.
    pub overrides: Vec<(Scope, Value)>,
}

/// Which overrides are about a host, by their place: hosts with the same have one policy.
pub type Chosen = Vec<usize>;

impl Judging {
    /// All hosts by the same levels.
    pub fn by(base: Policy) -> Judging {
        Judging {
            base,
            overrides: Vec::new(),
        }
    }

    /// Which overrides are about a host.
    pub fn chosen(&self, host: &str, labels: &BTreeMap<String, String>) -> Chosen {
        let about = |(place, (scope, _)): (usize, &(Scope, Value))| {
            scope.covers(host, Some(labels)).then_some(place)
        };
        self.overrides
            .iter()
            .enumerate()
            .filter_map(about)
            .collect()
    }

    /// The levels where these overrides hold.
    ///
    /// # Errors
    /// What an override says that no level can be.
    pub fn policy(&self, chosen: &[usize]) -> Result<Policy, serde_json::Error> {
        if chosen.is_empty() {
            return Ok(self.base.clone());
        }
        let mut whole = serde_json::to_value(&self.base)?;
        for (_, other) in chosen.iter().filter_map(|place| self.overrides.get(*place)) {
            lay_over(&mut whole, other);
        }
        serde_json::from_value(whole)
    }
}

fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                match below.get_mut(name) {
                    Some(under) => lay_over(under, value),
                    None => {
                        below.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (below, above) => below.clone_from(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn on(host: &str, rules: Value) -> (Scope, Value) {
        let hosts = vec![host.to_owned()];
        (Scope { hosts, group: None }, rules)
    }

    #[test]
    fn later_overrides_go_over_earlier_ones_and_what_none_says_stays() {
        let judging = Judging {
            overrides: vec![
                on(
                    "db-*",
                    json!({"disk_full": {"warning": {"raise": 0.7, "clear": 0.6}}}),
                ),
                on(
                    "db-1",
                    json!({"disk_full": {"warning": {"raise": 0.75}}, "disabled": ["reboot"]}),
                ),
                on("web-1", json!({"disabled": ["disk_full"]})),
            ],
            ..Judging::default()
        };
        let none = BTreeMap::new();
        assert_eq!(judging.chosen("db-1", &none), [0, 1]);
        let policy = |host: &str| judging.policy(&judging.chosen(host, &none)).unwrap();
        let level = |host: &str| {
            let policy = serde_json::to_value(policy(host)).unwrap();
            let band = &policy["disk_full"]["warning"];
            (
                band["raise"].as_f64().unwrap(),
                band["clear"].as_f64().unwrap(),
            )
        };
        assert_eq!(level("db-1"), (0.75, 0.6));
        assert_eq!(level("db-2"), (0.7, 0.6));
        assert_eq!(policy("db-1").disabled, ["reboot"]);
        assert_eq!(policy("web-2"), Policy::default());
        assert_eq!(
            policy("db-1").disk_full.critical,
            Policy::default().disk_full.critical
        );
    }
}
