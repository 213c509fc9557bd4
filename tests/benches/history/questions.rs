//! The questions that every store is asked, each in its own words.

use hostwell::answer::range::{Moment, Range};
use hostwell::answer::{Question, SampleQuestion};
use hostwell::series::Agg;
use hostwell_tests::load::script::host_name;

use crate::settings::Samples;
use hostwell_tests::http::escape;

/// How far ahead a straight line is followed.
const WEEK_MS: i64 = 604_800_000;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ask {
    /// The newest value of every series of one host.
    Latest,
    /// Every sample of one series.
    One,
    /// p95 of CPU busy, a value for each host.
    Busy,
    /// The ten hosts with the least memory.
    Top,
    /// Where a straight line leads in a week, for each host.
    Predict,
}

/// All of them.
pub(crate) const ALL: [Ask; 5] = [Ask::Latest, Ask::One, Ask::Busy, Ask::Top, Ask::Predict];

impl Ask {
    /// How the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ask::Latest => "latest of a host",
            Ask::One => "one series, all of the time",
            Ask::Busy => "p95 of CPU busy, per host over the fleet",
            Ask::Top => "ten hosts with the least memory",
            Ask::Predict => "a straight line's end, per host over the fleet",
        }
    }

    /// How often it is asked: the median counts.
    pub(crate) fn times(self) -> usize {
        match self {
            Ask::Latest | Ask::One => 40,
            _ => 7,
        }
    }

    /// The host that the `turn`-th question is about: another one each time.
    fn host(samples: &Samples, turn: usize) -> String {
        host_name((turn * 37 % samples.hosts) as u64)
    }

    /// For Hostwell; an error where it has no such question yet.
    pub(crate) fn ours(self, samples: &Samples, turn: usize) -> Result<String, String> {
        let host = Ask::host(samples, turn);
        let whole = (samples.start_ms(), samples.end_ms);
        let last = (samples.end_ms - 300_000, samples.end_ms);
        let (selector, (from_ms, to_ms), agg, by) = match self {
            Ask::Latest => {
                let selector = format!("{{__name__=~\"node_.*\",host=\"{host}\"}}");
                (selector, last, Some(Agg::Last), None)
            }
            Ask::One => {
                let selector = format!("node_memory_MemFree_bytes{{host=\"{host}\"}}");
                (selector, whole, None, None)
            }
            Ask::Busy => {
                // Idle is what busy is made of; its quantile costs the same.
                let selector = "node_cpu_seconds_total{mode=\"idle\"}".to_owned();
                (selector, whole, Some(Agg::P95), Some("host"))
            }
            Ask::Top => {
                let selector = "node_memory_MemAvailable_bytes".to_owned();
                (selector, whole, Some(Agg::Avg), Some("host"))
            }
            Ask::Predict => {
                let selector = "node_filesystem_avail_bytes".to_owned();
                (selector, whole, Some(Agg::Deriv), None)
            }
        };
        let question = Question::Query(SampleQuestion {
            selector,
            range: Range::Between {
                from: Moment::AtMs(from_ms),
                to: Moment::AtMs(to_ms),
            },
            step_ms: None,
            agg,
            by: by.map(str::to_owned).into_iter().collect(),
            of_mean: false,
            ahead_ms: (self == Ask::Predict).then_some(WEEK_MS),
            top: None,
        });
        serde_json::to_string(&question).map_err(|e| e.to_string())
    }

    /// For VictoriaMetrics and Prometheus: a path. Nothing is taken from a cache of answers.
    pub(crate) fn theirs(self, samples: &Samples, turn: usize) -> String {
        let host = Ask::host(samples, turn);
        let span = format!("{}s", samples.ticks * samples.interval_ms / 1000);
        let end = samples.end_ms as f64 / 1e3;
        let query = match self {
            Ask::Latest => format!("{{host=\"{host}\"}}"),
            Ask::One => {
                let query = escape(&format!("node_memory_MemFree_bytes{{host=\"{host}\"}}"));
                let start = samples.start_ms() as f64 / 1e3;
                let step = samples.interval_ms / 1000;
                return format!(
                    "/api/v1/query_range?nocache=1&query={query}&start={start}&end={end}&step={step}"
                );
            }
            Ask::Busy => format!(
                "quantile_over_time(0.95, (1 - avg by (host) \
                 (rate(node_cpu_seconds_total{{mode=\"idle\"}}[1m])))[{span}:10s])"
            ),
            Ask::Top => {
                format!("bottomk(10, avg_over_time(node_memory_MemAvailable_bytes[{span}]))")
            }
            Ask::Predict => {
                let ahead_s = WEEK_MS / 1000;
                format!("predict_linear(node_filesystem_avail_bytes[{span}], {ahead_s})")
            }
        };
        format!(
            "/api/v1/query?nocache=1&time={end}&query={}",
            escape(&query)
        )
    }
}
