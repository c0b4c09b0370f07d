//! Which formats there are, and in which order several are tried.

use super::super::format::TimeFormat;
use super::*;

#[test]
fn formats_that_would_drop_or_guess_something_are_refused() {
    for (format, why) in [
        ("", "it has no year"),
        ("Date", "it has no year"),
        ("%d/%m %H:%M", "it has no year"),
        ("%Y-%m %H", "it has no day"),
        ("%b %Y %I %p", "it has no day"),
        ("%Y-%d", "it has no month"),
        ("%Y", "no day"),
        ("%C-%m-%d", "it has no year"),
        ("%H:%M", "it has no year"),
        ("%Y-%m-%d %Y", "one part twice"),
        ("%b %m %d %Y", "one part twice"),
        ("%Y-%m-%d %j", "in two ways"),
        ("%y %Y-%m-%d", "in two ways"),
        ("%Y-W%V-%u", "need `%G`, `%V` and `%u`"),
        ("%Y %W", "a week needs its day"),
        ("%Y-%m-%d %H:%M %p", "AM and PM would be dropped"),
        ("%Y-%m-%d %I:%M", "without `%p`"),
        ("%Y-%m-%d %p", "without `%p`"),
        ("%Y-%m-%d %H %I %p", "both the hour"),
        ("%Y-%m-%d %M", "need their hour"),
        ("%Y-%m-%d %H %S", "need their minute"),
        ("%Y-%m-%d %H:%M%.f", "needs its second"),
        ("%s %Y", "would be dropped"),
        ("%s%z", "would be dropped"),
        ("%f %s", "would be dropped"),
        ("%Y-%m-%d %H:%M:%S %Z", "a zone's name"),
        ("%Q %F", "a zone's name"),
        ("%c", "another format in every country"),
        ("%k%", "ends within a directive"),
        ("%!", "no directive `%!`"),
        ("%i", "no directive `%i`"),
        ("%.S", "no directive `%.S`"),
        ("%:H", "no directive `%:H`"),
    ] {
        let reason = TimeFormat::new(format).expect_err(format);
        assert!(reason.contains(why), "{format}: {reason}");
    }
}

#[test]
fn numbers_without_anything_between_them_are_full_or_refused() {
    for (format, read_, refused) in [
        (
            "%Y-%m-%d %H%M",
            &["2024-01-01 0100", "2024-1-1 0100"][..],
            &["2024-01-0100", "2024-01-01 00100", "2024-01-01 100x", "2024-01-01 75"][..],
        ),
        ("%Y %j %H%M", &["2024 1 0100", "2024 001 0100"], &["2024 10100"]),
        ("%Y%m%d%H%M", &["202401010100"], &["20240101100", "20240101 100 1"]),
        ("%Y-%m-%dT%H%M", &["2024-01-01T0100"], &["2024-01-01T100", "2024-01-01T5"]),
        ("%Y%m%d", &["20240111"], &["2024111", "2024121", "202411", "2024 1 11"]),
        ("%Y%j", &["2024011"], &["202411", "20241"]),
        ("%Y%m%d%H", &["2024011101"], &["202401111", "202411101"]),
        ("%Y%m%d%H%M%S", &["20240111010203"], &["2024011101023", "2024111010203"]),
        ("%d%m%Y", &["11012024"], &["1112024", "111 2024"]),
        ("%d%b%Y %H%M", &["11jan2024 0100", "1Jan2024 0100"], &["11jan2024 10000", "11jan2024100"]),
        ("%m/%d %H:%M %Y", &["1/11 0:30 2024", "1/11  0:30 2024"], &["1/110:30 2024"]),
        ("%Y-%m-%d %H:%M:%S%f", &["2024-01-01 01:02:03500"], &["2024-01-01 01:02:3 5"]),
    ] {
        for zone in ["UTC", "Europe/Rome"] {
            let mut reader = of_format(format, zone);
            for text in read_ {
                assert!(read(&mut reader, text).is_ok(), "{format} {text}: {:?}", read(&mut reader, text));
            }
            for text in refused {
                assert!(read(&mut reader, text).is_err(), "{format} {text}: {:?}", read(&mut reader, text));
            }
        }
    }
    let reason = read(&mut of_format("%Y%m%d", "UTC"), "2024-01-11").expect_err("another format");
    assert!(reason.contains("`format = \"%Y-%m-%d\"` reads it"), "{reason}");
}

