//! The report as one self-contained page: style sheet and drawings inline, no script, nothing
//! fetched. The page itself forbids anything else by its content security policy.

mod block;

use std::fmt::Write as _;

use super::document::{Report, Status};
use super::words;

const STYLE: &str = include_str!("style.css");

/// Prints a report as a complete HTML page.
pub fn html(report: &Report) -> String {
    let mut page = block::Page::default();
    for (number, chapter) in report.chapters.iter().enumerate() {
        let id = escape(&chapter.id);
        page.push(&format!(
            r#"<section id="{id}" class="chapter"><h2><span class="number">{}</span>{}</h2>"#,
            number + 1,
            escape(&chapter.title),
        ));
        for block in &chapter.blocks {
            page.block(block);
        }
        page.push("</section>\n");
    }
    let title = escape(&report.title);
    let mut out = String::with_capacity(STYLE.len() + page.len() + 4096);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"generator\" content=\"Hostwell\">\n\
         <title>{title} – {} – {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&report.scope),
        escape(&report.period.name),
    );
    out.push_str(&header(report));
    out.push_str(&contents(report));
    let _ = write!(out, "<main>\n{}</main>\n", page.into_text());
    let _ = write!(
        out,
        "<footer>{title} · {} · made {} · format {}</footer>\n</body>\n</html>\n",
        escape(&report.scope),
        words::time(report.generated_ms),
        report.schema_version,
    );
    out
}

fn header(report: &Report) -> String {
    let period = &report.period;
    let mut facts = vec![
        ("Hosts", report.scope.clone()),
        ("Period", period.name.clone()),
        ("From", words::moment(period.from_ms)),
        ("To", words::moment(period.to_ms)),
        ("Made", words::moment(report.generated_ms)),
    ];
    if !report.source.is_empty() {
        facts.push(("Source", report.source.clone()));
    }
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", flow(value)))
        .collect();
    format!(
        "<header class=\"top\"><p class=\"brand\">Hostwell</p><h1>{}</h1><dl>{facts}</dl></header>\n",
        escape(&report.title),
    )
}

fn contents(report: &Report) -> String {
    let items: String = report
        .chapters
        .iter()
        .map(|c| {
            format!(
                "<li><a href=\"#{}\">{}</a></li>",
                escape(&c.id),
                escape(&c.title)
            )
        })
        .collect();
    format!("<nav class=\"contents\" aria-label=\"Contents\"><ol>{items}</ol></nav>\n")
}

/// Text made safe for HTML content and quoted attributes. Control characters and the characters
/// that reverse the reading direction become U+FFFD, line ends become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(visible(other)),
        }
    }
    out
}

/// The same for text that flows: a number stays on one line with its unit, a date with its time.
pub(super) fn flow(text: &str) -> String {
    const UNITS: [&str; 16] = [
        "%", "B", "KiB", "MiB", "GiB", "TiB", "B/s", "kB/s", "MB/s", "GB/s", "UTC", "d", "h",
        "min", "s", "ms",
    ];
    let mut words = text.split(' ').peekable();
    let mut out = String::with_capacity(text.len() + 8);
    while let Some(word) = words.next() {
        out.push_str(word);
        let Some(next) = words.peek() else { break };
        let bare = next.trim_end_matches(|c: char| ".,;:)".contains(c));
        let number = word.ends_with(|c: char| c.is_ascii_digit());
        let bound = UNITS.contains(&bare) || next.starts_with(|c: char| c.is_ascii_digit());
        out.push(if number && bound { '\u{a0}' } else { ' ' });
    }
    escape(&out)
}

/// The same for sentences of rules and chapters, in which `…` marks what is to be typed.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // Backticks that do not pair are text.
    if parts.len().is_multiple_of(2) {
        return flow(text);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => flow(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A character that can stand in a line of text: what could hide or reorder others is replaced.
pub(super) fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => '\u{fffd}',
        '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// The status' shape: told apart without colour by outline and inner mark.
fn sign(status: Status) -> String {
    let shape = match status {
        Status::Ok => {
            r#"<circle cx="8" cy="8" r="6.6" class="s-line"/><path d="M4.8 8.3l2.2 2.2 4.2-4.6" class="s-line"/>"#
        }
        Status::Info => {
            r#"<circle cx="8" cy="8" r="6.6" class="s-line"/><path d="M8 7.2v4.2M8 4.4v.9" class="s-line"/>"#
        }
        Status::Unknown => {
            r#"<circle cx="8" cy="8" r="6.6" class="s-line s-dash"/><path d="M6.1 6.2c.2-2.6 3.9-2.4 3.8-.2 0 1.6-1.9 1.5-1.9 3M8 11.1v.8" class="s-line"/>"#
        }
        Status::Watch => {
            r#"<path d="M8 1.6L15 14.2H1z" class="s-line"/><path d="M8 6v4M8 11.4v.9" class="s-line"/>"#
        }
        Status::Risk => {
            r#"<path d="M8 .6L15.4 8 8 15.4.6 8z" class="s-fill"/><path d="M8 4.2v4.6M8 10.6v1" class="s-cut"/>"#
        }
    };
    format!(
        r#"<svg class="sign" viewBox="0 0 16 16" aria-hidden="true" focusable="false">{shape}</svg>"#
    )
}
