//! `aqpipe top`: a running process, at a glance.

mod ask;
mod command;
mod view;

pub(crate) use command::{TopArgs, top};
