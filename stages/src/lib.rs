//! The stages that ship with aqpipe. One file a stage: its configuration, its documentation, its code and its tests.
//!
//! Nothing here is called by name: each stage registers itself with the engine through `inventory`. A program that
//! uses these stages names the crate (`use aqpipe_stages as _;`), so that it is linked.

pub mod codec;
mod dead_letter;
mod files;
mod input;
pub mod kafka;
mod layout;
mod seconds;
mod sink;
mod source;
#[cfg(test)]
mod testing;
mod transform;

pub use files::EmbeddedRun;
pub use source::StandIn;
