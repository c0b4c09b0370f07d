//! The readings that are expected of a station: those that came, and those that its step misses between, before and behind them.

use std::collections::{BTreeMap, HashMap};

use super::civil::{DAY_MICROS, Day, LocalTime, Month, SECOND_MICROS};

/// Months and days in which readings are missed: a century. A wrong time would make them endless. Those with readings have as many again.
pub(super) const MONTHS_MAX: usize = 1_200;
pub(super) const DAYS_MAX: usize = 36_600;

/// A moment, and the clock that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Microseconds since 1970, UTC.
    pub(super) instant: i64,
    /// Minutes east of UTC.
    pub(super) offset: i16,
}

impl Moment {
    /// What the clock showed.
    pub(super) fn local(self) -> LocalTime {
        LocalTime::of(self.instant, self.offset)
    }

    fn later(self, micros: i64) -> Moment {
        Moment { instant: self.instant.saturating_add(micros), ..self }
    }
}

/// When readings of a station are expected, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// The first instant at which one may be.
    pub(super) from: i64,
    /// The last one.
    pub(super) to: i64,
    /// Microseconds from one to the next.
    pub(super) step: i64,
    /// How early one may be at the ends, where these are times of other stations.
    pub(super) jitter: i64,
}

/// The readings that are expected of a station.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// All of them.
    pub(super) whole: u64,
    pub(super) months: BTreeMap<Month, u64>,
    pub(super) days: HashMap<Day, u64>,
    /// The month of the last day, and its days.
    month: Option<(Month, Day, Day)>,
    /// The readings that came of the day that is being counted.
    present: Option<(Day, u64)>,
}

impl Expected {
    /// A reading that came.
    #[inline]
    pub(super) fn present(&mut self, day: Day) {
        self.whole = self.whole.saturating_add(1);
        match &mut self.present {
            Some((known, count)) if *known == day => *count += 1,
            _ => {
                self.finish();
                self.present = Some((day, 1));
            }
        }
    }

    /// Puts the day that is being counted to the others.
    pub(super) fn finish(&mut self) {
        if let Some((day, count)) = self.present.take() {
            self.put(day, count, 2);
        }
    }

    /// Adds to a day and its month, where there are fewer than some centuries of them.
    fn put(&mut self, day: Day, readings: u64, centuries: usize) {
        let month = match self.month {
            Some((month, first, end)) if (first..end).contains(&day) => month,
            _ => {
                let month = day.month();
                self.month = Some((month, month.first_day(), month.next().first_day()));
                month
            }
        };
        if self.months.len() < centuries * MONTHS_MAX || self.months.contains_key(&month) {
            let known = self.months.entry(month).or_default();
            *known = known.saturating_add(readings);
        }
        if self.days.len() < centuries * DAYS_MAX || self.days.contains_key(&day) {
            let known = self.days.entry(day).or_default();
            *known = known.saturating_add(readings);
        }
    }

    /// The readings missed between two that follow each other; returns how many.
    pub(super) fn between(&mut self, before: Moment, behind: Moment, step: i64) -> u64 {
        let distance = i128::from(behind.instant) - i128::from(before.instant);
        // Up to one and a half steps there is none.
        let steps = (2 * distance + i128::from(step) - 1) / (2 * i128::from(step.max(1)));
        self.missed(before, behind, readings(steps - 1))
    }

    /// The readings missed before the first one.
    pub(super) fn before(&mut self, first: Moment, span: &Span) -> u64 {
        let count = fitting(i128::from(first.instant) - i128::from(span.from), span);
        self.missed(first.later(outside(count, span.step).saturating_neg()), first, count)
    }

    /// The readings missed behind the last one.
    pub(super) fn behind(&mut self, last: Moment, span: &Span) -> u64 {
        let count = fitting(i128::from(span.to) - i128::from(last.instant), span);
        self.missed(last, last.later(outside(count, span.step)), count)
    }

    /// Readings that would lie evenly between two moments.
    fn missed(&mut self, before: Moment, behind: Moment, count: u64) -> u64 {
        self.whole = self.whole.saturating_add(count);
        // Where the clock was changed in between nobody knows when: the first half is by the one before.
        let half = if before.offset == behind.offset { count } else { count.div_ceil(2) };
        self.spread((before.instant, behind.instant), count, (1, half), before.offset);
        if half < count {
            self.spread((before.instant, behind.instant), count, (half + 1, count), behind.offset);
        }
        count
    }

