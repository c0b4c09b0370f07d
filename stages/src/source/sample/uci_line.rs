//! A reading as a line of the data set: the raw bytes of rows and dead letters.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::model::{Reading, decimals};

/// The line of a reading, without its line end. `time` replaces date and time, `word` the value of a field.
pub(super) fn line(clock: i64, time: Option<&str>, reading: &Reading, word: Option<(usize, &str)>) -> String {
    let mut line = String::with_capacity(100);
    match (time, Timestamp::from_second(clock)) {
        (None, Ok(instant)) => {
            let t = Offset::UTC.to_datetime(instant);
            let (day, month, year) = (t.day(), t.month(), t.year());
            // Writing to a string does not fail.
            let _ = write!(line, "{day:02}/{month:02}/{year:04};{:02}.{:02}.{:02}", t.hour(), t.minute(), t.second());
        }
        (time, _) => line.push_str(time.unwrap_or(";")),
    }
    for (field, value) in reading.values.iter().enumerate() {
        line.push(';');
        match (value, word) {
            (_, Some((place, word))) if place == field => line.push_str(word),
            (None, _) => line.push_str("-200"),
            (Some(value), _) => {
                let text = format!("{value:.*}", decimals(field));
                line.push_str(&text.replace('.', ","));
            }
        }
    }
    line.push_str(";;");
    line
}
