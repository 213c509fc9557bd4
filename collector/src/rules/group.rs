//! A host beside the others of its role: made once a turn for all hosts, in about as many steps as
//! there are hosts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::weeks::{CPU, MEMORY, RECEIVED, SENT};
use super::{Hourly, Past, RolesById};
use crate::forecast::{DAY_MS, HOUR_MS};
use crate::series::device::is_interface;
use crate::series::{Series, quantile};

/// What hosts of one role have in common. The first they must have; the others tell roles of one name
/// apart: the databases of two services, of production and of test.
const ROLE: [&str; 3] = ["role", "service", "env"];
/// Hosts that share one work are at one site, too.
const SITE: &str = "site";

/// Who was not heard of for so long is none of its role's hosts any more.
pub const HEARD_MS: i64 = DAY_MS;

/// Days of what a host carries: each weekday once.
pub(super) const DAYS: i64 = 7;
/// Days of them whose hours must be known.
pub(super) const DAYS_MIN: i64 = 5;

/// What hosts of a role share among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Busy part of its CPUs.
    Cpu,
    /// Used part of its memory.
    Memory,
    /// Bytes received and sent each second.
    Network,
}

impl Work {
    pub(super) const ALL: [Work; 3] = [Work::Cpu, Work::Memory, Work::Network];

    /// Its name, as the subject of findings and in scripts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Work::Cpu => "cpu",
            Work::Memory => "memory",
            Work::Network => "network",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Work> {
        Work::ALL.into_iter().find(|work| work.name() == name)
    }

    /// What it is made of, hour by hour.
    fn hourly(self) -> &'static [Hourly] {
        match self {
            Work::Cpu => &[CPU],
            Work::Memory => &[MEMORY],
            Work::Network => &[RECEIVED, SENT],
        }
    }
}

/// What a host carried in the mean of [`DAYS`], by [`Work`]; nothing where too little is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Carries([Option<f64>; Work::ALL.len()]);

impl Carries {
    /// What these weeks of a host come to.
    pub fn of(past: &Past) -> Carries {
        Carries(Work::ALL.map(|work| {
            let all = work.hourly().iter().flat_map(|hourly| past.all(*hourly));
            let own = all.filter(|s| s.label("device").is_none_or(is_interface));
            own.filter_map(mean).reduce(|sum, one| sum + one)
        }))
    }

    /// What it is made of, hour by hour.
    pub fn hourly() -> impl Iterator<Item = Hourly> {
        let all = Work::ALL.into_iter().flat_map(Work::hourly);
        all.copied()
    }

    pub(super) fn get(&self, work: Work) -> Option<f64> {
        self.0[work as usize]
    }

    pub(super) fn put(&mut self, work: Work, value: f64) {
        self.0[work as usize] = Some(value);
    }
}

/// The mean of a series' last days, if enough of them is known.
fn mean(series: &Series) -> Option<f64> {
    let end_ms = *series.times_ms.last()? + HOUR_MS;
    let from = series
        .times_ms
        .partition_point(|t| *t < end_ms - DAYS * DAY_MS);
    let last = &series.values[from..];
    let known = last.len() as i64 >= DAYS_MIN * DAY_MS / HOUR_MS;
    known.then(|| last.iter().sum::<f64>() / last.len() as f64)
}

/// How hosts share one kind of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shared {
    /// Of how many it is known.
    pub(super) known: usize,
    /// What half of them carry at most.
    pub(super) median: f64,
    /// Their usual distance from it: the median of the distances, as a standard deviation.
    pub(super) spread: f64,
}

/// The median absolute deviation of a normal distribution is this part of its standard deviation.
const MAD: f64 = 0.6745;

impl Shared {
    fn of(mut carried: Vec<f64>) -> Option<Shared> {
        let median = quantile(&mut carried, 0.5)?;
        let mut distances: Vec<f64> = carried.iter().map(|one| (one - median).abs()).collect();
        Some(Shared {
            known: carried.len(),
            median,
            spread: quantile(&mut distances, 0.5)? / MAD,
        })
    }
}

