//! The only place that prints: results to standard output, everything else to standard error.

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

/// Prints why something could not be done, and what to do about it where that is known.
pub(crate) fn error(text: &str, help: Option<&str>) {
    err(&format!("error: {text}"));
    if let Some(help) = help {
        err(&format!("help: {help}"));
    }
}
