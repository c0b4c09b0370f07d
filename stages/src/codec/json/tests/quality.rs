//! Marks on the wire.

use std::sync::Arc;

use aqpipe_engine::record::{
    Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance, QcTests,
};

use super::super::{Decoder, SCORE};
use super::{decode, encode, options};

fn with_quality() -> (Batch, Arc<QcTests>) {
    let tests = Arc::new(QcTests::default());
    let range = tests.bit("gross_range");
    let quality = [
        (2.6, CellQuality::OBSERVED.checked(Flag::Good, range)),
        (1000.5, CellQuality::OBSERVED.checked(Flag::Fail, range)),
        (13.6, CellQuality::MISSING.filled(Provenance::ForwardFill, 2)),
        (18.0, CellQuality::DERIVED),
    ];
    let columns = quality.map(|(value, quality)| {
        Column::Number(Numbers { values: vec![value].into(), quality: vec![quality.0].into() })
    });
    let mut fields = Fields { key: Some("station".into()), score: Some(SCORE.into()), ..Fields::default() };
    fields.list = ["CO(GT)", "NOx(GT)", "T"].map(Field::number).to_vec();
    fields.list.push(Field { derived: true, ..Field::number("hour") });
    fields.list.push(Field::text("note"));
    let batch = Batch::new(BatchParts {
        fields: Arc::new(fields),
        time: vec![1_078_938_000_000_000].into(),
        utc_offset: vec![60].into(),
        key: Some(vec!["uci"].into()),
        columns: columns.into_iter().chain([Column::Text(vec![None::<&str>].into())]).collect(),
        score: Some(vec![0.98].into()),
        source_offsets: vec![0].into(),
        raw: None,
    });
    (batch.expect("fits"), tests)
}

#[test]
fn a_record_looks_as_documented() {
    let (batch, tests) = with_quality();
    insta::assert_snapshot!(String::from_utf8_lossy(&encode(&batch, &tests)[0]), @r#"{"timestamp":"2004-03-10T18:00:00+01:00","station":"uci","CO(GT)":2.6,"NOx(GT)":1000.5,"T":13.6,"hour":18,"note":null,"quality":{"score":0.98,"flags":"14229","derived":["hour"],"tests":{"NOx(GT)":["gross_range"]},"fills":{"T":"forward_fill(2)"}}}"#);
}

#[test]
fn a_reader_that_knows_nothing_finds_fields_kinds_and_marks() {
    let (batch, tests) = with_quality();
    let mut decoder = Decoder::new(super::DecoderOptions { key: Some("station".into()), ..options() });
    let read = &decode(&mut decoder, &encode(&batch, &tests))[0];
    assert!(read.fields().get("hour").is_some_and(|field| field.derived));
    assert!(read.fields().get("T").is_some_and(|field| !field.derived));
    assert_eq!(read.fields().score.as_deref(), Some(SCORE));
    let quality = |index: usize| read.numbers(index).expect("a number").quality_at(0);
    assert_eq!((quality(0).flag(), quality(1).flag(), quality(1).tests()), (Flag::Good, Flag::Fail, 0b10));
    assert_eq!((quality(2).provenance(), quality(2).distance()), (Provenance::ForwardFill, 2));
    assert_eq!(quality(3), CellQuality::DERIVED);
    assert_eq!(quality(4), CellQuality::MISSING, "a field of nulls is one of numbers until a text comes");
}

#[test]
fn marks_that_do_not_fit_are_ignored_and_counted_and_the_values_stay() {
    for quality in [
        r#"{"flags":"1"}"#,
        r#"{"flags":"111"}"#,
        r#"{"flags":"15"}"#,
        r#"{"flags":12}"#,
        r#"{"flags":"11","fills":{"T":"guess"}}"#,
        r#"{"flags":"11","fills":{"X":"median"}}"#,
        r#"{"flags":"11","tests":{"T":[1]}}"#,
        r#"{"flags":"11","derived":[1]}"#,
        r#"{"flags":"11","score":1.5}"#,
        r#"{"fills":{"T":"median"}}"#,
        r#""good""#,
        "[1]",
    ] {
        let message = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","T":1,"RH":2,"quality":{quality}}}"#);
        let mut decoder = Decoder::new(options());
        let read = &decode(&mut decoder, &[message])[0];
        assert_eq!(decoder.quality_ignored(), 1, "{quality}");
        assert_eq!(decoder.quality_ignored(), 0, "counted once");
        let numbers = read.numbers(0).expect("a number");
        assert_eq!((numbers.get(0), numbers.quality_at(0)), (Some(1.0), CellQuality::OBSERVED), "{quality}");
        assert!(read.score().is_none(), "{quality}");
    }
}

#[test]
fn marks_are_read_wherever_quality_stands_and_whatever_else_it_holds() {
    for message in [
        r#"{"quality":{"flags":"13","tests":{"T":["spike"]},"fills":{"RH":"median"}},"timestamp":"2004-03-10T18:00:00Z","RH":1,"T":2}"#,
        r#"{ "RH" : 1, "T" : 2, "quality" : { "by" : [{}], "fills" : {"RH": "median"}, "tests": { "T" : [ "spike" ] }, "flags" : "13" } , "timestamp" : "2004-03-10T18:00:00Z" }"#,
    ] {
        let mut decoder = Decoder::new(options());
        let read = &decode(&mut decoder, &[message])[0];
        assert_eq!(decoder.quality_ignored(), 0);
        let quality = |index: usize| read.numbers(index).expect("a number").quality_at(0);
        assert_eq!((quality(0).flag(), quality(0).provenance()), (Flag::Good, Provenance::Median));
        assert_eq!((quality(1).flag(), quality(1).tests()), (Flag::Suspect, 0b10));
    }
}

#[test]
fn a_gap_never_counts_as_a_measurement() {
    let message = r#"{"timestamp":"2004-03-10T18:00:00Z","T":null,"RH":2.5,"quality":{"flags":"19"}}"#;
    let read = &decode(&mut Decoder::new(options()), &[message])[0];
    assert_eq!(read.numbers(0).map(|numbers| numbers.quality_at(0).flag()), Some(Flag::Missing));
    assert_eq!(read.numbers(1).map(|numbers| numbers.quality_at(0).flag()), Some(Flag::Unknown));
}

#[test]
fn computed_fields_stay_computed_for_records_that_do_not_say_so() {
    let quality = [r#","quality":{"flags":"22","derived":["hour"]}"#, "", r#","quality":{"flags":"22"}"#];
    let messages = quality.map(|quality| format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","T":1,"hour":2{quality}}}"#));
    let read = decode(&mut Decoder::new(options()), &messages);
    assert_eq!(read.len(), 1, "the layout did not change");
    assert!(read[0].fields().get("hour").is_some_and(|field| field.derived));
    let quality = &read[0].numbers(1).expect("a number").quality;
    assert_eq!(**quality, [CellQuality::DERIVED.0, CellQuality::OBSERVED.0, CellQuality::OBSERVED.0]);
}
