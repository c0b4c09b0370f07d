//! The commands, a file each.

mod load;
mod run;

pub(crate) use run::{RunArgs, run};
