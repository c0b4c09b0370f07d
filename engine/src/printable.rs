//! Text from outside, made safe to print: a reason, a field name or a path may hold any character.
//!
//! A control character could move the cursor or change the title of a window. A line break could forge a line of a log.
//! A character that changes the direction of writing, or that has no width, could make one text look like another. All
//! of these are escaped as in Rust: `\n`, `\u{1b}`, `\u{202e}`.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A text on one line, with every invisible character escaped.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    // Writing to a string cannot fail.
    let _ = Printable(&mut shown).write_str(text);
    Cow::Owned(shown)
}

/// A text of at most so many characters, cut in its middle where it has more.
#[must_use]
pub fn shortened(text: Cow<'_, str>, chars_max: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= chars_max {
        return text;
    }
    let kept = chars_max.saturating_sub(1);
    let (head, tail) = (kept - kept / 2, kept / 2);
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    Cow::Owned(format!("{begin}…{end}"))
}

/// A writer that escapes as [`line()`] does.
pub struct Printable<W>(pub W);

impl<W: Write> Write for Printable<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_visible(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_debug())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// JSON text with the same characters escaped as in JSON, so that its meaning stays.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    // JSON strings hold no raw line break: one between values is layout.
    let plain = |c: char| c == '\n' || is_visible(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if plain(c) {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal shows a character as itself. By Rust's own table it does not show controls, formats (directions of
/// writing, zero widths), separators other than the blank, and characters that are private or not assigned.
#[must_use]
pub(crate) fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // A combining mark is visible only behind another character, as a part of it.
    let mut pair = [b'a', 0, 0, 0, 0];
    let length = c.encode_utf8(&mut pair[1..]).len();
    std::str::from_utf8(&pair[..=length]).is_ok_and(|pair| pair.escape_debug().nth(1) == Some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(line("a\nb\r\tc\0"), r"a\nb\r\tc\0");
        assert_eq!(line("\u{1b}[2Jx\u{9b}31m\u{7f}"), r"\u{1b}[2Jx\u{9b}31m\u{7f}");
    }

    #[test]
    fn what_turns_or_hides_text_is_written_out() {
        for c in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}\
                  \u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{180e}\u{2028}\u{2029}\u{85}\u{a0}\u{fff9}\u{e0041}"
            .chars()
        {
            assert_eq!(line(&format!("x{c}y")), format!("x\\u{{{:x}}}y", u32::from(c)), "{c:?}");
        }
    }

    #[test]
    fn text_of_any_language_is_left_alone() {
        for text in
            ["CO(GT)", "µg/m³", "Überschreitung – 25 °C", "大気", "قياس", "e\u{301}te", "C:\\data \"x\" 'y'", "😀"]
        {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn json_means_the_same_with_its_characters_written_out() {
        let value = serde_json::json!({ "a\u{202e}b": "\u{1b}\n\u{7f}\u{9b}\u{e0041}µ" });
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let shown = json(&text);
        assert!(shown.chars().all(|c| c == '\n' || is_visible(c)), "{shown}");
        assert!(shown.contains("a\\u202eb") && shown.contains("\\udb40\\udc41µ"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
