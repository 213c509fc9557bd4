//! The report as Markdown: reads well as plain text, on a code host and in a terminal.

use std::fmt::Write as _;

use super::chart;
use super::document::*;
use super::html::visible;
use super::words;

/// Width of a chart in characters.
const SPARKLINE_WIDTH: usize = 32;

/// Prints a report as Markdown (CommonMark with tables).
pub fn markdown(report: &Report) -> String {
    let period = &report.period;
    let mut out = String::with_capacity(16 * 1024);
    let _ = write!(
        out,
        "# {}\n\n{} · {} · {} to {} · made {}\n",
        escape(&report.title),
        escape(&report.scope),
        escape(&period.name),
        words::time(period.from_ms),
        words::time(period.to_ms),
        words::time(report.generated_ms),
    );
    if !report.source.is_empty() {
        let _ = write!(out, "\nSource: {}\n", escape(&report.source));
    }
    for (number, chapter) in report.chapters.iter().enumerate() {
        let _ = write!(out, "\n## {}. {}\n", number + 1, escape(&chapter.title));
        for block in &chapter.blocks {
            out.push('\n');
            write_block(&mut out, block);
        }
    }
    out
}

fn write_block(out: &mut String, block: &Block) {
    let _ = match block {
        Block::Heading(b) => writeln!(out, "### {}", escape(&b.text)),
        Block::Paragraph(b) => writeln!(out, "{}", prose(&b.text)),
        Block::Verdict(b) => return verdict(out, b),
        Block::Actions(b) => return actions(out, b),
        Block::Table(b) => return table(out, b),
        Block::Chart(b) => writeln!(out, "{}", line(b)),
        Block::Callout(b) => writeln!(
            out,
            "> **{} {}.** {}",
            b.status.sign(),
            escape(b.title.trim_end_matches('.')),
            escape(&b.text)
        ),
        Block::HostCard(b) => return host(out, b),
        Block::Risk(b) => return risk(out, b),
        Block::Definitions(b) => return definitions(out, b),
    };
}

fn verdict(out: &mut String, verdict: &Verdict) {
    let _ = writeln!(
        out,
        "**{} {}**",
        verdict.status.sign(),
        escape(&verdict.sentence)
    );
    if !verdict.detail.is_empty() {
        let _ = writeln!(out, "\n{}", escape(&verdict.detail));
    }
    out.push('\n');
    for figure in &verdict.figures {
        let _ = writeln!(
            out,
            "- {} {}: **{}** ({})",
            figure.status.sign(),
            escape(&figure.label),
            escape(&figure.value),
            escape(&figure.note),
        );
    }
}

fn actions(out: &mut String, actions: &Actions) {
    for (at, action) in actions.items.iter().enumerate() {
        let _ = write!(
            out,
            "{}. **{} {}**: {}\n   - Found: {}\n   - Since: {}\n   - If ignored: {}\n",
            at + 1,
            action.status.sign(),
            escape(&action.host),
            prose(&action.advice),
            escape(&action.finding),
            escape(&action.since),
            prose(&action.if_ignored),
        );
    }
}

fn table(out: &mut String, table: &Table) {
    if !table.caption.is_empty() {
        let _ = writeln!(out, "*{}*\n", escape(&table.caption));
    }
    let titles: Vec<String> = table.columns.iter().map(|c| escape(&c.title)).collect();
    let rule: Vec<&str> = table
        .columns
        .iter()
        .map(|c| match c.kind {
            ColumnKind::Number => "---:",
            _ => "---",
        })
        .collect();
    let _ = writeln!(out, "| {} |\n| {} |", titles.join(" | "), rule.join(" | "));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell_text).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    if table.omitted > 0 {
        let _ = writeln!(
            out,
            "\n{} left out here; to see all: {}",
            words::counted(table.omitted, "row is", "rows are"),
            code_span(&table.omitted_hint),
        );
    }
}

fn cell_text(cell: &Cell) -> String {
    match (cell.code, cell.status) {
        (true, _) => code_span(&cell.text).replace('|', "\\|"),
        (false, Some(status)) => format!("{} {}", status.sign(), escape(&cell.text)),
        (false, None) => escape(&cell.text),
    }
}

