//! Why a message is not a record.

use std::fmt;

use super::lexer::SyntaxError;

/// Why a message is not a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason, for the dead letter.
    pub reason: String,
}

impl Rejected {
    pub(crate) fn new(reason: impl Into<String>) -> Rejected {
        Rejected { reason: reason.into() }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejected {}

impl From<SyntaxError> for Rejected {
    #[cold]
    fn from(SyntaxError { at, expected }: SyntaxError) -> Rejected {
        Rejected::new(format!("not JSON: expected {expected} at byte {at}"))
    }
}
