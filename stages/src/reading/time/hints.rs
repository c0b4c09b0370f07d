//! What would read the timestamps that are refused: day and month the other way round, another separator, another unit.
//!
//! It is said, and never done.

use super::epoch::{PLAUSIBLE_MICROS, UNITS};
use super::format::TimeFormat;
use super::moment::Moment;
use super::options::Ambiguous;

/// Texts that were read, which a suggestion has to read as well.
const READ_MAX: usize = 20;
/// Refused texts that suggestions are tried with.
const REFUSED_MAX: u64 = 1_000;
/// Suggestions that are kept.
const CANDIDATES_MAX: usize = 12;
/// Longer texts are no times.
const TEXT_BYTES_MAX: usize = 64;

/// A format that may have been meant.
#[derive(Clone, Debug)]
struct Candidate {
    text: String,
    format: TimeFormat,
    /// The refused texts that it reads.
    reads: u64,
}

/// What is known of the times of a split.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// The format of the options, where it is one pattern.
    pattern: Option<String>,
    read: Vec<Box<[u8]>>,
    candidates: Vec<Candidate>,
    refused: u64,
    first: Box<str>,
    undecided: u64,
    told: [bool; 2],
}

impl Hints {
    pub(super) fn new(formats: &[TimeFormat]) -> Hints {
        let pattern = match formats {
            [TimeFormat::Pattern(pattern)] => Some(pattern.text.clone()),
            _ => None,
        };
        Hints { pattern, read: Vec::with_capacity(READ_MAX), ..Hints::default() }
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

    /// An instant was chosen of two for want of anything that tells them apart.
    pub(super) fn undecided(&mut self) {
        self.undecided += 1;
    }

    /// A text was refused: the format that would have read it.
    pub(super) fn refused(&mut self, text: &[u8]) -> Option<String> {
        let text = text
            .get(..TEXT_BYTES_MAX.min(text.len()))
            .filter(|shown| shown.len() == text.len() && !shown.is_empty())?;
        if self.refused == 0 {
            self.first = String::from_utf8_lossy(text).into();
        }
        if self.refused < REFUSED_MAX {
            self.refused += 1;
            for guess in guesses(text) {
                let is_new = !self.candidates.iter().any(|known| known.text == guess);
                if is_new
                    && self.candidates.len() < CANDIDATES_MAX
                    && let Ok(format) = TimeFormat::new(&guess)
                {
                    self.candidates.push(Candidate { text: guess, format, reads: 0 });
                }
            }
            for candidate in &mut self.candidates {
                candidate.reads += u64::from(reads(&candidate.format, text));
            }
            let order = self.pattern.as_deref().map(order_of);
            // The order of day and month that the options have comes first.
            self.candidates.sort_by_key(|it| (std::cmp::Reverse(it.reads), Some(order_of(&it.text)) != order));
        }
        self.candidates.iter().find(|candidate| reads(&candidate.format, text)).map(|found| found.text.clone())
    }

    pub(super) fn take_warnings(&mut self, zone: &str, ambiguous: Ambiguous) -> Vec<String> {
        let mut warnings = Vec::new();
        if let (Some(best), false) = (self.candidates.first().filter(|best| best.reads > 0), self.told[0]) {
            self.told[0] = true;
            warnings.push(self.of_refused(best));
        }
        if self.undecided > 0 && !self.told[1] {
            self.told[1] = true;
            let taken = if ambiguous == Ambiguous::Later { "later" } else { "earlier" };
            warnings.push(format!(
                "the clock of {zone} was put back and shows some times twice, and no record before says which one is meant: \
                 the {taken} one is taken (`ambiguous` of `timestamp`)"
            ));
        }
        warnings
    }

    fn of_refused(&self, best: &Candidate) -> String {
        let Candidate { text, format, reads: count } = best;
        let refused = self.refused;
        let are = if refused == 1 { "a timestamp is" } else { "timestamps are" };
        let share = if *count == refused { String::new() } else { format!("{count} of ") };
        let number = if refused == 1 { String::new() } else { format!("{refused} ") };
        let first = &self.first;
        let mut warning = format!("{number}{are} refused, first `{first}`: `format = \"{text}\"` reads {share}");
        warning.push_str(if refused == 1 { "it" } else { "them" });
        let other = |other: &&Candidate| {
            other.text != *text && other.reads == *count && order_of(&other.text) != order_of(text)
        };
        if let Some(other) = self.candidates.iter().find(other) {
            warning.push_str(&format!(", and so does `{}`: which one it is has to be said", other.text));
        }
        let read_too = self.read.iter().all(|text| reads(format, text));
        let is_swapped = self.pattern.as_deref().is_some_and(|pattern| order_of(pattern) == swapped(text));
        if !self.read.is_empty() && read_too && is_swapped {
            warning.push_str(
                ". It reads those as well that were not refused: day and month of these are the wrong way round",
            );
        } else if !self.read.is_empty() && !read_too {
            warning.push_str(". It does not read those that were not refused: a list of both formats does");
        }
        warning
    }
}

/// Whether a format reads a text, as a time that can have been measured.
fn reads(format: &TimeFormat, text: &[u8]) -> bool {
    match format.parse(text) {
        Ok(Moment::Instant(micros)) => PLAUSIBLE_MICROS.contains(&micros),
        Ok(Moment::Clock(..)) => true,
        Err(_) => false,
    }
}

/// The order of day, month and year in a format.
fn order_of(format: &str) -> String {
    format
        .chars()
        .filter_map(|c| match c {
            'd' | 'e' => Some('d'),
            'm' | 'b' | 'B' => Some('m'),
            'Y' | 'y' => Some('y'),
            _ => None,
        })
        .collect()
}

/// The order of a format with day and month the other way round; of one without them, an order that no format has.
fn swapped(format: &str) -> String {
    let order = order_of(format);
    if !(order.contains('d') && order.contains('m')) {
        return "-".to_owned();
    }
    order
        .chars()
        .map(|c| {
            if c == 'd' {
                'm'
            } else if c == 'm' {
                'd'
            } else {
                c
            }
        })
        .collect()
}

/// Whether digits begin with a date: as seconds since 1970 they would be a time after 2033.
fn is_compact_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let is_in =
        |number: Option<u32>, range: std::ops::RangeInclusive<u32>| number.is_some_and(|it| range.contains(&it));
    text.len() == 10 && is_in(number(0..4), 1990..=2099) && is_in(number(4..6), 1..=12) && is_in(number(6..8), 1..=31)
}