/// The hosts that share a host's work, it among them.
#[derive(Debug, PartialEq)]
pub(super) struct Peers {
    /// "role=web, site=berlin".
    pub(super) name: String,
    /// How many were heard of within the last day.
    pub(super) hosts: usize,
    shared: [Option<Shared>; Work::ALL.len()],
}

impl Peers {
    fn of(name: String, carries: &[Option<Carries>]) -> Peers {
        let of = |work: Work| {
            let known = carries.iter().flatten();
            Shared::of(known.filter_map(|one| one.get(work)).collect())
        };
        Peers {
            name,
            hosts: carries.len(),
            shared: Work::ALL.map(of),
        }
    }

    pub(super) fn shared(&self, work: Work) -> Option<Shared> {
        self.shared[work as usize]
    }
}

/// A host among the hosts of its role.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// "role=web, env=prod".
    pub(super) name: Arc<str>,
    /// How many hosts of the role were heard of within the last day.
    pub(super) hosts: usize,
    /// What it carries; nothing while its weeks have not been looked at.
    pub(super) own: Option<Carries>,
    /// Those that share its work.
    pub(super) peers: Arc<Peers>,
}

impl Group {
    /// A host whose peers are all hosts of its role: of so many these carry something known, beside
    /// its own.
    pub(super) fn beside(
        name: &str,
        hosts: usize,
        own: Option<Carries>,
        others: &[Carries],
    ) -> Group {
        let mut carries: Vec<Option<Carries>> = others.iter().copied().map(Some).collect();
        carries.push(own);
        carries.resize(hosts.max(carries.len()), None);
        Group {
            name: name.into(),
            hosts,
            own,
            peers: Arc::new(Peers::of(name.to_owned(), &carries)),
        }
    }
}

/// A host that was heard of within the last day.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// What it carries; nothing while its weeks have not been looked at.
    pub carries: Option<Carries>,
}

pub(super) type RoleKey<'a> = [Option<&'a str>; ROLE.len()];

/// The hosts of each role.
#[derive(Debug, Default)]
pub struct Roles<'a> {
    roles: HashMap<RoleKey<'a>, (Arc<str>, usize)>,
    peers: HashMap<(RoleKey<'a>, Option<&'a str>), Arc<Peers>>,
}

impl<'a> Roles<'a> {
    /// Puts hosts beside each other; those without a role are alone.
    pub fn of(members: impl IntoIterator<Item = Member<'a>>) -> Roles<'a> {
        let mut all = Roles::default();
        let mut carries: HashMap<_, Vec<Option<Carries>>> = HashMap::new();
        for member in members {
            let Some((role, site)) = key(member.labels) else {
                continue;
            };
            let (_, hosts) = all
                .roles
                .entry(role)
                .or_insert_with(|| (name(&role, None).into(), 0));
            *hosts += 1;
            let of_peers = carries.entry((role, site)).or_default();
            of_peers.push(member.carries);
        }
        let peers = carries.into_iter().map(|((role, site), carries)| {
            let peers = Peers::of(name(&role, site), &carries);
            ((role, site), Arc::new(peers))
        });
        all.peers = peers.collect();
        all
    }

    /// One host among them; nothing where it has no role, or was not heard of.
    pub fn group(&self, member: Member<'_>) -> Option<Group> {
        self.peers.get(&key(member.labels)?)?;
        Some(Group {
            own: member.carries,
            ..self.place(member.labels)?
        })
    }

    /// What a host with these labels is put beside, whether it is there or not.
    pub(super) fn place(&self, labels: &BTreeMap<String, String>) -> Option<Group> {
        let (role, site) = key(labels)?;
        let nobody = || (name(&role, None).into(), 0);
        let (named, hosts) = self.roles.get(&role).cloned().unwrap_or_else(nobody);
        let peers = self.peers.get(&(role, site)).cloned();
        let nobody = || Arc::new(Peers::of(name(&role, site), &[]));
        Some(Group {
            name: named,
            hosts,
            own: None,
            peers: peers.unwrap_or_else(nobody),
        })
    }

    /// What the role of each of these hosts is called, by whatever they are known by; those without
    /// one are left out.
    pub fn names<'b>(&self, hosts: impl IntoIterator<Item = (&'b str, Member<'b>)>) -> RolesById {
        let named = hosts.into_iter().filter_map(|(by, member)| {
            let (role, _) = key(member.labels)?;
            let (name, _) = self.roles.get(&role)?;
            Some((by.to_owned(), Arc::clone(name)))
        });
        named.collect()
    }
}

