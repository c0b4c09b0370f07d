//! What would read the timestamps that are refused: day and month the other way round, another separator, another unit.
//!
//! It is said, and never done. A format is named where it reads every refused text that has a date, as a time that can have been
//! measured, and says no less than the format of the options.

use super::candidate::Candidate;
use super::format::TimeFormat;
use super::guesses::guesses;
use super::options::Ambiguous;
use super::pattern::Pattern;
use super::serial_day;
use super::suggestion::{Suggestion, order_of, swapped};

/// Texts that were read, which a suggestion has to read as well.
const READ_MAX: usize = 20;
/// Refused texts that suggestions are tried with.
const REFUSED_MAX: usize = 1_000;
/// Formats that are tried.
const CANDIDATES_MAX: usize = 48;
/// Longer texts are no times.
const TEXT_BYTES_MAX: usize = 64;
/// How often another format is named, because the one that was named does not read what came later.
const CORRECTIONS_MAX: u32 = 3;
/// Instants of numbers since 1970 before this one, in 1973, are rather those of a clock that nobody set.
const EARLY_MICROS: i64 = 100_000_000_000_000;

/// What is known of the times of a split.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// The format of the options, where it is one pattern.
    own: Option<Pattern>,
    read: Vec<Box<[u8]>>,
    /// The refused texts that have a date.
    sample: Vec<Box<[u8]>>,
    candidates: Vec<Candidate>,
    /// The formats that read all of a sample of so many texts.
    meant: (usize, Vec<String>),
    refused: u64,
    first: Box<str>,
    early: (u64, Box<str>),
    /// The first day as spreadsheets count them, and what it is.
    serial_day: Option<String>,
    undecided: u64,
    named: Option<(Suggestion, u32)>,
    told: [bool; 3],
}

impl Hints {
    pub(super) fn new(formats: &[TimeFormat]) -> Hints {
        let own = match formats {
            [TimeFormat::Pattern(pattern)] => Some(pattern.clone()),
            _ => None,
        };
        Hints { own, read: Vec::with_capacity(READ_MAX), ..Hints::default() }
    }

    /// A text was read.
    #[inline]
    pub(super) fn read(&mut self, text: &[u8]) {
        if self.read.len() < READ_MAX {
            self.keep(text);
        }
    }

    #[cold]
    fn keep(&mut self, text: &[u8]) {
        if text.len() <= TEXT_BYTES_MAX {
            self.read.push(text.into());
        }
    }

