//! One host in depth.

use serde::{Deserialize, Serialize};

use super::hosts::{Moment, owned};
use super::presence::{presence, watched};
use super::range::Range;
use super::{AnswerError, HostState, Outcomes, Setup};
use crate::indicators::{self, Indicators};
use crate::plan::availability::{Availability, Span};
use crate::processes::Busiest;
use crate::rules::{Finding, State};
use crate::series::derived::{sibling, space_used_ratio};
use crate::series::{Series, Window};
use crate::store::{GapRecord, HostRecord, NotesAsked, Store, StoreError, WindowQuery};

/// One host in depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostInDepth {
    /// What the registry knows.
    pub host: HostRecord,
    /// Where it stands.
    pub state: HostState,
    /// How old its newest sample is, a wrong clock of the host allowed for.
    pub age_ms: Option<i64>,
    /// First moment looked at.
    pub from_ms: i64,
    /// Last moment looked at.
    pub to_ms: i64,
    /// The five, at the end of the range, with their course over it.
    pub indicators: Indicators,
    /// Every mounted filesystem that reports, the fullest first.
    pub filesystems: Vec<Filesystem>,
    /// Every interface that reports, the busiest first.
    pub interfaces: Vec<Interface>,
    /// Who used it most at the end of the range; none where no agent told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Busiest>,
    /// Pending and open findings, the worst first.
    pub findings: Vec<Finding>,
    /// What came out for each rule at its last look; none where nobody judges: a file at rest, a
    /// collector that has just started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
    /// Up, down, unknown over the range, and how much of its data arrived.
    pub availability: Availability,
    /// What its agent had to drop in that time.
    pub gaps: Vec<GapRecord>,
}

/// A filesystem at the end of the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mountpoint: String,
    /// What is mounted.
    pub device: String,
    /// Its type.
    pub fstype: String,
    /// Bytes; none when it does not answer.
    pub size_bytes: Option<f64>,
    /// Bytes an unprivileged process may still write.
    pub avail_bytes: Option<f64>,
    /// The part that is not available, 0 to 1.
    pub used_ratio: Option<f64>,
    /// The part of the inodes that is used, 0 to 1; none where it has no fixed number.
    pub inodes_used_ratio: Option<f64>,
    /// Cannot be written to.
    pub readonly: bool,
    /// Does not answer.
    pub stuck: bool,
}

/// An interface at the end of the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub device: String,
    /// Whether it is up, where it says so.
    pub up: Option<bool>,
    /// Bytes each second its link can carry, where it says so.
    pub speed_bytes: Option<f64>,
    /// Bytes each second received over the last minutes of the range.
    pub receive_bytes_per_second: Option<f64>,
    /// Bytes each second sent.
    pub transmit_bytes_per_second: Option<f64>,
    /// Receive and transmit errors over the range.
    pub errors: Option<f64>,
    /// Packets dropped over the range.
    pub drops: Option<f64>,
}

/// Most samples read for one host.
const SAMPLES_MAX: usize = 20_000_000;
/// Without a range.
const DEFAULT_MS: i64 = 86_400_000;
/// And never less than this.
const SHORTEST_MS: i64 = 60_000;
/// A note of processes so long before the end of a range still tells of it.
const NOTED_MS: i64 = 900_000;
/// Rates "now" are over this long.
const RECENT_MS: i64 = 120_000;

const FILESYSTEM: &[&str] = &[
    "node_filesystem_size_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_free_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_readonly",
    "hostwell_filesystem_stuck",
];
const NETWORK: &[&str] = &[
    "node_network_up",
    "node_network_speed_bytes",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    "node_network_receive_errs_total",
    "node_network_transmit_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_drop_total",
];

