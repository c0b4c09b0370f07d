//! Names from outside: of stations, fields, stages, pipelines, files. One rule for the page, the report and the terminal.

use std::borrow::Cow;

use aqpipe_engine::printable;
pub use aqpipe_engine::printable::shortened;

/// Characters of a name that are shown: a text of any length may be one. A longer one is whole in `/api/status` and in the JSON of a
/// report.
pub const NAME_CHARS_MAX: usize = 200;

/// A name on one line, with nothing in it that is not seen. A very long one is cut in its middle: names often differ at their ends.
#[must_use]
pub fn name(text: &str) -> Cow<'_, str> {
    shortened(printable::line(text), NAME_CHARS_MAX)
}

/// Characters that stay on one line of a table.
const LINE_CHARS_MAX: usize = 32;

/// Whether a text of a table takes more than a line.
pub(crate) fn is_long(text: &str) -> bool {
    text.chars().nth(LINE_CHARS_MAX).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_on_one_line_and_not_endless() {
        assert_eq!(name("a\nb\u{202e}"), "a\\nb\\u{202e}");
        let long = format!("{}-{}", "x".repeat(120), "end");
        assert_eq!(name(&long), long);
        let endless = format!("{}-the-end", "x".repeat(5_000));
        let short = name(&endless);
        assert_eq!(short.chars().count(), NAME_CHARS_MAX);
        assert!(short.starts_with("xxx") && short.ends_with("x-the-end") && short.contains('…'), "{short}");
    }
}