/// What hosts that are compared have in common; nothing without a role.
pub(super) fn key(labels: &BTreeMap<String, String>) -> Option<(RoleKey<'_>, Option<&str>)> {
    let value = |label: &str| {
        let value = labels.get(label).map(String::as_str);
        value.filter(|value| !value.is_empty())
    };
    let role = ROLE.map(value);
    role[0].map(|_| (role, value(SITE)))
}

fn name(role: &RoleKey<'_>, site: Option<&str>) -> String {
    let labels = ROLE.iter().chain([&SITE]);
    let values = role.iter().copied().chain([site]);
    let named = labels
        .zip(values)
        .filter_map(|(label, value)| Some(format!("{label}={}", value?)));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().filter_map(|w| w.split_once('='));
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    fn busy(cpu: f64) -> Option<Carries> {
        let mut carries = Carries::default();
        carries.put(Work::Cpu, cpu);
        Some(carries)
    }

    #[test]
    fn hosts_of_one_role_are_counted_and_hosts_that_share_its_work_are_compared() {
        let all: Vec<(BTreeMap<String, String>, Option<Carries>)> = vec![
            (labels("role=web site=a"), busy(0.2)),
            (labels("role=web site=a"), busy(0.3)),
            (labels("role=web site=a"), busy(0.9)),
            (labels("role=web site=b"), busy(0.8)),
            (labels("role=web site=a"), None),
            (labels("role=web site=a env=test"), busy(0.0)),
            (labels("site=a"), busy(0.5)),
            (labels("role= site=a"), busy(0.5)),
        ];
        let members = all.iter().map(|(labels, carries)| Member {
            labels,
            carries: *carries,
        });
        let roles = Roles::of(members.clone());
        let groups: Vec<Option<Group>> = members.map(|member| roles.group(member)).collect();
        let first = groups[0].as_ref().unwrap();
        assert_eq!((&*first.name, first.hosts), ("role=web", 5));
        assert_eq!(first.peers.name, "role=web, site=a");
        assert_eq!(first.peers.hosts, 4);
        let shared = first.peers.shared(Work::Cpu).unwrap();
        assert_eq!((shared.known, shared.median), (3, 0.3));
        assert!((shared.spread - 0.1 / MAD).abs() < 1e-12);
        assert_eq!(first.peers.shared(Work::Memory), None);
        assert_eq!(groups[3].as_ref().unwrap().peers.hosts, 1);
        let test = groups[5].as_ref().unwrap();
        assert_eq!((&*test.name, test.hosts), ("role=web, env=test", 1));
        assert_eq!(
            (&groups[6], &groups[7]),
            (&None, &None),
            "they have no role"
        );
    }

    #[test]
    fn what_a_host_carries_is_the_mean_of_its_last_week_if_most_of_it_is_known() {
        let days = |from: i64, to: i64, metric: &str, labels: &[(&str, &str)]| Series {
            name: crate::series::SeriesName::new(metric, labels),
            kind: crate::series::Kind::Gauge,
            times_ms: (from * 24..to * 24).map(|h| h * HOUR_MS).collect(),
            values: (from * 24..to * 24).map(|h| (h / 24) as f64).collect(),
        };
        let eth0 = [("device", "eth0")];
        let mut past = Past::until(14 * DAY_MS);
        past.put(CPU, vec![days(0, 14, CPU.metric, &[])]);
        past.put(MEMORY, vec![days(10, 14, MEMORY.metric, &[])]);
        let lo = days(0, 14, RECEIVED.metric, &[("device", "lo")]);
        past.put(RECEIVED, vec![days(0, 14, RECEIVED.metric, &eth0), lo]);
        past.put(SENT, vec![days(0, 14, SENT.metric, &eth0)]);
        let carries = Carries::of(&past);
        assert_eq!(carries.get(Work::Cpu), Some(10.0), "days 7 to 13");
        assert_eq!(carries.get(Work::Memory), None, "four days are too few");
        assert_eq!(carries.get(Work::Network), Some(20.0), "without loopback");
    }
}
