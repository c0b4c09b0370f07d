//! Messages of other writers, and what is no message.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::record::{CellQuality, Column, Field, Fields, Kind};
use arrow_array::Array;

use super::super::{Decoder, Pushed};
use super::{DecoderOptions, decode, names, options, rejected};
use crate::reading::KindSample;

const TIME: &str = r#""timestamp":"2004-03-10T18:00:00Z""#;

fn message(rest: &str) -> String {
    format!("{{{TIME}{rest}}}")
}

fn texts(column: &Column) -> Vec<Option<&str>> {
    match column {
        Column::Text(text) => text.iter().collect(),
        Column::Number(_) => panic!("numbers"),
    }
}

#[test]
fn what_is_no_record_is_rejected_with_its_reason() {
    for (message, reason) in [
        ("", "not JSON: expected a value at byte 0"),
        ("hello", "not JSON: expected a value at byte 0"),
        ("{", "not JSON: expected a property's name at byte 1"),
        (r#"{"a":1"#, "not JSON: expected `,` or `}` at byte 6"),
        (r#"{"a":1,}"#, "not JSON: expected a property's name at byte 7"),
        (r#"{"a" 1}"#, "not JSON: expected `:` at byte 5"),
        (r#"{"a":Nan}"#, "not JSON: expected a value at byte 5"),
        (r#"{"a":-x}"#, "not JSON: expected a digit at byte 6"),
        ("[1]", "it is JSON, but not an object: `record = \"/0\"` reads the first element of an array as the record"),
        (
            "12.5",
            "it is JSON, but not an object: `format = \"csv\"` with `columns` reads messages that are bare values",
        ),
        (r#""{}""#, "it is JSON, but not an object: it is a text; does its writer quote the object once more?"),
        ("null", "it is JSON, but not an object"),
        ("{}", "there is no property `timestamp`"),
        (
            r#"{"timestamp":5}"#,
            "the timestamp `5` is not a time of ISO 8601 such as `2004-03-10T18:00:00`: it does not begin with a date such as \
             `2004-03-10`",
        ),
        (
            r#"{"timestamp":null}"#,
            "the timestamp `null` is not a time of ISO 8601 such as `2004-03-10T18:00:00`: it does not begin with a date such \
             as `2004-03-10`",
        ),
        (
            r#"{"timestamp":"2004-03-10T18:00:00"}"#,
            "the timestamp `2004-03-10T18:00:00` has no offset from UTC such as `+01:00` or `Z`, and no `timezone` says whose \
             clock it is by",
        ),
        (r#"{"T":1,"T":2}"#, "the property `T` is there twice"),
        (
            r#"{"T":{}}"#,
            "the property `T` is an object, which no column can hold: where `fields` names what is wanted, others are passed over",
        ),
        (
            r#"{"T":[1]}"#,
            "the property `T` is an array, which no column can hold: where `fields` names what is wanted, others are passed over",
        ),
    ] {
        assert_eq!(rejected(&mut Decoder::new(options()), message.as_bytes()), reason, "{message}");
    }
    for message in
        [message(r#","timestamp":"2004-03-10T18:00:00Z""#), message("} {"), message(r#","quality":{},"quality":{}"#)]
    {
        rejected(&mut Decoder::new(options()), message.as_bytes());
    }
    assert_eq!(rejected(&mut Decoder::new(options()), b"{\"T\": \xff}"), "not UTF-8 at byte 6");
}

#[test]
fn known_properties_are_as_strict_as_unknown_ones() {
    let mut decoder = Decoder::new(DecoderOptions { key: Some("station".into()), ..options() });
    decoder.push(0, message(r#","station":"a","T":1"#).as_bytes()).expect("a record");
    for (rest, reason) in [
        (r#","T":1,"T":2"#, "the property `T` is there twice"),
        (r#","T":null,"T":null"#, "the property `T` is there twice"),
        (r#","station":"a","station":"b""#, "the property `station` is there twice"),
        (
            r#","T":[]"#,
            "the property `T` is an array, which no column can hold: where `fields` names what is wanted, others are passed over",
        ),
        (
            r#","station":{}"#,
            "the property `station` is an object, which no column can hold: a path such as `station.value` names what is in it",
        ),
    ] {
        assert_eq!(rejected(&mut decoder, message(rest).as_bytes()), reason);
    }
    assert_eq!(decoder.rows(), 1);
}

#[test]
fn a_new_property_is_a_new_field_and_waits_for_the_rows_before_it() {
    let mut decoder = Decoder::new(options());
    assert_eq!(decoder.push(0, message(r#","b":1"#).as_bytes()), Ok(Pushed::Row));
    let later = message(r#","a":2,"b":3"#);
    assert_eq!(decoder.push(1, later.as_bytes()), Ok(Pushed::Full));
    assert_eq!(decoder.push(1, later.as_bytes()), Ok(Pushed::Full), "nothing of it was kept");
    let first = decoder.take().expect("fits").expect("a row");
    assert_eq!((names(first.fields()), first.rows()), (vec!["b"], 1));
    assert_eq!(decoder.push(1, later.as_bytes()), Ok(Pushed::Row));
    assert_eq!(decoder.push(2, message("").as_bytes()), Ok(Pushed::Row), "what is absent is missing");
    let second = decoder.take().expect("fits").expect("rows");
    assert_eq!(names(second.fields()), ["b", "a"]);
    assert_eq!(second.source_offsets(), [1, 2]);
    let b = second.numbers(0).expect("numbers");
    assert_eq!((b.get(0), b.get(1), b.quality_at(1)), (Some(3.0), None, CellQuality::MISSING));
}

#[test]
fn the_first_value_decides_the_kind_unless_a_stage_measures_the_field() {
    let options = DecoderOptions { numeric: Arc::new(BTreeSet::from(["m".to_owned()])), ..options() };
    let messages = [
        message(r#","n":1,"s":"x","m":"?","u":null,"b":true"#),
        message(r#","n":"x","s":1.50,"m":2,"u":7,"b":false"#),
        message(r#","n":true,"s":null,"m":1e999,"u":"x","b":null"#),
    ];
    let read = decode(&mut Decoder::new(options), &messages);
    assert_eq!(read.len(), 1);
    let kinds: Vec<Kind> = read[0].fields().list.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Text, Kind::Number, Kind::Number, Kind::Text]);
    assert_eq!(texts(read[0].column(1)), [Some("x"), Some("1.50"), None]);
    assert_eq!(texts(read[0].column(4)), [Some("true"), Some("false"), None]);
    for (index, row) in [(0, 1), (0, 2), (2, 0), (2, 2), (3, 2)] {
        let numbers = read[0].numbers(index).expect("numbers");
        assert_eq!(
            (numbers.get(row), numbers.quality_at(row)),
            (None, CellQuality::UNREADABLE),
            "field {index} row {row}"
        );
    }
}

#[test]
fn a_field_of_nulls_becomes_text_when_a_text_comes() {
    let read = decode(&mut Decoder::new(options()), &[message(r#","note":null"#), message(r#","note":"x""#)]);
    let kinds: Vec<Kind> = read.iter().map(|batch| batch.fields().list[0].kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Text]);
}

#[test]
fn known_fields_survive_a_restart_in_their_order_and_kind() {
    let mut before = Decoder::new(options());
    decode(
        &mut before,
        &[message(r#","b":1,"a":"x","n":null,"h":5,"quality":{"flags":"2292","derived":["h"],"score":1}"#)],
    );
    let declared = Fields { list: vec![Field::number("z"), Field::number("a")], open: true, ..Fields::default() };
    let mut after = Decoder::new(DecoderOptions { declared: Some(declared), ..options() });
    after.restore(&before.snapshot_state()).expect("readable");
    assert_eq!(names(&after.fields()), ["z", "a", "b", "n", "h"]);
    assert_eq!(after.fields().get("a").map(|field| field.kind), Some(Kind::Number), "what is declared wins");
    assert!(after.fields().get("h").is_some_and(|field| field.derived));
    let read = decode(&mut after, &[message(r#","n":"text""#)]);
    assert_eq!(read[0].fields().get("n").map(|field| field.kind), Some(Kind::Text), "not decided before");
    assert!(read[0].score().is_some_and(|score| score.is_null(0)));
    let saved = before.snapshot_state();
    for length in 1..saved.len() {
        assert!(Decoder::new(options()).restore(&saved[..length]).is_err(), "{length} of {} bytes", saved.len());
    }
    assert!(Decoder::new(options()).restore(b"\xff nonsense").is_err());
}

#[test]
fn the_timestamp_and_the_key_may_have_other_names() {
    let options = DecoderOptions { timestamp: vec!["at".into()], key: Some("id".into()), keep_raw: true, ..options() };
    let message = r#"{"id":17,"at":"2004-03-10 18:00:00+01:00","v":0.1}"#;
    let mut decoder = Decoder::new(options);
    let read = &decode(&mut decoder, &[message])[0];
    assert_eq!(read.key().map(|key| key.value(0)), Some("17"));
    assert_eq!((read.time()[0], read.utc_offset()[0]), (1_078_938_000_000_000, 60));
    assert_eq!(read.raw(0), Some(message.as_bytes()));
    // What has the name of a column is a field like any other: whoever writes it has to find it another name.
    assert_eq!(decoder.push(1, br#"{"at":"2004-03-10T18:00:00Z","timestamp":1,"quality_score":2}"#), Ok(Pushed::Row));
    let batch = decoder.take().expect("takes").expect("a row");
    assert_eq!(batch.fields().names().collect::<Vec<_>>(), ["v", "timestamp", "quality_score"]);
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    crate::codec::json::Encoder::new(Arc::default())
        .encode(&batch, &mut out, &mut ends)
        .expect("no name ends anything");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(
        text.starts_with(
            r#"{"timestamp":"2004-03-10T18:00:00Z","id":null,"v":null,"timestamp_":1.0,"quality_score":2.0,"#
        ),
        "{text}"
    );
}

#[test]
fn property_names_without_end_do_not_become_columns_without_end() {
    let mut decoder = Decoder::new(options());
    let many: String = (0..2_000).map(|i| format!(",\"f{i}\":1")).collect();
    decoder.push(0, message(&many).as_bytes()).expect("within the bound");
    let reason = rejected(&mut decoder, message(r#","more":1"#).as_bytes());
    assert_eq!(reason, "the property `more` would be a field beyond the first 2000");
}

#[test]
fn rows_of_many_bytes_are_taken_before_there_are_too_many() {
    let mut decoder = Decoder::new(options());
    let large = message(&format!(r#","note":"{}""#, "x".repeat(40 << 20)));
    assert_eq!(decoder.push(0, large.as_bytes()), Ok(Pushed::Row));
    assert_eq!(decoder.push(1, large.as_bytes()), Ok(Pushed::Full));
}

#[test]
fn a_cell_that_older_messages_call_not_a_number_fails_the_syntax_test() {
    let messages = [message(r#","m":null,"quality":{"flags":"9","tests":{"m":["not_a_number"]}}"#)];
    let read = decode(
        &mut Decoder::new(DecoderOptions { numeric: Arc::new(BTreeSet::from(["m".to_owned()])), ..options() }),
        &messages,
    );
    let numbers = read[0].numbers(0).expect("numbers");
    assert_eq!((numbers.get(0), numbers.quality_at(0)), (None, CellQuality::UNREADABLE));
}

#[test]
fn a_key_is_what_stands_there_also_a_word_for_no_value() {
    let mut decoder = Decoder::new(DecoderOptions { key: Some("station".into()), ..options() });
    let records = [r#""NA""#, r#""-""#, "-999", r#""null""#, "null"]
        .map(|key| format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","station":{key},"a":1}}"#));
    let batch = decode(&mut decoder, &records.each_ref().map(String::as_str)).remove(0);
    let keys: Vec<_> = batch.key().expect("keys").iter().collect();
    assert_eq!(keys, [Some("NA"), Some("-"), Some("-999"), Some("null"), None]);
}

#[test]
fn a_whole_number_that_a_float_does_not_hold_is_a_code() {
    let mut decoder = Decoder::new(options());
    let record =
        r#"{"timestamp":"2004-03-10T18:00:00Z","a":9007199254740993,"b":9007199254740992,"c":9007199254740993.0}"#;
    let batch = decode(&mut decoder, &[record]).remove(0);
    assert!(matches!(batch.column(0), Column::Text(texts) if texts.value(0) == "9007199254740993"));
    assert!([1, 2].iter().all(|index| matches!(batch.column(*index), Column::Number(_))));
}

#[test]
fn a_word_for_no_value_decides_no_kind_and_numbers_in_a_field_of_text_are_told() {
    let mut decoder = Decoder::new(options());
    let records = [
        r#"{"timestamp":"2004-03-10T18:00:00Z","a":"NaN","b":"offline","c":"007","d":"7"}"#,
        r#"{"timestamp":"2004-03-10T19:00:00Z","a":2.5,"b":1.5,"c":"008","d":"off"}"#,
        r#"{"timestamp":"2004-03-10T20:00:00Z","a":"NA","b":"NA","c":null,"d":"8"}"#,
    ];
    let batch = decode(&mut decoder, &records).remove(0);
    let a = batch.numbers(0).expect("numbers");
    assert_eq!((0..3).map(|row| a.get(row)).collect::<Vec<_>>(), [None, Some(2.5), None]);
    assert_eq!(a.quality_at(2), CellQuality::MISSING, "no value, and nothing that cannot be read");
    let told: Vec<_> = decoder.numbers_as_text();
    let told: Vec<_> =
        told.iter().map(|(index, cells)| (*index, cells.count, cells.first, &cells.texts[0][..])).collect();
    assert_eq!(told, [(1, 1, 1, &b"1.5"[..]), (3, 2, 0, &b"7"[..])]);
    assert!(decoder.numbers_as_text().is_empty());
}

#[test]
fn a_sample_decides_kinds_of_known_and_of_new_fields_and_leaves_nothing_behind() {
    let mut decoder = Decoder::new(options());
    let records = [
        r#"{"timestamp":"2004-03-10T18:00:00Z","a":"offline","b":1,"c":"NA","d":true,"e":7}"#,
        "not json",
        r#"{"timestamp":"never","a":2.5,"b":"low","c":2}"#,
        r#"{"timestamp":"2004-03-10T20:00:00Z","a":3.5,"b":"high","c":null,"e":9007199254740993}"#,
    ];
    let mut sample = KindSample::default();
    for (place, record) in records.iter().enumerate() {
        decoder.sample(record.as_bytes(), &format!("t/0@{place}"), &mut sample);
    }
    assert_eq!((decoder.rows(), decoder.fields().list.len(), decoder.passed_over().values), (0, 0, 0));
    let texts: Vec<String> = decoder.decide_kinds(sample).into_iter().map(|(_, said)| said).collect();
    let said = ["`b` is text: `low` at t/0@2 is a text", "`d` is text: `true` at t/0@0 is a text"];
    assert_eq!(texts, [&said[..], &["`e` is text: `9007199254740993` at t/0@3 is a code and no number"]].concat());
    let batches = decode(&mut decoder, &[records[0], records[3]]);
    let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
    let kinds: Vec<Kind> = batch.fields().list.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Text, Kind::Number, Kind::Text, Kind::Text]);
    let a = batch.numbers(0).expect("numbers");
    assert_eq!((a.get(0), a.quality_at(0), a.get(1)), (None, CellQuality::UNREADABLE, Some(3.5)));
}

#[test]
fn what_writers_put_before_their_json_is_passed_over() {
    let mut decoder = Decoder::new(options());
    let marked = format!("\u{feff}{}", message(r#","T":1.5"#));
    let framed = [b"\0\0\0\x01\x02", message(r#","T":2"#).as_bytes()].concat();
    let batch = decode(&mut decoder, &[marked.as_bytes(), &framed]).remove(0);
    assert_eq!(batch.numbers(0).and_then(|numbers| numbers.get(1)), Some(2.0));
    assert!(rejected(&mut decoder, b"\0\0\0\x01\x02\x08abc").contains("Avro"));
    assert_eq!(names(batch.fields()), ["T"]);
    assert_eq!(rejected(&mut decoder, b"\xef\xbb"), "not UTF-8 at byte 0");
}

#[test]
fn what_a_sample_has_decided_of_fields_to_come_outlives_a_restart() {
    let mut decoder = Decoder::new(options());
    let mut sample = KindSample::default();
    let records =
        [message(r#","a":1"#), message(r#","site":8"#), message(r#","site":"A7""#), message(r#","site":"B1""#)];
    records.iter().for_each(|record| decoder.sample(record.as_bytes(), "t/0@1", &mut sample));
    let _ = decoder.decide_kinds(sample);
    assert_eq!(decode(&mut decoder, &records[..1]).len(), 1);
    let mut later = Decoder::new(options());
    later.restore(&decoder.snapshot_state()).expect("restores");
    let batch = decode(&mut later, &records[1..]).remove(0);
    let site = batch.fields().index("site").expect("a field");
    assert_eq!(texts(batch.column(site)), [Some("8"), Some("A7"), Some("B1")]);
    assert!(later.restore(&[101, 9]).is_err());
}
