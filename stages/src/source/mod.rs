//! Sources: where records come from.

mod csv;
mod kafka;
mod sample;

pub use sample::StandIn;
