//! Sources: where records come from.

mod csv;
mod kafka;
pub(crate) mod sample;

pub use sample::{StandIn, UCI_FIELDS};
