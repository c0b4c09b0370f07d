//! The clock of times that have no offset of their own.

use aqpipe_engine::config::nearest;
use aqpipe_engine::stage::Problem;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::epoch::PLAUSIBLE_MICROS;
use super::moment::{SECOND_MICROS, minutes};
use super::options::Ambiguous;

/// The help for a time zone that cannot be parsed.
const TIMEZONE_HELP: &str =
    "a clock is \"UTC\", a fixed offset such as \"+01:00\", or a zone of the IANA database such as \"Europe/Rome\"";

/// The clock of times that have no offset of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// There is none: times have to say their offset.
    #[default]
    Unset,
    /// Minutes east of UTC.
    Fixed(i16),
    /// A zone of the IANA database, of which the program has its own copy.
    Named(TimeZone),
}

/// What a reading of a clock stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// An instant, in microseconds since 1970 UTC, and the minutes east of UTC of its clock.
    Once(i64, i16),
    /// One of two: the clock was put back in between.
    Twice([(i64, i16); 2]),
    /// None: the clock was put forward by so many seconds, and passed it over.
    Never(i32),
}

impl Zone {
    /// `UTC`, `Z`, an offset such as `+01:00`, or the name of a zone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Zone> {
        if let Some(minutes) = fixed_offset(text) {
            return Some(Zone::Fixed(minutes));
        }
        // Its own copy alone: what the system has may be older, or not be there.
        TimeZoneDatabase::bundled().get(text).ok().map(Zone::Named)
    }

    /// The same, or the problem of the option `timezone`.
    ///
    /// # Errors
    /// Where there is no such zone.
    pub fn checked(text: &str) -> Result<Zone, Problem> {
        Zone::parse(text).ok_or_else(|| {
            let problem = Problem::new(["timezone"], format!("there is no time zone `{text}`")).help(TIMEZONE_HELP);
            let database = TimeZoneDatabase::bundled();
            let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
            match nearest(text, names.iter().map(String::as_str)) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
    }

    /// Its name, for messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Zone::Named(zone) => zone.iana_name().unwrap_or("the zone"),
            _ => "the clock",
        }
    }

    /// Its name, where its clock was put forward or back since there are continuous measurements.
    #[must_use]
    pub fn changing_clock(&self) -> Option<String> {
        let Zone::Named(zone) = self else { return None };
        let start = Timestamp::from_microsecond(PLAUSIBLE_MICROS.start).ok()?;
        zone.following(start).next().map(|_| self.name().to_owned())
    }

    /// The minutes east of UTC of the clock at an instant in microseconds since 1970.
    #[must_use]
    pub fn offset_at(&self, instant: i64) -> i16 {
        match self {
            Zone::Unset => 0,
            Zone::Fixed(minutes) => *minutes,
            Zone::Named(zone) => {
                Timestamp::from_microsecond(instant).map_or(0, |at| minutes(zone.to_offset(at).seconds()))
            }
        }
    }

    /// What a reading of the clock, in microseconds since 1970 by the clock itself, stands for; `None` where there is no clock.
    pub(super) fn reading(&self, local: i64) -> Option<Reading> {
        let zone = match self {
            Zone::Unset => return None,
            Zone::Fixed(minutes) => {
                return Some(Reading::Once(local - i64::from(*minutes) * 60 * SECOND_MICROS, *minutes));
            }
            Zone::Named(zone) => zone,
        };
        let civil = Offset::UTC.to_datetime(Timestamp::from_microsecond(local).ok()?);
        let at = |offset: Offset| (local - i64::from(offset.seconds()) * SECOND_MICROS, minutes(offset.seconds()));
        Some(match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let (instant, minutes) = at(offset);
                Reading::Once(instant, minutes)
            }
            AmbiguousOffset::Fold { before, after } => Reading::Twice([at(before), at(after)]),
            AmbiguousOffset::Gap { before, after } => Reading::Never(after.seconds() - before.seconds()),
        })
    }

    /// The instant at which the clock shows `local`, and the minutes east of UTC of the clock then; and whether it is one of two.
    ///
    /// # Errors
    /// Why there is none, as what a sentence says of the time.
    pub(crate) fn instant_of(&self, local: i64, ambiguous: Ambiguous) -> Result<((i64, i16), bool), String> {
        match (self.reading(local), ambiguous) {
            (None, _) => Ok(((local, 0), false)),
            (Some(Reading::Once(instant, offset)), _) => Ok(((instant, offset), false)),
            (Some(Reading::Twice([earlier, _])), Ambiguous::Earlier) => Ok((earlier, true)),
            (Some(Reading::Twice([_, later])), Ambiguous::Later) => Ok((later, true)),
            (Some(Reading::Twice(_)), Ambiguous::Reject) => Err(self.shown_twice()),
            (Some(Reading::Never(seconds)), _) => Err(self.passed_over(seconds)),
        }
    }

    /// Why a reading of the clock is no instant that the clock passed over when it was put forward by so many seconds.
    pub(super) fn passed_over(&self, seconds: i32) -> String {
        let (name, minutes) = (self.name(), seconds / 60);
        format!("does not exist: the clock of {name} was put forward by {minutes} minutes and passed it over")
    }

    /// Why a reading of the clock is no instant that the clock showed again when it was put back.
    pub(super) fn shown_twice(&self) -> String {
        format!("is shown twice by the clock of {}, which was put back", self.name())
    }

    /// What the clock shows at an instant, both in microseconds since 1970.
    pub(crate) fn local(&self, instant: i64) -> i64 {
        let seconds = match self {
            Zone::Named(zone) => Timestamp::from_microsecond(instant).map_or(0, |at| zone.to_offset(at).seconds()),
            _ => i32::from(self.offset_at(instant)) * 60,
        };
        instant + i64::from(seconds) * SECOND_MICROS
    }
}

