//! The testing kit for authors of stages.
//!
//! * [`BatchBuilder`] makes a batch in three lines.
//! * [`PipelineHarness`] runs the transforms of a pipeline from TOML, with rows in, rows out and a clock that is moved by hand.
//! * The conformance checks call a stage in all the ways in which a run does, kills included: [`check_transform`],
//!   [`check_source`], [`check_sink`]. They panic with the rule that is broken.

mod batch_builder;
mod check_sink;
mod check_source;
mod check_transform;
mod harness;
mod reading;
mod rows;
mod stubs;

pub use batch_builder::BatchBuilder;
pub use check_sink::check_sink;
pub use check_source::check_source;
pub use check_transform::check_transform;
pub use harness::{HarnessOutput, PipelineHarness};
pub use reading::ReadingContext;
pub use rows::{Row, rows};
