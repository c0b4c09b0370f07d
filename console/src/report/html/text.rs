//! Numbers and names as people read them.

use crate::numbers;
use crate::numbers::percent_down;
pub(super) use crate::numbers::{counted, duration, number};
use crate::report::civil::LocalTime;

/// What stands for records without a station.
pub(super) const NO_STATION: &str = "(no key)";
/// What stands for no value.
pub(super) const NONE: &str = "–";

/// A name from outside, on one line.
pub(super) fn name(text: &str) -> String {
    crate::names::name(text).into_owned()
}

/// The name of a station.
pub(super) fn station(key: Option<&str>) -> String {
    key.map_or_else(|| NO_STATION.to_owned(), name)
}

/// A count, its thousands apart.
pub(super) fn count(number: impl Into<u64>) -> String {
    numbers::count(number.into())
}

/// A share, rounded down to a tenth of a hundredth: 89.99 % is not 90 %.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.001 { "< 0.1 %".to_owned() } else { percent_down(share) }
}

/// A share, or nothing.
pub(super) fn percent_or_none(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), percent)
}

/// A number, or nothing.
pub(super) fn number_or_none(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), numbers::number)
}

/// A moment, without seconds where there are none.
pub(super) fn time(time: LocalTime) -> String {
    let text = time.to_string().replace('T', " ");
    text.strip_suffix(":00").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        assert_eq!((count(9_357_u32).as_str(), count(121_641_u32).as_str()), ("9357", "121\u{202f}641"));
        assert_eq!(
            (percent(0.8999), percent(0.0), percent(0.0004)),
            ("89.9 %".into(), "0.0 %".into(), "< 0.1 %".into())
        );
        assert_eq!(percent(0.9), "90.0 %");
        assert_eq!(time(LocalTime(61_000_000)), "1970-01-01 00:01:01");
        assert_eq!(time(LocalTime(60_000_000)), "1970-01-01 00:01");
    }
}