/// The minutes east of UTC of `UTC`, `Z` or an offset such as `+01:00`.
pub(crate) fn fixed_offset(text: &str) -> Option<i16> {
    if matches!(text, "UTC" | "utc" | "Z") {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] = *text.as_bytes() else { return None };
    if ![h1, h0, m1, m0].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| i16::from(tens - b'0') * 10 + i16::from(ones - b'0');
    let (hours, minutes) = (two(h1, h0), two(m1, m0));
    let east = hours * 60 + minutes;
    (hours < 24 && minutes < 60).then_some(if sign == b'-' { -east } else { east })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_utc_a_fixed_offset_or_a_name() {
        assert_eq!(Zone::parse("UTC"), Some(Zone::Fixed(0)));
        assert_eq!(Zone::parse("+01:00"), Some(Zone::Fixed(60)));
        assert_eq!(Zone::parse("-09:30"), Some(Zone::Fixed(-570)));
        assert!(matches!(Zone::parse("Europe/Rome"), Some(Zone::Named(_))));
        for text in ["", "Europe/Roma", "+1:00", "+0100", "+24:00", "+00:60", "01:00", "+0a:00"] {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
        let clock = |text: &str| Zone::parse(text).and_then(|zone| zone.changing_clock());
        assert_eq!(clock("Europe/Madrid").as_deref(), Some("Europe/Madrid"));
        assert_eq!((clock("+01:00"), clock("UTC"), clock("Asia/Kolkata")), (None, None, None));
        let problem = Zone::checked("Europe/Roma").expect_err("no such zone");
        assert_eq!(problem.label.as_deref(), Some("did you mean `Europe/Rome`?"));
    }

    #[test]
    fn a_clock_that_is_put_back_shows_an_hour_twice_and_one_that_is_put_forward_never() {
        let rome = Zone::parse("Europe/Rome").expect("a zone");
        let local = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
        let hour = 3_600_000_000;
        let at = local("2004-03-28T02:30:00Z");
        assert_eq!(rome.reading(at), Some(Reading::Never(3600)));
        let at = local("2004-10-31T02:30:00Z");
        assert_eq!(rome.reading(at), Some(Reading::Twice([(at - 2 * hour, 120), (at - hour, 60)])));
        let at = local("2004-07-01T00:00:00Z");
        assert_eq!(rome.reading(at), Some(Reading::Once(at - 2 * hour, 120)));
        assert_eq!((rome.local(at - 2 * hour), rome.offset_at(at)), (at, 120));
        let at = local("2004-10-31T02:30:00Z");
        let which = |ambiguous| rome.instant_of(at, ambiguous);
        assert_eq!(which(Ambiguous::Earlier), Ok(((at - 2 * hour, 120), true)));
        assert_eq!(which(Ambiguous::Later), Ok(((at - hour, 60), true)));
        assert!(which(Ambiguous::Reject).expect_err("none").contains("is shown twice by the clock of Europe/Rome"));
    }
}
