//! What is measured: how many hosts, for how long, from which recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostwell_tests::load::capture::Capture;
use hostwell_tests::load::derive::Mould;
use hostwell_tests::program::find;
use hostwell_tests::runs::setting;

/// The samples that every store gets.
#[derive(Clone)]
pub(crate) struct Samples {
    /// The recording's file.
    pub(crate) capture: PathBuf,
    /// The recording.
    pub(crate) mould: Arc<Mould>,
    /// How many hosts.
    pub(crate) hosts: usize,
    /// Samples of each series.
    pub(crate) ticks: u64,
    /// Between two of them.
    pub(crate) interval_ms: u64,
    /// The time of the last.
    pub(crate) end_ms: i64,
    /// Chooses the fleet.
    pub(crate) seed: u64,
}

impl Samples {
    /// The times of the ticks.
    pub(crate) fn times_ms(&self) -> impl Iterator<Item = i64> + use<> {
        let (start, step) = (self.start_ms(), self.interval_ms as i64);
        (0..self.ticks as i64).map(move |i| start + i * step)
    }

    /// The time of the first.
    pub(crate) fn start_ms(&self) -> i64 {
        self.end_ms - (self.ticks as i64 - 1) * self.interval_ms as i64
    }

    /// How many samples there are.
    pub(crate) fn count(&self) -> u64 {
        self.hosts as u64 * self.ticks * self.mould.capture().series.len() as u64
    }

    /// How long they last, as `hostwell-load` reads it.
    pub(crate) fn span(&self) -> String {
        format!("{}s", self.ticks * self.interval_ms / 1000)
    }

    /// The first hour of them.
    pub(crate) fn first_hour(&self) -> Samples {
        let ticks = self.ticks.min(3_600_000 / self.interval_ms);
        Samples {
            ticks,
            end_ms: self.start_ms() + (ticks as i64 - 1) * self.interval_ms as i64,
            ..self.clone()
        }
    }

    /// Other hosts, and another length, ending at `end_ms`.
    pub(crate) fn with(&self, hosts: usize, ticks: u64, end_ms: i64) -> Samples {
        Samples {
            hosts,
            ticks,
            end_ms,
            ..self.clone()
        }
    }
}

/// All settings of a run.
pub(crate) struct Settings {
    /// For the stores' comparison.
    pub(crate) samples: Samples,
    /// How often everything is repeated.
    pub(crate) rounds: u64,
    /// Which paced fleets are tried.
    pub(crate) paced: Vec<u64>,
    /// How long each of them is watched.
    pub(crate) window_s: u64,
    /// How many hosts' quarter is asked for.
    pub(crate) quarter: usize,
    /// Whether the stores are compared.
    pub(crate) stores: bool,
}

/// Between two samples of a host.
const INTERVAL_MS: u64 = 10_000;

/// Reads the environment and looks whether everything is there.
pub(crate) fn read() -> Result<Settings, String> {
    let capture = std::env::var_os("HOSTWELL_CAPTURE").map(PathBuf::from);
    let capture = capture.ok_or(
        "no recording to derive hosts from: set HOSTWELL_CAPTURE to a CSV file of one host at 1 s \
         (first line the series, first column seconds; .gz is read too)",
    )?;
    let recorded = Capture::read(Path::new(&capture)).map_err(|e| format!("{e:#}"))?;
    for (program, package) in [
        ("victoria-metrics", "victoria-metrics"),
        ("prometheus", "prometheus"),
    ] {
        if find(program).is_none() {
            return Err(format!(
                "{program} is missing: apt-get install --no-install-recommends {package}"
            ));
        }
    }
    let paced = std::env::var("HOSTWELL_BENCH_PACED").unwrap_or_default();
    let paced: Result<Vec<u64>, _> = paced
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::parse)
        .collect();
    let paced = paced.map_err(|_| "HOSTWELL_BENCH_PACED is a list like 1000,5000".to_owned())?;
    let hours = setting("HOSTWELL_BENCH_HOURS", 6);
    let now_ms = hostwell_tests::speaker::now_ms();
    Ok(Settings {
        samples: Samples {
            capture,
            mould: Arc::new(Mould::new(recorded)),
            hosts: setting("HOSTWELL_BENCH_HOSTS", 200) as usize,
            ticks: hours.max(1) * 3_600_000 / INTERVAL_MS,
            interval_ms: INTERVAL_MS,
            end_ms: now_ms / INTERVAL_MS as i64 * INTERVAL_MS as i64,
            seed: 1,
        },
        rounds: setting("HOSTWELL_BENCH_ROUNDS", 1).max(1),
        paced,
        window_s: setting("HOSTWELL_BENCH_SECONDS", 60),
        quarter: setting("HOSTWELL_BENCH_QUARTER", 0) as usize,
        stores: hours > 0,
    })
}
