//! How people spell numbers.

use std::borrow::Cow;

use crate::decimal::parse_f64;

/// Spellings of a minus beside `-`: U+2212 and U+2013, as typesetters and spreadsheets write it.
const OTHER_MINUS: [&str; 2] = ["\u{2212}", "\u{2013}"];

/// The number that a text spells, perhaps with another minus or with separators between groups of three digits.
#[inline(never)]
pub(super) fn spelt(text: &str, separators: &[&str], decimal: u8) -> Option<f64> {
    let signed = OTHER_MINUS.iter().find_map(|minus| text.strip_prefix(minus)).map(|rest| format!("-{rest}"));
    let text = signed.as_deref().unwrap_or(text);
    let joined = without_thousands(text, separators, decimal)?;
    parse_f64(joined.as_bytes(), decimal)
}

/// The text without separators of thousands; `None` where they stand anywhere else than between groups of three digits, of which
/// the first does not begin with a zero: `0.123` has a decimal mark.
fn without_thousands<'a>(text: &'a str, separators: &[&str], decimal: u8) -> Option<Cow<'a, str>> {
    let separator = separators.iter().find(|separator| text.contains(**separator));
    let Some(separator) = separator else { return Some(Cow::Borrowed(text)) };
    let (sign, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(unsigned) => (&text[..1], unsigned),
        None => ("", text),
    };
    let end = unsigned.find(decimal as char).unwrap_or(unsigned.len());
    let (whole, fraction) = unsigned.split_at(end);
    let mut groups = whole.split(*separator);
    let first = groups.next()?;
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let mut joined = format!("{sign}{first}");
    let is_first = (1..=3).contains(&first.len()) && is_digits(first) && !first.starts_with('0');
    let mut is_grouped = is_first && !fraction.contains(*separator);
    for group in groups {
        is_grouped &= group.len() == 3 && is_digits(group);
        joined.push_str(group);
    }
    joined.push_str(fraction);
    is_grouped.then_some(Cow::Owned(joined))
}
