//! Where the commands print.

/// Prints lines. This crate prints nothing itself, so that the command escapes all lines in one place.
pub trait Console {
    /// Prints a line of the result.
    fn out(&self, line: &str);

    /// Prints a line about the progress.
    fn err(&self, line: &str);
}

/// Drops all lines.
#[cfg(test)]
pub(crate) struct Discard;

#[cfg(test)]
impl Console for Discard {
    fn out(&self, _: &str) {}

    fn err(&self, _: &str) {}
}
