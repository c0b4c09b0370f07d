//! `aqpipe dead-letters`: lists, shows and replays the records that a pipeline could not process.

mod args;
mod command;
mod list;
mod read;
mod replay;
mod show;

pub(crate) use args::DeadLettersArgs;
pub(crate) use command::dead_letters;
