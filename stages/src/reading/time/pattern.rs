//! Formats of `strftime`: what one reads, item by item.
//!
//! The time zone library would read them as well, but it drops what it has no use for: the fraction behind `%s`, `PM` beside
//! `%H`, a year of two digits under `%Y`; and it knows no hour 24.

use super::clock_time::{fraction_micros, leading_digits};
use super::directives::compile;
use super::epoch::EpochUnit;
use super::item::Item;
use super::moment::Moment;
use super::offset;
use super::parts::{Part, Parts};
use super::pattern_check;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Letters of a short name.
const SHORT_NAME_BYTES: usize = 3;

/// A format of `strftime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) items: Vec<Item>,
    /// The format ends with `Z` or `UTC` as they are: seconds east of UTC, that is none.
    pub(super) offset: Option<i32>,
}

impl Pattern {
    /// # Errors
    /// Where no time can be read by the format, or where it would drop a part of what it reads.
    pub(super) fn new(text: &str) -> Result<Pattern, String> {
        let mut items = compile(text.as_bytes())?;
        if let Some(at) = items.iter().position(|item| *item == Item::Epoch) {
            match items[at + 1..] {
                [Item::Fraction { point: true }, ..] => drop(items.drain(at + 1..at + 2)),
                [Item::Byte(b'.'), Item::Fraction { point: false }, ..] => drop(items.drain(at + 1..at + 3)),
                _ => {}
            }
        }
        separate(&mut items);
        let bare = text.trim_ascii_end();
        let is_utc = ["Z", "UTC", "GMT"].iter().any(|name| {
            let before = bare.strip_suffix(name).unwrap_or_default();
            !before.is_empty() && !before.ends_with(['%', ':'])
        });
        pattern_check::check(&items)?;
        join_clocks(&mut items);
        Ok(Pattern { text: text.to_owned(), items, offset: is_utc.then_some(0) })
    }

    /// The time that a text is.
    ///
    /// # Errors
    /// Why it is none of this format.
    pub(super) fn parse(&self, text: &[u8]) -> Result<Moment, String> {
        let mut parts = Parts { offset: self.offset, ..Parts::default() };
        let mut rest = text;
        for item in &self.items {
            rest = match item {
                Item::Clock { seconds } => clock(*seconds, text, rest, &mut parts)?,
                item => read(*item, rest, &mut parts)?,
            };
        }
        let rest = rest.trim_ascii();
        if rest.is_empty() { parts.moment() } else { Err(left_over(rest, &parts)) }
    }

    /// Whether it reads that part.
    pub(super) fn has(&self, part: Part) -> bool {
        self.items.iter().any(|item| match item {
            Item::Number(found, ..) => *found == part,
            Item::Clock { seconds } => match part {
                Part::Hour | Part::Minute => true,
                Part::Second => *seconds,
                _ => false,
            },
            Item::MonthName => part == Part::Month,
            Item::WeekdayName => part == Part::Weekday,
            _ => false,
        })
    }
}

/// Hours and minutes that no other part of the format touches are one number.
fn join_clocks(items: &mut Vec<Item>) {
    let is = |item: Option<&Item>, part| matches!(item, Some(Item::Number(found, ..)) if *found == part);
    let is_blank = |item: Option<&Item>| matches!(item, None | Some(Item::Blanks | Item::Gap));
    let Some(at) = items.iter().position(|item| is(Some(item), Part::Hour)) else { return };
    if !is(items.get(at + 1), Part::Minute) || !is_blank(at.checked_sub(1).and_then(|before| items.get(before))) {
        return;
    }
    let seconds = is(items.get(at + 2), Part::Second);
    let end = at + if seconds { 3 } else { 2 };
    if is_blank(items.get(end)) {
        items.splice(at..end, [Item::Clock { seconds }]);
    }
}

/// Reads hour and minute, and the second with `seconds`, at the start of `rest`, the end of `text`.
fn clock<'a>(seconds: bool, text: &[u8], rest: &'a [u8], parts: &mut Parts) -> Result<&'a [u8], String> {
    let rest = rest.trim_ascii_start();
    let full = if seconds { 6 } else { 4 };
    let (digits, left) = leading_digits(rest);
    let starts =
        text.len() == rest.len() || text[..text.len() - rest.len()].last().is_some_and(u8::is_ascii_whitespace);
    let is_alone = starts && left.first().is_none_or(u8::is_ascii_whitespace);
    // Of six digits, an even number of them may lack its seconds instead of its zeros.
    let is_short = digits.len() < full && (!is_alone || (seconds && digits.len() % 2 == 0));
    if digits.is_empty() || digits.len() > full || is_short {
        return Err(match rest {
            [] => "it ends where a number should come".to_owned(),
            _ => format!("`{}` stands where a number of {full} digits should", shown(rest)),
        });
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let (minutes, second) = if seconds { (number / 100, Some(number % 100)) } else { (number, None) };
    parts.numbers[Part::Hour as usize] = Some(minutes / 100);
    parts.numbers[Part::Minute as usize] = Some(minutes % 100);
    parts.numbers[Part::Second as usize] = second;
    Ok(left)
}

