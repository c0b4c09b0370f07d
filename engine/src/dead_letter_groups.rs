//! Dead letters by stage and by class of reason: what a summary, a listing and the decision to stop tell apart.

use std::fmt;

/// Groups that are told apart. What finds no room is counted together: reasons of foreign stages may hold anything.
const GROUPS_MAX: usize = 50;
/// Characters of a class: a line of a summary.
const CLASS_CHARS_MAX: usize = 120;
/// Characters that are kept of a group's first reason, and of a class with what its reasons have in common: two classes that differ do so
/// in what is shown of them.
const REASON_CHARS_MAX: usize = 400;
/// Stands for what was data in a reason.
const DATA: &str = "…";
/// The same in its quotes.
const MARKS: [&str; 2] = ["`…`", "\"…\""];
/// What stands behind a reason where there is an option that would help; it is another one, or none, for each record.
const HINTS: [&str; 2] = ["; `…` reads it", "; `…` or `…` reads it"];
/// A quoted text that is longer is no name, and finds no room in a line.
const QUOTED_BYTES_MAX: usize = 60;

/// Dead letters of one stage and one class of reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// The stage that gave them up.
    pub stage: String,
    /// The reason without its data (see [`reason_class`]).
    pub class: String,
    /// What stands in the quotes of the class: the texts that all reasons so far have in common, such as the name of a column.
    common: Vec<Option<Box<str>>>,
    /// How many there are.
    pub count: u64,
    /// The place of the first.
    pub first_place: String,
    /// The reason of the first, whole.
    pub first_reason: String,
}

/// Dead letters in groups, in the order in which the groups began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterGroups {
    groups: Vec<DeadLetterGroup>,
    others: u64,
}

impl DeadLetterGroups {
    /// Counts a dead letter.
    pub fn add(&mut self, stage: &str, reason: &str, place: &str) {
        let (class, quoted) = classified(reason);
        if let Some(group) = self.find(stage, &class) {
            group.count += 1;
            group.keep_common(quoted);
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.push(DeadLetterGroup {
                stage: stage.to_owned(),
                class,
                common: quoted
                    .map(|text| Some(text).filter(|text| text.len() <= QUOTED_BYTES_MAX).map(Into::into))
                    .collect(),
                count: 1,
                first_place: place.to_owned(),
                first_reason: cut(reason.to_owned(), REASON_CHARS_MAX),
            });
        } else {
            self.others += 1;
        }
    }

    /// Adds later ones.
    pub fn extend(&mut self, later: &DeadLetterGroups) {
        self.others += later.others;
        for group in &later.groups {
            if let Some(known) = self.find(&group.stage, &group.class) {
                known.count += group.count;
                known.keep_common(group.common.iter().map(|text| text.as_deref().unwrap_or(DATA)));
            } else if self.groups.len() < GROUPS_MAX {
                self.groups.push(group.clone());
            } else {
                self.others += group.count;
            }
        }
    }

    fn find(&mut self, stage: &str, class: &str) -> Option<&mut DeadLetterGroup> {
        self.groups.iter_mut().find(|group| group.stage == stage && group.class == class)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups, in the order in which they began.
    pub fn groups(&self) -> impl Iterator<Item = &DeadLetterGroup> {
        self.groups.iter()
    }

    /// Those that found no room in any group.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// The group of all, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&DeadLetterGroup> {
        self.groups.first().filter(|_| self.groups.len() == 1 && self.others == 0)
    }

    /// The largest group, the first of those.
    #[must_use]
    pub fn largest(&self) -> Option<&DeadLetterGroup> {
        self.groups.iter().rev().max_by_key(|group| group.count)
    }

