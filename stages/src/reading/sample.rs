//! The judgement of a sample: whether the cells of each field can be read, and which option would read them.

use std::collections::BTreeMap;

use aqpipe_engine::{Error, Result};

use super::missing::Sentinel;
use super::number::{NumberReader, Reading, split_limit};
use super::options::{Censored, NumberOptions, Thousands, UnreadableAction};

/// Cells of a field that must be there before a run stops because none of them can be read.
const CELLS_FOR_NONE_READABLE: u64 = 100;

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
        let hint = match named.is_empty() {
            true if field.is_mostly_unreadable() => ": if they are words, name it in `text_fields`".to_owned(),
            true => String::new(),
            false => format!(": {} would read them", named.join(" or ")),
        };
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
    let mut found = Vec::new();
    let mut attempt = |text: String, stops: bool, changed: NumberOptions| {
        if reads_most(&field.texts, &NumberReader::new(&changed, 0)) {
            found.push(Suggestion { text, stops });
        }
        !found.is_empty()
    };
    let (other, name) = if options.decimal == '.' { (',', "`decimal = \",\"`") } else { ('.', "`decimal = \".\"`") };
    let decimal = NumberOptions { decimal: other, thousands: Thousands::None, ..options.clone() };
    let reads_decimal = attempt(name.to_owned(), true, decimal.clone());
    for thousands in Thousands::ALL {
        let spelling = thousands.spellings()[0];
        let text = format!("`thousands = \"{spelling}\"`");
        if spelling != options.decimal.to_string() {
            attempt(text.clone(), true, NumberOptions { thousands, ..options.clone() });
        }
        if !reads_decimal && spelling != other.to_string() {
            attempt(format!("{name} with {text}"), true, NumberOptions { thousands, ..decimal.clone() });
        }
    }
    if found.is_empty()
        && let Some(word) = most_frequent(&field.texts)
    {
        let mut missing = options.missing.clone();
        missing.push(Sentinel::Word(word.clone()));
        let changed = NumberOptions { missing, ..options.clone() };
        if reads_most(&field.texts, &NumberReader::new(&changed, 0)) {
            found.push(Suggestion { text: format!("`missing = [{word:?}]`"), stops: true });
        }
    }
    if let Some(delimiter) = split_by(&field.texts, options) {
        found.push(Suggestion { text: format!("`delimiter = \"{}\"`", delimiter.escape_default()), stops: true });
    }
    if options.censored.is_none() && texts(&field.texts).any(|text| split_limit(text.trim()).is_some()) {
        found.push(Suggestion { text: "`censored = \"half\"`".to_owned(), stops: false });
    }
    if let Some(mark) = mark_of(&field.texts, options) {
        found.push(Suggestion { text: format!("`value_marks = {{ {mark:?} = \"fail\" }}`"), stops: false });
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

/// The text that more than half of the cells have.
fn most_frequent(all: &[Vec<u8>]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    texts(all).for_each(|text| *counts.entry(text).or_default() += 1);
    let (text, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let is_frequent = 2 * count > all.len() && count > 1;
    is_frequent.then(|| text.to_owned())
}

/// A character that splits most texts into numbers.
fn split_by(all: &[Vec<u8>], options: &NumberOptions) -> Option<char> {
    let reader = NumberReader::new(options, 0);
    let is_split = |text: &str, by: char| {
        text.contains(by) && text.split(by).all(|part| reader.read(part.trim().as_bytes()) != Reading::Unreadable)
    };
    [';', '\t', '|'].into_iter().find(|by| 2 * texts(all).filter(|text| is_split(text, *by)).count() > all.len())
}

/// What stands behind the number of most texts that have something there.
fn mark_of(all: &[Vec<u8>], options: &NumberOptions) -> Option<String> {
    let reader = NumberReader::new(&NumberOptions { censored: Some(Censored::Limit), ..options.clone() }, 0);
    let mark = |text: &str| {
        let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
        let (number, mark) = text.split_at(end);
        let is_number = matches!(reader.read(number.trim().as_bytes()), Reading::Value(_));
        let mark = mark.trim();
        (is_number && !mark.is_empty() && mark.chars().count() <= 3).then(|| mark.to_owned())
    };
    texts(all).find_map(mark)
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
