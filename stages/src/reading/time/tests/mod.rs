//! Texts and what is read of them.

mod formats;
mod options;
mod properties;
mod spellings;
mod suggestions;
mod zones;

use serde_json::{Value, json};

use super::{TimeReader, TimestampOptions, Zone};

/// An instant, in microseconds since 1970.
fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_microsecond()
}

/// A reader by the option `timestamp` and the option `timezone`.
fn reader(timestamp: Value, timezone: &str) -> TimeReader {
    let options: TimestampOptions = serde_json::from_value(timestamp).expect("fits its type");
    TimeReader::new(&options, Zone::parse(timezone).expect("a zone")).expect("formats")
}

/// A reader of one format.
fn of_format(format: &str, timezone: &str) -> TimeReader {
    reader(json!({ "format": format }), timezone)
}

/// The time of a text, written out by its clock; or why there is none.
fn read(reader: &mut TimeReader, text: &str) -> Result<String, String> {
    read_of(reader, text, "")
}

/// The same in a record of that key, which becomes a row.
fn read_of(reader: &mut TimeReader, text: &str, key: &str) -> Result<String, String> {
    let time = reader.read(text.as_bytes(), || key.as_bytes())?;
    reader.taken(0);
    Ok(shown(time))
}

fn shown((instant, offset): (i64, i16)) -> String {
    let mut out = Vec::new();
    crate::codec::text::write_timestamp(&mut out, instant, offset);
    String::from_utf8(out).expect("ASCII")
}

/// What the formats make of texts, all by one format and clock.
fn check(format: &str, timezone: &str, texts: &[(&str, &str)]) {
    let mut reader = of_format(format, timezone);
    for (text, expected) in texts {
        assert_eq!(read(&mut reader, text).as_deref(), Ok(*expected), "{format}: {text}");
    }
}
