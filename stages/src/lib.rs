//! The stages that ship with aqpipe: sources, transforms, sinks and sinks of dead letters, a file or a folder each.
//!
//! Each stage registers itself with the engine through `inventory`. A program that uses them only has to link this crate: `use
//! aqpipe_stages as _;`.
//!
//! Some parts are for other crates too:
//!
//! * [`file_commit`] is the two-phase commit of files, for sinks of other crates.
//! * [`reading`] is how cells of any source become values, and [`decimal`] how a number is read.
//! * [`codec`] is the JSON wire format, and how CSV output, numbers and times are written.
//! * [`kafka`], [`EmbeddedRun`] and [`StandIn`] are what a program puts into the
//!   [`Extensions`](aqpipe_engine::stage::Extensions) of a run: the embedded broker, and whether generated readings may replace
//!   missing files.
//! * [`UCI_FIELDS`] are the measurements of the data set that the pipelines which ship are written for.

mod cell_access;
mod civil_date;
pub mod codec;
mod columns;
mod dead_letter;
pub mod decimal;
pub mod file_commit;
mod input;
pub mod kafka;
mod key_parts;
mod measurement_checks;
mod per_layout;
pub mod reading;
mod same_time;
mod sink;
mod source;
#[cfg(test)]
mod testing;
mod transform;
mod warn_once;

use aqpipe_engine::seconds;
pub use file_commit::EmbeddedRun;
pub use source::{StandIn, UCI_FIELDS};