/// "▁▂▃·· min 2 %, mean 34 %, max 91 %, last 40 %".
fn line(chart: &Chart) -> String {
    let Some(stats) = chart::stats(chart) else {
        return "no data".into();
    };
    let say = |value| words::value(value, chart.unit);
    format!(
        "{} min {}, mean {}, max {}",
        chart::sparkline(chart, SPARKLINE_WIDTH),
        say(stats.min),
        say(stats.mean),
        say(stats.max),
    )
}

fn host(out: &mut String, host: &HostCard) {
    let _ = writeln!(
        out,
        "### {} {} – {}\n\n{}\n",
        host.status.sign(),
        escape(&host.name),
        host_word(host.status),
        escape(&host.reason),
    );
    let _ = writeln!(
        out,
        "| Indicator | Now | Over the period | In words |\n| --- | ---: | --- | --- |"
    );
    for indicator in &host.indicators {
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {} |",
            indicator.status.sign(),
            escape(&indicator.name),
            escape(&indicator.now),
            indicator.chart.as_ref().map_or("no data".into(), line),
            escape(&indicator.words),
        );
    }
    let mut facts: Vec<String> = host
        .facts
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    if !host.labels.is_empty() {
        facts.push(format!("Labels: {}", host.labels.join(", ")));
    }
    if !facts.is_empty() {
        let _ = writeln!(out, "\n{}", escape(&facts.join("; ")));
    }
}

/// A line, where there is something to say.
fn said(name: &str, text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("- {name}: {}\n", escape(text)),
    }
}

fn risk(out: &mut String, risk: &RiskCard) {
    let _ = write!(
        out,
        "### {} {} on {}: {}\n\n- Since: {}\n{}{}{}- What to do: {}\n- If ignored: {}\n- Rule: {}",
        risk.status.sign(),
        escape(&risk.severity),
        escape(&risk.host),
        escape(&risk.summary),
        escape(&risk.since),
        said("Owner", &risk.owner),
        said("State", &risk.standing),
        said("Who", &risk.who),
        prose(&risk.advice),
        prose(&risk.if_ignored),
        code_span(&risk.rule),
    );
    if risk.id > 0 {
        let _ = write!(out, ", number {} in the register", risk.id);
    }
    out.push('\n');
    for evidence in &risk.evidence {
        let level = match evidence.threshold.as_str() {
            "" => String::new(),
            level => format!(" (level {})", escape(level)),
        };
        let _ = writeln!(
            out,
            "- Evidence: {} {}{level}: {}",
            escape(&evidence.what),
            escape(&evidence.value),
            code_span(&evidence.selector),
        );
    }
}

fn definitions(out: &mut String, definitions: &Definitions) {
    for item in &definitions.items {
        let _ = write!(out, "- **{}**: {}", escape(&item.term), prose(&item.text));
        if !item.command.is_empty() {
            let _ = write!(out, " {}", code_span(&item.command));
        }
        out.push('\n');
    }
}

/// Text made safe for Markdown: nothing in it is markup, a link or HTML, and it stays on its line.
fn escape(text: &str) -> String {
    let line: Vec<char> = text.chars().map(visible).collect();
    let mut out = String::with_capacity(text.len() + 8);
    for (at, c) in line.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|i| line[i]);
        let after = line.get(at + 1).copied();
        let inside_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // snake_case reads better bare, and CommonMark leaves it alone.
            '_' if inside_word(before) && inside_word(after) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Bare addresses would become links.
            '/' if before == Some(':') && after == Some('/') => out.push_str("\\/"),
            '.' if at >= 3
                && line[at - 3..at]
                    .iter()
                    .all(|c| c.eq_ignore_ascii_case(&'w')) =>
            {
                out.push_str("\\.");
            }
            '@' => out.push_str("\\@"),
            // At the start of a line these begin a list or a rule.
            '-' | '+' | '=' if at == 0 => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The same for sentences of rules and chapters, in which `…` marks what is to be typed.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // Backticks that do not pair, or hold nothing, are text.
    let odd = parts.iter().skip(1).step_by(2);
    if parts.len().is_multiple_of(2) || odd.clone().any(|part| part.trim().is_empty()) {
        return escape(text);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => escape(part),
        _ => code_span(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Text as a code span, fenced by more backticks than it holds in a row.
fn code_span(text: &str) -> String {
    let text: String = text.chars().map(visible).collect();
    let mut longest = 0;
    let mut current = 0;
    for c in text.chars() {
        current = if c == '`' { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    let fence = "`".repeat(longest + 1);
    match text.starts_with('`') || text.ends_with('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}
