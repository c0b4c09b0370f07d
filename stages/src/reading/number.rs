//! The cell of a measurement, from text to a value.

use aqpipe_engine::record::{CellQuality, Flag, Provenance};

use super::missing::Missing;
use super::options::{Censored, MarkVerdict, NumberOptions, Thousands};
use super::spelling::spelt;
use crate::columns::NumberBuilder;
use crate::decimal::parse_f64;

/// Marks behind one value: more are no marks.
const MARKS_IN_CELL_MAX: usize = 4;
/// Whole numbers up to this one are exact: it is 2^53.
const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;
/// How many digits it has.
const EXACT_DIGITS: usize = 16;

/// What the text of a cell says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A number.
    Value(f64),
    /// There is no value.
    Missing,
    /// A number for one that is only known to lie beyond a limit.
    Censored(f64),
    /// A number that the source itself marked.
    Suspect(f64),
    /// Both: a limit with a mark behind it.
    CensoredSuspect(f64),
    /// The source itself says that the value is wrong: it is not carried.
    Failed,
    /// Neither a number nor a word for "no value".
    Unreadable,
}

/// Reads the text of measurements.
#[derive(Clone, Debug)]
pub struct NumberReader {
    decimal: u8,
    thousands: Thousands,
    missing: Missing,
    words: Vec<(Box<[u8]>, f64)>,
    censored: Option<Censored>,
    /// Marks, the longest first.
    marks: Vec<(Box<str>, MarkVerdict)>,
    /// The quality of cells that the source itself marked as suspect and as wrong.
    suspect: CellQuality,
    failed: CellQuality,
}

impl Default for NumberReader {
    fn default() -> Self {
        NumberReader::new(&NumberOptions::default(), 0)
    }
}

impl NumberReader {
    /// A reader by options that their check has accepted; `source_test` is the bit of the test `source`, the publisher's own.
    #[must_use]
    pub fn new(options: &NumberOptions, source_test: u8) -> NumberReader {
        let decimal = options.decimal as u8;
        let mut marks: Vec<(Box<str>, MarkVerdict)> =
            options.value_marks.iter().map(|(mark, verdict)| (mark.as_str().into(), *verdict)).collect();
        marks.sort_by_key(|(mark, _)| std::cmp::Reverse(mark.len()));
        NumberReader {
            decimal,
            thousands: options.thousands,
            missing: Missing::new(&options.missing, decimal),
            words: options.words.iter().map(|(word, value)| (word.as_bytes().into(), *value)).collect(),
            censored: options.censored,
            marks,
            suspect: CellQuality::OBSERVED.checked(Flag::Suspect, source_test),
            failed: CellQuality::MISSING.with_flag(Flag::Fail).with_test(source_test),
        }
    }

    /// What stands between the whole and the fraction.
    pub(crate) fn decimal(&self) -> u8 {
        self.decimal
    }

    /// Reads a cell without blanks around it.
    #[inline(always)]
    #[expect(clippy::inline_always)]
    #[must_use]
    pub fn read(&self, cell: &[u8]) -> Reading {
        match parse_f64(cell, self.decimal) {
            Some(number) => self.number(number),
            None if cell.is_empty() => Reading::Missing,
            None => self.read_other(cell),
        }
    }

    /// A number as it was read, which may stand for "no value".
    #[inline]
    #[must_use]
    pub fn number(&self, number: f64) -> Reading {
        if self.missing.is_number(number) { Reading::Missing } else { Reading::Value(number) }
    }

    /// Whether a cell that would say its column's kind has no value.
    #[must_use]
    pub fn is_missing_text(&self, cell: &[u8]) -> bool {
        self.missing.is_cell(cell, self.decimal)
    }

    /// Whether a cell of a column of text has no value.
    #[must_use]
    pub fn is_empty_text(&self, cell: &[u8]) -> bool {
        self.missing.is_empty_text(cell, self.decimal)
    }

    /// Appends a reading to its column.
    #[inline]
    pub(crate) fn append(&self, cells: &mut NumberBuilder, reading: Reading) {
        match reading {
            Reading::Value(number) => cells.push(number),
            Reading::Missing => cells.push_missing(CellQuality::MISSING),
            Reading::Censored(number) => {
                cells.push_with(number, CellQuality::OBSERVED.filled(Provenance::Censored, 0));
            }
            Reading::Suspect(number) => cells.push_with(number, self.suspect),
            Reading::CensoredSuspect(number) => {
                cells.push_with(number, self.suspect.filled(Provenance::Censored, 0));
            }
            Reading::Failed => cells.push_missing(self.failed),
            Reading::Unreadable => cells.push_missing(CellQuality::UNREADABLE),
        }
    }

