//! `--since`, `--from` and `--to`, the same on every command that looks at a stretch of time.

use crate::answer::range::{self, Moment, Range};

/// Which stretch of time
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct RangeArgs {
    /// From so long ago until now: 90s, 15m, 24h, 7d, 2w; or since a moment
    #[arg(long, value_name = "T", value_parser = range::parse_moment, conflicts_with_all = ["from", "to"])]
    since: Option<Moment>,
    /// From this moment: RFC 3339, a UTC date, or so long ago (6h)
    #[arg(long, value_name = "T", value_parser = range::parse_moment)]
    from: Option<Moment>,
    /// Up to this moment [default: now]
    #[arg(long, value_name = "T", value_parser = range::parse_moment)]
    to: Option<Moment>,
}

impl RangeArgs {
    /// What was asked for, or else the last `default_ms` milliseconds before the end.
    pub(super) fn range(&self, default_ms: i64) -> Range {
        let to = self.to.unwrap_or(Moment::AgoMs(0));
        let from = self.since.or(self.from).unwrap_or(match to {
            Moment::AgoMs(ago) => Moment::AgoMs(ago.saturating_add(default_ms)),
            Moment::AtMs(at) => Moment::AtMs(at.saturating_sub(default_ms)),
        });
        Range::Between { from, to }
    }

    /// What was asked for, if anything was.
    pub(super) fn given(&self, default_ms: i64) -> Option<Range> {
        let any = self.since.or(self.from).or(self.to).is_some();
        any.then(|| self.range(default_ms))
    }
}

/// An hour, in milliseconds.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// A day, in milliseconds.
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
