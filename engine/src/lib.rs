//! aqpipe's engine: what a pipeline is and how one runs. It knows no stage, no Kafka and no CSV.
//!
//! Read it in the order in which things depend on each other: [`record`] (what flows), [`stage`] (what a plugin
//! is), [`config`] (from TOML text to a checked pipeline), [`run`](mod@run) (splits, cuts and commits) and [`monitor`]
//! (what is counted).

pub mod cancel;
pub mod clock;
pub mod config;
pub mod disk;
mod error;
pub mod fault;
pub mod monitor;
pub mod printable;
pub mod record;
pub mod run;
pub mod stage;

pub use arrow_array;
pub use arrow_buffer;
pub use arrow_select;
pub use error::{Error, ErrorKind, Result};
pub use inventory;
pub use schemars;