/// The record of the host with this name.
pub(super) async fn record(store: &Store, name: &str) -> Result<HostRecord, AnswerError> {
    let hosts = store.hosts().await?;
    if let Some(found) = hosts.iter().find(|h| h.name == name) {
        return Ok(found.clone());
    }
    let known = hosts.iter().map(|h| h.name.as_str());
    Err(AnswerError::Store(StoreError::NoHost {
        name: name.to_string(),
        nearest: nearest(name, known).map(str::to_string),
    }))
}

/// The known word nearest to what was typed, if one is near.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(typed, word), word))
        .filter(|(near, _)| *near > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// One host over a range.
pub(super) async fn host(
    store: &Store,
    setup: &Setup,
    name: &str,
    range: Option<Range>,
    now_ms: i64,
) -> Result<HostInDepth, AnswerError> {
    let record = record(store, name).await?;
    let asked = range.unwrap_or(Range::last_ms(DEFAULT_MS));
    let (mut from_ms, to_ms) = asked.resolve(now_ms).map_err(AnswerError::Asked)?;
    if range.is_none() {
        // A day of which all but the last minutes are blank hides the last minutes.
        from_ms = from_ms.max(record.first_seen_ms.min(to_ms - SHORTEST_MS));
    }
    let moment = Moment::of(store, setup, now_ms).await?;
    let window = window(store, &record, from_ms, to_ms).await?;
    // The end of the range by the host's clock: what "now" means in its samples.
    let at_ms = to_ms + moment.by_clock_of(&record) - now_ms;
    let mut findings: Vec<Finding> = store
        .findings(None)
        .await?
        .into_iter()
        .filter(|f| f.host_id == record.id && f.state != State::Closed)
        .collect();
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.since_ms));
    let outcomes = store.last_outcomes(&record.id);
    let span = Span::new(from_ms, to_ms);
    let watched = watched(store, span).await?;
    let present = presence(store, &record, span, &watched, moment).await?;
    Ok(HostInDepth {
        state: moment.state(&record),
        age_ms: moment.age_ms(&record),
        host: record,
        from_ms,
        to_ms,
        indicators: indicators::indicators(&window, at_ms),
        filesystems: filesystems(&window, at_ms),
        interfaces: interfaces(&window, at_ms),
        processes: processes(store, name, range.is_some(), at_ms).await?,
        findings,
        outcomes: outcomes.as_ref().map(Outcomes::of),
        availability: present.availability,
        gaps: present.gaps,
    })
}

/// Who used a host most: the newest note, or the last one of a range that was asked for.
async fn processes(
    store: &Store,
    name: &str,
    ranged: bool,
    at_ms: i64,
) -> Result<Option<Busiest>, AnswerError> {
    let note = match ranged {
        false => store.newest_process_note(name).await?,
        true => {
            let asked = NotesAsked {
                host: name.to_owned(),
                from_ms: at_ms - NOTED_MS,
                to_ms: at_ms,
            };
            let notes = store.process_notes(vec![asked]).await?;
            notes.into_iter().flatten().next_back()
        }
    };
    Ok(note.map(|note| note.busiest(at_ms)))
}

async fn window(
    store: &Store,
    host: &HostRecord,
    from_ms: i64,
    to_ms: i64,
) -> Result<Window, AnswerError> {
    let mut metrics = owned(indicators::metrics());
    metrics.extend(owned([FILESYSTEM, NETWORK].concat()));
    metrics.sort_unstable();
    metrics.dedup();
    let windows = store
        .windows(WindowQuery {
            hosts: vec![host.name.clone()],
            metrics,
            from_ms,
            to_ms,
            samples_max: SAMPLES_MAX,
        })
        .await?;
    Ok(windows.into_iter().next().unwrap_or_else(|| Window {
        host: host.name.clone(),
        from_ms,
        to_ms,
        interval_ms: host.interval_ms,
        series: Vec::new(),
    }))
}

