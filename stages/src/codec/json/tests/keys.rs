//! Where the key of a record comes from.

use aqpipe_engine::record::{Batch, Field, Fields, Flag};

use super::super::{Decoder, Others, Pushed};
use super::{DecoderOptions, decode, names, options, rejected};
use crate::reading::{Key, KeyOrigin};

fn keyed(origin: KeyOrigin) -> DecoderOptions {
    DecoderOptions { key: Some(Key { name: "station".into(), origin }), ..options() }
}

fn keys(batch: &Batch) -> Vec<Option<&str>> {
    batch.key().expect("keys").iter().collect()
}

#[test]
fn several_properties_make_one_key_and_a_missing_one_is_empty_in_it() {
    let columns = ["state", "county", "site.id"].map(str::to_owned).to_vec();
    let time = r#""timestamp":"2024-03-31T00:00:00Z""#;
    let messages = [
        format!(r#"{{{time},"state":"06","county":"037","site":{{"id":1103}},"v":1}}"#),
        format!(r#"{{{time},"site":{{"id":"x"}},"state":"06","v":1}}"#),
        format!(r#"{{{time},"state":"06","county":null,"site.id":"","v":1}}"#),
        format!(r#"{{{time},"state":"","v":1}}"#),
    ];
    let read = decode(&mut Decoder::new(keyed(KeyOrigin::Columns(columns, "-".into()))), &messages);
    assert_eq!(keys(&read[0]), [Some("06-037-1103"), Some("06--x"), Some("06--"), None]);
    assert_eq!(names(read[0].fields()), ["v"]);
}

#[test]
fn the_key_of_the_message_is_the_key_of_its_record() {
    let mut decoder = Decoder::new(keyed(KeyOrigin::Message));
    let message = br#"{"timestamp":"2024-03-31T00:00:00Z","station":"not this","v":1}"#;
    for key in [Some(&b"EastCity"[..]), Some("Zürich".as_bytes()), Some(b""), None] {
        assert_eq!(decoder.push_keyed(0, message, key), Ok(Pushed::Row));
    }
    let reason = decoder.push_keyed(0, message, Some(b"a\xff")).expect_err("no text").reason;
    assert_eq!(reason, "the message's key is not UTF-8 at byte 1");
    let batch = decoder.take().expect("fits").expect("rows");
    assert_eq!(keys(&batch), [Some("EastCity"), Some("Zürich"), None, None]);
    assert_eq!(names(batch.fields()), ["v"]);
    assert_eq!(decoder.passed_over().values, 4, "a property of the key's name");
}

#[test]
fn marks_of_our_own_messages_are_understood_whatever_the_key_of_their_reader_is() {
    let columns = |names: &[&str]| {
        Some(KeyOrigin::Columns(names.iter().map(|name| (*name).to_owned()).collect(), "-".to_owned()))
    };
    let with_key = br#"{"timestamp":"2024-03-31T00:00:00Z","station":"n","site":"x","v":1,"w":2,"quality":{"flags":"243","tests":{"v":["x"]}}}"#;
    let without =
        br#"{"timestamp":"2024-03-31T00:00:00Z","site":"x","v":1,"w":2,"quality":{"flags":"243","tests":{"v":["x"]}}}"#;
    let origins = [
        None,
        columns(&["station"]),
        columns(&["site"]),
        columns(&["station", "site"]),
        columns(&["site", "station"]),
        Some(KeyOrigin::Message),
        Some(KeyOrigin::Value("x".into())),
    ];
    for origin in origins {
        for others in [Others::Asked, Others::Welcome, Others::Ignored] {
            for (name, own) in [("station", &with_key[..]), ("key", with_key), ("site", without), ("key", without)] {
                let key = origin.clone().map(|origin| Key { name: name.into(), origin });
                let declared = Some(Fields { list: vec![Field::number("v")], ..Fields::default() });
                let mut decoder = Decoder::new(DecoderOptions { others, declared, key: key.clone(), ..options() });
                assert_eq!(decoder.push_keyed(0, own, Some(b"n")), Ok(Pushed::Row), "{key:?}");
                let batch = decoder.take().expect("fits").expect("a row");
                let flag = batch.numbers(0).expect("numbers").quality_at(0).flag();
                assert_eq!((flag, decoder.quality_ignored()), (Flag::Fail, 0), "{key:?} {others:?}");
            }
        }
    }
}

#[test]
fn a_value_is_the_key_of_all_and_keys_of_messages_that_are_not_used_may_be_anything() {
    let message = br#"{"timestamp":"2024-03-31T00:00:00Z","v":1,"id":{}}"#;
    let mut decoder = Decoder::new(keyed(KeyOrigin::Value("uci".into())));
    assert!(rejected(&mut decoder, message).contains("`id`"));
    let message = br#"{"timestamp":"2024-03-31T00:00:00Z","v":1}"#;
    assert_eq!(decoder.push_keyed(0, message, Some(b"\xff")), Ok(Pushed::Row));
    assert_eq!(keys(&decoder.take().expect("fits").expect("a row")), [Some("uci")]);
}
