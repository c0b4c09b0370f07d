//! Fuzz targets of the reader: cells, rows and messages from any bytes.
//!
//! `BOLERO_RANDOM_ITERATIONS=1000000 cargo test --workspace --lib fuzz` runs them for long, and `cargo bolero` with the engine of
//! one's choice.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::record::QcTests;
use bolero::check;

use super::super::message_decoder::{CsvMessageDecoder, CsvMessageTable};
use super::*;
use crate::codec::json::{Decoder, DecoderOptions, Encoder, Pushed};
use crate::reading::time::{TimeReader, TimestampOptions, Zone};
use crate::reading::{
    Censored, KindSample, MarkVerdict, NumberOptions, NumberReader, Reading, SOURCE_TEST, Sentinel, Thousands,
};

/// Executions of a target in the tests that run each time.
const EXECUTIONS: usize = 20_000;
/// Bytes of an input: each is a piece of text.
const INPUT_BYTES_MAX: usize = 64;
/// Bytes at the beginning of an input that choose options.
const OPTION_BYTES: usize = 6;

const FORMATS: [Option<&str>; 6] =
    [None, Some("%d/%m/%Y %H.%M"), Some("%Y%m%d%H"), Some("unix"), Some("unix_ms"), Some("rfc3339")];
const ZONES: [&str; 4] = ["UTC", "+01:00", "Europe/Rome", "Australia/Lord_Howe"];

/// Text that cells, rows and messages are made of.
const PIECES: [&str; 44] = [
    "0",
    "1",
    "2",
    "7",
    "9",
    "00",
    "123",
    "-",
    "+",
    ".",
    ",",
    ";",
    "'",
    "\"",
    " ",
    "e",
    "E5",
    "<",
    ">",
    "<=",
    "#",
    "*",
    "\u{2212}",
    "\u{2013}",
    "\u{a0}",
    "\u{2009}",
    "\u{2019}",
    "NA",
    "NaN",
    "null",
    "true",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\"t\":",
    "\"v\":",
    "\"w\":",
    "2024-03-31T02:30:00Z",
    "31/03/2024 02.30",
    "2024103124",
    "1711843200",
    "\\u00e9",
];

/// The bytes of an input as text: most are pieces of it, the others stand for themselves.
fn text(input: &[u8]) -> Vec<u8> {
    let piece = |byte: &u8| match PIECES.get(usize::from(*byte) % 48) {
        Some(piece) => piece.as_bytes().to_vec(),
        None => vec![*byte],
    };
    input.iter().flat_map(piece).collect()
}

fn split(input: &[u8]) -> ([usize; OPTION_BYTES], Vec<u8>) {
    let (options, rest) = input.split_at(input.len().min(OPTION_BYTES));
    let mut chosen = [0; OPTION_BYTES];
    chosen.iter_mut().zip(options).for_each(|(chosen, byte)| *chosen = usize::from(*byte));
    (chosen, text(rest))
}

fn number_options([first, second, third, ..]: [usize; OPTION_BYTES]) -> NumberOptions {
    let thousands =
        [Thousands::None, Thousands::Point, Thousands::Comma, Thousands::Blank, Thousands::Apostrophe][first % 5];
    let censored = [None, Some(Censored::Half), Some(Censored::Limit), Some(Censored::Zero)][second % 4];
    let marks = [
        ("#", MarkVerdict::Fail),
        ("*", MarkVerdict::Suspect),
        ("E5", MarkVerdict::Missing),
        (":1", MarkVerdict::Good),
    ];
    let mut options = NumberOptions {
        decimal: if third % 2 == 0 { '.' } else { ',' },
        thousands,
        censored,
        value_marks: marks.into_iter().take(third / 2 % 5).map(|(mark, it)| (mark.to_owned(), it)).collect(),
        missing: if third & 64 == 0 { Vec::new() } else { vec![Sentinel::Number(-9.0)] },
        words: if third & 128 == 0 { BTreeMap::new() } else { BTreeMap::from([("null".to_owned(), 5.0)]) },
    };
    if !options.check().is_empty() {
        options.thousands = Thousands::None;
    }
    options
}