fn filesystems(window: &Window, at_ms: i64) -> Vec<Filesystem> {
    let current = |series: &Series| series.current(at_ms, window.interval_ms);
    // One that is stuck reports nothing but that.
    let mut all: Vec<Filesystem> = window
        .all("hostwell_filesystem_stuck")
        .iter()
        .chain(window.all("node_filesystem_size_bytes"))
        .filter(|of| current(of).is_some())
        .map(|of| filesystem(window, of, at_ms))
        .collect();
    all.sort_by(|a, b| (&a.mountpoint, &a.device).cmp(&(&b.mountpoint, &b.device)));
    all.dedup_by(|a, b| (&a.mountpoint, &a.device) == (&b.mountpoint, &b.device));
    all.sort_by(|a, b| {
        b.used_ratio
            .unwrap_or(2.0)
            .total_cmp(&a.used_ratio.unwrap_or(2.0))
    });
    all
}

fn filesystem(window: &Window, of: &Series, at_ms: i64) -> Filesystem {
    let label = |name| of.label(name).unwrap_or("").to_owned();
    let value = |metric| sibling(window, metric, of)?.current(at_ms, window.interval_ms);
    let used = |all: Option<f64>, left: Option<f64>| match (all, left) {
        (Some(all), Some(left)) if all > 0.0 => Some(1.0 - left / all),
        _ => None,
    };
    let size_bytes = value("node_filesystem_size_bytes");
    let avail_bytes = value("node_filesystem_avail_bytes");
    Filesystem {
        mountpoint: label("mountpoint"),
        device: label("device"),
        fstype: label("fstype"),
        size_bytes,
        avail_bytes,
        used_ratio: match (size_bytes, avail_bytes) {
            (Some(size), Some(avail)) if size > 0.0 => Some(space_used_ratio(
                size,
                value("node_filesystem_free_bytes"),
                avail,
            )),
            _ => None,
        },
        inodes_used_ratio: used(
            value("node_filesystem_files"),
            value("node_filesystem_files_free"),
        ),
        readonly: value("node_filesystem_readonly") == Some(1.0),
        stuck: value("hostwell_filesystem_stuck") == Some(1.0),
    }
}

fn interfaces(window: &Window, at_ms: i64) -> Vec<Interface> {
    let mut all: Vec<Interface> = window
        .all("node_network_receive_bytes_total")
        .iter()
        .filter(|of| of.current(at_ms, window.interval_ms).is_some())
        .map(|of| interface(window, of, at_ms))
        .collect();
    let traffic = |i: &Interface| {
        i.receive_bytes_per_second.unwrap_or(0.0) + i.transmit_bytes_per_second.unwrap_or(0.0)
    };
    all.sort_by(|a, b| traffic(b).total_cmp(&traffic(a)));
    all
}

fn interface(window: &Window, of: &Series, at_ms: i64) -> Interface {
    let interval_ms = window.interval_ms;
    let value = |metric| sibling(window, metric, of)?.current(at_ms, interval_ms);
    let recent_ms = at_ms - RECENT_MS.max(3 * interval_ms);
    let rate = |metric| sibling(window, metric, of)?.rate(recent_ms, at_ms, interval_ms);
    let counted = |receive, transmit| {
        let growth = |metric| {
            let growth = sibling(window, metric, of)?.growth(window.from_ms, at_ms, interval_ms)?;
            Some(growth.total())
        };
        match (growth(receive), growth(transmit)) {
            (None, None) => None,
            (receive, transmit) => Some(receive.unwrap_or(0.0) + transmit.unwrap_or(0.0)),
        }
    };
    Interface {
        device: of.label("device").unwrap_or("").to_owned(),
        up: value("node_network_up").map(|up| up == 1.0),
        speed_bytes: value("node_network_speed_bytes").filter(|speed| *speed > 0.0),
        receive_bytes_per_second: rate("node_network_receive_bytes_total"),
        transmit_bytes_per_second: rate("node_network_transmit_bytes_total"),
        errors: counted(
            "node_network_receive_errs_total",
            "node_network_transmit_errs_total",
        ),
        drops: counted(
            "node_network_receive_drop_total",
            "node_network_transmit_drop_total",
        ),
    }
}
