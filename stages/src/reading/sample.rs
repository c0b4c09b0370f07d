//! The judgement of a sample: whether the cells of each field can be read, and which option would read them.

use std::collections::BTreeMap;

use aqpipe_engine::{Error, Result};

use super::number::{NumberReader, Reading, split_limit};
use super::options::{Censored, MarkVerdict, NumberOptions, Thousands, UnreadableAction};

/// Cells of a field that must be there before a run stops because none of them can be read.
const CELLS_FOR_NONE_READABLE: u64 = 100;

/// Letters of a mark that is suggested, which may be a unit such as `ug/m`; more are words.
const MARK_CHARS_MAX: usize = 6;
/// Marks that are suggested together: there are seldom more in one column, and a message stays readable.
const MARKS_MAX: usize = 4;
const CENSORED: &str = "`censored = \"half\"`";

/// The cells of one field in a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSample {
    /// The field's name.
    pub name: String,
    /// Cells with a value.
    pub values: u64,
    /// Cells that cannot be read.
    pub unreadable: u64,
    /// The texts of some that cannot be read.
    pub texts: Vec<Vec<u8>>,
    /// Where the first of them is.
    pub place: Option<String>,
}

impl FieldSample {
    /// Cells that are not missing.
    fn cells(&self) -> u64 {
        self.values + self.unreadable
    }

    fn is_mostly_unreadable(&self) -> bool {
        self.unreadable > self.values
    }

    /// How many cells cannot be read, for messages.
    fn counts(&self) -> String {
        let first = self.texts.first().map(|text| format!(", such as `{}`", String::from_utf8_lossy(text)));
        format!("`{}` ({} of {}{})", self.name, self.unreadable, self.cells(), first.unwrap_or_default())
    }
}

/// An option that would read cells.
struct Suggestion {
    text: String,
    /// Whether a run stops for it: it is a matter of how the whole input is written.
    stops: bool,
}

/// Judges the sample of a split before its first commit. Returns warnings, by the name of the field.
///
/// # Errors
/// Where more than half of a field's cells cannot be read and an option would read them, or where at least a hundred are
/// there and none can be read; unless `action` is to warn.
pub fn judge(
    sample: &[FieldSample],
    options: &NumberOptions,
    action: UnreadableAction,
) -> Result<Vec<(String, String)>> {
    let mut warnings = Vec::new();
    let (mut stopping, mut help): (Vec<&FieldSample>, Vec<String>) = (Vec::new(), Vec::new());
    for field in sample.iter().filter(|field| field.unreadable > 0) {
        let suggestions = suggestions(field, options);
        let named: Vec<&str> = suggestions.iter().map(|suggestion| suggestion.text.as_str()).collect();
        let would_be_read = field.is_mostly_unreadable() && suggestions.iter().any(|suggestion| suggestion.stops);
        let none_readable = field.values == 0 && field.cells() >= CELLS_FOR_NONE_READABLE;
        if action == UnreadableAction::Stop && (would_be_read || none_readable) {
            stopping.push(field);
            let new =
                named.iter().filter(|text| !help.iter().any(|known| known == *text)).map(|text| (*text).to_owned());
            help.extend(new.collect::<Vec<_>>());
            continue;
        }
        let place = field.place.as_ref().map_or_else(String::new, |place| format!("; the first one is at {place}"));
        let hint = if named.is_empty() { String::new() } else { format!(": {} would read them", named.join(" or ")) };
        let warning = format!("cells of {} cannot be read{place}{hint}", field.counts());
        warnings.push((field.name.clone(), warning));
    }
    let Some(first) = stopping.first() else { return Ok(warnings) };
    let fields: Vec<String> = stopping.iter().map(|field| field.counts()).collect();
    let way_out = "`on_unreadable = \"warn\"` lets the run go on without these values";
    let help = match help.is_empty() {
        true => format!("is a field of these words one of `text_fields`? {way_out}"),
        false => format!("set {} in [source]; {way_out}", help.join(" or ")),
    };
    let error = Error::config(format!("most values cannot be read: {}", fields.join(", "))).help(help);
    Err(match &first.place {
        Some(place) => error.at(place.clone()),
        None => error,
    })
}

