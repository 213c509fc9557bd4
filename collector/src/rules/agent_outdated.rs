//! A host whose agent is older than those of others.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::{Grade, Moment};
use super::{Bilingual, Doc, Evidence, LONG_METRIC, Rule, Severity, WhenDown};

pub(super) const RULE: Rule = Rule {
    name: "agent_outdated",
    title: Bilingual {
        en: "Agent behind those of other hosts",
        zh: "agent 版本落后于其他主机",
    },
    watches: &[],
    doc: Doc {
        what: "Compares the version of a host's agent with the newest of all hosts and the \
               collector's own. Opens for information when it has been older for seven days, as a \
               warning when it is two minor versions behind or more; closes when it is not older \
               any more. A version that is not three numbers is not judged.",
        why: "A collector understands agents of the two minor versions before its own: what is \
              further behind may be refused after the next upgrade, and misses corrections until \
              then.",
        todo: "Upgrade the package `hostwell-agent` on it; nothing is lost meanwhile, the spool \
               is sent afterwards. If an upgrade was rolled out everywhere, see why not here.",
        example: "Its agent is 0.1.4; the newest there is is 0.3.0.",
        source: "That agents drift and nobody sees it: section 2 of the peers' survey. Two minor \
                 versions: what the changelog promises.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When an agent is too old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// A warning when so many minor versions behind.
    pub warning_minors: u32,
    /// For this long, so that an upgrade may take its time.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning_minors: 2,
            for_seconds: 7 * 86_400,
        }
    }
}

/// A program's version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// "0.3.1", also where more is said after it ("0.3.1-rc1"); nothing of anything else.
    pub fn parse(text: &str) -> Option<Version> {
        let plain = text.split(['-', '+']).next()?;
        let mut numbers = plain.split('.').map(|part| part.parse::<u32>().ok());
        let version = Version(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(version)
    }

    /// Minor versions from this one to a newer one; of another major version as many as may be.
    fn minors_to(self, newer: Version) -> u32 {
        match self.0 == newer.0 {
            true => newer.1.saturating_sub(self.1),
            false => u32::MAX,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A host's agent, beside the newest that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What the host runs.
    pub own: Version,
    /// The newest of all hosts and the collector's own.
    pub newest: Version,
}

fn judge(case: &Case<'_>) -> Judged {
    let Some(Agent { own, newest }) = case.input.agent else {
        return Judged::NotApplicable("it does not say which version its agent is".into());
    };
    let levels = &case.policy.agent_outdated;
    let behind = own < newest;
    let minors = if behind { own.minors_to(newest) } else { 0 };
    let moment = Moment {
        time_ms: case.now_ms,
        raise: behind,
        keep: behind,
    };
    let info = case.grade("", Severity::Info, levels.for_seconds, [moment]);
    // How long it is behind counts, not how long by so much.
    let warning = Grade {
        severity: Severity::Warning,
        since_ms: info.since_ms.filter(|_| minors >= levels.warning_minors),
        ..info
    };
    let condition = case.condition(&[info, warning]);
    let evidence = match minors {
        u32::MAX => Vec::new(),
        minors => vec![
            Evidence::new(
                "minor versions behind",
                f64::from(minors),
                "count",
                LONG_METRIC,
            )
            .against(f64::from(levels.warning_minors)),
        ],
    };
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition,
        summary: match behind {
            true => format!("Its agent is {own}; the newest there is is {newest}."),
            false => format!("Its agent is {own}, as new as any."),
        },
        evidence,
        advice: Bilingual {
            en: "Upgrade the package `hostwell-agent` on it; what is sampled meanwhile is sent \
                 afterwards.",
            zh: "在该主机上升级软件包 `hostwell-agent`；升级期间采集的数据会在之后补传。",
        }
        .into(),
        silenced_by: &[],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |text| Version::parse(text);
        assert!(version("0.10.0") > version("0.9.3"));
        assert_eq!(version("1.2.3-rc1"), version("1.2.3"));
        for text in ["", "1.2", "1.2.3.4", "v1.2.3", "1.2.x"] {
            assert_eq!(version(text), None, "{text}");
        }
        let minors = |a, b| version(a).unwrap().minors_to(version(b).unwrap());
        assert_eq!((minors("0.1.9", "0.3.0"), minors("0.3.0", "0.3.7")), (2, 0));
        assert_eq!(minors("0.9.0", "1.0.0"), u32::MAX);
    }
}
