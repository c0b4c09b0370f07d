//! The times of rows that have left, by which a value is known that comes too late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many times are remembered with the way in which their rows left.
const RECENT_MAX: usize = 16;
/// How many runs of older times are remembered. A station that reports at even intervals has one for each of its gaps; what
/// comes for a time that is forgotten makes a row of its own, and nothing is lost.
const RUNS_MAX: usize = 32;

/// How a row left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// With a value for each name: what comes after it is another record of the same.
    Complete,
    /// Without some, as far as is known: what comes after it is late.
    Incomplete,
}

/// Times at even intervals, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: i64,
    last: i64,
    /// Zero where there is one time.
    step: u64,
}

impl Run {
    fn has(self, time: i64) -> bool {
        (self.first..=self.last).contains(&time) && self.first.abs_diff(time).checked_rem(self.step).unwrap_or(0) == 0
    }

    /// Takes a time in at either end; returns whether it fits.
    fn extend(&mut self, time: i64) -> bool {
        if self.has(time) {
            return true;
        }
        let (ends, distance) = if time > self.last {
            ((self.first, time), self.last.abs_diff(time))
        } else if time < self.first {
            ((time, self.last), self.first.abs_diff(time))
        } else {
            return false;
        };
        if self.step != 0 && distance != self.step {
            return false;
        }
        ((self.first, self.last), self.step) = (ends, distance);
        true
    }
}

/// The times of rows of one key that have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Departures {
    /// The last ones, the last one last, and whether they had all values.
    recent: VecDeque<(i64, bool)>,
    /// Those before, the one that was changed last at the end.
    runs: VecDeque<Run>,
    /// The latest of the times that are not remembered any more.
    forgotten: Option<i64>,
}

impl Departures {
    /// How the row of a time left, as far as is known.
    pub(super) fn of(&self, time: i64) -> Option<Departure> {
        match self.recent.iter().find(|(left, _)| *left == time) {
            Some((_, true)) => Some(Departure::Complete),
            Some((_, false)) => Some(Departure::Incomplete),
            None => self.runs.iter().any(|run| run.has(time)).then_some(Departure::Incomplete),
        }
    }

    /// Whether a time lies among those that are not remembered any more: the row of one that left may be made a second time.
    pub(super) fn may_have_left(&self, time: i64) -> bool {
        self.forgotten.is_some_and(|forgotten| time <= forgotten)
    }

    pub(super) fn add(&mut self, time: i64, departure: Departure) {
        self.recent.push_back((time, departure == Departure::Complete));
        if self.recent.len() > RECENT_MAX
            && let Some((time, _)) = self.recent.pop_front()
        {
            self.remember(time);
        }
    }

    fn remember(&mut self, time: i64) {
        // The last run most of all: only a run of one time takes any other, and must not take one from another run.
        let place =
            (0..self.runs.len()).rev().find(|place| self.runs[*place].step != 0 && self.runs[*place].extend(time));
        let is_last_alone = self.runs.back().is_some_and(|last| last.step == 0);
        match place {
            Some(place) => {
                if let Some(run) = self.runs.remove(place) {
                    self.runs.push_back(run);
                }
            }
            None if is_last_alone => drop(self.runs.back_mut().map(|last| last.extend(time))),
            None => self.runs.push_back(Run { first: time, last: time, step: 0 }),
        }
        if self.runs.len() > RUNS_MAX {
            self.forgotten = self.forgotten.max(self.runs.pop_front().map(|run| run.last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: impl IntoIterator<Item = i64>) -> Departures {
        let mut left = Departures::default();
        times.into_iter().for_each(|time| left.add(time, Departure::Complete));
        left
    }

    #[test]
    fn times_at_even_intervals_are_remembered_however_many_there_are() {
        for left in [after(0..10_000), after((0..10_000).rev()), after((0..5_000).chain(5_000..10_000))] {
            assert!(left.runs.len() <= 2, "{:?}", left.runs);
            assert!((0..10_000).all(|time| left.of(time).is_some()));
            assert_eq!((left.of(-1), left.of(10_000)), (None, None));
        }
        let with_gaps = after((0..20).flat_map(|day| (day * 100..day * 100 + 90).step_by(5)));
        assert!((0..20).all(|day| left_of_day(&with_gaps, day)));
    }

    fn left_of_day(left: &Departures, day: i64) -> bool {
        let known = (day * 100..day * 100 + 90).step_by(5).all(|time| left.of(time).is_some());
        known && left.of(day * 100 + 1).is_none() && left.of(day * 100 + 95).is_none()
    }

    #[test]
    fn a_time_that_never_left_is_not_taken_for_one_that_did() {
        let mut seed = 7_u64;
        let mut times = Vec::new();
        for _ in 0..2_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            times.push((seed >> 40) as i64 % 5_000);
        }
        let left = after(times.iter().copied());
        assert!(left.runs.len() <= RUNS_MAX);
        assert!((0..5_000).all(|time| left.of(time).is_none() || times.contains(&time)));
        assert!(times[times.len() - RECENT_MAX..].iter().all(|time| left.of(*time) == Some(Departure::Complete)));
    }
}
