//! The only place that prints: the course of the rounds to standard error, the verdict to standard output.

use std::io::Write as _;

/// Prints a line of the verdict.
pub(crate) fn out(text: &str) {
    // A reader that has gone is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line about what is going on.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