#[test]
fn a_year_that_begins_with_zero_is_a_typing_error() {
    for (format, text) in [
        ("%d/%m/%Y", "01/02/0024"),
        ("%G-W%V-%u", "0024-W05-1"),
        ("%C%y-%m-%d", "0024-01-01"),
        ("iso8601", "0024-02-01T05:00"),
        ("iso8601", "0024-02-01"),
    ] {
        for zone in ["UTC", "Europe/Rome"] {
            let reason = read(&mut of_format(format, zone), text).expect_err(text);
            assert!(reason.contains("typing error"), "{format} {text}: {reason}");
        }
    }
}

#[test]
fn several_formats_are_tried_in_order() {
    let mut both = reader(json!({ "format": ["%d/%m/%Y", "%m/%d/%Y", "iso8601"] }), "UTC");
    for (text, expected) in [
        ("03/04/2004", "2004-04-03T00:00:00Z"),
        ("03/25/2004", "2004-03-25T00:00:00Z"),
        ("2004-03-25", "2004-03-25T00:00:00Z"),
    ] {
        assert_eq!(read(&mut both, text).as_deref(), Ok(expected), "{text}");
    }
    let reason = read(&mut both, "25. März 2004").expect_err("none of them");
    assert!(reason.starts_with("is not a time of the format `%d/%m/%Y` nor a time of"), "{reason}");
    for order in [["unix", "unix_ms"], ["unix_ms", "unix"]] {
        let mut units = reader(json!({ "format": order }), "UTC");
        assert_eq!(read(&mut units, "1711843202").as_deref(), Ok("2024-03-31T00:00:02Z"));
        assert_eq!(read(&mut units, "1711843200250").as_deref(), Ok("2024-03-31T00:00:00.25Z"));
    }
}

#[test]
fn a_text_without_an_offset_needs_a_clock() {
    let mut without = TimeReader::default();
    assert_eq!(read(&mut without, "2004-03-10T18:00:00+01:00").as_deref(), Ok("2004-03-10T18:00:00+01:00"));
    let reason = read(&mut without, "2004-03-10T18:00:00").expect_err("whose clock?");
    assert!(reason.contains("has no offset from UTC") && reason.contains("`timezone`"), "{reason}");
}

#[test]
fn a_message_has_its_own_time() {
    let mut reader = reader(json!({ "from": "message" }), "Europe/Rome");
    let time = reader.read_message(Some(1_711_843_200_250), || b"").map(shown);
    assert_eq!(time.as_deref(), Ok("2024-03-31T01:00:00.25+01:00"));
    for none in [None, Some(-1), Some(i64::MAX)] {
        assert!(reader.read_message(none, || b"").is_err());
        assert_eq!(reader.time_of_message(none), None);
    }
    reader.set_known(Some((7, 60)));
    assert_eq!(reader.read_message(None, || b""), Ok((7, 60)), "it was kept");
}

#[test]
fn hours_and_minutes_that_lost_their_zeros_are_read_where_they_stand_by_themselves() {
    for (format, texts) in [
        (
            "%Y-%m-%d %H%M",
            &[("2024-01-01 5", "00:05:00"), ("2024-01-01 55", "00:55:00"), ("2024-01-01 0", "00:00:00")][..],
        ),
        ("%Y %j %H%M", &[("2024 1 100", "01:00:00"), ("2024 1 930", "09:30:00"), ("2024 1 2330", "23:30:00")]),
        ("%H%M %d/%m/%Y", &[("30 01/01/2024", "00:30:00"), ("1100 01/01/2024", "11:00:00")]),
        (
            "%Y%m%d %H%M%S",
            &[("20240101 10000", "01:00:00"), ("20240101 5", "00:00:05"), ("20240101 123456", "12:34:56")],
        ),
        ("%Y%m%d %H%M", &[("20240101 100", "01:00:00"), ("202401010100", "01:00:00")]),
        ("%d%b%Y %H%M %z", &[("1jan2024 100 +0000", "01:00:00")]),
    ] {
        for zone in ["UTC", "Africa/Abidjan"] {
            let mut reader = of_format(format, zone);
            for (text, time) in texts {
                let read = read(&mut reader, text).map(|time| time.replace("+00:00", "Z"));
                assert_eq!(read, Ok(format!("2024-01-01T{time}Z")), "{format}: {text}");
            }
        }
    }
    check("%Y %j %H%M", "UTC", &[("2024 31 2400", "2024-02-01T00:00:00Z")]);
    // They may be hours and minutes alone.
    let mut reader = of_format("%Y%m%d %H%M%S", "UTC");
    assert!(["20240101 1830", "20240101 30"].iter().all(|text| read(&mut reader, text).is_err()));
}

