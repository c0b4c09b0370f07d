//! Times as people write them, for every source.
//!
//! A [`TimeReader`] makes instants of texts: by formats of `strftime`, as ISO 8601 in its usual spellings, or as numbers
//! since 1970. It knows the clock of a zone, and decides by the order of records which of two equal readings of that clock
//! is meant. [`TimestampOptions`] are its options in every source.

mod bare_date;
mod candidate;
mod clock_time;
mod directives;
mod epoch;
mod fast;
mod format;
mod guesses;
mod hints;
mod iso;
mod item;
mod moment;
mod offset;
mod options;
mod options_check;
mod order;
mod parts;
mod pattern;
mod pattern_check;
mod reader;
mod rfc3339;
mod serial_day;
mod shift;
mod suggestion;
#[cfg(test)]
mod tests;
mod zone;

pub use options::{Ambiguous, Formats, Marks, TimestampFrom, TimestampOptions, TimestampTable};
pub use options_check::Cells;
pub use reader::TimeReader;
pub use rfc3339::{TimestampError, parse_timestamp};
pub use zone::Zone;
pub(crate) use zone::fixed_offset;
