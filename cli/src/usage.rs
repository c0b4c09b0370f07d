//! Parses the command line, and explains one that cannot be parsed.

use std::ffi::OsString;
use std::process::ExitCode;

use aqpipe_engine::config::without_secrets;
use aqpipe_engine::printable;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::Exit;
use crate::{legacy_options, printer};

/// Parses the command line of this process.
///
/// # Errors
/// The exit code, after the help or the mistake was printed.
pub(crate) fn parse<P: Parser>() -> Result<P, ExitCode> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let error = match P::try_parse_from(&args) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some((message, help)) = legacy_options::explain(flag, &args)
    {
        printer::error(&message, Some(&help));
        return Err(Exit::Usage.into());
    }
    // The message quotes arguments, so it is made from arguments that are safe to print.
    let shown = args.iter().map(|arg| printable::line(&without_secrets(&arg.to_string_lossy())).into_owned());
    let error = P::try_parse_from(shown).err().unwrap_or(error);
    printer::usage(&error);
    Err(if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS })
}
