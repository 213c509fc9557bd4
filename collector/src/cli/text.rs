//! Strings that come from hosts, made safe to show: a host must not be able to move the cursor,
//! forge a line, turn text around or plant a formula in a spreadsheet.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything that is not plainly visible written out as `\u{…}`: control
/// characters (so no ANSI sequence survives), line ends, and the marks that reorder or hide text.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One CSV field holding text: cleaned, kept from being read as a formula by an apostrophe in
/// front, quoted where RFC 4180 asks for it.
pub(super) fn csv_text(text: &str) -> String {
    let clean = clean(text);
    // Spreadsheets strip leading blanks before they decide that a cell is a formula.
    let formula = clean
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let quote = clean.contains(['"', ',', ';']) || clean.starts_with(' ') || clean.ends_with(' ');
    match (formula, quote) {
        (false, false) => clean.into_owned(),
        (true, false) => format!("'{clean}"),
        (_, true) => format!(
            "\"{}{}\"",
            if formula { "'" } else { "" },
            clean.replace('"', "\"\"")
        ),
    }
}

/// How many terminal cells the text takes: East Asian wide characters two, combining marks none.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

fn cells(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0x33ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text cut to so many cells, with `…` where something is missing.
pub(super) fn fit(text: &str, cells_max: usize) -> Cow<'_, str> {
    if width(text) <= cells_max {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        if used + cells(c) > cells_max.saturating_sub(1) {
            break;
        }
        used += cells(c);
        out.push(c);
    }
    if cells_max > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The text in lines of at most so many cells, broken between words; a word that is longer than a
/// line is cut. At least one line.
pub(super) fn wrap(text: &str, cells_max: usize) -> Vec<String> {
    if width(text) <= cells_max {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.len() - 1;
        let blank = usize::from(!lines[line].is_empty());
        if width(&lines[line]) + blank + width(word) <= cells_max {
            if blank > 0 {
                lines[line].push(' ');
            }
            lines[line].push_str(word);
        } else if lines[line].is_empty() {
            lines[line] = fit(word, cells_max).into_owned();
        } else {
            lines.push(fit(word, cells_max).into_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_host_sends_cannot_steer_the_terminal() {
        for (from, to) in [
            ("web-1", "web-1"),
            ("ünï 数据库", "ünï 数据库"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("admin\u{202e}txt", "admin\\u{202e}txt"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(clean(from), to);
        }
    }

    #[test]
    fn what_a_host_sends_is_never_a_formula_in_csv() {
        for (from, to) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("  =cmd|'/c calc'!A0", "\"'  =cmd|'/c calc'!A0\""),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2,3", "\"'-2,3\""),
            ("\t=1", "\\u{9}=1"),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ] {
            assert_eq!(csv_text(from), to);
        }
    }

    #[test]
    fn text_is_cut_by_cells_not_by_bytes() {
        assert_eq!(fit("hostname", 8), "hostname");
        assert_eq!(fit("hostname", 5), "host…");
        assert_eq!(fit("数据库主机", 5), "数据…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(width("e\u{301}"), 1);
    }

    proptest! {
        #[test]
        fn cleaned_text_has_no_control_character_and_cut_text_fits(text in any::<String>(), max in 0usize..40) {
            prop_assert!(!clean(&text).chars().any(is_unsafe));
            prop_assert!(width(&fit(&text, max)) <= max);
            prop_assert!(wrap(&text, max).iter().all(|line| width(line) <= max));
        }
    }
}
