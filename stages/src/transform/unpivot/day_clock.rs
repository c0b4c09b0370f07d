//! The clock by which the hours of a day are counted, where it is put forward and back.

use crate::reading::time::{Ambiguous, Zone};

/// No column lies further behind the time of its record: hour 24 with 59 minutes.
const DAY_MICROS: i64 = 25 * 3_600_000_000;

/// The clock of a zone.
pub(super) struct DayClock {
    zone: Zone,
    ambiguous: Ambiguous,
}

/// The time of a part of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartTime {
    /// In microseconds since 1970 UTC, and the minutes east of UTC of the clock.
    At(i64, i16),
    /// The same, as one of two hours at which the clock shows the same.
    OneOfTwo(i64, i16),
    /// There is none; the text says why, as what a sentence says of the time.
    Never(String),
}

impl DayClock {
    pub(super) fn new(zone: Zone, ambiguous: Ambiguous) -> DayClock {
        DayClock { zone, ambiguous }
    }

    /// Whether the clock is put forward or back on the day that begins then, at that offset. A time with an offset of its own is by
    /// another clock.
    pub(super) fn changes_after(&self, instant: i64, offset: i16) -> bool {
        let after = instant.saturating_add(DAY_MICROS);
        self.zone.offset_at(instant) == offset && self.zone.offset_at(after) != offset
    }

    /// The time that the clock shows so many microseconds behind what it shows at an instant.
    pub(super) fn behind(&self, instant: i64, micros: i64) -> PartTime {
        let local = self.zone.local(instant).saturating_add(micros);
        match self.zone.instant_of(local, self.ambiguous) {
            Ok(((instant, offset), false)) => PartTime::At(instant, offset),
            Ok(((instant, offset), true)) => PartTime::OneOfTwo(instant, offset),
            Err(why) => PartTime::Never(why),
        }
    }

    /// Which of two hours is taken, for a message.
    pub(super) fn taken(&self) -> &'static str {
        if self.ambiguous == Ambiguous::Later { "later" } else { "earlier" }
    }
}
