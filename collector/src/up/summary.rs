//! What `hostwell up` prints. Plain lines; on a terminal the summary is drawn over the last one.

use std::io::Write;

use super::{UpArgs, is_default};
use crate::answer::{HostLine, HostState};
use crate::indicators::Verdict;
use crate::serve::Bound;

/// More hosts than this are counted, not shown.
const HOSTS_SHOWN: usize = 5;
/// Off a terminal nothing needs to fit.
const WIDTH_FREE: usize = 200;

/// Where it listens and what to type next.
pub(super) fn banner(args: &UpArgs, bound: Bound, out: &mut dyn Write) -> anyhow::Result<()> {
    let program = &args.program;
    let server = if is_default(bound.grpc) {
        String::new()
    } else {
        format!(" --server http://{}", bound.grpc)
    };
    let data = args.data.join("hostwell.db");
    writeln!(
        out,
        "Hostwell watches this machine, a sample every {} s.",
        args.interval.as_secs_f64()
    )?;
    writeln!(out, "  pages     http://{}/", bound.web)?;
    writeln!(
        out,
        "  gRPC      {} (agents and the commands below)",
        bound.grpc
    )?;
    writeln!(out, "  database  {}", data.display())?;
    writeln!(
        out,
        "  Only this machine can connect; `{program} serve` with [tls] lets others in."
    )?;
    writeln!(out)?;
    writeln!(out, "Type next, in another terminal:")?;
    for command in [
        "hosts",
        "risks",
        "query node_load1 --since 5m",
        "report --since 10m --out report.html",
    ] {
        writeln!(out, "  {program} {command}{server}")?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// What is left behind.
pub(super) fn farewell(args: &UpArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = args.data.join("hostwell.db");
    writeln!(
        out,
        "Stopped. The history is in {}; the same commands read it there",
        data.display()
    )?;
    writeln!(out, "  {} hosts --db {}", args.program, data.display())?;
    out.flush()?;
    Ok(())
}

/// Whether there is anything true to show: at least one indicator is known.
pub(super) fn says_something(hosts: &[HostLine]) -> bool {
    hosts.iter().any(|host| {
        host.indicators
            .iter()
            .any(|i| i.verdict != Verdict::Unknown)
    })
}

/// Whether every indicator of every host is known.
pub(super) fn says_all(hosts: &[HostLine]) -> bool {
    hosts.iter().all(|host| {
        host.indicators
            .iter()
            .all(|i| i.verdict != Verdict::Unknown)
    })
}

/// The summary on the screen.
#[derive(Debug)]
pub(super) struct Board {
    width: Option<usize>,
    /// Lines of the last drawing, to be drawn over.
    drawn: usize,
}

impl Board {
    /// On a terminal of this width, or a plain output.
    pub(super) fn new(width: Option<usize>) -> Self {
        Board { width, drawn: 0 }
    }

    /// Draws the summary: over the last one on a terminal, a line a host elsewhere.
    pub(super) fn print(&mut self, hosts: &[HostLine], out: &mut dyn Write) -> anyhow::Result<()> {
        let Some(width) = self.width else {
            let stamp = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
            for host in hosts.iter().take(HOSTS_SHOWN) {
                writeln!(out, "{stamp}  {}", line(host))?;
            }
            out.flush()?;
            return Ok(());
        };
        if self.drawn > 0 {
            write!(out, "\x1b[{}A", self.drawn)?;
        }
        let lines = block(hosts, width);
        for text in &lines {
            writeln!(out, "\x1b[2K{text}")?;
        }
        // A shorter drawing leaves nothing of a longer one behind.
        write!(out, "\x1b[J")?;
        self.drawn = lines.len();
        out.flush()?;
        Ok(())
    }

    /// The last summary, in full on any output.
    pub(super) fn finish(&mut self, hosts: &[HostLine], out: &mut dyn Write) -> anyhow::Result<()> {
        if self.width.is_some() {
            return self.print(hosts, out);
        }
        writeln!(out)?;
        for text in block(hosts, WIDTH_FREE) {
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// One host on one line.
fn line(host: &HostLine) -> String {
    let mut parts = vec![clean(&host.name), standing(host)];
    for indicator in host.indicators.iter() {
        let mark = mark(indicator.verdict);
        parts.push(format!("{} {}{mark}", indicator.name, indicator.short));
    }
    parts.push(risk(host));
    parts.join("  ")
}

/// The hosts with a line for each indicator.
fn block(hosts: &[HostLine], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for host in hosts.iter().take(HOSTS_SHOWN) {
        lines.push(format!(
            "{}  {}  {}",
            clean(&host.name),
            standing(host),
            risk(host)
        ));
        for indicator in host.indicators.iter() {
            lines.push(format!(
                "  {:<8} {:<7} {}",
                indicator.name,
                verdict(indicator.verdict),
                clean(&indicator.words)
            ));
        }
    }
    if hosts.len() > HOSTS_SHOWN {
        lines.push(format!("and {} more hosts", hosts.len() - HOSTS_SHOWN));
    }
    lines.iter().map(|l| cut(l, width)).collect()
}

fn standing(host: &HostLine) -> String {
    let age = host
        .age_ms
        .map_or_else(String::new, |ms| format!(", data {} s old", ms / 1000));
    match host.state {
        HostState::Up => format!("up{age}"),
        HostState::Down => format!("DOWN{age}"),
        HostState::Waiting => "waiting for its first sample".to_owned(),
        HostState::Retired => "retired".to_owned(),
        #[allow(unreachable_patterns, reason = "states may be added")]
        _ => "unknown".to_owned(),
    }
}

fn risk(host: &HostLine) -> String {
    match &host.worst {
        None => "no open risk".to_owned(),
        Some(worst) => format!(
            "{} open, worst: {}",
            host.open_findings,
            clean(&worst.summary)
        ),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Unknown => "unknown",
        Verdict::Watch => "watch",
        Verdict::Risk => "RISK",
    }
}

/// What an indicator's cell says beside its number.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok | Verdict::Unknown => "",
        Verdict::Watch => " (watch)",
        Verdict::Risk => " (RISK)",
    }
}

/// What a host says of itself may not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}
