//! Which options would read the cells of a field that cannot be read.

use std::collections::BTreeMap;

use encoding_rs::WINDOWS_1252;

use super::number::{NumberReader, Reading, split_limit};
use super::options::{Censored, MarkVerdict, NumberOptions, Thousands};
use super::unreadable::TEXT_BYTES_MAX;

/// Letters of a mark that is suggested, which may be a unit such as `ug/m3`; more are words.
const MARK_CHARS_MAX: usize = 12;
/// Marks that are suggested together: there are seldom more in one column, and a message stays readable.
const MARKS_MAX: usize = 4;
/// Words for "no value" that are suggested together.
const WORDS_MAX: usize = 4;
const CENSORED: &str = "`censored = \"half\"`";

/// An option that would read cells.
pub(super) struct Suggestion {
    pub(super) text: String,
    /// Whether a run stops for it: it is a matter of how the whole input is written.
    pub(super) stops: bool,
}

/// What other cells say of how numbers are written.
#[derive(Clone, Copy, Default)]
pub(super) struct OtherCells {
    /// Whether they show that the decimal mark is the right one.
    pub(super) have_decimals: bool,
    /// Whether some of the same field have a value.
    pub(super) have_values: bool,
}

/// The options that would read most of the texts, those first that change least.
pub(super) fn suggestions(texts: &[Vec<u8>], options: &NumberOptions, others: OtherCells) -> Vec<Suggestion> {
    if !texts.is_empty() && reads_most(texts, &NumberReader::new(options, 0)) {
        // Texts of a property that is no declared measurement.
        return vec![Suggestion { text: "its name in `fields`".to_owned(), stops: false }];
    }
    if let Some(encoding) = encoding(texts, options) {
        return vec![encoding];
    }
    let mut found = spellings(texts, options, others.have_decimals);
    if let Some(delimiter) = split_by(texts, options) {
        found.push(Suggestion { text: format!("`delimiter = \"{}\"`", delimiter.escape_default()), stops: true });
    }
    found.extend(limits_and_marks(texts, options));
    if !found.iter().any(|suggestion| suggestion.stops)
        && let Some(words) = most_frequent(texts, if others.have_values { WORDS_MAX } else { 1 })
    {
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        found.push(Suggestion { text: format!("`missing = [{}]`", words.join(", ")), stops: true });
    }
    found
}

/// The encoding in which most texts are to be read, with the option for numbers that they need then.
fn encoding(texts: &[Vec<u8>], options: &NumberOptions) -> Option<Suggestion> {
    let is_most = |count: usize| 2 * count > texts.len();
    let (name, decoded): (_, Vec<Vec<u8>>) = if is_most(texts.iter().filter(|text| !is_utf8(text)).count()) {
        let decode = |text: &Vec<u8>| WINDOWS_1252.decode_without_bom_handling(text).0.into_owned().into_bytes();
        ("`encoding = \"windows-1252\"` (or what the file is in)", texts.iter().map(decode).collect())
    } else if is_most(texts.iter().filter(|text| text.contains(&0)).count()) {
        let strip = |text: &Vec<u8>| text.iter().copied().filter(|byte| *byte != 0).collect();
        ("`encoding = \"utf-16le\"` (or \"utf-16be\")", texts.iter().map(strip).collect())
    } else {
        return None;
    };
    let mut others = Vec::new();
    if !reads_most(&decoded, &NumberReader::new(options, 0)) {
        others = spellings(&decoded, options, false);
        others.extend(limits_and_marks(&decoded, options).into_iter().filter(|other| other.stops));
    }
    let with = others.first().map_or_else(String::new, |other| format!(" with {}", other.text));
    Some(Suggestion { text: format!("{name}{with}"), stops: true })
}

/// Whether a text is UTF-8, but for a last character that may have been cut off.
fn is_utf8(text: &[u8]) -> bool {
    match std::str::from_utf8(text) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && text.len() >= TEXT_BYTES_MAX,
    }
}

