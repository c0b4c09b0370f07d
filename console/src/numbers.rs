//! Numbers as people read them.

pub use aqpipe_engine::plural::plural;

/// A number as people write it: four digits that count, thousands apart.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "no number".into();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    grouped(text)
}

/// A count with its thousands apart by a thin gap.
#[must_use]
pub fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// A noun with its count: `1 record`, `2 records`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), plural(number, noun))
}

fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(whole.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
    // Four digits are read at a glance, and may be a year.
    if digits.len() < 5 {
        return text.into();
    }
    let mut out = String::from(sign);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

/// A share in hundredths, rounded down to a tenth: 89.99 % is not 90 %.
#[must_use]
pub fn percent_down(share: f64) -> String {
    // What is stored as a little less than a tenth is one.
    format!("{:.1} %", (share * 1_000.0 + 1e-9).floor() / 10.0)
}

/// A share as a percentage. What is small is not said to be nothing, nor what is nearly all to be all.
#[must_use]
pub fn percent(share: f64) -> String {
    // Minus zero is zero.
    match share * 100.0 + 0.0 {
        p if !p.is_finite() => "no share".into(),
        p if p > 0.0 && p < 0.1 => "< 0.1 %".into(),
        p if p < 100.0 && p > 99.9 => "> 99.9 %".into(),
        p if p.fract().abs() < 0.05 || p >= 99.95 => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}

/// A duration, by its two largest units. It stays on one line.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { return "unknown".into() };
    if seconds < 0.001 {
        return if seconds == 0.0 { "0\u{a0}s".into() } else { "<\u{a0}1\u{a0}ms".into() };
    }
    if seconds < 1.0 {
        return format!("{}\u{a0}ms", number((seconds * 1e3).round()));
    }
    if seconds < 60.0 {
        return format!("{}\u{a0}s", number((seconds * 10.0).round() / 10.0));
    }
    let whole = seconds as u64;
    let (large, small) = match whole {
        0..3_600 => ((whole / 60, "min"), (whole % 60, "s")),
        3_600..86_400 => ((whole / 3_600, "h"), (whole % 3_600 / 60, "min")),
        _ => ((whole / 86_400, "d"), (whole % 86_400 / 3_600, "h")),
    };
    let text = format!("{}\u{a0}{}", count(large.0), large.1);
    if small.0 == 0 { text } else { format!("{text}\u{a0}{}\u{a0}{}", small.0, small.1) }
}

/// A size in bytes.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1_000.0 {
            return if unit == "B" { format!("{bytes}\u{a0}B") } else { format!("{size:.1}\u{a0}{unit}") };
        }
        size /= 1_000.0;
    }
    format!("{size:.1}\u{a0}TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (1234.5678, "1235"),
            (12345.0, "12\u{202f}345"),
            (0.012345, "0.01235"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(-1_234_567.0), "-1\u{202f}234\u{202f}567");
        assert_eq!(number(f64::NAN), "no number");
        assert_eq!(number(1e12), "1.00e12");
    }

    #[test]
    fn a_count_has_its_thousands_apart_before_its_noun() {
        assert_eq!(
            (counted(1, "record"), counted(12_345, "record")),
            ("1 record".into(), "12\u{202f}345 records".into())
        );
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_to_all() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0004), "< 0.1 %");
        assert_eq!(percent(0.9999), "> 99.9 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.1234), "12.3 %");
    }

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0.0, "0 s"),
            (0.000_2, "< 1 ms"),
            (0.012_3, "12 ms"),
            (4.26, "4.3 s"),
            (125.0, "2 min 5 s"),
            (7_200.0, "2 h"),
            (1_040_400.0, "12 d 1 h"),
            (-5.0, "0 s"),
            (f64::NAN, "unknown"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds).replace('\u{a0}', " "), text);
        }
        assert_eq!((bytes(999), bytes(1_500_000)), ("999\u{a0}B".into(), "1.5\u{a0}MB".into()));
    }
}
