//! The only place that prints.

use std::io::Write as _;

/// Prints a line of the command's result.
pub(crate) fn out(text: &str) {
    // A reader that has gone (`aqpipe … | head`) is no reason to fail.
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Prints a line about the command's work.
pub(crate) fn err(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
