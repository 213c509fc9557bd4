//! Maintenance: times that come again, by the clock on the wall, in which nobody is told of what the
//! rules find. They go on judging, and the register goes on recording.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

/// Which hosts something is about. Without hosts and without a group: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names; one that ends in `*` means all that begin so.
    pub hosts: Vec<String>,
    /// A label and its value.
    pub group: Option<(String, String)>,
}

impl Scope {
    /// Whether it is about a host of this name with these labels.
    pub fn covers(&self, host: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let named = |name: &String| match name.strip_suffix('*') {
            Some(beginning) => host.starts_with(beginning),
            None => name == host,
        };
        let grouped = |(label, value): &(String, String)| {
            labels.and_then(|labels| labels.get(label)) == Some(value)
        };
        let by_name = self.hosts.is_empty() || self.hosts.iter().any(named);
        by_name && self.group.as_ref().is_none_or(grouped)
    }
}

/// A time that comes again.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// What it is called.
    pub name: String,
    /// On which hosts.
    pub scope: Scope,
    /// What of: names of rules; none: all.
    pub rules: Vec<String>,
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins by the clock on the wall.
    pub from: Time,
    /// When it ends; not later than it begins: on the next day.
    pub to: Time,
    /// Whose clock.
    pub zone: TimeZone,
}

impl Maintenance {
    /// When the maintenance ends that is going on at a moment (milliseconds since the Unix epoch).
    ///
    /// It goes by the clock on the wall: from 01:00 to 05:00 it lasts an hour less in the night in
    /// which clocks are set forward, and an hour more when they are set back. A beginning that the
    /// clock jumps over is where the clock goes on; one that comes twice is the first, an end that
    /// comes twice the second.
    pub fn ends_ms(&self, now_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let today = self.zone.to_datetime(now).date();
        // One that began the day before may still be going on.
        let days = [today.yesterday().ok(), Some(today)];
        let going_on = days.into_iter().flatten().filter_map(|day| {
            let (begin, end) = self.on(day)?;
            (begin <= now && now < end).then(|| end.as_millisecond())
        });
        going_on.max()
    }

    /// Begin and end of the one that begins on a day.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&day.weekday()) {
            return None;
        }
        let last = match self.to > self.from {
            true => day,
            false => day.tomorrow().ok()?,
        };
        let moment =
            |date: Date, time: Time| self.zone.to_ambiguous_timestamp(date.to_datetime(time));
        let begin = moment(day, self.from).compatible().ok()?;
        let end = moment(last, self.to).later().ok()?;
        Some((begin, end))
    }

    /// Whether it is about what a rule finds.
    pub fn covers(&self, about: &About<'_>) -> bool {
        let ruled = self.rules.is_empty() || self.rules.iter().any(|rule| rule == about.rule);
        ruled && self.scope.covers(about.host, about.labels)
    }
}

/// What a maintenance may be about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The name of the rule that found something.
    pub rule: &'a str,
    /// The name of the host on which.
    pub host: &'a str,
    /// The host's labels, where they are known.
    pub labels: Option<&'a BTreeMap<String, String>>,
}

/// When the maintenance ends in which something is at a moment: of several the last.
pub fn maintained_until_ms(windows: &[Maintenance], about: &About<'_>, now_ms: i64) -> Option<i64> {
    let windows = windows.iter().filter(|window| window.covers(about));
    windows.filter_map(|window| window.ends_ms(now_ms)).max()
}

