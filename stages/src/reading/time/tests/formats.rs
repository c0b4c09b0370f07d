//! Which formats there are, and in which order several are tried.

use super::super::format::TimeFormat;
use super::*;

#[test]
fn formats_that_would_drop_or_guess_something_are_refused() {
    for (format, why) in [
        ("", "it has no year"),
        ("Date", "it has no year"),
        ("%d/%m %H:%M", "it has no year"),
        ("%Y-%m", "it has no day"),
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
            &["2024-01-01 100", "2024-01-01 30", "2024-01-01 0"][..],
        ),
        ("%Y %j %H%M", &["2024 1 0100", "2024 001 0100"], &["2024 1 100"]),
        ("%Y%m%d", &["20240111"], &["2024111", "2024121", "202411", "2024 1 11"]),
        ("%Y%j", &["2024011"], &["202411", "20241"]),
        ("%Y%m%d%H", &["2024011101"], &["202401111", "202411101"]),
        ("%Y%m%d%H%M%S", &["20240111010203"], &["2024011101023", "2024111010203"]),
        ("%d%m%Y", &["11012024"], &["1112024", "111 2024"]),
        ("%d%b%Y %H%M", &["11jan2024 0100", "1Jan2024 0100"], &["11jan2024 100"]),
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
