//! From columns to bytes and back: the JSON wire format, CSV output, and numbers, times and fills as text.

pub mod clock_codes;
pub mod csv;
pub mod json;
pub mod text;
pub(crate) mod unique_names;
