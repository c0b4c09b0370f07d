//! Dispatches the subcommands.

use anyhow::Result;

use super::args::{Command, DeadLettersArgs};
use super::list::list;
use super::replay::replay;
use super::show::show;
use crate::commands::load;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
/// Where the dead letters cannot be read.
pub(crate) fn dead_letters(args: &DeadLettersArgs) -> Result<Exit> {
    let file = match &args.command {
        Command::List(args) => &args.file,
        Command::Show(args) => &args.file,
        Command::Replay(args) => &args.file,
    };
    let files = load::Files { files: vec![file.file.clone()], set: file.set.clone() };
    let Some(pipelines) = load::load(&files)? else { return Ok(Exit::Config) };
    let Some(pipeline) = pipelines.into_iter().next() else { return Ok(Exit::Config) };
    match &args.command {
        Command::List(args) => list(&pipeline, args),
        Command::Show(args) => show(&pipeline, &args.id),
        Command::Replay(args) => replay(&pipeline, &args.filter),
    }
}
