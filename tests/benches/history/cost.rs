//! What one store cost.

use crate::questions::Ask;
use crate::settings::Samples;

/// A store that can be asked, its connection kept.
pub(crate) trait Asked {
    /// CPU milliseconds of the `turn`-th question, the call included.
    fn ask(&mut self, ask: Ask, samples: &Samples, turn: usize) -> Result<f64, String>;
}

/// What a question costs, CPU milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    /// About a host that nobody asked about before.
    pub(crate) first: f64,
    /// The same question a second time: warm, as the reference's figures are.
    pub(crate) again: f64,
}

/// One store with one set of samples.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// How the table calls it.
    pub(crate) name: &'static str,
    /// How many it was given.
    pub(crate) samples: u64,
    /// CPU until the last was acknowledged.
    pub(crate) stored_cpu_s: f64,
    /// CPU until all was merged, at rest.
    pub(crate) settled_cpu_s: f64,
    /// How long the first took.
    pub(crate) wall_s: f64,
    /// Resident memory when the last was acknowledged.
    pub(crate) rss_mib: f64,
    /// The most that was resident.
    pub(crate) peak_mib: f64,
    /// On disk at rest.
    pub(crate) bytes: u64,
    /// CPU milliseconds a question, or why there is no answer: when nobody asked it before, and
    /// when everybody was asked it before.
    pub(crate) questions: Vec<(Ask, Result<Price, String>)>,
    /// What else is worth knowing.
    pub(crate) note: String,
}

impl Cost {
    /// Samples for each CPU second, everything counted.
    pub(crate) fn rate(&self) -> f64 {
        self.samples as f64 / self.settled_cpu_s
    }

    /// The same until the last was acknowledged.
    pub(crate) fn stored_rate(&self) -> f64 {
        self.samples as f64 / self.stored_cpu_s
    }

    /// On disk.
    pub(crate) fn bytes_per_sample(&self) -> f64 {
        self.bytes as f64 / self.samples as f64
    }

    /// CPU of a question.
    pub(crate) fn question(&self, ask: Ask) -> Result<Price, String> {
        let found = self.questions.iter().find(|(asked, _)| *asked == ask);
        found.map_or(Err("not asked".to_owned()), |(_, answer)| answer.clone())
    }
}
