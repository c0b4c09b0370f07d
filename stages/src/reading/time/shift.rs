//! Times that stand for the end of an interval, moved to its beginning.

use super::moment::DAY_MICROS;
use super::zone::{Reading, Zone};

/// How far times are moved back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shift {
    #[default]
    None,
    Micros(i64),
    /// Days of the clock, which have 23 or 25 hours where it is put forward or back.
    Days(i64),
}

impl Shift {
    pub(super) fn by(micros: i64, zone: &Zone) -> Shift {
        match zone {
            Zone::Named(_) if micros % DAY_MICROS == 0 => Shift::Days(micros / DAY_MICROS),
            _ => Shift::Micros(micros),
        }
    }

    /// A time by a clock that never changes.
    pub(super) fn micros(self) -> i64 {
        match self {
            Shift::None => 0,
            Shift::Micros(micros) => micros,
            Shift::Days(days) => days * DAY_MICROS,
        }
    }

    /// A time by the clock of the zone, and the minutes east of UTC of that clock then.
    pub(super) fn back(self, instant: i64, zone: &Zone) -> (i64, i16) {
        let plain = instant.saturating_sub(self.micros());
        let moved = match self {
            Shift::None | Shift::Micros(_) => plain,
            Shift::Days(_) => match zone.reading(zone.local(instant).saturating_sub(self.micros())) {
                Some(Reading::Once(moved, _) | Reading::Twice([(moved, _), _])) => moved,
                // It falls into the hour that is passed over.
                Some(Reading::Never(_)) | None => plain,
            },
        };
        (moved, zone.offset_at(moved))
    }
}
