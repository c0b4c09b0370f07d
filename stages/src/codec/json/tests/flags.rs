//! The publisher's verdict, from properties of the record.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::record::{Batch, CellQuality, Field, Fields, Flag, QcTests};
use serde_json::json;

use super::super::{Decoder, Others};
use super::{DecoderOptions, decode, names, options};
use crate::reading::{FlagOptions, SOURCE_TEST};

const TIME: &str = r#""timestamp":"2004-03-10T18:00:00Z""#;

fn judged(flags: serde_json::Value, fields: &[Field]) -> DecoderOptions {
    let flags: BTreeMap<String, FlagOptions> = serde_json::from_value(flags).expect("flags");
    let tests = Arc::new(QcTests::default());
    let source_test = tests.bit(SOURCE_TEST);
    let declared = (!fields.is_empty()).then(|| Fields { list: fields.to_vec(), ..Fields::default() });
    let others = if fields.is_empty() { Others::Asked } else { Others::Welcome };
    DecoderOptions { flags, tests, source_test, declared, others, ..options() }
}

fn no2() -> serde_json::Value {
    json!({ "NO2": { "column": "code", "good": [1], "suspect": ["?"], "fail": [-1], "missing": [-99] } })
}

fn cell(batch: &Batch, name: &str, row: usize) -> (Option<f64>, CellQuality) {
    let numbers = batch.numbers(batch.fields().index(name).expect("a field")).expect("numbers");
    (numbers.get(row), numbers.quality_at(row))
}

#[test]
fn a_code_is_a_verdict_wherever_it_stands_and_its_property_is_no_field() {
    let mut decoder = Decoder::new(judged(no2(), &[Field::number("NO2")]));
    let messages = [
        r#""NO2":31,"code":1"#,
        r#""code":"-1","NO2":310"#,
        r#""NO2":-9999,"code":-99.0"#,
        r#""NO2":33,"code":" ? ""#,
        r#""NO2":34,"code":7"#,
        r#""NO2":35,"code":null"#,
        r#""NO2":36"#,
        r#""NO2":"ERR","code":1"#,
        r#""NO2":null,"code":1"#,
    ]
    .map(|rest| format!("{{{TIME},{rest}}}"));
    let batch = decode(&mut decoder, &messages).remove(0);
    assert_eq!(names(batch.fields()), ["NO2"]);
    let found: Vec<_> =
        (0..9).map(|row| cell(&batch, "NO2", row)).map(|(value, quality)| (value, quality.flag())).collect();
    assert_eq!(
        found,
        [
            (Some(31.0), Flag::Good),
            (Some(310.0), Flag::Fail),
            (None, Flag::Missing),
            (Some(33.0), Flag::Suspect),
            (Some(34.0), Flag::Unknown),
            (Some(35.0), Flag::Unknown),
            (Some(36.0), Flag::Unknown),
            (None, Flag::Fail),
            (None, Flag::Missing),
        ]
    );
    let (unreadable, unlisted) = decoder.problem_cells();
    assert_eq!(unreadable.take().into_iter().map(|(_, cells)| cells.count).collect::<Vec<_>>(), [1]);
    let unlisted = unlisted.take();
    assert_eq!((unlisted.len(), unlisted[0].1.count, &*unlisted[0].1.texts[0]), (1, 1, &b"7"[..]));
}

