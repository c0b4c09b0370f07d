//! The directives of `strftime`.

use super::clock_time::leading_digits;
use super::item::Item;
use super::parts::Part;

/// The items of a format.
///
/// # Errors
/// Where it has a directive that no time can be read by.
pub(super) fn compile(format: &[u8]) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = format;
    while let [byte, left @ ..] = rest {
        rest = left;
        match byte {
            b'%' => rest = directive(rest, &mut items)?,
            blank if blank.is_ascii_whitespace() => items.push(Item::Blanks),
            literal => items.push(Item::Byte(*literal)),
        }
    }
    Ok(items)
}

/// Adds what a directive reads; returns what follows it.
fn directive<'a>(text: &'a [u8], items: &mut Vec<Item>) -> Result<&'a [u8], String> {
    // How a number is padded makes no difference to reading it.
    let flags = text.iter().take_while(|byte| matches!(byte, b'-' | b'_' | b'0' | b'^' | b'#')).count();
    let (_, text) = leading_digits(&text[flags..]);
    let (point, text) = match text {
        [b'.', rest @ ..] => (true, leading_digits(rest).1),
        _ => (false, text),
    };
    let colons = text.iter().take_while(|byte| **byte == b':').count();
    let Some((letter, rest)) = text[colons..].split_first() else {
        return Err("it ends within a directive".to_owned());
    };
    if (point && *letter != b'f') || (colons > 0 && *letter != b'z') {
        return Err(format!("there is no directive `%{}{}`", if point { "." } else { ":" }, char::from(*letter)));
    }
    let number = |part, most| Item::Number(part, 1, most);
    items.push(match letter {
        b'Y' => Item::Number(Part::Year, 4, 4),
        b'G' => Item::Number(Part::IsoYear, 4, 4),
        b'C' => Item::Number(Part::Century, 2, 2),
        b'y' => Item::Number(Part::YearOfCentury, 2, 2),
        b'g' => Item::Number(Part::IsoYearOfCentury, 2, 2),
        b'm' => number(Part::Month, 2),
        b'd' | b'e' => number(Part::Day, 2),
        b'j' => number(Part::DayOfYear, 3),
        b'H' | b'k' => number(Part::Hour, 2),
        b'I' | b'l' => number(Part::Hour12, 2),
        b'M' => number(Part::Minute, 2),
        b'S' => number(Part::Second, 2),
        b'u' | b'w' => number(Part::Weekday, 1),
        b'V' => number(Part::IsoWeek, 2),
        b'U' => number(Part::SundayWeek, 2),
        b'W' => number(Part::MondayWeek, 2),
        b'B' | b'b' | b'h' => Item::MonthName,
        b'A' | b'a' => Item::WeekdayName,
        b'p' | b'P' => Item::Meridiem,
        b'f' | b'N' => Item::Fraction { point },
        b'z' => Item::Offset,
        b's' => Item::Epoch,
        b'n' | b't' => Item::Blanks,
        b'%' => Item::Byte(b'%'),
        b'F' => return expanded(b"%Y-%m-%d", rest, items),
        b'T' => return expanded(b"%H:%M:%S", rest, items),
        b'R' => return expanded(b"%H:%M", rest, items),
        b'D' => return expanded(b"%m/%d/%y", rest, items),
        b'Z' | b'Q' => {
            return Err(format!(
                "`%{}` (a zone's name) is not read, for `CST` has several offsets: `timezone` says the zone, and an offset is read \
                 by `%z`",
                char::from(*letter)
            ));
        }
        b'c' | b'r' | b'x' | b'X' => {
            return Err(format!("`%{}` is another format in every country", char::from(*letter)));
        }
        _ => return Err(format!("there is no directive `%{}`", String::from_utf8_lossy(&[*letter]))),
    });
    Ok(rest)
}

fn expanded<'a>(format: &[u8], rest: &'a [u8], items: &mut Vec<Item>) -> Result<&'a [u8], String> {
    items.extend(compile(format)?);
    Ok(rest)
}
