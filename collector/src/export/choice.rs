//! Which series are meant: a selector, in which `host` and `__name__` count as labels. Pure.

use std::str::FromStr;

use crate::series::{Matcher, Selector, SelectorError, SeriesName};

/// Why a text is no choice of series.
pub type ChoiceError = SelectorError;

/// A selector over hosts and series.
#[derive(Clone, Debug)]
pub struct Choice {
    selector: Selector,
    /// Whether the selector names its metric; else conditions on `__name__` do.
    named: bool,
    names: Vec<Matcher>,
    hosts: Vec<Matcher>,
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Choice, ChoiceError> {
        let named = !text.trim_start().starts_with('{');
        let mut selector: Selector = if named {
            text.parse()?
        } else {
            // The selector wants a metric: it gets one, which is not looked at.
            format!("_{}", text.trim_start()).parse()?
        };
        let names = selector.take("__name__");
        let hosts = selector.take("host");
        Ok(Choice {
            selector,
            named,
            names,
            hosts,
        })
    }
}

impl Choice {
    /// Whether a series of a host is meant.
    pub(super) fn matches(&self, host: &str, name: &SeriesName) -> bool {
        let labels = |name: &SeriesName| {
            self.selector
                .matchers
                .iter()
                .all(|m| m.matches(name.label(&m.label).unwrap_or("")))
        };
        self.hosts.iter().all(|m| m.matches(host))
            && self.names.iter().all(|m| m.matches(&name.metric))
            && (!self.named || self.selector.metric == name.metric)
            && labels(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_name_count_as_labels() {
        let name = SeriesName::new("node_load1", &[]);
        let disk = SeriesName::new("node_disk_io_now", &[("device", "sda")]);
        for (text, load, sda) in [
            ("node_load1", true, false),
            ("node_load1{host=\"web-1\"}", true, false),
            ("node_load1{host!=\"web-1\"}", false, false),
            ("{__name__=~\"node_.*\"}", true, true),
            (" {device=\"sda\"}", false, true),
            ("{}", true, true),
        ] {
            let choice: Choice = text.parse().unwrap();
            let got = (
                choice.matches("web-1", &name),
                choice.matches("web-1", &disk),
            );
            assert_eq!(got, (load, sda), "{text}");
        }
        assert!("a b".parse::<Choice>().is_err());
    }
}