    /// A line for each group: its count, its stage, its class and its first place.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut groups: Vec<&DeadLetterGroup> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        let count_width = groups.first().map_or(0, |group| group.count.to_string().len());
        let stage_width = groups.iter().map(|group| group.stage.chars().count()).max().unwrap_or_default();
        let line = |group: &DeadLetterGroup| {
            let first = if group.count == 1 { "at" } else { "first at" };
            format!(
                "{:>count_width$}  {:stage_width$}  {}; {first} {}",
                group.count,
                group.stage,
                group.shown(),
                group.first_place
            )
        };
        let mut lines: Vec<String> = groups.into_iter().map(line).collect();
        if self.others > 0 {
            lines.push(format!("{:>count_width$}  for other reasons", self.others));
        }
        lines
    }
}

impl DeadLetterGroup {
    /// Keeps of the quoted texts those that another reason has as well.
    fn keep_common<'a>(&mut self, quoted: impl Iterator<Item = &'a str>) {
        for (common, text) in self.common.iter_mut().zip(quoted) {
            if common.as_deref() != Some(text) {
                *common = None;
            }
        }
    }

    /// The class with the quoted texts that all its reasons have in common.
    fn shown(&self) -> String {
        let mut shown = String::new();
        let mut rest = self.class.as_str();
        for common in &self.common {
            let Some((at, mark)) = MARKS.iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min() else { break };
            let quote = &mark[..1];
            shown.push_str(&rest[..at]);
            shown.push_str(&format!("{quote}{}{quote}", common.as_deref().unwrap_or(DATA)));
            rest = &rest[at + mark.len()..];
        }
        shown.push_str(rest);
        cut(shown, REASON_CHARS_MAX)
    }
}

impl fmt::Display for DeadLetterGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.shown())
    }
}

/// A reason without its data: what stands in quotes, and every word with a digit, becomes `…`. Reasons of one kind have one class,
/// whatever record they are about.
#[must_use]
pub fn reason_class(reason: &str) -> String {
    classified(reason).0
}

/// The class of a reason, and what stands in its quotes there, in order.
fn classified(reason: &str) -> (String, impl Iterator<Item = &str>) {
    let (masked, all) = without_quoted(reason);
    let masked = HINTS.iter().find_map(|hint| masked.strip_suffix(hint)).unwrap_or(&masked);
    let mut all = all.into_iter();
    let mut quoted = Vec::new();
    let mut class = String::new();
    for (at, word) in masked.split_whitespace().enumerate() {
        if at > 0 {
            class.push(' ');
        }
        let here: Vec<&str> = all.by_ref().take(MARKS.iter().map(|mark| word.matches(mark).count()).sum()).collect();
        if word.contains(|c: char| c.is_ascii_digit()) {
            let end = word.trim_end_matches([',', ';', ':', '.', ')', '?', '!']);
            class.push_str(DATA);
            class.push_str(&word[end.len()..]);
        } else {
            quoted.extend(here);
            class.push_str(word);
        }
    }
    (cut(class, CLASS_CHARS_MAX), quoted.into_iter())
}

/// The text with `…` in the place of what stands between backticks or double quotes, which stay, and what stood there. A quote
/// that is not closed is a character as any other.
fn without_quoted(text: &str) -> (String, Vec<&str>) {
    let mut out = String::new();
    let mut quoted_texts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['`', '"']) {
        let (before, quoted) = rest.split_at(start);
        let quote = &quoted[..1];
        out.push_str(before);
        out.push_str(quote);
        rest = &quoted[1..];
        if let Some(end) = rest.find(quote) {
            quoted_texts.push(&rest[..end]);
            out.push_str(DATA);
            out.push_str(quote);
            rest = &rest[end + 1..];
        }
    }
    out.push_str(rest);
    (out, quoted_texts)
}