/// The marks of decimals and thousands by which most texts are numbers.
fn spellings(texts: &[Vec<u8>], options: &NumberOptions, is_decimal_known: bool) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let mut attempt = |decimal: char, thousands: Thousands| {
        let changed = NumberOptions { decimal, thousands, ..options.clone() };
        if is_decimal_known && decimal != options.decimal {
            return false;
        }
        // The configuration has to accept what is named: the one may need the other.
        let reads = changed.check().is_empty() && reads_most(texts, &NumberReader::new(&changed, 0));
        if reads {
            let spelling = thousands.spellings().first().unwrap_or(&"");
            let names = [
                (decimal != options.decimal).then(|| format!("`decimal = \"{decimal}\"`")),
                (thousands != options.thousands).then(|| format!("`thousands = \"{spelling}\"`")),
            ];
            let names: Vec<String> = names.into_iter().flatten().collect();
            found.push(Suggestion { text: names.join(" with "), stops: true });
        }
        reads
    };
    let other = if options.decimal == '.' { ',' } else { '.' };
    let reads_decimal = attempt(other, options.thousands) || attempt(other, Thousands::None);
    for thousands in Thousands::ALL.into_iter().filter(|thousands| *thousands != options.thousands) {
        attempt(options.decimal, thousands);
        if !reads_decimal {
            attempt(other, thousands);
        }
    }
    found
}

/// The options for limits such as `<0.5` and for what stands behind the numbers of most texts, a mark or a unit. The run stops
/// for what reads most.
fn limits_and_marks(all: &[Vec<u8>], options: &NumberOptions) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let has_limits = options.censored.is_none() && texts(all).any(is_limit);
    let censored = NumberOptions { censored: options.censored.or(Some(Censored::Half)), ..options.clone() };
    let reads_limits = has_limits && reads_most(all, &NumberReader::new(&censored, 0));
    if has_limits {
        found.push(Suggestion { text: CENSORED.to_owned(), stops: reads_limits });
    }
    if reads_limits {
        return found;
    }
    let mut changed = options.clone();
    for mark in marks_of(all, &censored) {
        let verdict = if is_unit(&mark) { MarkVerdict::Good } else { MarkVerdict::Suspect };
        changed.value_marks.insert(mark, verdict);
        // Of limits with marks behind them, neither option reads any without the other.
        let with_limits = NumberOptions { censored: censored.censored, ..changed.clone() };
        let reads = reads_most(all, &NumberReader::new(&changed, 0));
        if reads || reads_most(all, &NumberReader::new(&with_limits, 0)) {
            let marks = changed.value_marks.iter().filter(|(mark, _)| !options.value_marks.contains_key(*mark));
            let verdict = |mark: &str| if is_unit(mark) { "good" } else { "suspect" };
            let marks: Vec<String> = marks.map(|(mark, _)| format!("{mark:?} = {:?}", verdict(mark))).collect();
            let marks = format!("`value_marks = {{ {} }}`", marks.join(", "));
            let text = if reads { marks } else { format!("{CENSORED} with {marks}") };
            if !reads {
                found.clear();
            }
            found.push(Suggestion { text, stops: true });
            break;
        }
    }
    found
}

/// Whether most texts are numbers with another decimal mark or with separators of thousands: they only look like words.
pub(super) fn is_number_otherwise(texts: &[Vec<u8>], options: &NumberOptions) -> bool {
    let separators = [Thousands::None, Thousands::Blank, Thousands::Apostrophe];
    let marks = separators.into_iter().flat_map(|thousands| [('.', thousands), (',', thousands)]);
    let mut marks = marks.chain([('.', Thousands::Comma), (',', Thousands::Point)]);
    let censored = options.censored.or(Some(Censored::Half));
    marks.any(|(decimal, thousands)| {
        reads_most(texts, &NumberReader::new(&NumberOptions { decimal, thousands, censored, ..options.clone() }, 0))
    })
}

