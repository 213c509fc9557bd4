//! Rust source as the tidy tests see it: comments, strings and test code blanked out, lines kept.

use std::path::{Path, PathBuf};

/// One source file of the workspace.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// As written.
    pub raw: String,
    /// Without comments and test code, string literals kept.
    pub text: String,
    /// Without comments, test code and the contents of string and character literals.
    pub code: String,
}

impl SourceFile {
    /// Reads source given as text.
    pub fn new(path: &str, raw: &str) -> SourceFile {
        let (mut text, mut code) = blank_literals(raw.as_bytes());
        blank_tests(&mut text, &mut code);
        SourceFile {
            path: path.to_owned(),
            raw: raw.to_owned(),
            text: String::from_utf8_lossy(&text).into_owned(),
            code: String::from_utf8_lossy(&code).into_owned(),
        }
    }

    /// Whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/benches/")
    }

    /// The 1-based lines of `view` in which `token` stands as a word of its own.
    pub fn lines_with(view: &str, token: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        for (number, line) in view.lines().enumerate() {
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let found = line.match_indices(token).any(|(at, _)| {
                !is_word(line[..at].chars().next_back())
                    && !is_word(line[at + token.len()..].chars().next())
            });
            if found {
                lines.push(number + 1);
            }
        }
        lines
    }
}

/// Every file below `folders` of the repository with one of these endings, sorted by path.
pub fn files(root: &Path, folders: &[&str], endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(|f| root.join(f)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if name == "target" || name == ".git" {
                continue;
            }
            let entries = std::fs::read_dir(&path).unwrap();
            waiting.extend(entries.map(|e| e.unwrap().path()));
        } else if endings.iter().any(|e| path.to_string_lossy().ends_with(e)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The path from the repository's root, with `/`.
pub fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap();
    path.to_string_lossy().replace('\\', "/")
}

/// Blanks a range except its line ends.
fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// (without comments, without comments and literals), both as long as the source.
fn blank_literals(source: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut text, mut code) = (source.to_vec(), source.to_vec());
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        if rest.starts_with(b"//") {
            let end = at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            blank(&mut text[at..end]);
            blank(&mut code[at..end]);
            at = end;
        } else if rest.starts_with(b"/*") {
            let end = at + find(&rest[2..], b"*/").map_or(rest.len(), |i| i + 4);
            blank(&mut text[at..end]);
            blank(&mut code[at..end]);
            at = end;
        } else if let Some(length) = literal(source, at) {
            blank(&mut code[at..at + length]);
            at += length;
        } else {
            at += 1;
        }
    }
    (text, code)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// The length of the string or character literal that begins at `at`, if one does.
fn literal(source: &[u8], at: usize) -> Option<usize> {
    let rest = &source[at..];
    let in_word = at > 0 && (source[at - 1].is_ascii_alphanumeric() || source[at - 1] == b'_');
    match rest[0] {
        b'"' => {
            let mut i = 1;
            while i < rest.len() && rest[i] != b'"' {
                i += 1 + usize::from(rest[i] == b'\\');
            }
            Some((i + 1).min(rest.len()))
        }
        b'r' if !in_word || source[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return None;
            }
            let close: Vec<u8> = std::iter::once(b'"')
                .chain(std::iter::repeat_n(b'#', hashes))
                .collect();
            let body = 2 + hashes;
            let end = find(&rest[body..], &close).map(|i| body + i + close.len());
            Some(end.unwrap_or(rest.len()))
        }
        // A character, not a lifetime: 'x', '\n', '\u{1F600}', or one of several bytes.
        b'\'' if rest.get(1) == Some(&b'\\') => {
            let from = 3.min(rest.len());
            rest[from..]
                .iter()
                .position(|b| *b == b'\'')
                .map(|i| from + i + 1)
        }
        b'\'' => (2..=5)
            .find(|i| rest.get(*i) == Some(&b'\''))
            .filter(|i| *i == 2 || !rest[1].is_ascii())
            .map(|i| i + 1),
        _ => None,
    }
}

/// Blanks every item behind `#[cfg(test)]` in both views.
fn blank_tests(text: &mut [u8], code: &mut [u8]) {
    const MARK: &[u8] = b"#[cfg(test)]";
    while let Some(start) = find(code, MARK) {
        let end = item_end(code, start + MARK.len());
        blank(&mut text[start..end]);
        blank(&mut code[start..end]);
    }
}

/// Where the item that begins at `at` ends: behind its `;` or its closing brace.
fn item_end(code: &[u8], mut at: usize) -> usize {
    let mut depth = 0i32;
    while at < code.len() {
        match code[at] {
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth <= 0 {
                    // `use a::{b, c};` goes on behind its brace.
                    return at + 1 + usize::from(code.get(at + 1) == Some(&b';'));
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, code: &str) {
        let file = SourceFile::new("x.rs", raw);
        assert_eq!(
            file.code.split_whitespace().collect::<Vec<_>>().join(" "),
            code
        );
        assert_eq!(file.code.lines().count(), raw.lines().count());
    }

    #[test]
    fn comments_literals_and_tests_are_blanked_and_nothing_else() {
        check("let a = 1; // async\nlet b;", "let a = 1; let b;");
        check("a /* tokio\n tokio */ b", "a b");
        check(r#"f("as\"ync", x)"#, "f( , x)");
        check("f(r##\"a\"#b\"##, x)", "f( , x)");
        check("g(b'\\'', 'x', '\\u{41}', 'é', z)", "g(b , , , , z)");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check(
            "fn f() {}\n#[cfg(test)]\nmod t { fn g() { h(); } }\nfn i() {}",
            "fn f() {} fn i() {}",
        );
        check("#[cfg(test)]\nmod tests;\nfn i() {}", "fn i() {}");
        check("#[cfg(test)]\nuse a::{b, c};\nfn i() {}", "fn i() {}");
    }

    #[test]
    fn tokens_are_found_as_words_with_their_lines() {
        let view = "async\nasyncio my_async\nx.async()";
        assert_eq!(SourceFile::lines_with(view, "async"), [1, 3]);
    }
}
