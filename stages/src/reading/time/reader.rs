//! Reads the times of a split.

use super::bare_date::BareDates;
use super::fast::FastPattern;
use super::format::TimeFormat;
use super::hints::Hints;
use super::moment::{Moment, SECOND_MICROS, YEARS_MICROS, minutes};
use super::options::{Ambiguous, Marks, TimestampOptions};
use super::order::{TimeOrder, Which};
use super::rfc3339::parse_timestamp;
use super::shift::Shift;
use super::zone::{Reading, Zone};

/// Microseconds of a millisecond.
const MILLI_MICROS: i64 = 1_000;

/// Reads the times of a split: instants in microseconds since 1970 UTC, with the minutes east of UTC of their clock.
///
/// Where the clock of the zone is put back, a reading is decided by the records of the same key before it. A source calls
/// [`taken`](Self::taken) for each record that became a row, [`begin_batch`](Self::begin_batch) before each batch, and saves
/// [`saved`](Self::saved) with its state.
#[derive(Clone, Debug)]
pub struct TimeReader {
    fast: Option<FastPattern>,
    /// RFC 3339 is tried before all else: the offset is in the text, and no order has to be kept.
    fast_rfc3339: bool,
    formats: Vec<TimeFormat>,
    zone: Zone,
    ambiguous: Ambiguous,
    shift: Shift,
    /// Kept for a zone whose clock is put back.
    order: Option<TimeOrder>,
    /// The instant of the last record and its key, until it is taken.
    pending: Option<i64>,
    key: Vec<u8>,
    /// What an earlier reading of the same record gave.
    known: Option<(i64, i16)>,
    hints: Hints,
    bare_dates: BareDates,
}

/// The instant of a message; before 1970 there was no Kafka, and its clients write -1 for "none".
fn message_instant(millis: Option<i64>) -> Option<i64> {
    let instant = millis?.checked_mul(MILLI_MICROS)?;
    (instant >= 0 && YEARS_MICROS.contains(&instant)).then_some(instant)
}

impl Default for TimeReader {
    fn default() -> TimeReader {
        TimeReader::with_formats(vec![TimeFormat::Iso], Zone::Unset, Ambiguous::default(), Shift::None)
    }
}

impl TimeReader {
    /// A reader by options that `check` has accepted.
    ///
    /// # Errors
    /// Where no time can be read by a format.
    pub fn new(options: &TimestampOptions, zone: Zone) -> Result<TimeReader, String> {
        let mut formats: Vec<TimeFormat> =
            options.formats().iter().map(|format| TimeFormat::new(format)).collect::<Result<_, _>>()?;
        if formats.is_empty() {
            formats.push(TimeFormat::Iso);
        }
        let table = options.table();
        let ambiguous = table.and_then(|table| table.ambiguous).unwrap_or_default();
        let shift = match table.and_then(|table| Some((table.marks?, table.interval?))) {
            Some((Marks::End, interval)) => Shift::by((interval.get() * SECOND_MICROS as f64).round() as i64, &zone),
            _ => Shift::None,
        };
        Ok(TimeReader::with_formats(formats, zone, ambiguous, shift))
    }

    fn with_formats(formats: Vec<TimeFormat>, zone: Zone, ambiguous: Ambiguous, shift: Shift) -> TimeReader {
        let fast = match (formats.first(), &zone) {
            (Some(TimeFormat::Pattern(pattern)), Zone::Fixed(minutes)) => {
                FastPattern::new(pattern, *minutes, shift.micros())
            }
            _ => None,
        };
        let order = matches!(zone, Zone::Named(_)).then(TimeOrder::default);
        let is_rfc3339 = matches!(formats.first(), Some(TimeFormat::Iso | TimeFormat::Rfc3339));
        let hints = Hints::new(&formats);
        TimeReader {
            fast,
            fast_rfc3339: is_rfc3339 && order.is_none(),
            formats,
            zone,
            ambiguous,
            shift,
            order,
            pending: None,
            key: Vec::new(),
            known: None,
            hints,
            bare_dates: BareDates::default(),
        }
    }