    /// Some of the readings that lie evenly between two instants, by the days of a clock.
    fn spread(&mut self, (from, to): (i64, i64), count: u64, (first, last): (u64, u64), offset: i16) {
        let (width, parts) = ((i128::from(to) - i128::from(from)).max(1), i128::from(count) + 1);
        let shift = i128::from(offset) * 60 * i128::from(SECOND_MICROS);
        let mut number = i128::from(first);
        for _ in 0..DAYS_MAX {
            if number > i128::from(last) {
                return;
            }
            let since = width.saturating_mul(number) / parts;
            let instant = i64::try_from(i128::from(from) + since).unwrap_or(i64::MAX);
            let day = LocalTime::of(instant, offset).day();
            let end = (i128::from(day.0) + 1) * i128::from(DAY_MICROS) - shift - i128::from(from);
            let behind = end.saturating_mul(parts).saturating_add(width - 1) / width;
            let last_of_day = (behind - 1).clamp(number, i128::from(last));
            self.put(day, readings(last_of_day - number + 1), 1);
            number = last_of_day + 1;
        }
    }
}

/// How many steps fit into a distance from the end of a span.
fn fitting(distance: i128, span: &Span) -> u64 {
    if distance <= 0 {
        return 0;
    }
    readings((distance + i128::from(span.jitter)) / i128::from(span.step.max(1)))
}

/// How far the reading outside of a span would be that is as many steps off.
fn outside(count: u64, step: i64) -> i64 {
    i64::try_from((i128::from(count) + 1).saturating_mul(i128::from(step))).unwrap_or(i64::MAX)
}

fn readings(count: i128) -> u64 {
    u64::try_from(count.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::civil::HOUR_MICROS;

    fn at(hour: i64, offset: i16) -> Moment {
        Moment { instant: hour * HOUR_MICROS, offset }
    }

    #[test]
    fn readings_are_missed_where_one_and_a_half_steps_have_none() {
        let minutes = |minutes: i64| Moment { instant: minutes * 60 * SECOND_MICROS, offset: 0 };
        let between = |distance| Expected::default().between(minutes(0), minutes(distance), HOUR_MICROS);
        assert_eq!([1, 60, 90, 91, 120, 150, 151, 240].map(between), [0, 0, 0, 1, 1, 1, 2, 3]);
    }

    #[test]
    fn at_the_ends_whole_steps_count() {
        let span = Span { from: 0, to: 10 * HOUR_MICROS - 1, step: HOUR_MICROS, jitter: 0 };
        let mut expected = Expected::default();
        assert_eq!([0, 1, 5].map(|hour| expected.before(at(hour, 0), &span)), [0, 1, 5]);
        assert_eq!([9, 8, 10].map(|hour| expected.behind(at(hour, 0), &span)), [0, 1, 0]);
        let half = Moment { instant: HOUR_MICROS / 2, offset: 330 };
        assert_eq!(expected.before(half, &span), 0, "another phase misses nothing");
    }

    #[test]
    fn missed_readings_are_of_the_days_and_months_of_the_clock() {
        let mut expected = Expected::default();
        // From the first hour of 1970 to that of 1971, an hour east of Greenwich.
        let missed = expected.between(at(-1, 60), at(365 * 24 - 1, 60), HOUR_MICROS);
        assert_eq!((missed, expected.whole), (8_759, 8_759));
        assert_eq!(expected.months.values().copied().collect::<Vec<_>>()[..3], [743, 672, 744]);
        assert_eq!((expected.days[&Day(0)], expected.days[&Day(1)], expected.days.len()), (23, 24, 365));
        assert_eq!(expected.days.values().sum::<u64>(), 8_759);
    }

    #[test]
    fn the_clock_is_changed_in_the_middle_of_what_is_missed() {
        let mut expected = Expected::default();
        assert_eq!(expected.between(at(0, 0), at(48, 600), HOUR_MICROS), 47);
        let mut days: Vec<(i32, u64)> = expected.days.iter().map(|(day, count)| (day.0, *count)).collect();
        days.sort_unstable();
        assert_eq!(days, [(0, 23), (1, 1 + 13), (2, 10)]);
    }

    #[test]
    fn the_ends_of_time_overflow_nothing() {
        let ends = [i64::MIN, i64::MAX].map(|instant| Moment { instant, offset: 840 });
        for step in [1, HOUR_MICROS, i64::MAX] {
            let mut expected = Expected::default();
            expected.between(ends[0], ends[1], step);
            let span = Span { from: i64::MIN, to: i64::MAX, step, jitter: step / 3 };
            expected.before(ends[1], &span);
            expected.behind(ends[0], &span);
            assert!(expected.months.len() <= 2 * MONTHS_MAX && expected.days.len() <= 2 * DAYS_MAX);
        }
    }
}
