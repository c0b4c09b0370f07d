//! `aqpipe new-stage`: writes a crate with a stage of one's own.

mod command;
mod dependencies;
mod name;
mod template;

pub(crate) use command::{NewStageArgs, new_stage};
