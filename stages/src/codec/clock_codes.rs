//! Which computed fields are codes of the clock: integers to every reader, while all other numbers have a point or an exponent.

use aqpipe_engine::record::Field;

/// The features of `derive` that are codes. Its cyclic ones are fractions, be they whole now and then.
pub const CLOCK_CODES: [&str; 5] = ["hour", "day_of_week", "month", "is_weekend", "season"];

/// Whether a field is such a feature, be its name with a prefix.
#[must_use]
pub fn is_clock_code(field: &Field) -> bool {
    field.derived && CLOCK_CODES.iter().any(|name| field.name.ends_with(name))
}
