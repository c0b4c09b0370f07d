//! The fast path against the library.

use super::*;
use proptest::prelude::*;

const UCI: &str = "%d/%m/%Y %H.%M.%S";

fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_microsecond()
}

fn parse(format: Option<&str>, zone: i16, text: &str) -> Result<(i64, i16), String> {
    TimeFormat::new(format, zone).expect("a format").parse(text.as_bytes())
}

#[test]
fn the_formats_of_the_copies_in_the_wild_are_read() {
    let expected = Ok((micros("2004-03-10T18:00:00Z"), 0));
    for (format, text) in [
        (UCI, "10/03/2004 18.00.00"),
        (UCI, "10/3/2004 18.0.0"),
        ("%d/%m/%Y %H:%M:%S", "10/03/2004 18:00:00"),
        ("%m/%d/%Y %H:%M:%S", "3/10/2004 18:00:00"),
        ("%m/%d/%y %H:%M:%S", "3/10/04 18:00:00"),
        ("%d-%m-%Y %H:%M", "10-03-2004 18:00"),
        ("%Y-%m-%d %H:%M", "2004-03-10 18:00"),
        ("%F %T", "2004-03-10 18:00:00"),
        ("%d %B %Y %I:%M %p", "10 March 2004 06:00 PM"),
    ] {
        assert_eq!(parse(Some(format), 0, text), expected, "{format}: {text}");
    }
    for text in ["2004-03-10T18:00:00", "2004-03-10 18:00:00", "2004-03-10T18:00", "2004-03-10T18:00:00Z"] {
        assert_eq!(parse(None, 0, text), expected, "{text}");
    }
}

#[test]
fn an_offset_comes_from_the_row_or_else_from_the_zone() {
    let instant = micros("2004-03-10T17:00:00Z");
    assert_eq!(parse(Some(UCI), 60, "10/03/2004 18.00.00"), Ok((instant, 60)));
    assert_eq!(parse(Some("%F %T %z"), 60, "2004-03-10 22:30:00 +0530"), Ok((instant, 330)));
    assert_eq!(parse(None, 60, "2004-03-10T22:30:00+05:30"), Ok((instant, 330)));
    assert_eq!(parse(None, 60, "2004-03-10T18:00:00"), Ok((instant, 60)));
    assert_eq!(parse(Some("%s"), 60, "1078938000"), Ok((instant, 60)));
}

#[test]
fn the_clock_of_a_fixed_offset_has_the_hour_that_daylight_saving_skips() {
    assert_eq!(parse(Some(UCI), 60, "28/03/2004 02.00.00"), Ok((micros("2004-03-28T01:00:00Z"), 60)));
}

#[test]
fn times_that_do_not_exist_are_refused() {
    for text in [
        "31/02/2004 18.00.00",
        "29/02/2003 00.00.00",
        "10/13/2004 18.00.00",
        "10/03/2004 24.00.00",
        "10/03/2004 18.60.00",
        "10/03/2004 18.00",
        "10/03/2004 18.00.00 x",
        "10/03/04 18.00.00x",
        "",
        "NA",
    ] {
        assert!(parse(Some(UCI), 0, text).is_err(), "{text}");
    }
    for text in ["", "10/03/2004", "2004-02-30T00:00:00", "2004-03-10T25:00:00", "2004-03-10T18:00:00[Europe/Rome]"] {
        assert!(parse(None, 0, text).is_err(), "{text}");
    }
}

#[test]
fn formats_that_no_time_can_be_read_by_are_refused() {
    for format in ["%d/%m %H:%M", "%Y-%m-%d %H:%M:%S %Z", "%c", "%k%", "%!", "%Q %F", "Date", ""] {
        assert!(TimeFormat::new(Some(format), 0).is_err(), "{format}");
    }
    for format in [UCI, "%F %T%.f", "%s", "%Y%m%d", "%Y-%j", "%F %T%:z"] {
        assert!(TimeFormat::new(Some(format), 0).is_ok(), "{format}");
    }
}

#[test]
fn digits_and_literals_take_the_fast_path() {
    assert!(compile(UCI).is_some());
    assert!(compile("%Y%m%dT%H%M").is_some());
    for format in ["%y-%m-%d", "%Y-%m", "%Y-%m-%d %M", "%Y-%m-%d %Y", "%-d/%m/%Y", "%Y-%m-%d %p"] {
        assert!(compile(format).is_none(), "{format}");
    }
}

proptest! {
    #[test]
    fn the_fast_path_reads_what_the_library_reads(
        day in 0u32..33, month in 0u32..14, year in 0u32..10_000, hour in 0u32..26, minute in 0u32..62,
        second in 0u32..62, pad in any::<bool>(), zone in -1439i16..=1439, cut in 0usize..40,
    ) {
        let mut text = if pad {
            format!("{day:02}/{month:02}/{year:04} {hour:02}.{minute:02}.{second:02}")
        } else {
            format!("{day}/{month}/{year} {hour}.{minute}.{second}")
        };
        text.truncate(cut.max(8));
        let mut format = TimeFormat::new(Some(UCI), zone).expect("a format");
        let slow = format.parse_slow(text.as_bytes());
        prop_assert_eq!(format.parse(text.as_bytes()).ok(), slow.ok(), "{}", text);
    }

    #[test]
    fn iso_times_read_as_the_library_reads_them(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?") {
        let expected = text.parse::<jiff::civil::DateTime>().ok()
            .and_then(|time| Offset::UTC.to_timestamp(time).ok()).map(|time| (time.as_microsecond(), 0));
        prop_assert_eq!(parse(None, 0, &text).ok(), expected, "{}", text);
    }

    #[test]
    fn no_bytes_make_a_format_panic(text in prop::collection::vec(any::<u8>(), 0..30)) {
        for format in [None, Some(UCI), Some("%F %T %z"), Some("%s"), Some("%d %B %Y %I %p")] {
            let _ = TimeFormat::new(format, 0).expect("a format").parse(&text);
        }
    }
}