/// What is said of a field that became text, where options would read most of its texts as numbers beside those that are some.
pub(super) fn reads_as_numbers(texts: &[Vec<u8>], options: &NumberOptions, has_numbers: bool) -> String {
    let others = OtherCells { have_values: has_numbers, ..OtherCells::default() };
    let found = suggestions(texts, options, others).into_iter();
    let found = found.filter(|found| has_numbers || !found.text.starts_with("`missing"));
    let named: Vec<String> = found.map(|found| found.text).collect();
    match named.is_empty() {
        true => String::new(),
        false => format!("; if it is a measurement, name it in `fields`: {} would read it", named.join(" or ")),
    }
}

fn texts(texts: &[Vec<u8>]) -> impl Iterator<Item = &str> {
    texts.iter().filter_map(|text| std::str::from_utf8(text).ok())
}

fn reads_most(texts: &[Vec<u8>], reader: &NumberReader) -> bool {
    let read = texts.iter().filter(|text| reader.read(text) != Reading::Unreadable).count();
    2 * read > texts.len()
}

/// The words, at most so many, that more than half of the cells have. A limit is none, for it says something.
fn most_frequent(all: &[Vec<u8>], most: usize) -> Option<Vec<String>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    texts(all).for_each(|text| *counts.entry(text).or_default() += 1);
    let mut counts: Vec<(&str, usize)> =
        counts.into_iter().filter(|(text, count)| *count > 1 && !is_limit(text)).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (mut words, mut read) = (Vec::new(), 0);
    for (word, count) in counts.into_iter().take(most) {
        // Several numbers that cannot be read are no words.
        if !words.is_empty() && word.contains(|c: char| c.is_ascii_digit()) {
            continue;
        }
        words.push(word.to_owned());
        read += count;
    }
    (2 * read > all.len()).then_some(words)
}

/// Whether a mark is a unit, such as `µg/m3`, `ppb` or `%`.
fn is_unit(mark: &str) -> bool {
    mark.contains(['/', '%', '°', '³']) || ["pp", "p.p."].iter().any(|parts| mark.starts_with(parts))
}

/// Whether a text is a limit such as `<0.5`.
fn is_limit(text: &str) -> bool {
    split_limit(text.trim()).is_some_and(|(_, limit)| limit.contains(|c: char| c.is_ascii_digit()))
}

/// A character that splits most texts into numbers.
fn split_by(all: &[Vec<u8>], options: &NumberOptions) -> Option<char> {
    let reader = NumberReader::new(options, 0);
    let is_split = |text: &str, by: char| {
        text.contains(by) && text.split(by).all(|part| reader.read(part.trim().as_bytes()) != Reading::Unreadable)
    };
    [';', '\t', '|'].into_iter().find(|by| 2 * texts(all).filter(|text| is_split(text, *by)).count() > all.len())
}

/// What stands behind numbers or limits, the most frequent first.
fn marks_of(all: &[Vec<u8>], options: &NumberOptions) -> Vec<String> {
    let reader = NumberReader::new(options, 0);
    let mark = |text: &str| {
        let is_number =
            |number: &str| matches!(reader.read(number.trim().as_bytes()), Reading::Value(_) | Reading::Censored(_));
        // The longest number at the beginning: a unit may have digits too.
        let mut ends = text.rmatch_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| text.split_at(at + 1));
        let (_, mark) = ends.find(|(number, _)| is_number(number))?;
        let mark = mark.trim();
        let is_plain = !mark.contains(|c: char| matches!(c, '.' | ',') || c.is_ascii_digit());
        let is_mark = is_plain || is_unit(mark);
        (is_mark && !mark.is_empty() && mark.chars().count() <= MARK_CHARS_MAX).then(|| mark.to_owned())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    texts(all).filter_map(mark).for_each(|mark| *counts.entry(mark).or_default() += 1);
    let mut marks: Vec<(String, usize)> = counts.into_iter().collect();
    marks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    marks.into_iter().map(|(mark, _)| mark).take(MARKS_MAX).collect()
}
