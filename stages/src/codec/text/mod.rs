//! Times, numbers and fills as text: in JSON, in CSV and in dead letters.

mod decimal;
mod fill;
mod time;

pub use decimal::write_number;
pub use fill::{parse_fill, write_fill, write_fills};
pub use time::write_timestamp;
