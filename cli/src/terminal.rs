//! The terminal that standard error may be.

use std::io::IsTerminal as _;

/// Below this width, lines are left to the terminal: wrapped between words, most of it would be blank.
const COLUMNS_MIN: usize = 40;

/// Whether standard error is a terminal that can do more than print line after line.
pub(crate) fn is_shown() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The columns of the terminal, where they are known and enough to wrap text in.
pub(crate) fn columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stderr())?;
    Some(usize::from(width.0)).filter(|columns| *columns >= COLUMNS_MIN)
}

/// The lines of a text of so many columns, broken between words; a longer word gets a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let options = textwrap::Options::new(columns)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words_and_a_path_stays_whole() {
        let lines = wrap(&"word ".repeat(50), 96);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 96), "{lines:?}");
        assert_eq!(lines.join(" ").split_whitespace().count(), 50);
        let path = "/a-long/path-with-hyphens/that_is/longer-than-a-line/of_the-terminal/in.csv";
        assert_eq!(wrap(&format!("there is no file {path} here"), 40), ["there is no file", path, "here"]);
    }
}