fn cut(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}{DATA}", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_class_is_a_reason_without_its_data() {
        for (reason, class) in [
            (
                "`10.03.2004` is not a time of the format `%d/%m/%Y`: expected `/`",
                "`…` is not a time of the format `…`: expected `…`",
            ),
            ("the row has 14 cells, and the header 15", "the row has … cells, and the header …"),
            ("not JSON: expected a value at byte 17", "not JSON: expected a value at byte …"),
            ("`T` is 99.5, above 60; `RH` is 3", "`…` is …, above …; `…` is …"),
            ("`t` is no time; `format = \"%d\"` or `format = \"%m\"` reads it", "`…` is no time"),
            ("a quote ` that is not closed", "a quote ` that is not closed"),
            ("", ""),
        ] {
            assert_eq!(reason_class(reason), class);
        }
    }

    #[test]
    fn letters_are_counted_by_stage_and_class_with_the_place_of_the_first() {
        let mut groups = DeadLetterGroups::default();
        for line in 2..12 {
            groups.add("csv", &format!("the row has {line} cells"), &format!("a.csv:{line}"));
        }
        assert_eq!(groups.only().map(|group| group.count), Some(10));
        groups.add("range_check", "`T` is 99", "a.csv:5");
        let mut later = DeadLetterGroups::default();
        later.add("csv", "the row has 1 cells", "b.csv:1");
        groups.extend(&later);
        assert_eq!(groups.only(), None);
        assert_eq!(groups.largest().map(|group| &*group.first_reason), Some("the row has 2 cells"));
        assert_eq!(
            groups.lines(),
            ["11  csv          the row has … cells; first at a.csv:2", " 1  range_check  `T` is …; at a.csv:5"]
        );
    }

    #[test]
    fn a_hint_makes_no_other_class_and_what_reasons_have_in_common_is_shown() {
        let mut groups = DeadLetterGroups::default();
        let reason = |column: &str, text: &str, hint: &str| {
            format!(
                "`{column}` is `{text}`, which is no time of the format `%Y-%m-%d %H:%M`: there is no month 13{hint}"
            )
        };
        groups.add("csv", &reason("PM2.5 \"t\"", "2024/13/01", ""), "a.csv:2");
        groups.add("csv", &reason("PM2.5 \"t\"", "2024/13/13", "; `format = \"%Y/%d/%m\"` reads it"), "a.csv:3");
        assert_eq!(
            groups.lines(),
            [
                "2  csv  `PM2.5 \"t\"` is `…`, which is no time of the format `%Y-%m-%d %H:%M`: there is no month …; first at a.csv:2"
            ]
        );
        let mut other = DeadLetterGroups::default();
        other.add("csv", &reason("t", "2024/14/01", ""), "b.csv:2");
        groups.extend(&other);
        groups.extend(&other);
        assert!(
            groups.lines()[0].contains("4  csv  `…` is `…`, which is no time of the format `%Y"),
            "{:?}",
            groups.lines()
        );
        for odd in ["`…` and \"a`b\"` c", "`H01`=5 `x`", &"`a` ".repeat(200), &format!("`{}`", "x".repeat(99))] {
            let mut groups = DeadLetterGroups::default();
            groups.add("s", odd, "p");
            groups.add("s", odd, "p");
            assert_eq!(groups.lines().len(), 1, "{odd}");
        }
    }

    #[test]
    fn groups_are_bounded_and_nothing_goes_uncounted() {
        let mut groups = DeadLetterGroups::default();
        let letters = |c: char| c.to_string().repeat(7);
        for first in 'a'..='z' {
            for second in 'a'..='z' {
                groups.add("s", &format!("{}{}", letters(first), letters(second)), "p");
            }
        }
        assert_eq!(groups.groups.len(), GROUPS_MAX);
        assert_eq!(groups.groups.iter().map(|group| group.count).sum::<u64>() + groups.others, 26 * 26);
        assert!(groups.lines().last().is_some_and(|line| line.ends_with("for other reasons")));
    }

    proptest! {
        #[test]
        fn a_class_is_short_and_has_no_digit(reason in any::<String>()) {
            let class = reason_class(&reason);
            prop_assert!(class.chars().count() <= CLASS_CHARS_MAX + 1);
            prop_assert!(!class.contains(|c: char| c.is_ascii_digit()), "{class}");
        }
    }
}