fn times([_, _, _, format, zone, _]: [usize; OPTION_BYTES]) -> (TimestampOptions, &'static str) {
    let table = FORMATS[format % FORMATS.len()].map_or(json!({}), |format| json!({ "format": format }));
    let names = |name: &str| with(json!({ name: "t" }), table.clone());
    (serde_json::from_value(names("column")).expect("a table"), ZONES[zone % ZONES.len()])
}

/// The number that a cell spells, by the library's parser and by nothing but the removal of what the options allow.
fn spelt(cell: &str, options: &NumberOptions) -> Option<f64> {
    let separators: &[char] = match options.thousands {
        Thousands::None => &[],
        Thousands::Point => &['.'],
        Thousands::Comma => &[','],
        Thousands::Blank => &[' ', '\u{a0}', '\u{2009}', '\u{202f}'],
        Thousands::Apostrophe => &['\'', '\u{2019}'],
    };
    let marks: Vec<&str> = options.value_marks.keys().map(String::as_str).collect();
    let mut rest = cell.trim();
    while let Some(before) = marks.iter().find_map(|mark| rest.strip_suffix(mark)) {
        if plain(rest, options, separators).is_some() {
            break;
        }
        rest = before.trim_end();
    }
    let rest = rest.trim_start_matches(['<', '>', '=', '\u{2264}', '\u{2265}']).trim_start();
    plain(rest, options, separators)
}

fn plain(text: &str, options: &NumberOptions, separators: &[char]) -> Option<f64> {
    let joined: String =
        text.replace(['\u{2212}', '\u{2013}'], "-").chars().filter(|c| !separators.contains(c)).collect();
    joined.replace(options.decimal, ".").parse().ok()
}

#[test]
fn fuzz_cells_have_the_value_that_they_spell_or_none() {
    check!().with_iterations(EXECUTIONS).with_max_len(INPUT_BYTES_MAX).for_each(|input: &[u8]| {
        let (chosen, cell) = split(input);
        let options = number_options(chosen);
        let reading = NumberReader::new(&options, 1).read(cell.trim_ascii());
        let cell = String::from_utf8_lossy(&cell);
        match reading {
            Reading::Value(value) if options.words.contains_key(cell.trim()) => assert_eq!(value, 5.0),
            Reading::Value(value) | Reading::Suspect(value) => {
                let spelt = spelt(&cell, &options);
                assert!(value.is_finite() && (spelt == Some(value) || value == 5.0), "{cell:?} {value} {spelt:?}");
            }
            Reading::Censored(value) | Reading::CensoredSuspect(value) => {
                let limit = spelt(&cell, &options).unwrap_or_else(|| panic!("{cell:?} has no limit"));
                assert!([limit, limit / 2.0, 0.0].contains(&value), "{cell:?} {value} {limit}");
            }
            Reading::Missing | Reading::Failed | Reading::Unreadable => {}
        }
        let (timestamp, zone) = times(chosen);
        let zone = Zone::parse(zone).expect("a zone");
        let mut reader = TimeReader::new(&timestamp, zone).expect("options");
        if let Ok((_, offset)) = reader.read(cell.as_bytes(), || b"k") {
            assert!(offset.abs() < 24 * 60, "{cell:?} {offset}");
        }
        let _ = reader.take_warnings();
    });
}

/// What a batch has, in a form that can be compared.
fn shown(batch: &Batch) -> Vec<String> {
    let row = |row: usize| {
        let mut shown = format!("{} {}", batch.time()[row], batch.utc_offset()[row]);
        for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
            shown += &match column {
                Column::Number(numbers) => {
                    format!(" {}={:?}{:?}", field.name, numbers.get(row).map(f64::to_bits), numbers.quality_at(row))
                }
                Column::Text(texts) => {
                    format!(" {}={:?}", field.name, texts.is_valid(row).then(|| texts.value(row)))
                }
            };
        }
        shown
    };
    (0..batch.rows()).map(row).collect()
}

