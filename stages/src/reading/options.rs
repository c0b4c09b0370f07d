//! The options of cells, which all sources have under the same names.

use std::collections::BTreeMap;

use aqpipe_engine::stage::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::missing::Sentinel;
use super::spelling::spelt;

/// The character between groups of three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Thousands {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    None,
    /// A point.
    #[serde(rename = ".")]
    Point,
    /// A comma.
    #[serde(rename = ",")]
    Comma,
    /// A blank, thin and no-break ones too.
    #[serde(rename = " ")]
    Blank,
    /// An apostrophe.
    #[serde(rename = "'")]
    Apostrophe,
}

impl Thousands {
    pub(super) const ALL: [Thousands; 4] =
        [Thousands::Point, Thousands::Comma, Thousands::Blank, Thousands::Apostrophe];

    /// The spellings of the separator.
    pub(super) fn spellings(self) -> &'static [&'static str] {
        match self {
            Thousands::None => &[],
            Thousands::Point => &["."],
            Thousands::Comma => &[","],
            Thousands::Blank => &[" ", "\u{a0}", "\u{2009}", "\u{202f}"],
            Thousands::Apostrophe => &["'", "\u{2019}"],
        }
    }
}

/// The value of a cell such as `<0.5`, which says only that the measurement lies below the limit of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Censored {
    /// Half of the limit.
    Half,
    /// The limit.
    Limit,
    /// Zero.
    Zero,
}

/// The meaning of a mark behind a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum MarkVerdict {
    /// The value is kept: the mark is a unit, and says nothing of it.
    Good,
    /// The value is kept, and flagged `suspect`.
    Suspect,
    /// The value is not carried, and the cell is flagged `fail`.
    Fail,
    /// There is no value.
    Missing,
}

/// What a source does with a field whose cells it cannot read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UnreadableAction {
    /// Stop before the first commit where an option would read the cells, or where none of a hundred can be read.
    #[default]
    Stop,
    /// Warn.
    Warn,
}

/// How the text of a measurement is read.
#[derive(Clone, Debug)]
pub struct NumberOptions {
    /// The character between the whole and the fraction: "." or ",".
    pub decimal: char,
    /// The character between groups of three digits.
    pub thousands: Thousands,
    /// Numbers and words for "no value" of measurements, beside [`MISSING_WORDS`](super::MISSING_WORDS).
    pub missing: Vec<Sentinel>,
    /// Words that have a value.
    pub words: BTreeMap<String, f64>,
    /// The value of a cell that is only known to lie below a limit; `None` where such cells are unreadable.
    pub censored: Option<Censored>,
    /// Marks behind values.
    pub value_marks: BTreeMap<String, MarkVerdict>,
}

impl Default for NumberOptions {
    fn default() -> Self {
        NumberOptions {
            decimal: '.',
            thousands: Thousands::None,
            missing: Vec::new(),
            words: BTreeMap::new(),
            censored: None,
            value_marks: BTreeMap::new(),
        }
    }
}

impl NumberOptions {
    /// What is wrong with the options, each with its key.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !matches!(self.decimal, '.' | ',') {
            problems.push(Problem::new(["decimal"], "the decimal mark must be \".\" or \",\""));
        }
        if self.thousands.spellings().contains(&&*self.decimal.to_string()) {
            problems.push(
                Problem::new(["thousands"], "the character between thousands must not be the decimal mark")
                    .help("set `decimal` too: `decimal = \",\"` goes with `thousands = \".\"`"),
            );
        }
        for (index, sentinel) in self.missing.iter().enumerate() {
            if matches!(sentinel, Sentinel::Number(number) if !number.is_finite()) {
                problems.push(Problem::new(["missing", &index.to_string()], "no cell can hold this number"));
            }
        }
        for (word, value) in &self.words {
            if !value.is_finite() {
                problems.push(Problem::new(["words", word], "a word's value must be a finite number"));
            } else if word.trim().is_empty() {
                problems.push(Problem::new(["words", word], "the word is empty: an empty cell has no value").at_key());
            } else if self.missing.contains(&Sentinel::Word(word.trim().to_owned())) {
                let message = "this word is in `missing` already: it either has a value or stands for none";
                problems.push(Problem::new(["words", word], message).at_key());
            } else if spelt(word.trim(), self.thousands.spellings(), self.decimal as u8).is_some() {
                problems
                    .push(Problem::new(["words", word], "this is a number, and no word: it is its own value").at_key());
            }
        }
        for mark in self.value_marks.keys() {
            let begins_a_number = mark.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-'));
            if mark.trim() != mark || mark.is_empty() || begins_a_number {
                let message = "a mark begins with no digit, point, comma, sign or blank, and ends with no blank";
                problems.push(Problem::new(["value_marks", mark], message).at_key());
            }
        }
        problems
    }
}
