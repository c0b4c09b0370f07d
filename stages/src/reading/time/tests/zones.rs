//! Clocks that are put forward and back, and times that stand for the end of an interval.

use super::*;

const HOURLY: &str = "%d/%m/%Y %H:%M";

/// Rome's clock on the night on which it is put back from 3:00 to 2:00.
fn rome(more: &Value) -> TimeReader {
    let mut options = json!({ "format": HOURLY });
    options.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    reader(options, "Europe/Rome")
}

#[test]
fn a_zone_gives_each_time_the_offset_of_its_clock_then() {
    for (zone, text, expected) in [
        ("Europe/Rome", "01/07/2004 12:00", "2004-07-01T12:00:00+02:00"),
        ("Europe/Rome", "01/01/2004 12:00", "2004-01-01T12:00:00+01:00"),
        ("America/Los_Angeles", "01/07/2004 12:00", "2004-07-01T12:00:00-07:00"),
        ("Asia/Kolkata", "01/07/2004 12:00", "2004-07-01T12:00:00+05:30"),
        ("Australia/Lord_Howe", "01/01/2004 12:00", "2004-01-01T12:00:00+11:00"),
        ("Etc/GMT-1", "01/07/2004 12:00", "2004-07-01T12:00:00+01:00"),
        ("Europe/Rome", "27/03/2004 24:00", "2004-03-28T00:00:00+01:00"),
    ] {
        assert_eq!(read(&mut of_format(HOURLY, zone), text).as_deref(), Ok(expected), "{zone}");
    }
    assert_eq!(
        read(&mut of_format("unix", "Europe/Rome"), "1088676000").as_deref(),
        Ok("2004-07-01T12:00:00+02:00"),
        "an instant is shown by its clock"
    );
    assert_eq!(
        read(&mut reader(json!({}), "Europe/Rome"), "2004-07-01T12:00:00Z").as_deref(),
        Ok("2004-07-01T12:00:00Z"),
        "an offset in the text stays"
    );
}

#[test]
fn a_time_that_the_clock_passed_over_does_not_exist() {
    for (zone, text) in [
        ("Europe/Rome", "28/03/2004 02:30"),
        ("America/New_York", "04/04/2004 02:00"),
        ("Australia/Lord_Howe", "31/10/2004 02:15"),
    ] {
        let reason = read(&mut of_format(HOURLY, zone), text).expect_err("no such time");
        assert!(reason.starts_with("does not exist: the clock of ") && reason.contains(zone), "{reason}");
    }
    assert!(read(&mut of_format(HOURLY, "+01:00"), "28/03/2004 02:30").is_ok(), "a fixed offset has every hour");
}

#[test]
fn a_time_that_comes_twice_goes_by_the_order_of_the_records_of_its_key() {
    let mut reader = rome(&json!({}));
    let hours = ["00:00", "01:00", "02:00", "02:00", "03:00"];
    let expected = ["00:00:00+02:00", "01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00"];
    for (hour, expected) in hours.iter().zip(expected) {
        for key in ["north", "south"] {
            let time = read_of(&mut reader, &format!("31/10/2004 {hour}"), key);
            assert_eq!(time, Ok(format!("2004-10-31T{expected}")), "{key}");
        }
    }
    assert!(reader.take_warnings().is_empty());
    let mut newest_first = rome(&json!({}));
    for (hour, expected) in hours.iter().zip(expected).rev() {
        assert_eq!(read(&mut newest_first, &format!("31/10/2004 {hour}")), Ok(format!("2004-10-31T{expected}")));
    }
}

#[test]
fn without_a_record_before_it_a_time_that_comes_twice_goes_by_the_option() {
    let text = "31/10/2004 02:00";
    for (more, expected) in [
        (json!({}), "2004-10-31T02:00:00+02:00"),
        (json!({ "ambiguous": "earlier" }), "2004-10-31T02:00:00+02:00"),
        (json!({ "ambiguous": "later" }), "2004-10-31T02:00:00+01:00"),
    ] {
        let mut reader = rome(&more);
        assert_eq!(read(&mut reader, text).as_deref(), Ok(expected));
        let warnings = reader.take_warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("`ambiguous`"), "{warnings:?}");
        assert!(reader.take_warnings().is_empty(), "once");
    }
    let mut reject = rome(&json!({ "ambiguous": "reject" }));
    let reason = read(&mut reject, text).expect_err("nobody knows");
    assert!(reason.contains("is shown twice by the clock of Europe/Rome"), "{reason}");
    assert!(read(&mut reject, "31/10/2004 01:00").is_ok());
    assert_eq!(read(&mut reject, text).as_deref(), Ok("2004-10-31T02:00:00+02:00"), "now it is known");
}