    /// The time of a text, in a record of that key.
    ///
    /// # Errors
    /// Why there is none, as what a sentence says of the text: "is not a time of …".
    #[inline(always)]
    #[expect(clippy::inline_always)]
    pub fn read<'k>(&mut self, text: &[u8], key: impl FnOnce() -> &'k [u8]) -> Result<(i64, i16), String> {
        if let Some(fast) = &mut self.fast {
            if let Some(time) = fast.parse(text) {
                self.hints.read(text);
                return Ok(time);
            }
        } else if self.fast_rfc3339
            && let Ok((instant, offset)) = parse_timestamp(text)
        {
            return Ok((instant - self.shift.micros(), offset));
        }
        self.read_slow(text, key)
    }

    #[inline(never)]
    fn read_slow<'k>(&mut self, text: &[u8], key: impl FnOnce() -> &'k [u8]) -> Result<(i64, i16), String> {
        let mut why = None;
        for format in &self.formats {
            let mut found = format.parse(text);
            if matches!(format, TimeFormat::Iso) {
                found = self.bare_dates.check(text, found.is_ok()).and(found);
            }
            match found {
                Ok(moment) => {
                    self.hints.read(text);
                    if let Moment::Instant(micros) = moment {
                        self.hints.number(text, micros);
                    }
                    return self.place(moment, key);
                }
                Err(reason) => drop(why.get_or_insert(reason)),
            }
        }
        Err(self.refused(text, &why.unwrap_or_default()))
    }

    /// The time of a record that has none itself: that of its Kafka message, in milliseconds since 1970.
    ///
    /// # Errors
    /// Where the message has none.
    pub fn read_message<'k>(
        &mut self,
        millis: Option<i64>,
        key: impl FnOnce() -> &'k [u8],
    ) -> Result<(i64, i16), String> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        self.place(Moment::Instant(message_instant(millis).ok_or("the message has no time")?), key)
    }

    /// The same of a record that could not be read.
    #[must_use]
    pub fn time_of_message(&self, millis: Option<i64>) -> Option<(i64, i16)> {
        self.known.or_else(|| message_instant(millis).map(|instant| self.shift.back(instant, &self.zone)))
    }

    /// The instant of what a text says.
    fn place<'k>(&mut self, moment: Moment, key: impl FnOnce() -> &'k [u8]) -> Result<(i64, i16), String> {
        if self.order.is_some() {
            self.key.clear();
            self.key.extend_from_slice(key());
        }
        let (instant, own_offset) = match moment {
            Moment::Instant(instant) => (instant, None),
            Moment::Clock(local, Some(east)) => (local - i64::from(east) * SECOND_MICROS, Some(minutes(east))),
            Moment::Clock(local, None) => match self.zone.reading(local) {
                None => {
                    return Err(
                        "has no offset from UTC such as `+01:00` or `Z`, and no `timezone` says whose clock it \
                                is by"
                            .to_owned(),
                    );
                }
                Some(Reading::Once(instant, _)) => (instant, None),
                Some(Reading::Twice([earlier, later])) => (self.decide(earlier.0, later.0)?, None),
                Some(Reading::Never(seconds)) => return Err(self.zone.passed_over(seconds)),
            },
        };
        self.pending = Some(instant);
        Ok(match own_offset {
            Some(offset) => (instant - self.shift.micros(), offset),
            None => self.shift.back(instant, &self.zone),
        })
    }

    /// Which of two instants a reading of the clock is.
    #[cold]
    fn decide(&mut self, earlier: i64, later: i64) -> Result<i64, String> {
        if let Some(known) = self.known
            && let Some(found) =
                [earlier, later].into_iter().find(|instant| self.shift.back(*instant, &self.zone).0 == known.0)
        {
            return Ok(found);
        }
        let by_order = self.order.as_ref().and_then(|order| order.choose(&self.key, earlier, later));
        Ok(match (by_order, self.ambiguous) {
            (Some(Which::Earlier), _) => earlier,
            (Some(Which::Later), _) => later,
            (None, Ambiguous::Reject) => {
                let twice = self.zone.shown_twice();
                return Err(format!("{twice}, and no record of its key before it says which one it is"));
            }
            (None, ambiguous) => {
                self.hints.undecided();
                if ambiguous == Ambiguous::Later { later } else { earlier }
            }
        })
    }

    #[cold]
    fn refused(&mut self, text: &[u8], why: &str) -> String {
        let mut expectations: Vec<String> = self.formats.iter().map(TimeFormat::expectation).collect();
        let expectation = match expectations.len() {
            1 => expectations.remove(0),
            _ => {
                let last = expectations.pop().unwrap_or_default();
                format!("{} nor {last}", expectations.join(" nor "))
            }
        };
        format!("is not {expectation}: {why}{}", self.hints.refused(text, why))
    }

    /// The record that was read last became a row.
    #[inline]
    pub fn taken(&mut self, source_offset: u64) {
        if let Some(order) = &mut self.order
            && let Some(instant) = self.pending.take()
        {
            order.add(&self.key, instant, source_offset);
        }
    }

    /// A new batch begins: a checkpoint will not lie before it.
    pub fn begin_batch(&mut self) {
        if let Some(order) = &mut self.order {
            order.begin_batch();
        }
    }

    /// What a later reader needs to go on before the record at an offset of the split; empty where it needs nothing.
    #[must_use]
    pub fn saved(&self, before: u64) -> Vec<u8> {
        self.order.as_ref().map(|order| order.saved(before)).unwrap_or_default()
    }

    /// Goes on where an earlier reader saved that. Returns whether it could be read.
    pub fn restore(&mut self, saved: &[u8]) -> bool {
        match &mut self.order {
            Some(order) if !saved.is_empty() => order.restore(saved),
            _ => true,
        }
    }

    /// The time that the next record had when it was read before, so that it gets the same again.
    pub fn set_known(&mut self, known: Option<(i64, i16)>) {
        self.known = known;
    }

    /// Whether a record at this time needs it to be known when it is read again: its text alone does not say it.
    #[must_use]
    pub fn has_to_be_known(&self, instant: i64) -> bool {
        let local = || self.zone.local(instant.saturating_add(self.shift.micros()));
        self.order.is_some() && matches!(self.zone.reading(local()), Some(Reading::Twice(_)))
    }

    /// What is to be said of the times that were read since the last call: what would read those that were refused, and how
    /// many are guesses. Each is said once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = self.hints.take_warnings(self.zone.name(), self.ambiguous);
        warnings.extend(self.bare_dates.take_warning());
        warnings
    }
}
