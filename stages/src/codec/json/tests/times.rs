//! Timestamps in messages: as texts and as numbers, of one property or several, or of the message itself.

use serde_json::{Value, json};

use super::*;
use crate::reading::time::{TimeReader, TimestampOptions, Zone};

fn of(timestamp: Value, timezone: Option<&str>) -> DecoderOptions {
    let timestamp: TimestampOptions = serde_json::from_value(timestamp).expect("fits its type");
    let zone = timezone.map(|zone| Zone::parse(zone).expect("a zone")).unwrap_or_default();
    DecoderOptions {
        timestamp: timestamp.names().into_iter().map(str::to_owned).collect(),
        times: TimeReader::new(&timestamp, zone).expect("formats"),
        ..options()
    }
}

/// The time of a message, written out; or why it is none.
fn time(decoder: &mut Decoder, message: &Value) -> Result<String, String> {
    let message = message.to_string();
    while decoder.push(0, message.as_bytes()).map_err(|rejected| rejected.reason)? == Pushed::Full {
        decoder.take().expect("fits");
    }
    let batch = decoder.take().expect("fits").expect("a row");
    let mut out = Vec::new();
    crate::codec::text::write_timestamp(&mut out, batch.time()[0], batch.utc_offset()[0]);
    Ok(String::from_utf8(out).expect("ASCII"))
}

#[test]
fn numbers_since_1970_are_read_in_their_unit_as_numbers_and_as_texts() {
    for (format, value, expected) in [
        ("unix_ms", json!(1_711_843_200_250_i64), "2024-03-31T00:00:00.25Z"),
        ("unix_ms", json!("1711843201500"), "2024-03-31T00:00:01.5Z"),
        ("unix", json!(1_711_843_202), "2024-03-31T00:00:02Z"),
        ("unix", json!(1_711_843_203.25), "2024-03-31T00:00:03.25Z"),
        ("unix", json!("1711843203.123456"), "2024-03-31T00:00:03.123456Z"),
        ("unix_us", json!(1_711_843_203_000_001_i64), "2024-03-31T00:00:03.000001Z"),
        ("%s", json!(1_711_843_202), "2024-03-31T00:00:02Z"),
        ("%Y%m%d%H", json!(2_019_110_524), "2019-11-06T00:00:00Z"),
    ] {
        let mut decoder = Decoder::new(of(json!({ "format": format }), Some("UTC")));
        assert_eq!(
            time(&mut decoder, &json!({ "timestamp": value, "v": 1 })).as_deref(),
            Ok(expected),
            "{format} {value}"
        );
    }
    let both = json!({ "format": ["unix_ms", "unix"] });
    let mut decoder = Decoder::new(of(both, Some("UTC")));
    for (value, expected) in [
        (json!(1_711_843_200_250_i64), "2024-03-31T00:00:00.25Z"),
        (json!(1_711_843_203.25), "2024-03-31T00:00:03.25Z"),
    ] {
        assert_eq!(time(&mut decoder, &json!({ "timestamp": value })).as_deref(), Ok(expected));
    }
}

#[test]
fn a_number_without_a_format_is_rejected_with_the_one_that_reads_it() {
    let mut decoder = Decoder::new(options());
    for (value, unit) in [(json!(1_711_843_200_250_i64), "unix_ms"), (json!(1_711_843_202), "unix")] {
        let reason = time(&mut decoder, &json!({ "timestamp": value })).expect_err("no format");
        assert!(reason.ends_with(&format!("; `format = \"{unit}\"` reads it")), "{reason}");
    }
    assert_eq!(decoder.times().take_warnings().len(), 1);
}

#[test]
fn date_and_time_may_be_two_properties() {
    let options = json!({ "paths": ["date", "time"], "format": "%d/%m/%Y %H:%M" });
    let mut decoder = Decoder::new(of(options, Some("+01:00")));
    let message = json!({ "v": 1, "time": "24:00 ", "date": "10/03/2004" });
    assert_eq!(time(&mut decoder, &message).as_deref(), Ok("2004-03-11T00:00:00+01:00"));
    assert_eq!(names(&decoder.fields()), ["v"]);
    let reason = time(&mut decoder, &json!({ "date": "10/03/2004" })).expect_err("half a time");
    assert_eq!(reason, "there is no property `time`");
    let reason = time(&mut decoder, &json!({ "date": "10/03/2004", "time": null })).expect_err("half a time");
    assert!(reason.starts_with("the date and time `10/03/2004 null` is not a time of the format"), "{reason}");
    let twice = br#"{"date":"10/03/2004","date":"10/03/2004","time":"18:00"}"#;
    assert_eq!(decoder.push(0, twice).expect_err("twice").reason, "the property `date` is there twice");
}

#[test]
fn the_time_of_a_message_is_that_of_its_record() {
    let mut decoder = Decoder::new(of(json!({ "from": "message" }), None));
    decoder.set_message_time(Some(1_711_843_200_250));
    assert_eq!(time(&mut decoder, &json!({ "v": 1 })).as_deref(), Ok("2024-03-31T00:00:00.25Z"));
    assert_eq!(decoder.time_of_message(), Some((1_711_843_200_250_000, 0)));
    assert!(decoder.needs_time(0), "no property says it");
    decoder.set_message_time(None);
    let reason = time(&mut decoder, &json!({ "v": 1 })).expect_err("none");
    assert_eq!(reason, "the timestamp: the message has no time");
}

#[test]
fn an_hour_that_comes_twice_goes_by_the_key_wherever_that_stands_and_after_a_restart() {
    let options = || DecoderOptions { key: Some("site".into()), ..of(json!({}), Some("Europe/Rome")) };
    let mut decoder = Decoder::new(options());
    let decide = |decoder: &mut Decoder, hour: &str, site: &str| {
        time(decoder, &json!({ "timestamp": format!("2004-10-31T{hour}:00"), "v": 1, "site": site })).expect("a time")
    };
    for site in ["n", "s"] {
        assert_eq!(decide(&mut decoder, "01:00", site), "2004-10-31T01:00:00+02:00");
        assert_eq!(decide(&mut decoder, "02:00", site), "2004-10-31T02:00:00+02:00");
    }
    let mut restarted = Decoder::new(options());
    restarted.restore(&decoder.snapshot_state()).expect("reads");
    assert_eq!(names(&restarted.fields()), ["v"]);
    assert_eq!(decide(&mut restarted, "02:00", "n"), "2004-10-31T02:00:00+01:00");
    let mut fixed = Decoder::new(super::options());
    fixed.restore(&decoder.snapshot_state()).expect("another clock needs no order");
    restarted.restore(&fixed.snapshot_state()).expect("and the other way round");
    assert!(Decoder::new(options()).restore(&[100, 1]).is_err());
}
