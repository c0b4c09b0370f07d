//! Values inside of objects, other names, and records inside of messages.

use std::collections::BTreeMap;

use aqpipe_engine::record::{Batch, Field, Fields};

use super::super::{Decoder, Others, Pushed};
use super::{DecoderOptions, decode, names, options, rejected};

const TELEGRAF: &str = r#"{"fields":{"pm25":12.1,"rh":48},"name":"aq","tags":{"station":"north","owner":"lab"},"timestamp":"2024-03-31T00:00:00Z"}"#;

fn asking(fields: &[&str], key: Option<&str>) -> DecoderOptions {
    let list = fields.iter().map(|name| Field::number(name)).collect();
    let declared = Some(Fields { list, ..Fields::default() });
    DecoderOptions { declared, key: key.map(Into::into), others: Others::Welcome, ..options() }
}

fn renamed(options: DecoderOptions, rename: &[(&str, &str)]) -> DecoderOptions {
    let rename = rename.iter().map(|(name, meant)| ((*name).to_owned(), (*meant).to_owned()));
    DecoderOptions { rename: rename.collect::<BTreeMap<_, _>>(), ..options }
}

fn value(batch: &Batch, name: &str) -> Option<f64> {
    batch.numbers(batch.fields().index(name).expect("a field")).expect("numbers").get(0)
}

fn read(options: DecoderOptions, message: &str) -> Batch {
    decode(&mut Decoder::new(options), &[message]).remove(0)
}

#[test]
fn a_name_with_dots_or_a_pointer_is_a_path_into_objects() {
    for (pm25, rh, station) in [
        ("fields.pm25", "fields.rh", "tags.station"),
        ("/fields/pm25", "fields.rh", "/tags/station"),
        ("fields.pm25", "/fields/rh", "tags.station"),
    ] {
        let mut decoder = Decoder::new(asking(&[pm25, rh], Some(station)));
        let batch = decode(&mut decoder, &[TELEGRAF]).remove(0);
        assert_eq!((value(&batch, pm25), value(&batch, rh)), (Some(12.1), Some(48.0)));
        assert_eq!(batch.key().map(|key| key.value(0)), Some("north"));
        assert_eq!(batch.fields().key.as_deref(), Some(station));
        assert_eq!(names(batch.fields()), [pm25, rh, "name"]);
        assert_eq!(decoder.passed_over().names, ["`tags.owner` (a value)"]);
    }
}

