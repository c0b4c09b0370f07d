//! Days as spreadsheets count them: 45292.5 is noon of the 1st of January 2024. No format reads them; they are named for what they are.

use jiff::Timestamp;

use super::moment::SECOND_MICROS;

/// 1990 to 2099, the years in which there is a continuous measurement to read.
const DAYS: std::ops::Range<f64> = 32_874.0..73_051.0;
/// The day 1970-01-01.
const EPOCH: f64 = 25_569.0;
/// A spreadsheet writes no more than 5 digits before the point and 15 in all.
const BYTES_MAX: usize = 18;

/// What a text is, where it is such a day.
pub(super) fn told(text: &[u8]) -> Option<String> {
    if !text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',')) || text.len() > BYTES_MAX {
        return None;
    }
    let days: f64 = std::str::from_utf8(text).ok()?.replace(',', ".").parse().ok()?;
    if !DAYS.contains(&days) {
        return None;
    }
    let seconds = ((days - EPOCH) * 86_400.0).round() as i64;
    let time = Timestamp::from_microsecond(seconds * SECOND_MICROS).ok()?;
    let time = time.strftime("%Y-%m-%d %H:%M");
    Some(format!(
        "as spreadsheets count days since 1900 it is `{time}`, and no format reads that: the cells have to be saved as dates and \
         times"
    ))
}
