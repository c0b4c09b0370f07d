//! From columns to bytes and back: the JSON wire format, and what every text output shares.

pub mod csv;
pub mod json;
pub(crate) mod names;
pub mod number;
pub mod text;