/// The options that would read most of the texts, those first that change least.
fn suggestions(field: &FieldSample, options: &NumberOptions) -> Vec<Suggestion> {
    let mut found = spellings(&field.texts, options);
    if let Some(delimiter) = split_by(&field.texts, options) {
        found.push(Suggestion { text: format!("`delimiter = \"{}\"`", delimiter.escape_default()), stops: true });
    }
    found.extend(limits_and_marks(&field.texts, options));
    if !found.iter().any(|suggestion| suggestion.stops)
        && let Some(word) = most_frequent(&field.texts)
    {
        found.push(Suggestion { text: format!("`missing = [{word:?}]`"), stops: true });
    }
    found
}

/// The marks of decimals and thousands by which most texts are numbers.
fn spellings(texts: &[Vec<u8>], options: &NumberOptions) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let mut attempt = |decimal: char, thousands: Thousands| {
        let changed = NumberOptions { decimal, thousands, ..options.clone() };
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
        changed.value_marks.insert(mark, MarkVerdict::Suspect);
        // Of limits with marks behind them, neither option reads any without the other.
        let with_limits = NumberOptions { censored: censored.censored, ..changed.clone() };
        let reads = reads_most(all, &NumberReader::new(&changed, 0));
        if reads || reads_most(all, &NumberReader::new(&with_limits, 0)) {
            let marks = changed.value_marks.iter().filter(|(mark, _)| !options.value_marks.contains_key(*mark));
            let marks: Vec<String> = marks.map(|(mark, _)| format!("{mark:?} = \"suspect\"")).collect();
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
#[must_use]
pub fn is_number_otherwise(texts: &[Vec<u8>], options: &NumberOptions) -> bool {
    let marks = [('.', Thousands::None), (',', Thousands::None), ('.', Thousands::Comma), (',', Thousands::Point)];
    marks.into_iter().any(|(decimal, thousands)| {
        reads_most(texts, &NumberReader::new(&NumberOptions { decimal, thousands, ..options.clone() }, 0))
    })
}

fn texts(texts: &[Vec<u8>]) -> impl Iterator<Item = &str> {
    texts.iter().filter_map(|text| std::str::from_utf8(text).ok())
}

fn reads_most(texts: &[Vec<u8>], reader: &NumberReader) -> bool {
    let read = texts.iter().filter(|text| reader.read(text) != Reading::Unreadable).count();
    2 * read > texts.len()
}

/// The word that more than half of the cells have. A limit is none, for it says something.
fn most_frequent(all: &[Vec<u8>]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    texts(all).for_each(|text| *counts.entry(text).or_default() += 1);
    let (text, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let is_frequent = 2 * count > all.len() && count > 1;
    (is_frequent && !is_limit(text)).then(|| text.to_owned())
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
        let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
        let (number, mark) = text.split_at(end);
        let is_number = matches!(reader.read(number.trim().as_bytes()), Reading::Value(_) | Reading::Censored(_));
        let mark = mark.trim();
        let is_mark = !mark.is_empty() && mark.chars().count() <= MARK_CHARS_MAX && !mark.contains(['.', ',']);
        (is_number && is_mark).then(|| mark.to_owned())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    texts(all).filter_map(mark).for_each(|mark| *counts.entry(mark).or_default() += 1);
    let mut marks: Vec<(String, usize)> = counts.into_iter().collect();
    marks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    marks.into_iter().map(|(mark, _)| mark).take(MARKS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(values: u64, unreadable: &[&str]) -> FieldSample {
        FieldSample {
            name: "NO2".to_owned(),
            values,
            unreadable: unreadable.len() as u64,
            texts: unreadable.iter().map(|text| text.as_bytes().to_vec()).collect(),
            place: Some("in.csv:2".to_owned()),
        }
    }

    fn judged(field: FieldSample) -> Result<Vec<(String, String)>> {
        judge(&[field], &NumberOptions::default(), UnreadableAction::Stop)
    }

    #[test]
    fn an_option_that_would_read_most_cells_stops_the_run_and_is_named() {
        let cases: [(&[&str], &str); 7] = [
            (&["2,7", "3,4"], "decimal = \",\""),
            (&["1.234,5", "12.000,0"], "decimal = \",\"` with `thousands = \".\""),
            (&["1,234.5", "12,000.0"], "thousands = \",\""),
            (&["1 234.5", "12\u{a0}000.0"], "thousands = \" \""),
            (&["1'234.5"], "thousands = \"'\""),
            (&["ERR", "ERR", "ERR", "x"], "missing = [\"ERR\"]"),
            (&["1;2", "3;4"], "delimiter = \";\""),
        ];
        for (texts, option) in cases {
            let error = judged(field(0, texts)).expect_err(option);
            assert!(error.help_text().is_some_and(|help| help.contains(option)), "{option}: {error:?}");
            assert!(error.to_string().contains("NO2"), "{error}");
        }
    }

    fn help(field: FieldSample, options: &NumberOptions) -> String {
        let error = judge(&[field], options, UnreadableAction::Stop).expect_err("stops");
        error.help_text().unwrap_or_default().to_owned()
    }

    #[test]
    fn marks_and_units_are_named_with_a_verdict_that_keeps_the_values() {
        let cases: [(&[&str], &str); 5] = [
            (&["40%", "41%", "42%"], "set `value_marks = { \"%\" = \"suspect\" }` in"),
            (&["40 C", "40 C", "x"], "set `value_marks = { \"C\" = \"suspect\" }` in"),
            (&["1*", "2J", "3*", "4J"], "set `value_marks = { \"*\" = \"suspect\", \"J\" = \"suspect\" }` in"),
            (&["<0.5U", "<0.5U"], "set `censored = \"half\"` with `value_marks = { \"U\" = \"suspect\" }` in"),
            (&["<0.5", "<0.5", "<0.5"], "set `censored = \"half\"` in"),
        ];
        for (texts, expected) in cases {
            let help = help(field(1, texts), &NumberOptions::default());
            assert!(help.contains(expected), "{texts:?}: {help}");
        }
        // One mark among many other texts reads little.
        let warning = &judged(field(9, &["14#", "x", "y", "z"])).expect("goes on")[0].1;
        assert!(!warning.contains("value_marks"), "{warning}");
    }

    #[test]
    fn an_option_that_would_be_refused_without_another_is_named_with_it() {
        let continental = NumberOptions { decimal: ',', thousands: Thousands::Point, ..NumberOptions::default() };
        for (texts, expected) in [
            (&["1.23", "0.5"][..], "set `decimal = \".\"` with `thousands = \"\"` in"),
            (&["1,234.5", "12,345.6"], "set `decimal = \".\"` with `thousands = \",\"` in"),
        ] {
            let help = help(field(0, texts), &continental);
            assert!(help.contains(expected), "{texts:?}: {help}");
        }
        let english = NumberOptions { thousands: Thousands::Comma, ..NumberOptions::default() };
        assert!(help(field(0, &["2,7", "3,45"]), &english).contains("`decimal = \",\"` with `thousands = \"\"`"));
    }

    #[test]
    fn a_sensor_that_breaks_only_warns() {
        for (values, texts) in [(3, &["2,7", "3,4"][..]), (0, &["x", "y", "z"]), (9, &["<0.5"]), (5, &["14#"])] {
            let warnings = judged(field(values, texts)).expect("goes on");
            assert_eq!(warnings.len(), 1, "{texts:?}");
        }
        assert!(judged(field(9, &["<0.5"])).expect("goes on")[0].1.contains("censored"));
        assert!(judged(field(9, &["14#"])).expect("goes on")[0].1.contains("value_marks"));
        assert_eq!(judged(field(9, &[])).expect("goes on"), []);
    }

    #[test]
    fn a_hundred_cells_of_which_none_can_be_read_stop_the_run_unless_it_is_told_to_warn() {
        let words: Vec<String> = (0..100).map(|index| format!("w{index}x")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(judged(field(0, &words)).is_err());
        assert!(judged(field(0, &words[1..])).is_ok());
        assert!(judged(field(1, &words)).is_ok());
        let warned = judge(&[field(0, &words)], &NumberOptions::default(), UnreadableAction::Warn);
        assert_eq!(warned.map(|warnings| warnings.len()).ok(), Some(1));
    }
}