#[test]
fn a_month_alone_is_its_first_day() {
    check("%Y-%m", "+01:00", &[("2023-03", "2023-03-01T00:00:00+01:00"), ("2023-3", "2023-03-01T00:00:00+01:00")]);
    check("%b %Y", "UTC", &[("Mar 2023", "2023-03-01T00:00:00Z")]);
    check("%Y%m", "UTC", &[("202303", "2023-03-01T00:00:00Z")]);
    assert!(read(&mut of_format("%Y-%m", "UTC"), "2023-03-05").is_err_and(|why| why.contains("goes on with `-05`")));
    let reason = read(&mut of_format("iso8601", "UTC"), "2023-03").expect_err("no day");
    assert!(reason.contains("a month, and no day") && reason.ends_with("`format = \"%Y-%m\"` reads it"), "{reason}");
}

#[test]
fn nanoseconds_are_read_where_nothing_of_them_is_lost() {
    check(
        "unix_ns",
        "UTC",
        &[
            ("1711843200250000000", "2024-03-31T00:00:00.25Z"),
            ("1711843200000001000", "2024-03-31T00:00:00.000001Z"),
            ("1711843200250000000.000", "2024-03-31T00:00:00.25Z"),
            ("1.711843200250E18", "2024-03-31T00:00:00.25Z"),
        ],
    );
    let mut reader = of_format("unix_ns", "UTC");
    for text in ["1711843200250000001", "1711843200250000000.5", "-1", "1711843200250000999"] {
        let reason = read(&mut reader, text).expect_err(text);
        assert!(reason.contains("below a microsecond"), "{text}: {reason}");
    }
    for (text, unit) in [("1711843200250000", "unix_us"), ("1711843200250", "unix_ms"), ("1711843200", "unix")] {
        let reason = read(&mut reader, text).expect_err(text);
        assert!(reason.contains(&format!("one of today as \"{unit}\"")), "{text}: {reason}");
    }
}

#[test]
fn offsets_that_lost_their_zeros_are_hours() {
    let at = |offset: &str| read(&mut of_format("%Y-%m-%d %H:%M %z", "UTC"), &format!("2024-01-01 12:00 {offset}"));
    for (offset, expected) in [
        ("-5", "-05:00"),
        ("-05", "-05:00"),
        ("-0500", "-05:00"),
        ("-5.0", "-05:00"),
        ("+1", "+01:00"),
        ("+5.5", "+05:30"),
        ("+5.75", "+05:45"),
        ("-9.5", "-09:30"),
        ("+10", "+10:00"),
        ("0", "Z"),
        ("0.0", "Z"),
        ("UTC-5", "-05:00"),
        ("GMT+1", "+01:00"),
        ("UTC", "Z"),
        ("-0", "Z"),
        ("+5:30", ""),
    ] {
        if expected.is_empty() {
            assert!(at(offset).is_err(), "{offset}");
        } else {
            assert_eq!(at(offset), Ok(format!("2024-01-01T12:00:00{expected}")), "{offset}");
        }
    }
    for (offset, why) in [
        ("5", "needs its sign"),
        ("+5.30", "it is written as"),
        ("+530", "it is written as"),
        ("+25", "it is written as"),
    ] {
        let reason = at(offset).expect_err(offset);
        assert!(reason.contains(why), "{offset}: {reason}");
    }
}
