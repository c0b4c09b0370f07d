//! Lanes, cuts and commits.

mod pace;

pub use pace::Pace;
