//! Takes secrets and values of the environment out of texts that others wrote.

use super::secret::MASK;

/// A value that no message repeats: it came from the environment, or its key names a secret.
#[derive(Clone)]
pub(super) struct Redaction {
    value: String,
    /// The text in its place: as the file writes it, or a mask.
    replacement: String,
}

impl Redaction {
    pub(super) fn new(value: String, replacement: String) -> Redaction {
        Redaction { value, replacement }
    }

    /// The redaction of a value that the file contains as it is.
    pub(super) fn masked(value: String) -> Redaction {
        Redaction::new(value, MASK.to_owned())
    }
}

/// Replaces the values in a text, so that a password in a variable never reaches a screen or a log. A value that is too
/// short to be a password is replaced only in quotes.
pub(super) fn redact(redactions: &[Redaction], text: &str) -> String {
    let mut text = text.to_owned();
    let mut longest_first: Vec<_> = redactions.iter().filter(|redaction| !redaction.value.is_empty()).collect();
    longest_first.sort_by_key(|redaction| std::cmp::Reverse(redaction.value.len()));
    for Redaction { value, replacement } in longest_first {
        for value in [value.clone(), value.escape_debug().to_string()] {
            if value.chars().count() >= PASSWORD_CHARACTERS_MIN {
                text = text.replace(&value, replacement);
            } else {
                for quote in ['`', '"', '\''] {
                    text = text.replace(&format!("{quote}{value}{quote}"), &format!("{quote}{replacement}{quote}"));
                }
            }
        }
    }
    text
}

/// Shorter values are replaced only in quotes: elsewhere they are parts of words.
const PASSWORD_CHARACTERS_MIN: usize = 4;
