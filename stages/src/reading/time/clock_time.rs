//! The time of a day, as texts have it.

use super::moment::{DAY_MICROS, SECOND_MICROS};

/// A time of a day. Its parts may be out of range until [`micros`](Self::micros) has looked at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClockTime {
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    /// Up to a whole second, to which a fraction may be rounded.
    pub(super) micros: u32,
}

impl ClockTime {
    /// Microseconds since midnight. Hour 24 with nothing behind it is the end of the day. A leap second counts as the second
    /// before it, as by POSIX clocks.
    #[inline]
    pub(super) fn micros(self) -> Option<i64> {
        let ClockTime { hour, minute, second, micros } = self;
        if hour > 23 || minute > 59 || second > 60 {
            return (hour == 24 && (minute, second, micros) == (0, 0, 0)).then_some(DAY_MICROS);
        }
        Some(i64::from(hour * 3600 + minute * 60 + second.min(59)) * SECOND_MICROS + i64::from(micros))
    }

    /// Why there is no such time.
    pub(super) fn problem(self) -> String {
        match self {
            ClockTime { hour: 24, minute: 0..=59, second: 0..=60, .. } => {
                "hour 24 ends the day, and nothing may come behind it".to_owned()
            }
            ClockTime { hour: 24.., .. } => format!("there is no hour {}", self.hour),
            ClockTime { minute: 60.., .. } => format!("there is no minute {}", self.minute),
            _ => format!("there is no second {}", self.second),
        }
    }
}

/// The digits of a fraction of a second in microseconds, rounded half up.
#[inline]
pub(super) fn fraction_micros(digits: &[u8]) -> u32 {
    let digit = |place: usize| digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    (0..6).fold(0, |micros, place| micros * 10 + digit(place)) + u32::from(digit(6) >= 5)
}

/// The digits that a text begins with, and the rest of it.
#[inline]
pub(super) fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}
