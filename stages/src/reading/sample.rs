//! The judgement of a sample: whether the cells of each field can be read, and which option would read them.

use aqpipe_engine::{Error, Result};

use super::options::{NumberOptions, UnreadableAction};
use super::suggestions::{OtherCells, suggestions};

/// Cells of a field that must be there before a run stops because none of them can be read.
const CELLS_FOR_NONE_READABLE: u64 = 100;

/// The cells of one field in a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSample {
    /// The field's name.
    pub name: String,
    /// Cells with a value.
    pub values: u64,
    /// Those of them that show the decimal mark: what follows it cannot be a group of thousands.
    pub decimals: u64,
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

    /// Whether most texts that cannot be read have no digit.
    fn has_words(&self) -> bool {
        let has_digit = |text: &&Vec<u8>| text.iter().any(u8::is_ascii_digit);
        2 * self.texts.iter().filter(has_digit).count() < self.texts.len()
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

/// Whether the cell of a value shows the decimal mark: what follows it is no group of thousands.
#[must_use]
pub(crate) fn shows_decimal(cell: &[u8], decimal: u8) -> bool {
    let Some(at) = cell.iter().position(|byte| *byte == decimal) else { return false };
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole: Vec<u8> = cell[..at].iter().rev().copied().take_while(u8::is_ascii_digit).collect();
    digits(&cell[at + 1..]) != 3 || whole.len() > 3 || whole.last().is_none_or(|first| *first == b'0')
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
    let sum = |of: fn(&FieldSample) -> u64| sample.iter().map(of).sum::<u64>();
    // Few may be damaged.
    let have_decimals = 10 * sum(|field| field.decimals) > sum(|field| field.unreadable);
    for field in sample.iter().filter(|field| field.unreadable > 0) {
        let others = OtherCells { have_decimals, have_values: field.values > 0 };
        let suggestions = suggestions(&field.texts, options, others);
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
            true if field.is_mostly_unreadable() && field.has_words() => {
                ": if they are words, name it in `text_fields`".to_owned()
            }
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

#[cfg(test)]
mod tests {
    use super::super::options::Thousands;
    use super::*;

    fn field(values: u64, unreadable: &[&str]) -> FieldSample {
        FieldSample {
            name: "NO2".to_owned(),
            values,
            decimals: 0,
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
        let cases: [(&[&str], &str); 7] = [
            (&["40%", "41%", "42%"], "set `value_marks = { \"%\" = \"good\" }` in"),
            (&["0.5 ug/m3", "1 ug/m3"], "set `value_marks = { \"ug/m3\" = \"good\" }` in"),
            (&["0.5 p.p.b.", "<1 p.p.b.", "2 p.p.b."], "`value_marks = { \"p.p.b.\" = \"good\" }` in"),
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
    fn text_in_another_encoding_is_no_word() {
        let cases: [(&[&[u8]], &str); 6] = [
            (
                &[b"1\xa0234.5", b"12\xa0000.0"],
                "`encoding = \"windows-1252\"` (or what the file is in) with `thousands = \" \"`",
            ),
            (
                &[b"20 \xb5g", b"30 \xb5g"],
                "windows-1252\"` (or what the file is in) with `value_marks = { \"\u{b5}g\" = \"suspect\" }`",
            ),
            (&[b"\x962.5", b"\x963.5", b"x"], "windows-1252\"` (or what the file is in) in"),
            (&[b"\xe8", b"\xe9"], "windows-1252\"` (or what the file is in) in"),
            (&[b"\x002\x007\0", b"3\0"], "`encoding = \"utf-16le\"` (or \"utf-16be\") in"),
            (&[b"\x002\0,\x007\0", b"3\0,\x008\0"], "(or \"utf-16be\") with `decimal = \",\"`"),
        ];
        for (texts, expected) in cases {
            let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
            let sample = FieldSample { unreadable: texts.len() as u64, texts, ..field(1, &[]) };
            let help = help(sample, &NumberOptions::default());
            assert!(help.contains(expected), "{help}");
        }
        let few = FieldSample { unreadable: 2, texts: vec![b"20 \xb5g".into(), b"x".into()], ..field(0, &[]) };
        assert!(judge(&[few], &NumberOptions::default(), UnreadableAction::Stop).is_ok(), "one of two");
    }

    #[test]
    fn several_words_among_numbers_are_named_and_the_decimal_mark_that_others_have_is_kept() {
        let words = ["Calib", "Maint", "Span", "Down"].repeat(9);
        assert!(help(field(4, &words), &NumberOptions::default()).contains("`missing = [\"Calib\", \"Down\","));
        assert!(judged(field(0, &words)).expect("goes on")[0].1.contains("text_fields"), "directions of the wind");
        let other = FieldSample { name: "o3".to_owned(), values: 9, decimals: 9, ..FieldSample::default() };
        let thousands = field(0, &["1,340", "12,340", "1,341"]);
        let error = judge(&[thousands, other], &NumberOptions::default(), UnreadableAction::Stop).expect_err("stops");
        assert_eq!(
            error.help_text().map(|help| help.split(';').next().unwrap_or_default().to_owned()),
            Some("set `thousands = \",\"` in [source]".to_owned())
        );
        for (cell, shows) in [("0.5", true), ("1.234", false), ("0.123", true), ("1234.567", true), ("12", false)] {
            assert_eq!(shows_decimal(cell.as_bytes(), b'.'), shows, "{cell}");
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
