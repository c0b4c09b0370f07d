//! What holds for any text and any time.

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use proptest::prelude::*;

use super::super::format::TimeFormat;
use super::super::iso;
use super::super::moment::Moment;
use super::*;

const UCI: &str = "%d/%m/%Y %H.%M.%S";
/// Formats that say a time to the second, or to its fraction.
const FORMATS: [&str; 14] = [
    UCI,
    "%F %T%.f",
    "%d %B %Y %I:%M:%S%.f %p",
    "%a %d %b %Y %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y-%j %T",
    "%G-W%V-%u %T",
    "%Y %W %u %T",
    "%Y %U %a %T",
    "%m/%d/%C%y %T",
    "%s",
    "%Y-%m-%dT%H:%M:%S%.6f",
    "%H%M%S %d.%m.%Y",
    "%D %T",
];

/// Microseconds of the years 1970 to 2068, in which two digits are a year.
fn instants() -> impl Strategy<Value = i64> {
    (0_i64..3_000_000_000, prop_oneof![Just(0), 0_i64..1_000_000])
        .prop_map(|(seconds, micros)| seconds * 1_000_000 + micros)
}

fn written(format: &str, instant: i64) -> String {
    let instant = jiff::Timestamp::from_microsecond(instant).expect("in range");
    BrokenDownTime::from(instant).to_string(format).expect("writes")
}

proptest! {
    #[test]
    fn a_time_that_is_written_by_a_format_reads_as_the_same_time(instant in instants(), zone in -1439i16..=1439) {
        for format in FORMATS {
            let whole = instant.div_euclid(1_000_000) * 1_000_000;
            let instant = if format.contains('f') { instant } else { whole };
            let text = written(format, instant);
            let options: TimestampOptions = serde_json::from_value(json!({ "format": format })).expect("fits");
            let mut reader = TimeReader::new(&options, Zone::Fixed(zone)).expect("a format");
            let local = if format == "%s" { 0 } else { i64::from(zone) * 60_000_000 };
            prop_assert_eq!(reader.read(text.as_bytes(), || b""), Ok((instant - local, zone)), "{}: {}", format, text);
        }
    }

    #[test]
    fn the_own_spelling_of_a_time_reads_as_the_same_time(instant in instants(), offset in -1439i16..=1439) {
        let mut text = Vec::new();
        crate::codec::text::write_timestamp(&mut text, instant, offset);
        for format in ["iso8601", "rfc3339"] {
            prop_assert_eq!(of_format(format, "UTC").read(&text, || b""), Ok((instant, offset)));
        }
        prop_assert_eq!(iso::parse(&text), Ok(Moment::Clock(instant + i64::from(offset) * 60_000_000, Some(i32::from(offset) * 60))));
    }

    #[test]
    fn a_time_of_a_zone_is_shown_by_its_clock_as_it_was_written(
        seconds in 946_684_800_i64..1_893_456_000, index in 0usize..4,
    ) {
        let name = ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran"][index];
        let text = written("%Y-%m-%d %H:%M:%S", seconds * 1_000_000);
        let mut reader = reader(json!({ "ambiguous": "later" }), name);
        if let Ok((instant, offset)) = reader.read(text.as_bytes(), || b"") {
            let local = Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(instant + i64::from(offset) * 60_000_000).expect("in range"));
            prop_assert_eq!(local.strftime("%Y-%m-%d %H:%M:%S").to_string(), text);
            let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).expect("a zone");
            let there = zone.to_offset(jiff::Timestamp::from_microsecond(instant).expect("in range"));
            prop_assert_eq!(there.seconds(), i32::from(offset) * 60);
        }
    }

    /// Each part of a time that was read is a number that stands in the text.
    #[test]
    fn no_text_gives_a_time_that_is_not_in_it(text in "[0-9]{1,4}[-/. ][0-9]{1,4}[-/. ][0-9]{1,4}[ T][0-9]{1,2}[:.][0-9]{1,2}[:.][0-9]{1,2}") {
        let numbers: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().expect("digits")).collect();
        for format in [UCI, "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d-%m-%y %H:%M:%S", "iso8601"] {
            let Ok(Moment::Clock(local, None)) = TimeFormat::new(format).expect("a format").parse(text.as_bytes()) else { continue };
            let read = Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(local).expect("in range"));
            let is_midnight = numbers[3] == 24;
            let read = if is_midnight { read - jiff::Span::new().days(1) } else { read };
            let year = read.year() as u32;
            let mut parts = vec![if numbers.contains(&year) { year } else { year % 100 }, read.month() as u32, read.day() as u32];
            let mut found = numbers[..3].to_vec();
            parts.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(parts, found, "{} by {}", &text, format);
            let clock = [if is_midnight { 24 } else { read.hour() as u32 }, read.minute() as u32, read.second() as u32];
            prop_assert_eq!(clock, [numbers[3], numbers[4], numbers[5].min(59)], "{} by {}", &text, format);
        }
    }

    #[test]
    fn the_fast_path_reads_what_the_others_read(
        day in 0u32..33, month in 0u32..14, year in 0u32..10_000, hour in 0u32..26, minute in 0u32..62,
        second in 0u32..62, pad in any::<bool>(), zone in -1439i16..=1439, cut in 0usize..40,
    ) {
        let mut text = if pad {
            format!("{day:02}/{month:02}/{year:04} {hour:02}.{minute:02}.{second:02}")
        } else {
            format!("{day}/{month}/{year} {hour}.{minute}.{second}")
        };
        text.truncate(cut.max(8));
        let options: TimestampOptions = serde_json::from_value(json!({ "format": UCI })).expect("fits");
        let mut reader = TimeReader::new(&options, Zone::Fixed(zone)).expect("a format");
        let slow = TimeFormat::new(UCI).expect("a format").parse(text.as_bytes()).map(|moment| match moment {
            Moment::Clock(local, None) => (local - i64::from(zone) * 60_000_000, zone),
            other => panic!("{other:?}"),
        });
        let library = BrokenDownTime::parse(UCI, text.as_bytes()).and_then(|time| time.to_datetime()).ok();
        let library = library.filter(|_| text.len() >= 8 && (1000..2200).contains(&year)).map(|time| {
            (Offset::UTC.to_timestamp(time).expect("in range").as_microsecond() - i64::from(zone) * 60_000_000, zone)
        });
        let read = reader.read(text.as_bytes(), || b"").ok();
        prop_assert_eq!(read, slow.ok(), "{}", &text);
        if hour < 24 && (1000..2200).contains(&year) && text.split(' ').next().is_some_and(|date| date.len() >= 8) {
            prop_assert_eq!(read, library, "{}", &text);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(text in prop::collection::vec(any::<u8>(), 0..40), similar in "[0-9a-zA-Z%/.:,+ -]{0,40}") {
        for zone in ["UTC", "Europe/Rome"] {
            for format in FORMATS.iter().copied().chain(["iso8601", "rfc3339", "unix", "unix_ms", "unix_us", "unix_ns", "%F %T %z", "%Y %j %H%M", "%Y-%m"]) {
                let mut reader = of_format(format, zone);
                let _ = reader.read(&text, || b"");
                let _ = reader.read(similar.as_bytes(), || b"");
                let _ = reader.take_warnings();
            }
        }
        let _ = TimeFormat::new(&similar);
        let _ = Zone::parse(&similar);
    }
}
