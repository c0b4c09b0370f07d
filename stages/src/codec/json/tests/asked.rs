//! What was asked for, and what nobody asked for.

use aqpipe_engine::record::{Batch, CellQuality, Field, Fields, Flag};
use proptest::prelude::*;

use super::super::{Decoder, Others, PassedOver};
use super::{DecoderOptions, decode, names, options, rejected};

const TIME: &str = r#""timestamp":"2004-03-10T18:00:00Z""#;

fn asking(fields: &[&str], others: Others) -> DecoderOptions {
    let list = fields.iter().map(|name| Field::number(name)).collect();
    DecoderOptions { declared: Some(Fields { list, ..Fields::default() }), others, ..options() }
}

fn message(rest: &str) -> String {
    format!("{{{TIME}{rest}}}")
}

fn values(batch: &Batch, name: &str) -> Vec<Option<f64>> {
    let numbers = batch.numbers(batch.fields().index(name).expect("a field")).expect("numbers");
    (0..batch.rows()).map(|row| numbers.get(row)).collect()
}

#[test]
fn what_nobody_asked_for_never_fails_a_record_and_is_counted_and_named_once() {
    let mut decoder = Decoder::new(asking(&["pm25"], Others::Welcome));
    let messages = [
        message(r#","pm25":12.1,"coordinates":{"latitude":50.1},"mobile":false"#),
        message(r#","pm25":12.4,"unit":"x","tags":["x"],"rh":1"#),
        message(r#","rh":2,"rh":3,"unit":{},"pm25":12.6,"coordinates":null,"new":1,"new":{}"#),
    ];
    let read = decode(&mut decoder, &messages);
    assert_eq!(read.iter().flat_map(|batch| values(batch, "pm25")).collect::<Vec<_>>(), [12.1, 12.4, 12.6].map(Some));
    let last = read.last().expect("a batch");
    assert_eq!(names(last.fields()), ["pm25", "mobile", "unit", "rh", "coordinates", "new"]);
    assert_eq!((values(last, "rh"), values(last, "new")), (vec![Some(2.0)], vec![Some(1.0)]), "the first one counts");
    let PassedOver { values, names } = decoder.passed_over();
    assert_eq!(values, 5);
    assert_eq!(
        names,
        [
            "`coordinates` (an object)",
            "`tags` (an array)",
            "`rh` (once more)",
            "`unit` (an object)",
            "`new` (an object)"
        ]
    );
    decode(&mut decoder, &messages[..1]);
    assert_eq!(decoder.passed_over(), PassedOver { values: 1, names: Vec::new() });
}

#[test]
fn what_was_asked_for_is_as_strict_as_ever() {
    let mut decoder = Decoder::new(asking(&["a", "b"], Others::Welcome));
    for (rest, reason) in [
        (r#","a":1,"a":2"#, "the property `a` is there twice"),
        (r#","a":{"value":1}"#, "a path such as `a.value` names what is in it"),
        (r#","b":[1]"#, "a path such as `b.0` names what is in it"),
        (r#","x":{"a":}"#, "not JSON"),
        (r#","x":[1"#, "not JSON"),
    ] {
        let found = rejected(&mut decoder, message(rest).as_bytes());
        assert!(found.contains(reason), "{found}");
    }
    assert_eq!(decoder.passed_over().values, 0, "what is no row passes nothing over");
}

#[test]
fn more_names_than_columns_may_have_are_passed_over() {
    let mut decoder = Decoder::new(asking(&["pm25"], Others::Welcome));
    let many: String = (0..2_500).map(|i| format!(",\"f{i}\":1")).collect();
    let read = decode(&mut decoder, &[message(&format!(r#"{many},"pm25":7"#))]);
    assert_eq!((read[0].fields().list.len(), values(&read[0], "pm25")), (2_000, vec![Some(7.0)]));
    let PassedOver { values, names } = decoder.passed_over();
    assert_eq!((values, names.len()), (501, 100));
}

#[test]
fn ignored_properties_are_no_fields_and_marks_are_understood_all_the_same() {
    let quality = r#""quality":{"flags":"24312","derived":["hour"],"tests":{"x":["spike"],"T":["range"]}}"#;
    let messages = [
        message(&format!(r#","x":1,"T":4,"y":"z","RH":5,"hour":3,{quality}"#)),
        message(r#","x":{"T":9},"x":[],"T":6"#),
    ];
    let mut decoder = Decoder::new(asking(&["T", "RH"], Others::Ignored));
    let read = decode(&mut decoder, &messages);
    assert_eq!((read.len(), names(read[0].fields())), (1, vec!["T", "RH"]));
    assert_eq!(values(&read[0], "T"), [Some(4.0), Some(6.0)]);
    let quality = |index: usize| read[0].numbers(index).expect("numbers").quality_at(0);
    assert_eq!((quality(0).flag(), quality(1).flag()), (Flag::Fail, Flag::Good));
    assert_eq!((decoder.quality_ignored(), decoder.passed_over()), (0, PassedOver::default()));
    // Fields that an earlier run has met are not asked for either.
    let mut before = Decoder::new(asking(&["T", "RH"], Others::Welcome));
    decode(&mut before, &messages[..1]);
    decoder.restore(&before.snapshot_state()).expect("readable");
    assert_eq!(names(&decoder.fields()), ["T", "RH"]);
}

#[test]
fn numbers_that_are_none_are_missing_and_the_rest_of_the_record_is_read() {
    let words = ["NaN", "Infinity", "-Infinity", "nan", "-inf", "null"];
    let messages = words.map(|word| message(&format!(r#","CO(GT)": {word}, "T": -2.5,"n":[{word}],"note":{word}"#)));
    let mut options = asking(&["CO(GT)", "T"], Others::Welcome);
    options.declared.as_mut().expect("declared").list.push(Field::text("note"));
    let read = decode(&mut Decoder::new(options), &messages);
    assert_eq!(values(&read[0], "CO(GT)"), [None; 6]);
    assert_eq!(values(&read[0], "T"), [Some(-2.5); 6]);
    let numbers = read[0].numbers(0).expect("numbers");
    assert!((0..6).all(|row| numbers.quality_at(row) == CellQuality::MISSING));
}

fn json() -> impl Strategy<Value = String> {
    let word = prop_oneof!["null", "true", "NaN", "-Infinity", r#""[a-z.]{0,3}""#, "-?[1-9][0-9]{0,3}(\\.[0-9]{1,3})?"];
    word.prop_recursive(3, 16, 4, |inner| {
        let members = prop::collection::btree_map("[a-c.]{1,3}", inner.clone(), 0..4);
        let object = |members: std::collections::BTreeMap<String, String>| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        prop_oneof![
            members.prop_map(object),
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(",")))
        ]
    })
}

proptest! {
    #[test]
    fn no_value_is_read_that_is_not_in_the_message(extra in json(), value in json(), fields in prop::collection::btree_set("[a-c.]{1,4}", 1..4)) {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let text = message(&format!(r#","extra":{extra},"a":{value}"#));
        let mut decoder = Decoder::new(asking(&fields, Others::Welcome));
        if decoder.push(0, text.as_bytes()).is_ok() {
            let batch = decoder.take().expect("fits").expect("a row");
            for name in &fields {
                if let [Some(number)] = values(&batch, name)[..] {
                    let is_there = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
                        .any(|part| part.parse::<f64>() == Ok(number));
                    prop_assert!(is_there, "{name} = {number} of {text}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_asked_for_changes_nothing_of_what_was(extra in json(), more in json()) {
        let plain = message(r#","pm25":1.5,"deep":{"value":2}"#);
        let with = message(&format!(r#","x":{extra},"pm25":1.5,"deep":{{"x":{more},"value":2}},"y":{more}"#));
        for others in [Others::Welcome, Others::Ignored] {
            let read = decode(&mut Decoder::new(asking(&["pm25", "deep.value"], others)), &[&plain, &with]);
            let of = |name: &str| read.iter().flat_map(|batch| values(batch, name)).collect::<Vec<_>>();
            prop_assert_eq!((of("pm25"), of("deep.value")), (vec![Some(1.5); 2], vec![Some(2.0); 2]));
        }
    }
}