/// A batch is written as messages and read again.
fn reads_back(batch: &Batch, tests: &Arc<QcTests>) {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    Encoder::new(Arc::clone(tests)).encode(batch, &mut out, &mut ends).expect("names are free");
    let declared = Some((**batch.fields()).clone());
    let mut decoder = Decoder::new(DecoderOptions { declared, tests: Arc::clone(tests), ..DecoderOptions::default() });
    let starts = std::iter::once(0).chain(ends.iter().copied());
    for (start, end) in starts.zip(&ends) {
        assert_eq!(decoder.push(0, &out[start..*end]), Ok(Pushed::Row), "{}", String::from_utf8_lossy(&out));
    }
    let read = decoder.take().expect("fits").expect("rows");
    assert_eq!(shown(&read), shown(batch));
}

fn source_tests() -> (Arc<QcTests>, u8) {
    let tests = Arc::new(QcTests::default());
    let source = tests.bit(SOURCE_TEST);
    (tests, source)
}

#[test]
fn fuzz_rows_are_read_or_refused_and_read_back_as_they_were() {
    check!().with_iterations(EXECUTIONS).with_max_len(INPUT_BYTES_MAX).for_each(|input: &[u8]| {
        let (chosen, row) = split(input);
        let (tests, source_test) = source_tests();
        let (timestamp, zone) = times(chosen);
        let numbers = number_options(chosen);
        let table = CsvMessageTable {
            columns: ["t", "v", "w"].map(str::to_owned).into(),
            delimiter: Some(if numbers.decimal == ',' { ';' } else { ',' }),
            quote: None,
            numbers,
            flags: BTreeMap::new(),
            timestamp,
            timezone: Some(zone.to_owned()),
            key: None,
            fields: vec!["v".to_owned()],
            text_fields: if chosen[5] % 2 == 0 { Vec::new() } else { vec!["w".to_owned()] },
            rename: BTreeMap::new(),
        };
        let options = table.options(&Arc::default(), source_test, true).expect("options");
        let mut decoder = CsvMessageDecoder::new(&options).expect("a decoder");
        let mut whole = b"2024-03-31T01:30:00Z".to_vec();
        if chosen[5] & 2 == 0 {
            whole.clear();
        }
        whole.extend_from_slice(&row);
        let mut sample = KindSample::default();
        if chosen[5] & 4 == 0 {
            decoder.sample(&whole, "t/0@0", &mut sample);
        }
        let _ = decoder.decide_kinds(sample);
        if decoder.push(0, &whole, (None, Some(0))).is_ok()
            && let Some(batch) = decoder.take().expect("fits")
        {
            let raw = batch.raw(0).expect("kept");
            assert!(whole.windows(raw.len().max(1)).any(|part| part == raw), "the bytes are those of the message");
            reads_back(&batch, &tests);
        }
    });
}

#[test]
fn fuzz_messages_are_read_or_refused_and_read_back_as_they_were() {
    check!().with_iterations(EXECUTIONS).with_max_len(INPUT_BYTES_MAX).for_each(|input: &[u8]| {
        let (chosen, body) = split(input);
        let (tests, source_test) = source_tests();
        let (timestamp, zone) = times(chosen);
        let options = DecoderOptions {
            timestamp: vec!["t".to_owned()],
            times: TimeReader::new(&timestamp, Zone::parse(zone).expect("a zone")).expect("options"),
            numbers: NumberReader::new(&number_options(chosen), source_test),
            numeric: Arc::new(["v".to_owned()].into()),
            tests: Arc::clone(&tests),
            source_test,
            ..DecoderOptions::default()
        };
        let mut decoder = Decoder::new(options);
        let whole = match chosen[5] % 3 {
            0 => body,
            1 => [b"{\"t\":\"2024-03-31T01:30:00Z\",\"v\":", &body[..], b"}"].concat(),
            _ => [b"{\"t\":\"2024-03-31T01:30:00Z\",\"v\":\"", &body[..], b"\"}"].concat(),
        };
        let mut sample = KindSample::default();
        if chosen[5] & 4 == 0 {
            decoder.sample(&whole, "t/0@0", &mut sample);
        }
        let _ = decoder.decide_kinds(sample);
        if decoder.push(0, &whole) == Ok(Pushed::Row)
            && let Some(batch) = decoder.take().expect("fits")
        {
            reads_back(&batch, &tests);
        }
    });
}
