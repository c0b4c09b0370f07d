//! The only place that prints: progress to standard error, the verdict to standard output.

use std::io::Write as _;

/// Prints a line of the verdict.
pub(crate) fn out(text: &str) {
    // A closed pipe is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line of progress.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
