//! Numbers and names as people read them.

use aqpipe_engine::printable;

use crate::report::civil::LocalTime;

/// What stands for records without a station.
pub(super) const NO_STATION: &str = "(no key)";
/// What stands for no value.
pub(super) const NONE: &str = "–";
/// Letters of a name that are shown: a text of any length may be one.
const NAME_CHARS_MAX: usize = 60;

/// A name from outside, on one line.
pub(super) fn name(text: &str) -> String {
    let text = printable::line(text);
    if text.chars().count() <= NAME_CHARS_MAX {
        return text.into_owned();
    }
    text.chars().take(NAME_CHARS_MAX).chain(std::iter::once('…')).collect()
}

/// The name of a station.
pub(super) fn station(key: Option<&str>) -> String {
    key.map_or_else(|| NO_STATION.to_owned(), name)
}

/// A count, its thousands apart.
pub(super) fn count(count: impl Into<u64>) -> String {
    let digits = count.into().to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A noun with its count: `1 record`, `2 records`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share, rounded down to a tenth of a hundredth: 89.99 % is not 90 %.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.001 {
        "< 0.1 %".to_owned()
    } else {
        format!("{:.1} %", (share * 1_000.0 + 1e-9).floor() / 10.0)
    }
}

/// A share, or nothing.
pub(super) fn percent_or_none(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), percent)
}

/// A number with four digits that count.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !value.is_finite() {
        return if value.is_finite() { "0".to_owned() } else { NONE.to_owned() };
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number, or nothing.
pub(super) fn number_or_none(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), number)
}

/// A moment, without seconds where there are none.
pub(super) fn time(time: LocalTime) -> String {
    let text = time.to_string().replace('T', " ");
    text.strip_suffix(":00").map(str::to_owned).unwrap_or(text)
}

/// A length of time in its two greatest units.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{} s", number(seconds));
    }
    let whole = seconds.round() as u64;
    let parts = [(whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "min"), (whole % 60, "s")];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(parts.len() - 1);
    let shown = parts.iter().skip(first).take(2).filter(|(number, _)| *number > 0);
    shown.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
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
        assert_eq!(
            [number(1234.56), number(0.012345), number(-0.0), number(2e12)],
            ["1235", "0.01235", "0", "2.000e12"]
        );
        assert_eq!(
            [duration(3_600.0), duration(90_061.0), duration(0.5), duration(61.0)],
            ["1 h", "1 d 1 h", "0.5 s", "1 min 1 s"]
        );
        assert_eq!(time(LocalTime(61_000_000)), "1970-01-01 00:01:01");
        assert_eq!(time(LocalTime(60_000_000)), "1970-01-01 00:01");
        assert_eq!((counted(1, "file"), counted(0, "file")), ("1 file".to_owned(), "0 files".to_owned()));
    }

    #[test]
    fn names_from_outside_stay_on_their_line_and_are_not_endless() {
        assert_eq!(name("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert_eq!(name(&"x".repeat(500)).chars().count(), NAME_CHARS_MAX + 1);
    }
}
