//! Clocks without daylight saving: a fixed offset from UTC.

/// The minutes east of UTC of `UTC`, `Z` or an offset such as `+01:00`.
pub(crate) fn parse(text: &str) -> Option<i16> {
    if matches!(text, "UTC" | "utc" | "Z") {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] = *text.as_bytes() else { return None };
    if ![h1, h0, m1, m0].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| i16::from(tens - b'0') * 10 + i16::from(ones - b'0');
    let (hours, minutes) = (two(h1, h0), two(m1, m0));
    let east = hours * 60 + minutes;
    (hours < 24 && minutes < 60).then_some(if sign == b'-' { -east } else { east })
}

/// The help for a time zone that cannot be parsed.
pub(crate) const TIMEZONE_HELP: &str =
    "a clock is \"UTC\" or a fixed offset such as \"+01:00\"; zones with daylight saving repeat an hour each autumn";

/// The default of `timezone`.
pub(crate) fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_utc_or_a_fixed_offset() {
        assert_eq!(parse("UTC"), Some(0));
        assert_eq!(parse("+01:00"), Some(60));
        assert_eq!(parse("-09:30"), Some(-570));
        for text in ["", "Europe/Rome", "+1:00", "+0100", "+24:00", "+00:60", "01:00", "+0a:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
