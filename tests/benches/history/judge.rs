//! The rows of "Collector: figures to reach", as far as they can be measured.

use hostwell_tests::figures::{Figure, Measured};
use hostwell_tests::process::median;

use crate::cost::Cost;
use crate::paced::{Fleet, Paced};
use crate::quarter::Quarter;
use crate::questions::Ask;

/// The fleet that the figure about a quarter speaks of.
const QUARTER_HOSTS: usize = 1000;

/// One round of the stores' comparison.
pub(crate) struct Round {
    /// Ours, one tick a batch as agents send at 10 s.
    pub(crate) ours: Result<Cost, String>,
    /// Ours, ten ticks a batch as agents send at 1 s; shown, not judged.
    pub(crate) ours_batched: Result<Cost, String>,
    /// VictoriaMetrics.
    pub(crate) victoria: Cost,
    /// Prometheus.
    pub(crate) prometheus: Cost,
    /// Bytes of the first hour: ours and VictoriaMetrics'.
    pub(crate) first_hour: (Result<u64, String>, u64),
}

/// Everything that was measured.
pub(crate) struct Run {
    /// As often as asked.
    pub(crate) rounds: Vec<Round>,
    /// The paced fleets.
    pub(crate) paced: Vec<Fleet>,
    /// A quarter's p95 of CPU busy.
    pub(crate) quarter: Option<Result<Quarter, String>>,
    /// Seconds of a start after `kill -9`.
    pub(crate) start: Option<Result<f64, String>>,
}

/// The median over rounds, or the first thing that went wrong.
fn over(rounds: &[Round], of: impl Fn(&Round) -> Result<f64, String>) -> Measured {
    if rounds.is_empty() {
        return Measured::Untried("the stores were not compared (HOSTWELL_BENCH_HOURS=0)".into());
    }
    let values: Result<Vec<f64>, String> = rounds.iter().map(of).collect();
    values.map_or_else(Measured::Failed, |v| Measured::from(median(&v)))
}

/// CPU of a question ÷ what `peer` picks of the peers'.
fn asked(rounds: &[Round], ask: Ask, peer: impl Fn(f64, f64) -> f64) -> Measured {
    let again = |cost: &Cost| Ok::<f64, String>(cost.question(ask)?.again);
    over(rounds, |round| {
        let ours = again(&round.ours.clone()?)?;
        let theirs = peer(
            again(&round.victoria)?,
            again(&round.prometheus).unwrap_or(f64::INFINITY),
        );
        Ok(ours / theirs)
    })
}

fn untried(why: &str) -> Measured {
    Measured::Untried(why.to_owned())
}

impl Run {
    /// A paced fleet of a store.
    fn paced(&self, hosts: u64, ours: bool, of: impl Fn(&Paced) -> f64) -> Measured {
        let found = self
            .paced
            .iter()
            .find(|f| (f.hosts, f.ours) == (hosts, ours));
        match found.map(|fleet| &fleet.went) {
            None => untried(&format!("HOSTWELL_BENCH_PACED has no {hosts}")),
            Some(Ok(paced)) => Measured::from(of(paced)),
            Some(Err(why)) => Measured::Failed(why.clone()),
        }
    }

    /// Ours ÷ VictoriaMetrics' with 1,000 hosts.
    fn beside(&self, of: impl Fn(&Paced) -> f64) -> Measured {
        match (self.paced(1000, true, &of), self.paced(1000, false, &of)) {
            (Measured::Value(ours), Measured::Value(theirs)) => Measured::from(ours / theirs),
            (ours @ (Measured::Failed(_) | Measured::Untried(_)), _) => ours,
            (_, theirs) => theirs,
        }
    }

