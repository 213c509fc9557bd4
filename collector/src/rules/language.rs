//! What is said to people in every language.

/// A language in which people are told what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

/// The same in every language. Who says something says it in all of them: a rule without one does not
/// compile. A command stands in backticks and is the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bilingual<T = String> {
    /// In English.
    pub en: T,
    /// In Simplified Chinese.
    pub zh: T,
}

impl From<Bilingual<&str>> for Bilingual {
    fn from(said: Bilingual<&str>) -> Bilingual {
        Bilingual {
            en: said.en.to_owned(),
            zh: said.zh.to_owned(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn is_han(c: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&c)
    }

    /// The text without what stands in backticks, and that, sorted.
    fn parted(text: &str) -> (String, Vec<&str>) {
        let parts: Vec<&str> = text.split('`').collect();
        assert!(parts.len() % 2 == 1, "a backtick without its pair: {text}");
        let mut commands: Vec<&str> = parts.iter().copied().skip(1).step_by(2).collect();
        commands.sort_unstable();
        let words: Vec<&str> = parts.iter().copied().step_by(2).collect();
        (words.join("`"), commands)
    }

    /// The numbers in a text, sorted.
    fn numbers(text: &str) -> Vec<&str> {
        let mut numbers: Vec<&str> = text
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .map(|number| number.trim_matches('.'))
            .filter(|number| !number.is_empty())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// Holds a text against what Chinese is set like: full-width marks, and a blank between Han and others.
    #[track_caller]
    pub(crate) fn check_chinese(zh: &str) {
        let (words, _) = parted(zh);
        assert!(words.contains(is_han), "no Chinese: {zh:?}");
        let half = |c: char| ",;:?!()".contains(c);
        assert!(!words.contains(half), "a half-width mark: {zh}");
        let all: Vec<char> = words.chars().collect();
        for pair in all.windows(2) {
            let other = |c: char| c.is_ascii_alphanumeric() || c == '`';
            let tight = |a, b| is_han(a) && other(b);
            let tight = tight(pair[0], pair[1]) || tight(pair[1], pair[0]);
            assert!(!tight, "no blank between {pair:?}: {zh}");
        }
    }

    /// Whether a text says in both languages what can be told without understanding it.
    #[track_caller]
    pub(crate) fn check_alike(en: &str, zh: &str) {
        let ((said, commands), (in_zh, also)) = (parted(en), parted(zh));
        assert!(!en.contains(is_han) && en.ends_with(['.', '?']), "{en}");
        assert!(zh.ends_with('。'), "{zh}");
        check_chinese(zh);
        assert_eq!(commands, also, "{en}\n{zh}");
        assert_eq!(numbers(&said), numbers(&in_zh), "{en}\n{zh}");
    }

    #[test]
    fn what_one_language_leaves_out_is_noticed() {
        let fine = "用 `df -h /` 查看 2 个目录。";
        check_alike("See 2 folders with `df -h /`.", fine);
        let bad = [
            (
                "See 2 folders with `df -h /`.",
                "See 2 folders with `df -h /`.",
            ),
            (
                "See 2 folders with `df -h /`.",
                "用 `df -h /` 查看 2 个目录",
            ),
            (
                "See 2 folders with `df -h /`.",
                "用 `df -h` 查看 2 个目录。",
            ),
            (
                "See 2 folders with `df -h /`.",
                "用 `df -h /` 查看两个目录。",
            ),
            (
                "See 2 folders with `df -h /`.",
                "用 `df -h /` 查看2 个目录。",
            ),
            (
                "See 2 folders with `df -h /`.",
                "用`df -h /` 查看 2 个目录。",
            ),
            (
                "See 2 folders with `df -h /`.",
                "查看 2 个目录(`df -h /`)。",
            ),
        ];
        for (en, zh) in bad {
            assert!(
                std::panic::catch_unwind(|| check_alike(en, zh)).is_err(),
                "{zh}"
            );
        }
    }

    #[test]
    fn a_finding_without_chinese_says_it_in_english() {
        let told = |finding: &crate::rules::Finding| {
            [Language::En, Language::Zh].map(|language| finding.advice_in(language).to_owned())
        };
        let old = r#"{"id":1,"rule":"disk_full","host_id":"","host":"web","subject":"/",
            "severity":"warning","state":"open","since_ms":0,"opened_ms":0,"closed_ms":null,
            "judged_ms":0,"summary":"12 GB left.","evidence":[],"advice":"Make room."}"#;
        let mut finding: crate::rules::Finding = serde_json::from_str(old).unwrap();
        assert_eq!(told(&finding), ["Make room.", "Make room."]);
        finding.advice_zh = "清理空间。".into();
        assert_eq!(told(&finding), ["Make room.", "清理空间。"]);
        finding.speak(Language::Zh);
        assert_eq!(finding.advice, "清理空间。");
    }
}
