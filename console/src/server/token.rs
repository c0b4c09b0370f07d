//! What a token may be.

use std::fmt;

/// A head of a request has room for more, and no generator makes as much.
const TOKEN_BYTES_MAX: usize = 4_096;

/// What to do about a token that is none.
pub(super) const TOKEN_HELP: &str =
    "a token is one line of visible characters of ASCII, such as `openssl rand -hex 32` prints";

/// Why a text is no token. It does not hold the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableToken {
    /// There is nothing but blanks.
    Empty,
    /// It is longer than the head of a request should be.
    TooLong,
    /// No header can carry it.
    NoHeader,
}

impl fmt::Display for UnusableToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnusableToken::Empty => f.write_str("is empty"),
            UnusableToken::TooLong => write!(f, "holds more than the {TOKEN_BYTES_MAX} characters of a token"),
            UnusableToken::NoHeader => f.write_str("holds characters that no header of a request can carry"),
        }
    }
}

/// The token in a text, without blanks and line breaks at its ends: files that end with a line are read into variables, and clients
/// take them off as well.
///
/// # Errors
/// Where no request could carry it.
pub fn usable_token(text: &str) -> Result<&str, UnusableToken> {
    let token = text.trim();
    match token {
        "" => Err(UnusableToken::Empty),
        token if token.len() > TOKEN_BYTES_MAX => Err(UnusableToken::TooLong),
        token if token.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => Ok(token),
        _ => Err(UnusableToken::NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_what_a_header_can_carry_and_what_is_wrong_does_not_show_it() {
        for (text, token) in [("s3cret", "s3cret"), (" s3cret\r\n", "s3cret"), ("a b", "a b"), ("=~+/:\"", "=~+/:\"")] {
            assert_eq!(usable_token(text), Ok(token));
            assert!(HeaderValue::from_str(token).is_ok());
        }
        let long = "x".repeat(TOKEN_BYTES_MAX + 1);
        assert!(usable_token(&long[1..]).is_ok());
        for (text, problem) in [
            ("", UnusableToken::Empty),
            (" \n\t", UnusableToken::Empty),
            (&*long, UnusableToken::TooLong),
            ("s3crét", UnusableToken::NoHeader),
            ("s3\ncret", UnusableToken::NoHeader),
            ("s3\rcret", UnusableToken::NoHeader),
            ("s3\tcret", UnusableToken::NoHeader),
            ("s3\0cret", UnusableToken::NoHeader),
            ("s3\u{7f}cret", UnusableToken::NoHeader),
            ("s3\u{fffd}cret", UnusableToken::NoHeader),
        ] {
            assert_eq!(usable_token(text), Err(problem), "{text:?}");
            assert!(!problem.to_string().contains("s3"), "{problem}");
        }
    }
}