#[test]
fn a_code_may_lie_inside_of_an_object_be_a_field_and_hold_for_several() {
    let flags = json!({
        "a": { "column": "q.code", "missing": ["x"] },
        "b": { "column": "/q/code", "missing": ["x", "y"] },
        "c": { "column": "word", "missing": ["no"] },
    });
    let fields = [Field::number("a"), Field::number("b"), Field::text("word"), Field::number("c")];
    let mut decoder = Decoder::new(judged(flags, &fields));
    let messages = [r#""a":1,"b":2,"c":3,"q":{"code":"x"}"#, r#""q":{"code":"y"},"word":"no","a":1,"b":2,"c":3"#]
        .map(|rest| format!("{{{TIME},{rest}}}"));
    let batch = decode(&mut decoder, &messages).remove(0);
    assert_eq!(names(batch.fields()), ["a", "b", "word", "c"]);
    let values = |name: &str| [0, 1].map(|row| cell(&batch, name, row).0);
    assert_eq!((values("a"), values("b"), values("c")), ([None, Some(1.0)], [None, None], [Some(3.0), None]));
    assert_eq!(decoder.passed_over().values, 0);
}

#[test]
fn without_fields_a_judged_field_is_a_measurement_and_its_code_no_field() {
    let mut decoder = Decoder::new(judged(no2(), &[]));
    let batch = decode(&mut decoder, &[format!(r#"{{{TIME},"code":-1,"NO2":"31,","T":1}}"#)]).remove(0);
    assert_eq!(names(batch.fields()), ["NO2", "T"]);
    assert_eq!(cell(&batch, "NO2", 0).1.flag(), Flag::Fail);
    let again = decode(&mut decoder, &[format!(r#"{{{TIME},"NO2":"31","code":-1}}"#)]).remove(0);
    assert_eq!((cell(&again, "NO2", 0).0, cell(&again, "NO2", 0).1.flag()), (Some(31.0), Flag::Fail));
}

#[test]
fn marks_of_our_own_messages_count_the_property_with_the_codes() {
    let options = judged(no2(), &[Field::number("NO2"), Field::number("T")]);
    let range = 1 << options.tests.bit("gross_range");
    let source = 1 << options.source_test;
    let own = |code: i32| {
        format!(
            r#"{{{TIME},"NO2":31,"code":{code},"T":4,"quality":{{"flags":"144","tests":{{"T":["gross_range"],"code":["spike"]}}}}}}"#
        )
    };
    let mut decoder = Decoder::new(options);
    let batch = decode(&mut decoder, &[own(1), own(-1)]).remove(0);
    assert_eq!(decoder.quality_ignored(), 0);
    let quality = |name: &str, row: usize| cell(&batch, name, row).1;
    assert_eq!((quality("T", 0).flag(), quality("T", 0).tests() & range), (Flag::Fail, range));
    assert_eq!((quality("NO2", 0).flag(), quality("NO2", 1).flag()), (Flag::Good, Flag::Fail));
    assert_eq!(quality("NO2", 1).tests() & source, source);
}

#[test]
fn a_foreign_quality_may_be_the_code() {
    for (column, message) in [
        ("quality", r#""NO2":-9999,"quality":-99"#),
        ("quality.code", r#""quality":{"code":-99},"NO2":-9999"#),
        ("/quality/0", r#""NO2":-9999,"quality":["-99"]"#),
    ] {
        let flags = json!({ "NO2": { "column": column, "missing": [-99] } });
        let mut decoder = Decoder::new(judged(flags, &[Field::number("NO2")]));
        let batch = decode(&mut decoder, &[format!("{{{TIME},{message}}}")]).remove(0);
        assert_eq!(cell(&batch, "NO2", 0), (None, CellQuality::MISSING), "{column}");
        assert_eq!((decoder.quality_ignored(), decoder.passed_over().values), (0, 0));
    }
}

#[test]
fn a_property_of_codes_that_no_record_has_is_told_once_with_the_one_that_may_be_meant() {
    let mut decoder = Decoder::new(judged(no2(), &[Field::number("NO2")]));
    let told = |decoder: &mut Decoder, count: usize| {
        let messages = vec![format!(r#"{{{TIME},"NO2":31,"cody":1}}"#); count];
        let batch = decode(decoder, &messages).remove(0);
        decoder.absent_codes(&batch)
    };
    assert_eq!(told(&mut decoder, 999), None, "not enough yet");
    let said = told(&mut decoder, 1).expect("something to say");
    assert!(said.contains("`code` (is `cody` meant?)") && said.contains("unjudged"), "{said}");
    assert_eq!(told(&mut decoder, 1_000), None, "said once");
}