/// Numbers with nothing between them are all full: `100` may be 1:00 or 10:0, and `2024111` is one of two days.
fn separate(items: &mut [Item]) {
    let is_digits = |item: &Item| matches!(item, Item::Number(..) | Item::Fraction { point: false });
    for at in 1..items.len() {
        if is_digits(&items[at - 1]) && is_digits(&items[at]) {
            for item in &mut items[at - 1..=at] {
                if let Item::Number(_, least, most) = item {
                    *least = *most;
                }
            }
        }
    }
    for at in 1..items.len() {
        let is_short = matches!(items[at - 1], Item::Number(_, least, most) if least < most);
        let next = items[at..].iter().find(|item| **item != Item::Blanks);
        if is_short && items[at] == Item::Blanks && next.is_some_and(is_digits) {
            items[at] = Item::Gap;
        }
    }
}

/// Reads an item at the start of a text; returns what follows it.
fn read<'a>(item: Item, text: &'a [u8], parts: &mut Parts) -> Result<&'a [u8], String> {
    let short = |what: &str| format!("it ends where {what} should come");
    match item {
        Item::Blanks => Ok(text.trim_ascii_start()),
        Item::Gap => match text {
            [first, ..] if first.is_ascii_whitespace() => Ok(text.trim_ascii_start()),
            [] => Err(short("a blank")),
            _ => Err(format!("`{}` stands where a blank should", shown(text))),
        },
        Item::Byte(byte) => match text.split_first() {
            Some((first, rest)) if *first == byte => Ok(rest),
            Some(_) => Err(format!("`{}` stands where `{}` should", shown(text), char::from(byte))),
            None => Err(short(&format!("`{}`", char::from(byte)))),
        },
        Item::Number(part, least, most) => {
            let text = text.trim_ascii_start();
            let digits = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
            if digits < least {
                return Err(match text {
                    [] => short("a number"),
                    _ if digits == 0 => format!("`{}` stands where a number should", shown(text)),
                    _ => format!("`{}` stands where a number of {most} digits should", shown(text)),
                });
            }
            let (digits, rest) = text.split_at(digits);
            let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
            let number = if part == Part::Weekday && number == 0 { 7 } else { number };
            parts.numbers[part as usize] = Some(number);
            Ok(rest)
        }
        // It has to know what stands before it.
        Item::Clock { seconds } => clock(seconds, text, text, parts),
        Item::MonthName => name(text, &MONTHS, Part::Month, parts).ok_or_else(|| no_name(text, "month")),
        Item::WeekdayName => name(text, &WEEKDAYS, Part::Weekday, parts).ok_or_else(|| no_name(text, "weekday")),
        Item::Meridiem => {
            let afternoon = match text {
                [b'a' | b'A', b'm' | b'M', ..] => false,
                [b'p' | b'P', b'm' | b'M', ..] => true,
                _ => return Err(format!("`{}` stands where AM or PM should", shown(text))),
            };
            parts.afternoon = Some(afternoon);
            Ok(&text[2..])
        }
        Item::Fraction { point } => {
            let digits = match text {
                [b'.' | b',', digits @ ..] if point => digits,
                _ if point => return Ok(text),
                _ => text,
            };
            let (digits, rest) = leading_digits(digits);
            if digits.is_empty() {
                return Err("there are no digits of a fraction".to_owned());
            }
            parts.fraction_micros = fraction_micros(digits);
            Ok(rest)
        }
        Item::Offset => {
            let text = text.trim_ascii_start();
            let (offset, rest) = offset::parse_column(text)
                .ok_or_else(|| format!("`{}` is no offset{}", shown(text), offset::advice(text)))?;
            parts.offset = Some(offset);
            Ok(rest)
        }
        Item::Epoch => {
            let (micros, rest) = EpochUnit::Seconds
                .leading(text.trim_ascii_start())
                .ok_or_else(|| format!("`{}` stands where a number should", shown(text)))?;
            parts.epoch = Some(micros?);
            Ok(rest)
        }
    }
}

/// Reads a name, in full or by its first letters.
fn name<'a>(text: &'a [u8], names: &[&str], part: Part, parts: &mut Parts) -> Option<&'a [u8]> {
    let begins = |name: &str| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
    let (index, length) = names.iter().zip(1..).find_map(|(name, index)| {
        let short = &name[..SHORT_NAME_BYTES];
        let length = if begins(name) { name.len() } else { short.len() };
        begins(short).then_some((index, length))
    })?;
    parts.numbers[part as usize] = Some(index);
    Some(&text[length..])
}

fn no_name(text: &[u8], what: &str) -> String {
    format!("`{}` is the English name of no {what}", shown(text))
}

fn left_over(rest: &[u8], parts: &Parts) -> String {
    let has = |part: Part| parts.numbers[part as usize].is_some();
    let has_hour = has(Part::Hour) || has(Part::Hour12);
    let hint = match rest {
        [b'.' | b',', b'0'..=b'9', ..] => match () {
            () if has(Part::Second) => ", a fraction, which `%.f` reads",
            () if has(Part::Minute) => ", a fraction of a minute, which no format reads",
            () if has_hour => ", a fraction of an hour, which no format reads",
            () => ", a fraction of a day, which no format reads",
        },
        [b'a' | b'A' | b'p' | b'P', b'm' | b'M'] => ", which `%I` and `%p` read",
        [b'+' | b'-', b'0'..=b'9', ..] if has_hour => ", an offset, which `%z` reads",
        _ => "",
    };
    format!("it goes on with `{}`{hint}", shown(rest))
}

/// The beginning of a text, for a message.
fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 12;
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]).into_owned()
}