#[test]
fn a_name_is_taken_literally_first_wherever_it_stands() {
    for (message, expected) in [
        (r#""a.b":1,"a":{"b":2}"#, Some(1.0)),
        (r#""a":{"b":2},"a.b":1"#, Some(1.0)),
        (r#""a":{"b":2}"#, Some(2.0)),
        (r#""a.b":null,"a":{"b":2}"#, None),
        (r#""a":5"#, None),
        (r#""a":[{"b":2}]"#, None),
        (r#""a":{"c":{"b":2}}"#, None),
    ] {
        let message = format!(r#"{{{message},"timestamp":"2024-03-31T00:00:00Z"}}"#);
        assert_eq!(value(&read(asking(&["a.b"], None), &message), "a.b"), expected, "{message}");
    }
    let own = r#"{"timestamp":"2024-03-31T00:00:00Z","PT08.S1(CO)":1360.0,"quality":{"flags":"3"}}"#;
    let mut decoder = Decoder::new(asking(&["PT08.S1(CO)"], None));
    assert_eq!(value(&decode(&mut decoder, &[own])[0], "PT08.S1(CO)"), Some(1360.0));
    assert_eq!(decoder.quality_ignored(), 0);
}

#[test]
fn paths_go_through_names_with_dots_and_through_arrays() {
    let message =
        r#"{"timestamp":"2024-03-31T00:00:00Z","s":{"PT08.S1(CO)":{"v":1},"a/b":2,"~":3},"list":[{"v":4},[5,6]]}"#;
    let paths = ["s.PT08.S1(CO).v", "/s/a~1b", "/s/~0", "/list/0/v", "list.1.1"];
    let batch = read(asking(&paths, None), message);
    assert_eq!(paths.map(|path| value(&batch, path)), [1.0, 2.0, 3.0, 4.0, 6.0].map(Some));
}

#[test]
fn the_same_path_twice_is_rejected_and_deep_ones_end_before_the_stack() {
    let mut decoder = Decoder::new(asking(&["a.b"], None));
    let reason = rejected(&mut decoder, br#"{"timestamp":"2024-03-31T00:00:00Z","a":{"b":1,"b":2}}"#);
    assert_eq!(reason, "the property `a.b` is there twice");
    let reason = rejected(&mut decoder, br#"{"timestamp":"2024-03-31T00:00:00Z","a":{"b":{"c":1}}}"#);
    assert!(reason.contains("`a.b.value`"), "{reason}");
    let deep = vec!["a"; 100_000].join(".");
    let message = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let mut decoder = Decoder::new(asking(&[&deep[..20_001]], None));
    assert!(rejected(&mut decoder, message.as_bytes()).contains("less nesting"));
}

#[test]
fn a_renamed_property_has_its_other_name_everywhere() {
    let rename = [("fields.pm25", "pm25"), ("/tags/station", "station"), ("name", "kind"), ("timestamp", "at")];
    let options =
        renamed(DecoderOptions { timestamp: vec!["at".into()], ..asking(&["pm25"], Some("station")) }, &rename);
    let batch = read(options, TELEGRAF);
    assert_eq!((names(batch.fields()), value(&batch, "pm25")), (vec!["pm25", "kind"], Some(12.1)));
    assert_eq!(batch.fields().key.as_deref(), Some("station"));
    assert_eq!(batch.key().map(|key| key.value(0)), Some("north"));
    // Where nothing else is asked for, what is renamed is.
    let open = r#"{"timestamp":"2024-03-31T00:00:00Z","fields":{"pm25":1},"rh":2}"#;
    let open_names = |message: &str| {
        let options = renamed(options_of_all(), &[("fields.pm25", "pm25"), ("rh", "humidity")]);
        let read = decode(&mut Decoder::new(options), &[message, message]);
        (read.len(), names(read[0].fields()).join(" "), value(&read[0], "humidity"))
    };
    assert_eq!(open_names(open), (1, "pm25 humidity".to_owned(), Some(2.0)));
}

#[test]
fn what_is_renamed_counts_before_a_property_of_that_name() {
    let rename = [("fields.pm25", "pm25"), ("NOx", "nox"), ("a", "b"), ("b", "a")];
    let at = r#""timestamp":"2024-03-31T00:00:00Z""#;
    for (record, values) in [
        (r#""pm25":9,"fields":{"pm25":1},"NOx":2,"nox":8"#, [Some(1.0), Some(2.0)]),
        (r#""fields":{"pm25":1},"pm25":9,"nox":8,"NOx":2"#, [Some(1.0), Some(2.0)]),
        (r#""pm25":9,"nox":8"#, [Some(9.0), Some(8.0)]),
        (r#""nox":8,"NOx":null,"fields":{"pm25":null},"pm25":9"#, [None, None]),
    ] {
        let message = format!("{{{at},{record}}}");
        for of in [asking(&["pm25", "nox"], None), options()] {
            let mut decoder = Decoder::new(renamed(of, &rename));
            // The second record meets fields that are known.
            let batches = decode(&mut decoder, &[&message, &message]);
            let found =
                |batch: &Batch, name: &str| batch.fields().index(name).and_then(|index| batch.numbers(index)?.get(0));
            for batch in batches {
                assert_eq!(["pm25", "nox"].map(|name| found(&batch, name)), values, "{record}");
            }
            let passed_over = decoder.passed_over().values;
            assert_eq!(passed_over, if record.contains("NOx") { 4 } else { 0 }, "{record}");
        }
    }
    let reason = rejected(
        &mut Decoder::new(renamed(asking(&["nox"], None), &rename)),
        format!(r#"{{{at},"NOx":1,"NOx":2}}"#).as_bytes(),
    );
    assert_eq!(reason, "the property `nox` is there twice");
    // Two names that change places, also behind a restart.
    let message = format!(r#"{{{at},"a":1,"b":2,"quality":{{"flags":"34"}}}}"#);
    let mut decoder = Decoder::new(renamed(options(), &rename));
    let mut later = Decoder::new(renamed(options(), &rename));
    let first = decode(&mut decoder, &[&message]).remove(0);
    later.restore(&decoder.snapshot_state()).expect("restores");
    for batch in [first, decode(&mut later, &[&message]).remove(0)] {
        assert_eq!((value(&batch, "a"), value(&batch, "b")), (Some(2.0), Some(1.0)));
        let flag = |name: &str| {
            batch.numbers(batch.fields().index(name).expect("a field")).expect("numbers").quality_at(0).flag()
        };
        assert_eq!((flag("a") as u32, flag("b") as u32), (4, 3));
    }
    assert_eq!(decoder.quality_ignored() + later.quality_ignored(), 0);
}

fn options_of_all() -> DecoderOptions {
    options()
}

#[test]
fn marks_of_renamed_properties_are_understood() {
    let own = r#"{"timestamp":"2024-03-31T00:00:00Z","NOx(GT)":3,"quality":{"flags":"4","tests":{"NOx(GT)":["gross_range"]}}}"#;
    let mut decoder = Decoder::new(renamed(asking(&["nox"], None), &[("NOx(GT)", "nox")]));
    let batch = decode(&mut decoder, &[own]).remove(0);
    let quality = batch.numbers(0).expect("numbers").quality_at(0);
    assert_eq!((value(&batch, "nox"), quality.flag() as u32, decoder.quality_ignored()), (Some(3.0), 4, 0));
    assert_ne!(quality.tests(), 0);
}

#[test]
fn the_record_of_an_envelope_is_read_like_a_message() {
    let options =
        |record: &str| DecoderOptions { record: Some(record.to_owned()), ..asking(&["pm25"], Some("station")) };
    for (record, message) in [
        ("payload", r#"{"schema":{"type":"struct","fields":[{"field":"pm25"}]},"payload":RECORD}"#),
        ("payload.after", r#"{"payload":{"before":{"pm25":9},"after":RECORD,"op":"c"}}"#),
        ("/payload/after", r#"{"payload":{"after":RECORD,"before":null}} "#),
    ] {
        let inner = r#"{"timestamp":"2024-03-31T00:00:00Z","station":"a","pm25":1.5,"quality":{"flags":"3"}}"#;
        let mut decoder = Decoder::new(options(record));
        let batch = decode(&mut decoder, &[message.replace("RECORD", inner)]).remove(0);
        assert_eq!((value(&batch, "pm25"), decoder.quality_ignored()), (Some(1.5), 0), "{message}");
        assert_eq!(batch.key().map(|key| key.value(0)), Some("a"));
        assert_eq!(decoder.push(1, message.replace("RECORD", "null").as_bytes()), Ok(Pushed::Null));
        assert!(rejected(&mut decoder, message.replace("RECORD", "[1]").as_bytes()).contains("not an object"));
        assert!(rejected(&mut decoder, b"{}").contains(record));
    }
}