/// The first moment from `from_ms` on, before `end_ms`, at which something is in no maintenance.
pub fn told_from_ms(
    windows: &[Maintenance],
    about: &About<'_>,
    (from_ms, end_ms): (i64, i64),
) -> Option<i64> {
    let mut at_ms = from_ms;
    while at_ms < end_ms {
        match maintained_until_ms(windows, about, at_ms) {
            Some(until_ms) => at_ms = until_ms,
            None => return Some(at_ms),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every night from half past two to five, in Berlin.
    fn nightly(from: &str, to: &str) -> Maintenance {
        Maintenance {
            name: "backup".into(),
            scope: Scope::default(),
            rules: Vec::new(),
            days: vec![Weekday::Saturday],
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        }
    }

    fn ms(utc: &str) -> i64 {
        utc.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// First and last minute (UTC) of what goes on around a moment, found minute by minute.
    fn spans(window: &Maintenance, from: &str, hours: i64) -> Vec<(String, String)> {
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for minute in 0..hours * 60 {
            let at = ms(from) + minute * 60_000;
            match (window.ends_ms(at), spans.last_mut()) {
                (None, _) => {}
                (Some(_), Some((_, last))) if *last == at - 60_000 => *last = at,
                (Some(_), _) => spans.push((at, at)),
            }
        }
        let text = |ms: i64| {
            let at = Timestamp::from_millisecond(ms).unwrap();
            at.strftime("%d %H:%M").to_string()
        };
        spans.into_iter().map(|(a, b)| (text(a), text(b))).collect()
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn it_comes_again_on_its_days_by_the_clock_on_the_wall() {
        let window = nightly("22:00", "02:30");
        // Winter: an hour ahead of UTC. 2026-01-03 and 10 are Saturdays.
        assert_eq!(
            spans(&window, "2026-01-01T00:00Z", 12 * 24),
            [pair("03 21:00", "04 01:29"), pair("10 21:00", "11 01:29")]
        );
        // Summer: two hours.
        assert_eq!(
            spans(&window, "2026-07-03T00:00Z", 4 * 24),
            [pair("04 20:00", "05 00:29")]
        );
        assert_eq!(
            window.ends_ms(ms("2026-07-04T20:00Z")),
            Some(ms("2026-07-05T00:30Z"))
        );
    }

    #[test]
    fn in_the_night_in_which_clocks_are_set_forward_it_is_an_hour_shorter() {
        // 2026-03-29, 02:00 becomes 03:00 in Berlin: 01:00 UTC.
        let window = Maintenance {
            days: vec![Weekday::Sunday],
            ..nightly("01:00", "05:00")
        };
        assert_eq!(
            spans(&window, "2026-03-28T12:00Z", 24),
            [pair("29 00:00", "29 02:59")]
        );
        // A beginning that does not exist that night is where the clock goes on.
        let jumped = Maintenance {
            from: "02:30".parse().unwrap(),
            ..window
        };
        assert_eq!(
            spans(&jumped, "2026-03-28T12:00Z", 24),
            [pair("29 01:30", "29 02:59")]
        );
    }

    #[test]
    fn in_the_night_in_which_clocks_are_set_back_it_is_an_hour_longer() {
        // 2026-10-25, 03:00 becomes 02:00 in Berlin: 01:00 UTC.
        let window = Maintenance {
            days: vec![Weekday::Sunday],
            ..nightly("01:00", "05:00")
        };
        assert_eq!(
            spans(&window, "2026-10-24T12:00Z", 24),
            [pair("24 23:00", "25 03:59")]
        );
        // Both times that come twice are meant: from the first half past two to the second.
        let twice = Maintenance {
            from: "02:15".parse().unwrap(),
            to: "02:45".parse().unwrap(),
            ..window
        };
        assert_eq!(
            spans(&twice, "2026-10-24T12:00Z", 24),
            [pair("25 00:15", "25 01:44")]
        );
    }

    #[test]
    fn what_outlasts_a_maintenance_is_told_at_its_end_and_what_does_not_never() {
        let first = nightly("22:00", "02:30");
        let mut next = nightly("02:00", "04:00");
        (next.days, next.rules) = (vec![Weekday::Sunday], vec!["disk_busy".into()]);
        let windows = [first, next];
        let told = |rule, from: &str, end: &str| {
            let (host, labels) = ("db-1", None);
            let about = About { rule, host, labels };
            let at_ms = told_from_ms(&windows, &about, (ms(from), ms(end)));
            at_ms.map(|at_ms| Timestamp::from_millisecond(at_ms).unwrap().to_string())
        };
        let told = |rule, from, end| told(rule, from, end).unwrap_or_default();
        // Winter: an hour ahead of UTC. 2026-01-03 is a Saturday.
        let (before, within) = ("2026-01-03T20:59Z", "2026-01-03T21:00Z");
        assert_eq!(told("oom_kill", before, within), "2026-01-03T20:59:00Z");
        let (end, later) = ("2026-01-04T01:30Z", "2026-01-04T09:00Z");
        assert_eq!(told("oom_kill", within, later), "2026-01-04T01:30:00Z");
        assert_eq!(told("oom_kill", within, end), "");
        // One after the other.
        assert_eq!(told("disk_busy", within, later), "2026-01-04T03:00:00Z");
    }

    #[test]
    fn a_scope_is_names_beginnings_and_a_label() {
        let labels = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
        let scope = |hosts: &[&str], group: Option<(&str, &str)>| Scope {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            group: group.map(|(k, v)| (k.to_owned(), v.to_owned())),
        };
        let covers = |scope: Scope| scope.covers("db-1", Some(&labels));
        assert!(covers(scope(&[], None)));
        assert!(covers(scope(&["web-1", "db-*"], None)));
        assert!(!covers(scope(&["db"], None)));
        assert!(covers(scope(&[], Some(("role", "db")))));
        assert!(
            !covers(scope(&["web-1"], Some(("role", "db")))),
            "both must hold"
        );
        assert!(!scope(&[], Some(("role", "db"))).covers("db-1", None));
    }
}
