//! Network: bytes each second in and out; the share of the link's speed where it is known.

use std::collections::BTreeMap;

use super::{Figure, Indicator, Levels, Verdict, View};
use crate::series::derived::{Share, time_shares};
use crate::series::{Series, union_times_ms};
use crate::words;

const RECEIVED: &str = "node_network_receive_bytes_total";
const SENT: &str = "node_network_transmit_bytes_total";
const SPEED: &str = "node_network_speed_bytes";
const BOND: &str = "node_bonding_slaves";

/// (what, counter, counter of packets in that direction).
const LOSSES: &[(&str, &str, &str)] = &[
    (
        "errors",
        "node_network_receive_errs_total",
        "node_network_receive_packets_total",
    ),
    (
        "errors",
        "node_network_transmit_errs_total",
        "node_network_transmit_packets_total",
    ),
    (
        "drops",
        "node_network_receive_drop_total",
        "node_network_receive_packets_total",
    ),
    (
        "drops",
        "node_network_transmit_drop_total",
        "node_network_transmit_packets_total",
    ),
];

pub(super) const METRICS: &[&str] = &[
    RECEIVED,
    SENT,
    SPEED,
    BOND,
    "node_network_receive_errs_total",
    "node_network_transmit_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_drop_total",
    "node_network_receive_packets_total",
    "node_network_transmit_packets_total",
];

const SOURCE: &str = "85 / 90 % of the link's speed: the clear and raise levels of Netdata's \
                      traffic overflow alarms; without a known speed there is no level";

/// Share of packets lost above which it is worth an eye; the mixin's level for errors.
const LOSS_MAX: f64 = 0.01;

/// Fewer packets a second than this say nothing about a share of losses.
const PACKETS_MIN: f64 = 10.0;

pub(super) fn indicator(view: &View<'_>) -> Indicator {
    let (received, sent) = (rates(view, RECEIVED), rates(view, SENT));
    if received.is_empty() && sent.is_empty() {
        let why = if view.window.all(RECEIVED).is_empty() {
            view.missing("No interface is reported")
        } else {
            view.missing("A second sample is needed")
        };
        return Indicator::unknown("Network", "bytes_per_second", why);
    }
    let total = |rates: &BTreeMap<&str, f64>| rates.values().sum::<f64>();
    let (rate_in, rate_out) = (total(&received), total(&sent));
    let mut figures = vec![
        Figure::new("in and out", "", rate_in + rate_out, "bytes_per_second"),
        Figure::new("in", "", rate_in, "bytes_per_second"),
        Figure::new("out", "", rate_out, "bytes_per_second"),
    ];
    let mut words = format!(
        "Network {} in, {} out",
        words::bytes_per_second(rate_in),
        words::bytes_per_second(rate_out)
    );
    let fullest = fullest_link(view, &received, &sent);
    let levels = fullest.map(|_| Levels::new(0.85, 0.90, SOURCE));
    let mut verdict = Verdict::Ok;
    if let (Some((device, share)), Some(levels)) = (fullest, &levels) {
        verdict = levels.verdict(share);
        figures.push(Figure::new("share of speed", device, share, "ratio"));
        words.push_str(&format!(
            "; {device} at {} of its speed",
            words::share(share)
        ));
    } else {
        words.push_str("; link speed not known");
    }
    for (what, share, device) in losses(view) {
        figures.push(Figure::new(what, device, share, "ratio"));
        if share >= LOSS_MAX {
            verdict = verdict.max(Verdict::Watch);
            words.push_str(&format!("; {} {what} on {device}", words::share(share)));
        }
    }
    words.push('.');
    Indicator {
        name: "Network".into(),
        verdict,
        short: words::bytes_per_second(rate_in + rate_out),
        words,
        value: Some(rate_in + rate_out),
        unit: "bytes_per_second".into(),
        levels,
        figures,
        trend: view.trend(&traffic(view)),
    }
}

/// The interfaces whose traffic is summed: all but the loopback, bonds and VLANs, whose bytes
/// their members carry and count already.
fn counted<'a>(view: &View<'a>, metric: &str) -> impl Iterator<Item = (&'a str, &'a Series)> {
    let window = view.window;
    let all = window.all(metric);
    let is_bond = |device: &str| window.find(BOND, &[("master", device)]).is_some();
    let is_vlan = |device: &str| {
        let parent = device.split_once('.').map(|(parent, _)| parent);
        parent.is_some_and(|parent| all.iter().any(|s| s.label("device") == Some(parent)))
    };
    all.iter()
        .filter_map(|series| Some((series.label("device")?, series)))
        .filter(move |(device, _)| *device != "lo" && !is_bond(device) && !is_vlan(device))
}

fn rates<'a>(view: &View<'a>, metric: &str) -> BTreeMap<&'a str, f64> {
    counted(view, metric)
        .filter_map(|(device, series)| {
            let shares = time_shares(series, view.window.interval_ms);
            let stale_ms = series.stale_ms(view.window.interval_ms);
            Some((device, view.recent(&shares, stale_ms)?))
        })
        .collect()
}

/// The interface nearest to its speed in either direction (links are full duplex).
fn fullest_link<'a>(
    view: &View<'a>,
    received: &BTreeMap<&'a str, f64>,
    sent: &BTreeMap<&'a str, f64>,
) -> Option<(&'a str, f64)> {
    let rate = |rates: &BTreeMap<&str, f64>, device| rates.get(device).copied().unwrap_or(0.0);
    counted(view, SPEED)
        .filter_map(|(device, series)| {
            let speed = series.current(view.now_ms, view.window.interval_ms)?;
            let busiest = rate(received, device).max(rate(sent, device));
            (speed > 0.0).then(|| (device, busiest / speed))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The worst share of lost packets of each kind, where anything was lost and enough was sent.
fn losses<'a>(view: &View<'a>) -> Vec<(&'static str, f64, &'a str)> {
    let mut worst: BTreeMap<&'static str, (f64, &'a str)> = BTreeMap::new();
    for (what, lost, packets) in LOSSES {
        let packets = rates(view, packets);
        for (device, lost) in rates(view, lost) {
            let sent = packets.get(device).copied().unwrap_or(0.0);
            if lost > 0.0 && sent + lost >= PACKETS_MIN {
                let share = lost / (sent + lost);
                let entry = worst.entry(what).or_insert((share, device));
                if share > entry.0 {
                    *entry = (share, device);
                }
            }
        }
    }
    worst
        .into_iter()
        .map(|(what, (share, device))| (what, share, device))
        .collect()
}

/// Bytes in and out over all interfaces, tick by tick.
fn traffic(view: &View<'_>) -> Vec<Share> {
    let series: Vec<&Series> = counted(view, RECEIVED)
        .chain(counted(view, SENT))
        .map(|(_, series)| series)
        .collect();
    let times = union_times_ms(series.iter().copied());
    let mut shares: Vec<Option<Share>> = vec![None; times.len()];
    for one in series {
        for share in time_shares(one, view.window.interval_ms) {
            if let Ok(at) = times.binary_search(&share.to_ms) {
                match &mut shares[at] {
                    Some(sum) => sum.part += share.part,
                    empty => *empty = Some(share),
                }
            }
        }
    }
    shares.into_iter().flatten().collect()
}
