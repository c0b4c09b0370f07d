//! The only place that prints: results to standard output, everything else to standard error.
//!
//! What comes from outside may hold anything. So what is printed is lines, each with all that a terminal would obey or
//! not show written out ([`printable`]); nobody hands in line breaks of his own.

use std::io::Write as _;

use aqpipe_engine::config::Diagnostics;
use aqpipe_engine::{Error, printable};

/// Prints a line of the command's result.
pub(crate) fn out(line: &str) {
    // A reader that has gone (`aqpipe … | head`) is no reason to fail.
    let _ = writeln!(anstream::stdout(), "{}", printable::line(line));
}

/// Prints JSON as a result.
pub(crate) fn json(text: &str) {
    let _ = writeln!(anstream::stdout(), "{}", printable::json(text));
}

/// Prints a text of this program's own making, as it is laid out: documentation of stages.
pub(crate) fn page(text: &str) {
    text.lines().for_each(out);
}

/// Prints a line about the command's work.
pub(crate) fn err(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}", printable::line(line));
}

/// Prints why something could not be done, and what to do about it where that is known.
pub(crate) fn error(text: &str, help: Option<&str>) {
    err(&format!("error: {text}"));
    if let Some(help) = help {
        err(&format!("help: {help}"));
    }
}

/// Prints what is wrong with a command line that holds nothing but what is shown, or the help that it asks for.
pub(crate) fn usage(error: &clap::Error) {
    let _ = error.print();
}

/// Prints an error of the engine or of a stage; `who` failed where it is one of several.
pub(crate) fn failure(who: Option<&str>, error: &Error) {
    let who = who.map_or_else(String::new, |who| format!("{who}: "));
    err(&format!("error: {who}{}", error.headline()));
    error.below().iter().for_each(|line| err(line));
    if let Some(help) = error.help_text() {
        err(&format!("help: {help}"));
    }
}

/// Prints diagnostics, in colour where the reader sees it. What they quote is made safe where they are rendered: their
/// lines and colours are their own.
pub(crate) fn diagnostics(problems: &Diagnostics) {
    if !problems.is_empty() {
        let _ = writeln!(anstream::stderr(), "{}", problems.render(true).trim_end());
    }
}