    #[cold]
    fn read_other(&self, cell: &[u8]) -> Reading {
        // The user's own words come before those that stand for no value everywhere.
        if self.words.is_empty() && self.missing.is_word(cell) {
            return Reading::Missing;
        }
        let Ok(text) = std::str::from_utf8(cell) else { return Reading::Unreadable };
        // No-break blanks too, which are no blanks to CSV.
        let text = text.trim();
        self.plain(text).or_else(|| self.marked(text)).or_else(|| self.censored(text)).unwrap_or(Reading::Unreadable)
    }

    /// A word, or a number with another minus or with separators of thousands.
    fn plain(&self, text: &str) -> Option<Reading> {
        if let Some((_, value)) = self.words.iter().find(|(word, _)| **word == *text.as_bytes()) {
            return Some(Reading::Value(*value));
        }
        if self.missing.is_word(text.as_bytes()) {
            return Some(Reading::Missing);
        }
        self.parse(text).map(|number| self.number(number))
    }

    /// The number that a text spells.
    fn parse(&self, text: &str) -> Option<f64> {
        spelt(text, self.thousands.spellings(), self.decimal)
    }

    /// A value or a limit with marks behind it, or marks alone.
    fn marked(&self, text: &str) -> Option<Reading> {
        let unmarked = |text: &str| self.plain(text).or_else(|| self.censored(text));
        let (mut rest, mut worst) = (text, None);
        for _ in 0..MARKS_IN_CELL_MAX {
            let Some((before, verdict)) =
                self.marks.iter().find_map(|(mark, verdict)| Some((rest.strip_suffix(&**mark)?, *verdict)))
            else {
                break;
            };
            rest = before.trim_end();
            worst = worst.max(Some(severity(verdict)));
            if unmarked(rest).is_some() {
                break;
            }
        }
        let worst = worst?;
        Some(match (unmarked(rest)?, worst) {
            (reading @ (Reading::Value(_) | Reading::Censored(_)), Severity::Good) => reading,
            (Reading::Value(number), Severity::Suspect) => Reading::Suspect(number),
            (Reading::Censored(number), Severity::Suspect) => Reading::CensoredSuspect(number),
            (_, Severity::Fail) => Reading::Failed,
            _ => Reading::Missing,
        })
    }

    /// `<0.5` or `>50`.
    fn censored(&self, text: &str) -> Option<Reading> {
        let how = self.censored?;
        let (is_below, limit) = split_limit(text)?;
        let limit = self.parse(limit)?;
        Some(Reading::Censored(match how {
            Censored::Half if is_below => limit / 2.0,
            Censored::Zero if is_below => 0.0,
            Censored::Half | Censored::Zero | Censored::Limit => limit,
        }))
    }
}

/// The verdicts of marks, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Good,
    Suspect,
    Missing,
    Fail,
}

fn severity(verdict: MarkVerdict) -> Severity {
    match verdict {
        MarkVerdict::Good => Severity::Good,
        MarkVerdict::Suspect => Severity::Suspect,
        MarkVerdict::Missing => Severity::Missing,
        MarkVerdict::Fail => Severity::Fail,
    }
}

/// The limit of a censored value, and whether the value lies below it.
pub(super) fn split_limit(text: &str) -> Option<(bool, &str)> {
    let below = ["<=", "\u{2264}", "<"].iter().find_map(|sign| text.strip_prefix(sign)).map(|limit| (true, limit));
    let above = || [">=", "\u{2265}", ">"].iter().find_map(|sign| text.strip_prefix(sign)).map(|limit| (false, limit));
    below.or_else(above).map(|(is_below, limit)| (is_below, limit.trim_start()))
}

/// Whether a cell is a code, from which a number would take something away: digits with a zero before them such as `007`, or more
/// of them than a number holds exactly.
#[must_use]
pub fn is_code(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    if digits.len() < 2 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let is_padded = cell[0] == b'0';
    let number = || std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    is_padded || (digits.len() >= EXACT_DIGITS && number().is_none_or(|number| number > EXACT_MAX))
}

/// Whether a cell that is a number is no row of digits: codes such as `007` are not beside such ones.
#[must_use]
pub fn is_fraction(cell: &[u8]) -> bool {
    !cell.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'))
}

#[cfg(test)]
mod tests;
