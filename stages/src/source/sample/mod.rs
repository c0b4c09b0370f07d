//! The source `sample`: generated readings of the shape of the UCI Air Quality data set.

mod config;
mod event_rng;
mod gaps;
mod model;
mod settings;
mod source;
mod split;
mod stage;
mod stand_in;
mod tables;
#[cfg(test)]
mod tests;
mod uci_line;

pub(crate) use settings::SampleSettings;
pub use settings::UCI_FIELDS;
pub(crate) use source::SampleSource;
pub use stand_in::StandIn;
