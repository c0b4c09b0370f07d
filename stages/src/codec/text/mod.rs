//! Times, numbers and fills as text: in JSON, in CSV and in dead letters.

mod decimal;
mod fill;
mod test_names;
mod time;

pub use decimal::{write_code, write_number};
pub use fill::{parse_fill, write_fill, write_fills};
pub use test_names::write_tests;
pub use time::write_timestamp;
