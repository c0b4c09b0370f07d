//! Shell syntax for messages that show a command to type.

use aqpipe_engine::config::without_secrets;

/// The command line of this process, with its secrets masked.
pub(crate) fn command() -> String {
    std::env::args_os().map(|arg| word(&without_secrets(&arg.to_string_lossy()))).collect::<Vec<_>>().join(" ")
}

/// A text quoted so that a shell takes it for one word.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '=' | ',' | '%' | '+' | '@');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(word("pipelines/producer.toml"), "pipelines/producer.toml");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("x=${Y}"), "'x=${Y}'");
        assert_eq!(word(""), "''");
    }
}