    /// A text was read as a number since 1970.
    #[inline]
    pub(super) fn number(&mut self, text: &[u8], micros: i64) {
        if micros.abs() < EARLY_MICROS {
            if self.early.0 == 0 {
                self.early.1 = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]).into();
            }
            self.early.0 += 1;
        }
    }

    /// An instant was chosen of two for want of anything that tells them apart.
    pub(super) fn undecided(&mut self) {
        self.undecided += 1;
    }

    /// A text was refused: what its reason says of the format that would have read it, with what parts it from the reason.
    pub(super) fn refused(&mut self, text: &[u8], why: &str) -> String {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return String::new();
        }
        if self.refused == 0 {
            self.first = String::from_utf8_lossy(text).into();
        }
        if self.refused < REFUSED_MAX as u64 {
            self.refused += 1;
            self.learn(text);
        }
        if self.meant.0 != self.sample.len() {
            let found = Suggestion::of_all(&self.candidates, self.own.as_ref(), &self.sample);
            self.meant = (self.sample.len(), found.map(|found| found.formats).unwrap_or_default());
        }
        let formats = self.formats_of(text);
        match formats.as_slice() {
            [] => self.of_serial_day(text, why),
            [format] => format!("; `format = \"{format}\"` reads it"),
            [format, other, ..] => format!("; `format = \"{format}\"` or `format = \"{other}\"` reads it"),
        }
    }

    /// What is said of a day as spreadsheets count them, where the reason does not say it yet.
    fn of_serial_day(&mut self, text: &[u8], why: &str) -> String {
        let Some(told) = serial_day::told(text) else { return String::new() };
        let hint = if told == why { String::new() } else { format!("; {told}") };
        self.serial_day.get_or_insert_with(|| format!("`{}` is no time: {told}", String::from_utf8_lossy(text)));
        hint
    }

    fn learn(&mut self, text: &[u8]) {
        if !has_date(text) {
            return;
        }
        self.sample.push(text.into());
        for candidate in &mut self.candidates {
            candidate.try_with(text);
        }
        // A format that reads all reads this one: none is new where there is one.
        if self.sample.len() > 1 && self.candidates.iter().any(Candidate::reads_all) {
            return;
        }
        let Ok(text) = std::str::from_utf8(text) else { return };
        for guess in guesses(text) {
            let is_new = !self.candidates.iter().any(|known| known.text == guess);
            if is_new
                && self.candidates.len() < CANDIDATES_MAX
                && let Some(candidate) = Candidate::new(guess, self.own.as_ref(), &self.sample)
            {
                self.candidates.push(candidate);
            }
        }
    }

    /// The formats that read a text and all before it; otherwise the one by which it says itself what it is.
    fn formats_of(&self, text: &[u8]) -> Vec<String> {
        let reads = |candidate: &&Candidate| candidate.reads(text).is_some();
        let is_read =
            |format: &&String| self.candidates.iter().filter(reads).any(|candidate| candidate.text == **format);
        let meant: Vec<String> = self.meant.1.iter().filter(is_read).cloned().collect();
        let own = self.own.as_ref().map(|own| order_of(&own.text));
        if let [first, ..] = meant.as_slice() {
            // Day and month are in the order that the options have.
            let is_own = own.is_some_and(|own| own == order_of(first));
            return if is_own { vec![first.clone()] } else { meant };
        }
        let by_itself = self.candidates.iter().filter(reads).find(|candidate| !candidate.is_pattern());
        by_itself.map(|candidate| candidate.text.clone()).into_iter().collect()
    }

    pub(super) fn take_warnings(&mut self, zone: &str, ambiguous: Ambiguous) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(suggestion) = self.suggestion_to_name() {
            warnings.push(self.of_refused(&suggestion));
            let corrections = self.named.as_ref().map_or(0, |(_, corrections)| corrections + 1);
            self.named = Some((suggestion, corrections));
        }
        if self.undecided > 0 && !self.told[0] {
            self.told[0] = true;
            let taken = if ambiguous == Ambiguous::Later { "later" } else { "earlier" };
            warnings.push(format!(
                "the clock of {zone} was put back and shows some times twice, and no record before says which one is meant: \
                 the {taken} one is taken (`ambiguous` of `timestamp`)"
            ));
        }
        if let (Some(told), false) = (&self.serial_day, self.told[2]) {
            self.told[2] = true;
            warnings.push(told.clone());
        }
        let (early, first) = &self.early;
        if *early > 0 && !self.told[1] {
            self.told[1] = true;
            let are = if *early == 1 { "a timestamp is".to_owned() } else { format!("{early} timestamps are") };
            warnings.push(format!(
                "{are} within three years of 1970, first `{first}`: by a clock that nobody set, or no numbers since 1970 in \
                 this unit"
            ));
        }
        warnings
    }

    /// What is to be named now: something for the first time, or in place of what turned out to be wrong.
    fn suggestion_to_name(&self) -> Option<Suggestion> {
        if let Some((named, corrections)) = &self.named {
            let holds = named.formats.iter().any(|format| {
                self.candidates.iter().any(|candidate| candidate.text == *format && candidate.reads_all())
            });
            if holds || named.is_list || *corrections >= CORRECTIONS_MAX {
                return None;
            }
        }
        let own = self.own.as_ref();
        let found = Suggestion::of_all(&self.candidates, own, &self.sample);
        found.or_else(|| Suggestion::of_two(&self.candidates))
    }

    fn of_refused(&self, suggestion: &Suggestion) -> String {
        let refused = self.refused;
        let count = self.sample.len() as u64;
        let are = if refused == 1 { "a timestamp is" } else { "timestamps are" };
        let share = if count == refused { String::new() } else { format!("{count} of ") };
        let number = if refused == 1 { String::new() } else { format!("{refused} ") };
        let first = &self.first;
        let mut warning = format!("{number}{are} refused, first `{first}`: {} reads {share}", suggestion.option());
        warning.push_str(if refused == 1 { "it" } else { "them" });
        let [format, others @ ..] = suggestion.formats.as_slice() else { return warning };
        if suggestion.is_list {
            return warning;
        }
        let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
        if !others.is_empty() {
            let so = if others.len() == 1 { "so does" } else { "so do" };
            warning.push_str(&format!(", and {so} {}: which one it is has to be said", others.join(" and ")));
        }
        let Some(candidate) = self.candidates.iter().find(|candidate| candidate.text == *format) else {
            return warning;
        };
        let read_too = self.read.iter().all(|text| candidate.reads(text).is_some());
        let is_swapped = self.own.as_ref().is_some_and(|own| order_of(&own.text) == swapped(format));
        if !self.read.is_empty() && read_too && is_swapped {
            warning.push_str(
                ". It reads those as well that were not refused: day and month of these are the wrong way round",
            );
        } else if !self.read.is_empty() && !read_too {
            warning.push_str(". It does not read those that were not refused: a list of both formats does");
        } else if format == "%y%m%d%H" && !self.read.is_empty() {
            warning.push_str(". It reads those as well that were not refused, and as other times: these are wrong");
        }
        warning
    }
}

/// Whether a text has a date: enough digits for one, and not all the same, as in `00/00/0000`; and no word for "no value" in place
/// of its time.
fn has_date(text: &[u8]) -> bool {
    /// `2024 1` is the shortest.
    const DIGITS_MIN: usize = 5;
    let mut digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let first = digits.clone().next();
    let is_one = digits.clone().all(|digit| Some(digit) == first);
    let last = text.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    let is_gap = [&b"NA"[..], b"N/A", b"#N/A", b"NaN", b"nan", b"null", b"NULL", b"None", b"-", b"---"].contains(&last);
    digits.nth(DIGITS_MIN - 1).is_some() && !is_one && !is_gap
}
