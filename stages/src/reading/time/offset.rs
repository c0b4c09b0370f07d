//! Offsets from UTC in texts.

use super::clock_time::leading_digits;

/// The seconds east of UTC that a text begins with, and the rest of it: `Z`, `UTC`, `GMT`, `+01`, `+0100`, `+01:00`, each with
/// seconds too.
pub(super) fn parse(text: &[u8]) -> Option<(i32, &[u8])> {
    let (text, is_named) = match text {
        [b'U' | b'u', b'T' | b't', b'C' | b'c', rest @ ..] | [b'G' | b'g', b'M' | b'm', b'T' | b't', rest @ ..] => {
            (rest, true)
        }
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        _ => (text, false),
    };
    let (sign, rest) = match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return is_named.then_some((0, text)),
    };
    let (digits, rest) = leading_digits(rest);
    let (hours, minutes, seconds, rest) = match digits.len() {
        2 => {
            let (minutes, rest) = colon_part(rest);
            let (seconds, rest) = if minutes.is_some() { colon_part(rest) } else { (None, rest) };
            (number(digits), minutes.unwrap_or(0), seconds.unwrap_or(0), rest)
        }
        4 => (number(&digits[..2]), number(&digits[2..]), 0, rest),
        6 => (number(&digits[..2]), number(&digits[2..4]), number(&digits[4..]), rest),
        _ => return None,
    };
    let east = hours * 3600 + minutes * 60 + seconds;
    (hours < 24 && minutes < 60 && seconds < 60).then_some((sign * east, rest))
}

/// The same of a column of offsets, in which numbers lose their zeros: `-5` and `-5.0` are hours, `+5.5` is half past, and `0` is
/// UTC. Without a sign, other numbers may be hours east or west.
pub(super) fn parse_column(text: &[u8]) -> Option<(i32, &[u8])> {
    if let Some(found) = parse(text)
        && !matches!(found.1, [b'.', b'0'..=b'9', ..])
    {
        return Some(found);
    }
    let bare = match text.split_at_checked(3) {
        Some((name, rest)) if [&b"UTC"[..], b"GMT"].iter().any(|known| known.eq_ignore_ascii_case(name)) => rest,
        _ => text,
    };
    let (sign, unsigned) = match bare {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => (0, text),
    };
    let (digits, rest) = leading_digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => leading_digits(rest),
        _ => (&b"0"[..], rest),
    };
    // Of a quarter of an hour: `+5.30` may be half past five as well.
    let minutes = match fraction {
        b"0" | b"00" => 0,
        b"25" => 15,
        b"5" => 30,
        b"75" => 45,
        _ => return None,
    };
    if !(1..=2).contains(&digits.len()) {
        return None;
    }
    let hours = number(digits);
    let ends = !rest.first().is_some_and(|byte| matches!(byte, b'.' | b':' | b'0'..=b'9'));
    let is_said = sign != 0 || (hours == 0 && minutes == 0);
    (hours < 24 && ends && is_said).then_some((sign * (hours * 3600 + minutes * 60), rest))
}

/// What is to be said of one that cannot be read.
pub(super) fn advice(text: &[u8]) -> &'static str {
    match text {
        [b'0'..=b'9', ..] => ": it needs its sign",
        [b'+' | b'-', b'0'..=b'9', ..] => ": it is written as `+05:30`, `+0530`, `+05` or `+5`",
        _ => "",
    }
}

/// A colon and two digits.
fn colon_part(text: &[u8]) -> (Option<i32>, &[u8]) {
    match text {
        [b':', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => (Some(number(&[*tens, *ones])), rest),
        _ => (None, text),
    }
}

fn number(digits: &[u8]) -> i32 {
    digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_all_their_spellings() {
        for (text, expected) in [
            ("Z", Some((0, ""))),
            ("z x", Some((0, " x"))),
            ("UTC", Some((0, ""))),
            ("gmt", Some((0, ""))),
            ("GMT+0100", Some((3600, ""))),
            ("+01", Some((3600, ""))),
            ("-0930", Some((-34_200, ""))),
            ("+05:30[Asia/Kolkata]", Some((19_800, "[Asia/Kolkata]"))),
            ("+00:49:56", Some((2_996, ""))),
            ("+004956", Some((2_996, ""))),
            ("+1", None),
            ("+24:00", None),
            ("+01:60", None),
            ("CET", None),
            ("", None),
        ] {
            let found =
                parse(text.as_bytes()).map(|(seconds, rest)| (seconds, std::str::from_utf8(rest).expect("text")));
            assert_eq!(found, expected, "{text}");
        }
    }
}