/// The formats that a text looks like.
fn guesses(text: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(text) else { return Vec::new() };
    let mut guesses: Vec<String> = vec!["iso8601".to_owned()];
    if !is_compact_date(text) {
        guesses.extend(UNITS.iter().map(|(name, _)| (*name).to_owned()));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let compact = [(8, "%Y%m%d"), (10, "%Y%m%d%H"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")];
        guesses
            .extend(compact.iter().filter(|(length, _)| *length == text.len()).map(|(_, format)| (*format).to_owned()));
    }
    let Some((date, time)) = split_date(text) else { return guesses };
    let Some(time) = time_format(time) else { return guesses };
    guesses.extend(date_formats(date).into_iter().map(|date| format!("{date}{time}")));
    guesses
}

/// A date of three parts, and what comes behind it.
fn split_date(text: &str) -> Option<([&str; 5], &str)> {
    let run = |text: &str| {
        let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
        let end =
            text.find(|c: char| c.is_ascii_digit() != is_digit || !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        (end > 0).then_some(end)
    };
    let separator = |text: &str| text.find(|c: char| c.is_ascii_alphanumeric()).filter(|end| (1..=2).contains(end));
    let mut parts = [""; 5];
    let mut rest = text;
    for (index, part) in parts.iter_mut().enumerate() {
        let end = if index % 2 == 0 { run(rest)? } else { separator(rest)? };
        (*part, rest) = rest.split_at(end);
    }
    Some((parts, rest))
}

/// The formats of a date, day, month and year in any order that is in use.
fn date_formats([first, one, second, two, third]: [&str; 5]) -> Vec<String> {
    let is_name = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    let orders: &[[&str; 3]] = match (is_name(first), is_name(second), first.len(), third.len()) {
        (true, ..) => &[["%b", "%d", "%Y"], ["%b", "%d", "%y"]],
        (_, true, 4, _) => &[["%Y", "%b", "%d"]],
        (_, true, ..) => &[["%d", "%b", "%Y"], ["%d", "%b", "%y"]],
        (_, _, 4, _) => &[["%Y", "%m", "%d"], ["%Y", "%d", "%m"]],
        (_, _, _, 4) => &[["%d", "%m", "%Y"], ["%m", "%d", "%Y"]],
        _ => &[["%d", "%m", "%y"], ["%m", "%d", "%y"], ["%y", "%m", "%d"]],
    };
    orders.iter().map(|[a, b, c]| format!("{a}{one}{b}{two}{c}")).collect()
}

/// The format of what comes behind a date; `None` where it has words that say something else than a separator: `CET` is a clock,
/// which a format of letters would drop.
fn time_format(text: &str) -> Option<String> {
    let mut format = String::new();
    let numbers = ["H", "M", "S"];
    let mut number = 0;
    let half = text.to_ascii_lowercase();
    let is_half = half.contains("am") || half.contains("pm");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 && number < numbers.len() {
            let letter = if number == 0 && is_half { "I" } else { numbers[number] };
            // Digits without separators are hours, minutes and seconds of two digits each.
            let letters = if digits == 4 && number == 0 { "%H%M".to_owned() } else { format!("%{letter}") };
            number += letters.len() / 2;
            format.push_str(&letters);
            rest = &rest[digits..];
        } else if number == 3 && matches!(c, '.' | ',') && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            format.push_str("%.f");
            rest = rest[1..].trim_start_matches(|c: char| c.is_ascii_digit());
        } else if number > 0 && matches!(c, '+' | '-') {
            format.push_str("%z");
            rest = "";
        } else if is_half && matches!(c, 'a' | 'A' | 'p' | 'P') {
            format.push_str("%p");
            rest = rest.get(2..).unwrap_or_default();
        } else if c.is_alphabetic() {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            format.push_str(match word {
                "T" | "t" => word,
                "Z" | "UTC" | "GMT" => "%z",
                _ => return None,
            });
            rest = after;
        } else {
            if c == '%' {
                format.push('%');
            }
            format.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(format)
}