    fn stored(&self) -> Vec<Figure> {
        let rounds = &self.rounds[..];
        let rate = |peer: fn(&Round) -> &Cost| {
            over(rounds, |r| Ok(r.ours.clone()?.rate() / peer(r).rate()))
        };
        let bytes = over(rounds, |r| {
            Ok(r.ours.clone()?.bytes_per_sample() / r.victoria.bytes_per_sample())
        });
        let first_hour = over(rounds, |r| {
            Ok(r.first_hour.0.clone()? as f64 / r.first_hour.1 as f64)
        });
        let memory = over(rounds, |r| Ok(r.ours.clone()?.rss_mib / r.victoria.rss_mib));
        let better = f64::min;
        let victoria = |victoria: f64, _: f64| victoria;
        vec![
            Figure::above(
                "samples per CPU-second, durable and at rest ÷ VictoriaMetrics",
                (4.0, 8.0),
                rate(|r| &r.victoria),
            ),
            Figure::above(
                "the same ÷ Prometheus",
                (15.0, 30.0),
                rate(|r| &r.prometheus),
            ),
            Figure::below(
                "bytes per sample after merge ÷ VictoriaMetrics",
                (0.85, 0.70),
                bytes,
            ),
            Figure::below(
                "bytes of the first hour ÷ VictoriaMetrics, flushed",
                (1.0, 0.85),
                first_hour,
            ),
            Figure::below("resident memory ÷ VictoriaMetrics", (0.5, 0.25), memory),
            Figure::below(
                "latest of a host: CPU ÷ the better peer",
                (0.5, 0.2),
                asked(rounds, Ask::Latest, better),
            ),
            Figure::below(
                "one series: CPU ÷ the better peer",
                (0.5, 0.2),
                asked(rounds, Ask::One, better),
            ),
            Figure::below(
                "p95 busy per host over the fleet: CPU ÷ VictoriaMetrics",
                (0.4, 0.1),
                asked(rounds, Ask::Busy, victoria),
            ),
            Figure::below(
                "top-k over the fleet: CPU ÷ VictoriaMetrics",
                (0.8, 0.2),
                asked(rounds, Ask::Top, victoria),
            ),
            Figure::below(
                "predict_linear over the fleet: CPU ÷ VictoriaMetrics",
                (0.8, 0.2),
                asked(rounds, Ask::Predict, victoria),
            ),
        ]
    }

    /// All rows.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        [self.stored(), self.long(), self.fleets()].concat()
    }

    /// Questions about months.
    fn long(&self) -> Vec<Figure> {
        let (hosts, quarter) = match &self.quarter {
            None => (QUARTER_HOSTS, untried("HOSTWELL_BENCH_QUARTER is 0")),
            Some(Err(why)) => (QUARTER_HOSTS, Measured::Failed(why.clone())),
            Some(Ok(quarter)) => (quarter.hosts(), Measured::from(quarter.ratio())),
        };
        vec![Figure::below(
            &format!("a quarter's p95 busy over {hosts} hosts: CPU ÷ VictoriaMetrics"),
            (0.05, 0.01),
            quarter,
        )]
    }

    fn fleets(&self) -> Vec<Figure> {
        vec![
            Figure::below(
                "paced, 1,000 TLS × 1/s: CPU a message ÷ VictoriaMetrics",
                (0.35, 0.25),
                self.beside(|p| p.us_a_message),
            ),
            Figure::below(
                "resident memory at 1,000 hosts ÷ VictoriaMetrics",
                (1.0, 0.5),
                self.beside(|p| p.rss_mib),
            ),
            Figure::below(
                "5,000 TLS agents at 1 s: of one CPU",
                (0.6, 0.4),
                self.paced(5000, true, |p| p.cpu_share),
            ),
            Figure::below(
                "5,000 TLS agents at 1 s: kB an agent",
                (60.0, 45.0),
                self.paced(5000, true, |p| p.kb_an_agent),
            ),
            Figure::below(
                "10,000 TLS agents at 10 s: of one CPU",
                (0.5, 0.3),
                self.paced(10_000, true, |p| p.cpu_share),
            ),
            Figure::below(
                "10,000 TLS agents at 10 s: resident memory, MB",
                (650.0, 450.0),
                self.paced(10_000, true, |p| p.rss_mib * 1.048_576),
            ),
            Figure::below(
                "10,000 TLS agents at 10 s: acknowledgement p99, ms (each batch answered at once)",
                (500.0, 200.0),
                self.paced(10_000, true, |p| p.ack_ms.map_or(f64::NAN, |a| a.1)),
            ),
            Figure::below(
                "memory for each sample held, bytes (5,000 agents)",
                (2.5, 1.2),
                self.paced(5000, true, |p| p.held_a_sample.unwrap_or(f64::NAN)),
            ),
            Figure::below(
                "start after kill -9, one hour of 1,000 hosts in the journal, s",
                (3.0, 1.0),
                match &self.start {
                    None => untried("HOSTWELL_BENCH_PACED has no 1000"),
                    Some(Ok(seconds)) => Measured::from(*seconds),
                    Some(Err(why)) => Measured::Failed(why.clone()),
                },
            ),
            Figure::below(
                "readers meanwhile (5,000 agents), p99 ms",
                (100.0, 30.0),
                self.paced(5000, true, |p| p.reader_ms.unwrap_or(f64::NAN)),
            ),
        ]
    }
}
