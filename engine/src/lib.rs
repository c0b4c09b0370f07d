//! aqpipe's engine: what a pipeline is and how one runs. It knows no stage, no Kafka and no CSV.
//!
//! Read it in the order in which things depend on each other: [`record`] (what flows), [`metrics`] (what is counted),
//! [`stage`] (what a plugin is), [`config`] (from TOML text to a checked pipeline) and [`run`](mod@run) (splits,
//! checkpoints and commits). [`monitor`] says how a run is doing.

pub mod cancel;
pub mod clock;
pub mod config;
mod counts;
pub mod dead_letter_groups;
pub mod disk;
mod error;
mod error_class;
pub mod fault;
mod key_fields;
pub mod metrics;
pub mod monitor;
mod nearest;
mod pace;
pub mod plural;
pub mod printable;
pub mod record;
pub mod run;
pub mod seconds;
pub mod stage;
pub mod stage_metrics;
pub mod testing;

pub use arrow_array;
pub use arrow_buffer;
pub use arrow_select;
pub use error::{Error, ErrorKind, Result};
pub use error_class::{ErrorClass, ErrorClassifier};
pub use inventory;
pub use nearest::nearest;
pub use pace::Pace;
pub use schemars;
