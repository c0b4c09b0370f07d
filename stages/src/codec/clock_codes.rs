//! Which computed fields are codes of the clock: integers to every reader, while all other numbers have a point or an exponent.

use aqpipe_engine::record::Field;

/// The features of `derive` that are codes, and what they mean. Its cyclic ones are fractions, be they whole now and then.
pub const CLOCK_CODES: [(&str, &str); 5] = [
    ("hour", "The hour of the day, 0 to 23."),
    ("day_of_week", "The day of the week: 0 Monday to 6 Sunday."),
    ("month", "The month: 1 January to 12 December."),
    ("is_weekend", "1 on Saturday and Sunday, else 0."),
    ("season", "The season, by whole months: 1 winter, 2 spring, 3 summer, 4 autumn."),
];

/// What the field means, if it is such a feature, be its name with a prefix.
#[must_use]
pub fn clock_code(field: &Field) -> Option<&'static str> {
    let is_it = |(name, _): &&(&str, &str)| field.derived && field.name.ends_with(name);
    CLOCK_CODES.iter().find(is_it).map(|(_, meaning)| *meaning)
}

/// Whether the field is such a feature.
#[must_use]
pub fn is_clock_code(field: &Field) -> bool {
    clock_code(field).is_some()
}
