//! What a simulated agent says: who it is, its series, its batches.

use std::sync::Arc;

use hostwell_proto::column::{Block, Column, encode};
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::metric::Metric;
use hostwell_proto::wire::{Declare, Hello, HostFacts, Label, SeriesDeclaration, SeriesKind};

use super::derive::{Host, Mould, Random};

/// A host's name in the fleet.
pub fn host_name(number: u64) -> String {
    format!("load-{number:05}")
}

/// The lines of one simulated agent.
pub struct Script {
    /// Who it is.
    pub host_id: HostId,
    /// Its spool; another one every run, as the numbers of batches begin anew.
    pub spool_id: SpoolId,
    number: u64,
    interval_ms: u64,
    mould: Arc<Mould>,
    host: Host,
    decimals: Arc<Vec<u8>>,
}

/// 16 bytes of a sequence.
fn identity(seed: u64) -> [u8; 16] {
    let mut random = Random::new(seed);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.bits().to_le_bytes());
    id[8..].copy_from_slice(&random.bits().to_le_bytes());
    id
}

/// How many decimals to try first for each series, as an agent would.
pub fn decimals(mould: &Mould) -> Arc<Vec<u8>> {
    let series = mould.capture().series.iter();
    let hints = series.map(|s| Metric::by_name(&s.metric).map_or(0, |m| m.descriptor().decimals));
    Arc::new(hints.collect())
}

impl Script {
    /// Host `number` of a fleet: the same for the same seed, but for the spool, which `run` names.
    pub fn new(
        mould: &Arc<Mould>,
        decimals: &Arc<Vec<u8>>,
        (seed, run): (u64, u64),
        number: u64,
        interval_ms: u64,
    ) -> Script {
        let salt = number.wrapping_mul(0x2545_f491_4f6c_dd1d);
        Script {
            host_id: HostId(identity(seed ^ salt)),
            spool_id: SpoolId(identity(!seed ^ salt ^ run.rotate_left(32))),
            number,
            interval_ms,
            mould: Arc::clone(mould),
            host: Host::new(mould, seed, number, interval_ms),
            decimals: Arc::clone(decimals),
        }
    }

    /// The greeting.
    pub fn hello(&self, now_ms: i64) -> Hello {
        Hello {
            protocol: hostwell_proto::PROTOCOL,
            host_id: self.host_id.to_string(),
            host_name: host_name(self.number),
            interval_ms: self.interval_ms as u32,
            facts: Some(HostFacts {
                os: "linux".to_owned(),
                arch: "x86_64".to_owned(),
                cpus: 2,
                agent_version: concat!("hostwell-load ", env!("CARGO_PKG_VERSION")).to_owned(),
                ..HostFacts::default()
            }),
            spool_ids: vec![self.spool_id.0.to_vec()],
            sent_ms: now_ms,
        }
    }

    /// The declaration of all series.
    pub fn declare(&self) -> Declare {
        let series = self.mould.capture().series.iter().enumerate();
        let series = series.map(|(number, recorded)| SeriesDeclaration {
            number: number as u32,
            metric: recorded.metric.clone(),
            labels: recorded
                .labels
                .iter()
                .map(|(name, value)| Label {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            kind: match recorded.is_counter() {
                true => SeriesKind::Counter,
                false => SeriesKind::Gauge,
            } as i32,
        });
        Declare {
            spool_id: self.spool_id.0.to_vec(),
            series: series.collect(),
        }
    }

    /// The next samples, at these times, packed.
    pub fn block(&mut self, times_ms: &[i64]) -> Vec<u8> {
        let series = self.mould.capture().series.len();
        let mut columns: Vec<Column> = (0..series as u32)
            .map(|number| Column {
                number,
                ticks: None,
                values: Vec::with_capacity(times_ms.len()),
            })
            .collect();
        let mut row = Vec::with_capacity(series);
        for _ in times_ms {
            self.host.step(&mut row);
            for (column, value) in columns.iter_mut().zip(&row) {
                column.values.push(*value);
            }
        }
        let block = Block {
            times_ms: times_ms.to_vec(),
            columns,
        };
        encode(&block, |number| self.decimals[number as usize])
    }

    /// Batches for the ticks before `end_ms`, oldest first, `ticks` of them in each.
    pub fn backlog(&mut self, end_ms: i64, count: u64, ticks: usize) -> Vec<Vec<u8>> {
        let step = self.interval_ms as i64;
        let times: Vec<i64> = (1..=count as i64)
            .map(|i| end_ms - (count as i64 - i) * step)
            .collect();
        times.chunks(ticks.max(1)).map(|t| self.block(t)).collect()
    }

    /// How many samples a tick has.
    pub fn series(&self) -> usize {
        self.mould.capture().series.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::capture::Capture;
    use hostwell_proto::column::{Limits, decode};

    fn script(run: u64) -> Script {
        let text = "time,a_total{x=1},node_load1\n0,1,0.5\n1,2,0.6\n2,4,0.7\n3,5,0.8\n";
        let mould = Arc::new(Mould::new(Capture::parse(text).unwrap()));
        Script::new(&mould, &decimals(&mould), (1, run), 5, 1000)
    }

    #[test]
    fn a_backlog_holds_every_tick_once_and_ends_where_it_is_told() {
        let limits = Limits {
            ticks_max: 10,
            columns_max: 10,
            samples_max: 100,
        };
        let blocks = script(1).backlog(60_000, 25, 10);
        let blocks: Vec<Block> = blocks.iter().map(|b| decode(b, limits).unwrap()).collect();
        let times: Vec<i64> = blocks.iter().flat_map(|b| b.times_ms.clone()).collect();
        let expected: Vec<i64> = (36..=60).map(|i| i * 1000).collect();
        assert_eq!(times, expected);
        assert!(blocks.iter().all(|b| b.columns.len() == 2));
    }

    #[test]
    fn another_run_is_the_same_host_with_the_same_samples_in_another_spool() {
        let (mut one, mut two) = (script(1), script(2));
        assert_eq!(one.host_id, two.host_id);
        assert_ne!(one.spool_id, two.spool_id);
        assert_eq!(one.block(&[0, 1000]), two.block(&[0, 1000]));
    }
}
