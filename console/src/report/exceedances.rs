//! Observed values outside of the ranges.

use serde::Serialize;

use super::civil::LocalTime;
use super::origin::Threshold;

/// Exceedances of a series that are listed: the greatest.
const LISTED_MAX: usize = 5;

/// The observed values of a series outside of the ranges of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Exceedances {
    /// How many lie below `min`.
    pub below: u64,
    /// How many lie above `max`.
    pub above: u64,
    /// How many are within these and outside of `suspect_min` to `suspect_max`.
    pub suspect: u64,
    /// Those furthest outside, the furthest first.
    pub worst: Vec<Exceedance>,
}

/// An observed value outside of `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exceedance {
    /// When it was observed.
    pub time: LocalTime,
    /// The value.
    pub value: f64,
    /// How far outside it is.
    pub by: f64,
}

impl Exceedances {
    #[inline]
    pub(super) fn add(&mut self, threshold: &Threshold, time: LocalTime, value: f64) {
        let Some(by) = threshold.exceeded_by(value) else {
            self.suspect += u64::from(threshold.is_suspect(value));
            return;
        };
        if threshold.max.is_some_and(|max| value > max) {
            self.above += 1;
        } else {
            self.below += 1;
        }
        // Of equals the earliest: the order of records is not to decide.
        let at = self.worst.partition_point(|known| known.by > by || (known.by == by && known.time <= time));
        if at < LISTED_MAX {
            self.worst.insert(at, Exceedance { time, value, by });
            self.worst.truncate(LISTED_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_a_bound_are_within_and_the_furthest_are_listed() {
        let threshold = Threshold { min: Some(0.0), max: Some(10.0), suspect_max: Some(8.0), ..Threshold::default() };
        let mut found = Exceedances::default();
        let values = [0.0, 10.0, 9.0, -1.0, 11.0, 12.0, 30.0, 13.0, 14.0, -20.0];
        values.iter().enumerate().for_each(|(at, value)| found.add(&threshold, LocalTime(at as i64), *value));
        assert_eq!((found.below, found.above, found.suspect), (2, 5, 2));
        let worst: Vec<f64> = found.worst.iter().map(|one| one.value).collect();
        assert_eq!(worst, [30.0, -20.0, 14.0, 13.0, 12.0]);
    }
}
