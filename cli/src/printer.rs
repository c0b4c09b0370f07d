//! The only place that prints: results to standard output, everything else to standard error.
//!
//! Text from outside may contain anything. Each function therefore prints one line and escapes what a terminal would obey
//! or hide ([`printable`]), line breaks included.

mod screen;

use std::io::Write as _;

use aqpipe_engine::config::Diagnostics;
use aqpipe_engine::{Error, printable};

pub(crate) use screen::{Screen, Tone};

/// Prints a line of the command's result.
pub(crate) fn out(line: &str) {
    // A closed pipe (`aqpipe … | head`) is no reason to fail.
    let _ = writeln!(anstream::stdout(), "{}", printable::line(line));
}

/// Prints JSON as a result.
pub(crate) fn json(text: &str) {
    let _ = writeln!(anstream::stdout(), "{}", printable::json(text));
}

/// Prints documentation, line by line.
pub(crate) fn page(text: &str) {
    text.lines().for_each(out);
}

/// Prints a line about the command's work.
pub(crate) fn err(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}", printable::line(line));
}

/// Prints an error, with help where there is any.
pub(crate) fn error(text: &str, help: Option<&str>) {
    err(&format!("error: {text}"));
    if let Some(help) = help {
        err(&format!("help: {help}"));
    }
}

/// Prints the help, or a mistake in the command line, whose arguments must be printable.
pub(crate) fn usage(error: &clap::Error) {
    let _ = error.print();
}

/// Prints an error of the engine or of a stage; `pipeline` failed where it is one of several.
pub(crate) fn failure(pipeline: Option<&str>, error: &Error) {
    let pipeline = pipeline.map_or_else(String::new, |pipeline| format!("{pipeline}: "));
    err(&format!("error: {pipeline}{}", error.headline()));
    error.below().iter().for_each(|line| err(line));
    if let Some(help) = error.help_text() {
        err(&format!("help: {help}"));
    }
}

/// Prints diagnostics, in colour on a terminal. Their renderer escapes the text that they quote.
pub(crate) fn diagnostics(problems: &Diagnostics) {
    if !problems.is_empty() {
        let _ = writeln!(anstream::stderr(), "{}", problems.render(true).trim_end());
    }
}
