//! Records that look like the one before are read like any other: only faster.

use std::fmt::Write as _;

use aqpipe_engine::record::{Batch, Field, Fields, SAMPLE_RECORDS};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Decoder, Others, Pushed, Rejected};
use super::{DecoderOptions, options};
use crate::codec::json::shape::Expectation;
use crate::reading::Key;

/// How one message differs from the usual ones.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    /// A value in place of that of the property of this number.
    Value(usize, &'static str),
    Without(usize),
    Swapped(usize, usize),
    Twice(usize),
    Also(&'static str),
    Blanks(&'static str),
    Quality(&'static str),
    Cut(usize),
    Behind(&'static str),
}

const NAMES: [&str; 6] = ["timestamp", "station", "CO(GT)", "T", "note", "hour"];
const VALUES: [&str; 6] = [r#""2004-03-10T18:00:00+01:00""#, r#""uci""#, "2.6", "-13.25", r#""a""#, "18"];
const OTHER_VALUES: [&str; 25] = [
    "null",
    "0",
    "-0.0",
    "1360.0",
    "-200",
    "1e3",
    "12345678901234567890",
    "0.30000000000000004",
    "1e999",
    "NaN",
    "-Infinity",
    "01",
    "1.",
    "-",
    "true",
    r#""2,5""#,
    r#""2.5""#,
    r#""x\u0041""#,
    r#""NA""#,
    r#""2004-03-10T19:00:00Z""#,
    "{}",
    "[1]",
    r#"{"a":1}"#,
    "",
    r#"""#,
];
const QUALITIES: [&str; 15] = [
    "",
    "null",
    "{}",
    "1",
    r#"{"flags":"1111"}"#,
    r#"{"flags":"1191","derived":["hour"]}"#,
    r#"{"flags":"111"}"#,
    r#"{"flags":"11111"}"#,
    r#"{"flags":"11x1"}"#,
    r#"{"score":0.5,"flags":"3421","derived":["hour"],"tests":{"T":["gross_range","spike"],"CO(GT)":["spike"]}}"#,
    r#"{"score":0.98,"flags":"2222","derived":["hour"],"fills":{"CO(GT)":"forward_fill(2)","T":"median"}}"#,
    r#"{"flags":"2222","derived":["hour","T"],"fills":{"T":"median"},"tests":{"T":["not_a_number"]}}"#,
    r#"{"flags":"2222","fills":{"x":"median"}}"#,
    r#"{"flags":"2222","fills":{"T":"mean"}}"#,
    r#"{"score":7,"flags":"2222"}"#,
];

fn change() -> impl Strategy<Value = Change> {
    let part = 0..NAMES.len();
    prop_oneof![
        10 => Just(Change::Nothing),
        6 => (part.clone(), prop::sample::select(OTHER_VALUES.to_vec())).prop_map(|(at, value)| Change::Value(at, value)),
        1 => part.clone().prop_map(Change::Without),
        1 => (part.clone(), part.clone()).prop_map(|(a, b)| Change::Swapped(a, b)),
        1 => part.prop_map(Change::Twice),
        1 => prop::sample::select(vec![r#""x":1"#, r#""RH":null"#, r#""o":{"T":1}"#, r#""CO\u0028GT)":1"#]).prop_map(Change::Also),
        1 => prop::sample::select(vec![" ", "\n\t"]).prop_map(Change::Blanks),
        3 => prop::sample::select(QUALITIES.to_vec()).prop_map(Change::Quality),
        1 => (0..200usize).prop_map(Change::Cut),
        1 => prop::sample::select(vec![" ", ",", "}", "{}"]).prop_map(Change::Behind),
    ]
}

fn message(change: &Change) -> String {
    let mut members: Vec<(&str, &str)> = NAMES.into_iter().zip(VALUES).collect();
    let mut quality = QUALITIES[5];
    let mut blank = "";
    let (mut cut, mut behind) = (usize::MAX, "");
    match *change {
        Change::Nothing => {}
        Change::Value(at, value) => members[at].1 = value,
        Change::Without(at) => _ = members.remove(at),
        Change::Swapped(a, b) => members.swap(a, b),
        Change::Twice(at) => members.push(members[at]),
        Change::Also(_) => {}
        Change::Blanks(blanks) => blank = blanks,
        Change::Quality(other) => quality = other,
        Change::Cut(at) => cut = at,
        Change::Behind(more) => behind = more,
    }
    let mut text = format!("{blank}{{{blank}");
    for (name, value) in members {
        write!(text, "{blank}\"{name}\"{blank}:{blank}{value}{blank},{blank}").expect("a text");
    }
    if let Change::Also(member) = change {
        write!(text, "{member},").expect("a text");
    }
    match quality {
        "" => text.truncate(text.trim_end().trim_end_matches(',').len()),
        quality => write!(text, "\"quality\":{quality}").expect("a text"),
    }
    text.push('}');
    text.truncate(cut);
    text + behind
}

fn decoders(kind: usize) -> DecoderOptions {
    let declared = |names: &[&str]| {
        let list = names.iter().map(|name| Field::number(name)).collect();
        Some(Fields { list, ..Fields::default() })
    };
    let station: Option<Key> = Some("station".into());
    match kind {
        0 => {
            DecoderOptions { declared: declared(&["CO(GT)", "T"]), key: station, others: Others::Welcome, ..options() }
        }
        1 => DecoderOptions { declared: declared(&["T", "CO(GT)", "RH"]), key: station, ..options() },
        2 => DecoderOptions { declared: declared(&["T"]), others: Others::Ignored, ..options() },
        _ => DecoderOptions { declared: declared(&["T", "o.T"]), others: Others::Welcome, keep_raw: true, ..options() },
    }
}

/// What came of messages: of each one, the batches, and what is told of them.
fn outcomes(
    options: DecoderOptions,
    messages: &[String],
    expects: bool,
) -> (Vec<Result<Pushed, Rejected>>, Vec<Batch>, String) {
    let mut decoder = Decoder::new(options);
    decoder.looked_at = SAMPLE_RECORDS;
    let (mut outcomes, mut batches, mut told) = (Vec::new(), Vec::new(), String::new());
    for (origin, message) in messages.iter().enumerate() {
        let mut push = |decoder: &mut Decoder| {
            if !expects {
                decoder.expectation = Expectation::default();
            }
            outcomes.push(decoder.push(origin as u64, message.as_bytes()));
            outcomes.last() == Some(&Ok(Pushed::Full))
        };
        if push(&mut decoder) {
            batches.extend(decoder.take().expect("fits"));
            push(&mut decoder);
        }
    }
    batches.extend(decoder.take().expect("fits"));
    let ignored = decoder.quality_ignored();
    let (unreadable, _) = decoder.problem_cells();
    write!(told, "{ignored} {:?} {:?} {:?}", unreadable.take(), decoder.fields(), decoder.snapshot_state())
        .expect("a text");
    (outcomes, batches, told)
}

#[test]
fn records_of_one_shape_are_expected_from_the_second_one_on() {
    for kind in [0, 1, 2] {
        let mut decoder = Decoder::new(decoders(kind));
        // The second one may be pushed once more, for the first one has told of the fields.
        for origin in 0..3 {
            if decoder.push(origin, message(&Change::Nothing).as_bytes()) == Ok(Pushed::Full) {
                decoder.take().expect("fits");
            }
            let shape = decoder.expectation.shape(&decoder.layout);
            assert!(
                shape.is_some_and(|shape| shape.properties.len() == 7 && shape.order.len() == 5),
                "{kind} {origin}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_expected_changes_no_outcome(kind in 0..4usize, changes in vec(change(), 1..24)) {
        let messages: Vec<String> = changes.iter().map(message).collect();
        let (expected, read, told) = outcomes(decoders(kind), &messages, true);
        let (plain, by_name, told_plain) = outcomes(decoders(kind), &messages, false);
        prop_assert_eq!(expected, plain);
        prop_assert_eq!(told, told_plain);
        let rows = |batches: Vec<Batch>| batches.iter().map(|batch| (batch.to_arrow(), batch.fields().clone())).collect::<Vec<_>>();
        prop_assert_eq!(rows(read), rows(by_name));
    }
}