#[test]
fn a_record_that_is_read_twice_is_decided_as_at_first_and_so_is_one_after_a_restart() {
    let mut reader = rome(&json!({}));
    let first = |reader: &mut TimeReader| reader.read(b"31/10/2004 02:00", || b"k").expect("a time");
    read_of(&mut reader, "31/10/2004 01:00", "k").expect("a time");
    reader.begin_batch();
    let (once, again) = (first(&mut reader), first(&mut reader));
    assert_eq!(once, again, "it was not taken");
    reader.taken(10);
    let later = first(&mut reader);
    assert_eq!(later.0 - once.0, 3_600_000_000);
    reader.taken(20);
    for (before, expected) in [(10, once), (20, later)] {
        let mut restarted = rome(&json!({}));
        assert!(restarted.restore(&reader.saved(before)));
        assert_eq!(first(&mut restarted), expected);
    }
    assert!(!rome(&json!({})).restore(b"\xff\xff"));
    assert!(of_format(HOURLY, "UTC").saved(0).is_empty() && of_format(HOURLY, "UTC").restore(b"\xff"));
}

#[test]
fn a_dead_letter_that_is_read_again_has_its_time_again() {
    for more in [json!({}), json!({ "marks": "end", "interval": "1h" })] {
        let mut reader = rome(&more);
        for hour in ["01:00", "02:00", "02:00", "03:00"] {
            let time = reader.read(format!("31/10/2004 {hour}").as_bytes(), || b"").expect("a time");
            reader.taken(0);
            let mut again = rome(&more);
            again.set_known(reader.has_to_be_known(time.0).then_some(time));
            assert_eq!(again.read(format!("31/10/2004 {hour}").as_bytes(), || b""), Ok(time));
        }
        assert!(!reader.has_to_be_known(micros("2004-07-01T00:00:00Z")));
    }
}

#[test]
fn times_that_mark_the_end_of_an_interval_are_moved_to_its_beginning() {
    let end =
        |interval: Value, zone: &str| reader(json!({ "format": HOURLY, "marks": "end", "interval": interval }), zone);
    for (interval, zone, text, expected) in [
        (json!("1h"), "UTC", "01/01/2020 01:00", "2020-01-01T00:00:00Z"),
        (json!(3600), "UTC", "01/01/2020 00:00", "2019-12-31T23:00:00Z"),
        (json!("1h"), "+09:00", "05/11/2019 24:00", "2019-11-05T23:00:00+09:00"),
        (json!("15 min"), "UTC", "01/01/2020 00:10", "2019-12-31T23:55:00Z"),
        // The hour that ends at 3 began before the clock was put forward.
        (json!("1h"), "Europe/Rome", "28/03/2004 03:00", "2004-03-28T01:00:00+01:00"),
        (json!("1h"), "Europe/Rome", "31/10/2004 03:00", "2004-10-31T02:00:00+01:00"),
        // A day of 23 hours.
        (json!("1d"), "Europe/Rome", "29/03/2004 00:00", "2004-03-28T00:00:00+01:00"),
        (json!("1d"), "+01:00", "29/03/2004 00:00", "2004-03-28T00:00:00+01:00"),
    ] {
        assert_eq!(read(&mut end(interval, zone), text).as_deref(), Ok(expected), "{zone} {text}");
    }
    let mut begin = reader(json!({ "format": HOURLY, "marks": "begin", "interval": "1h" }), "UTC");
    assert_eq!(read(&mut begin, "01/01/2020 01:00").as_deref(), Ok("2020-01-01T01:00:00Z"));
    let mut iso = reader(json!({ "marks": "end", "interval": "1h" }), "UTC");
    assert_eq!(read(&mut iso, "2020-01-01T01:00:00+01:00").as_deref(), Ok("2020-01-01T00:00:00+01:00"));
    assert_eq!(read(&mut iso, "2020-01-01 01:00").as_deref(), Ok("2020-01-01T00:00:00Z"));
}
