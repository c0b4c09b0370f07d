//! A format that may have been meant, tried with the texts that were refused.

use std::collections::HashSet;

use super::epoch::PLAUSIBLE_MICROS;
use super::format::TimeFormat;
use super::item::Item;
use super::moment::{DAY_MICROS, Moment, SECOND_MICROS};
use super::parts::Part;
use super::pattern::Pattern;

/// 1900, before which nothing was measured that is in files of today.
const FIRST_MICROS: i64 = -2_208_988_800 * SECOND_MICROS;
/// Times to come that can be meant: those of a forecast.
const AHEAD_MICROS: i64 = 366 * DAY_MICROS;

/// A format that may have been meant.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) text: String,
    format: TimeFormat,
    /// Digits that a text of ISO 8601 needs to say no less than the format of the options.
    digits_min: usize,
    /// It reads hours where the format of the options has minutes too: `5` may be either.
    drops_minutes: bool,
    /// The last instant that can be meant.
    last: i64,
    /// What it makes of each text of the sample.
    pub(super) times: Vec<Option<i64>>,
}

impl Candidate {
    /// A format with what it makes of a sample; `None` where it reads nothing, or drops what the format of the options reads.
    pub(super) fn new(text: String, own: Option<&Pattern>, sample: &[Box<[u8]>]) -> Option<Candidate> {
        let format = TimeFormat::new(&text).ok()?;
        let has = |part| own.is_some_and(|own| own.has(part));
        let own_hour = has(Part::Hour) || has(Part::Hour12);
        let mut drops_minutes = false;
        if let (TimeFormat::Pattern(pattern), Some(own)) = (&format, own) {
            let hour = pattern.has(Part::Hour) || pattern.has(Part::Hour12);
            // Midnights may have lost their time.
            let is_its_date = own.text.strip_prefix(&*text).is_some_and(|rest| rest.starts_with([' ', 'T']));
            // `18h` is an hour, and so are two digits of a compact time, where `18` may be its minutes.
            let is_named = ["%Hh", "%HH", "%H時", "%H时", "%H시", "%H Uhr"].iter().any(|hour| text.contains(hour))
                || pattern
                    .items
                    .iter()
                    .any(|item| matches!(item, Item::Number(Part::Hour, least, most) if least == most));
            drops_minutes = own.has(Part::Minute) && !pattern.has(Part::Minute) && !is_named && !is_its_date;
            let drops = (own_hour && !hour) || (own.has(Part::DayOfYear) && !pattern.has(Part::DayOfYear));
            if drops && !is_its_date {
                return None;
            }
        }
        const DATE_DIGITS: usize = 8;
        let digits_min = DATE_DIGITS + 2 * (usize::from(own_hour) + usize::from(has(Part::Minute)));
        let last = jiff::Timestamp::now().as_microsecond().saturating_add(AHEAD_MICROS);
        let mut candidate = Candidate { text, format, digits_min, drops_minutes, last, times: Vec::new() };
        sample.iter().for_each(|text| candidate.try_with(text));
        candidate.times.iter().any(Option::is_some).then_some(candidate)
    }

    /// Whether it is a pattern, and no format by its name.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self.format, TimeFormat::Pattern(_))
    }

    /// Another text of the sample.
    pub(super) fn try_with(&mut self, text: &[u8]) {
        self.times.push(self.reads(text));
    }

    /// Whether it reads the whole sample.
    pub(super) fn reads_all(&self) -> bool {
        self.times.iter().all(Option::is_some) && !self.is_of_fractions() && (!self.drops_minutes || self.is_of_hours())
    }

    /// Whether so many times are at so many hours of the day that their numbers are no minutes.
    fn is_of_hours(&self) -> bool {
        const TIMES_MIN: usize = 24;
        const HOURS_MIN: usize = 12;
        let hours = self.times.iter().flatten().map(|time| time.rem_euclid(DAY_MICROS) / (3600 * SECOND_MICROS));
        self.times.len() >= TIMES_MIN && hours.collect::<HashSet<_>>().len() >= HOURS_MIN
    }

    /// The time of a text, where it is one that can have been measured.
    pub(super) fn reads(&self, text: &[u8]) -> Option<i64> {
        let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
        if matches!(self.format, TimeFormat::Iso) && digits < self.digits_min {
            return None;
        }
        if self.is_hour_point_minute() && ends_with_one_digit(text) {
            return None;
        }
        let (time, first) = match self.format.parse(text).ok()? {
            Moment::Instant(micros) => (micros, PLAUSIBLE_MICROS.start),
            Moment::Clock(micros, _) => (micros, FIRST_MICROS),
        };
        (first..self.last).contains(&time).then_some(time)
    }

    fn is_hour_point_minute(&self) -> bool {
        self.text.contains("%H.%M") && !self.text.contains("%M.%S")
    }

    /// Whether all its minutes behind a point are 0, 25 and 50: they are rather fractions of an hour.
    fn is_of_fractions(&self) -> bool {
        const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
        let minutes = || self.times.iter().flatten().map(|time| time.div_euclid(MINUTE_MICROS).rem_euclid(60));
        self.is_hour_point_minute()
            && minutes().any(|minute| minute != 0)
            && minutes().all(|it| matches!(it, 0 | 25 | 50))
    }
}

/// Whether a number ends with one digit behind its point: `0.5` is a half.
fn ends_with_one_digit(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let ends = |at: usize| text.get(at).is_none_or(u8::is_ascii_whitespace);
    (1..text.len()).any(|at| {
        text[at] == b'.'
            && text[at - 1].is_ascii_digit()
            && text.get(at + 1).is_some_and(u8::is_ascii_digit)
            && ends(at + 2)
    })
}
