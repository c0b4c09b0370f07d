//! The scores of records.

use std::collections::BTreeMap;

use serde::Serialize;

use super::civil::Day;

/// Days whose scores are kept: a century.
const DAYS_MAX: usize = 36_600;
/// Bars from 0 to 1.
pub(super) const BARS: usize = 20;

/// The scores of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DayScore {
    /// How many records have one.
    pub records: u64,
    /// Their mean.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
}

/// The scores of all records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScoreSummary {
    /// How many records have one.
    pub records: u64,
    /// Their mean.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
    /// How many are 1: every value was observed and no test objected.
    pub perfect: u64,
    /// Twenty bars from 0 to 1.
    pub histogram: Vec<u64>,
    /// By day.
    pub days: BTreeMap<Day, DayScore>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    count: u64,
    sum: f64,
    min: f64,
    perfect: u64,
    histogram: [u64; BARS],
    days: BTreeMap<Day, DayScore>,
}

impl Scores {
    #[inline]
    pub(super) fn add(&mut self, day: Day, score: f64) {
        if !score.is_finite() {
            return;
        }
        self.min = if self.count == 0 { score } else { self.min.min(score) };
        self.count += 1;
        self.sum += score;
        self.perfect += u64::from(score >= 1.0);
        self.histogram[((score * BARS as f64) as usize).min(BARS - 1)] += 1;
        if self.days.len() >= DAYS_MAX && !self.days.contains_key(&day) {
            return;
        }
        let known = self.days.entry(day).or_insert(DayScore { records: 0, mean: 0.0, min: score });
        known.records += 1;
        known.mean += (score - known.mean) / known.records as f64;
        known.min = known.min.min(score);
    }

    pub(super) fn finish(self) -> Option<ScoreSummary> {
        (self.count > 0).then(|| ScoreSummary {
            records: self.count,
            mean: self.sum / self.count as f64,
            min: self.min,
            perfect: self.perfect,
            histogram: self.histogram.to_vec(),
            days: self.days,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_summed_by_day_and_as_a_whole() {
        let mut scores = Scores::default();
        [(1, 1.0), (1, 0.5), (2, 0.999), (2, f64::NAN)].iter().for_each(|(day, score)| scores.add(Day(*day), *score));
        let found = scores.finish().expect("scores");
        assert_eq!((found.records, found.perfect, found.min), (3, 1, 0.5));
        assert_eq!(found.days[&Day(1)], DayScore { records: 2, mean: 0.75, min: 0.5 });
        assert_eq!((found.histogram[10], found.histogram[19]), (1, 2));
        assert_eq!(Scores::default().finish(), None);
    }
}
