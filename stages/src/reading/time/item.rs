//! What one part of a format reads.

use super::parts::Part;

/// A part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A byte as it is.
    Byte(u8),
    /// Blanks, or none.
    Blanks,
    /// Blanks, one at least: without any, nobody knows where the number before them ends.
    Gap,
    /// A number of so many digits at least and at most.
    Number(Part, usize, usize),
    /// Hour and minute, with `seconds` also those, of two digits each; standing by itself between blanks, it is a number whose
    /// leading zeros may be absent: `930` is 9:30, and `5` is five past midnight.
    Clock {
        seconds: bool,
    },
    MonthName,
    WeekdayName,
    /// AM or PM.
    Meridiem,
    /// Digits of a fraction; with `point`, a point before them, and both may be absent.
    Fraction {
        point: bool,
    },
    Offset,
    /// Seconds since 1970 with their fraction, whether or not the format has a directive for that.
    Epoch,
}
