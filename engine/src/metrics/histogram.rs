//! Histograms with fixed bounds.

/// The bounds of durations and latencies in seconds: from a batch of a millisecond to a backlog of a month.
const SECONDS_BOUNDS: &[f64] = &[
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3_600.0,
    86_400.0,
    2_592_000.0,
];
/// The bounds of the rows of batches.
const ROWS_BOUNDS: &[f64] = &[1.0, 10.0, 100.0, 1_000.0, 2_000.0, 4_000.0, 8_192.0];
/// The bounds of quality scores.
pub const SCORE_BOUNDS: &[f64] =
    &[0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];

/// How many values fell between which bounds, and their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last one counts what lies above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty one for durations in seconds.
    #[must_use]
    pub fn of_seconds() -> Histogram {
        Histogram::with_bounds(SECONDS_BOUNDS)
    }

    /// An empty one for numbers of rows.
    #[must_use]
    pub fn of_rows() -> Histogram {
        Histogram::with_bounds(ROWS_BOUNDS)
    }

    /// An empty one for scores from 0 to 1, in steps of 0.05.
    #[must_use]
    pub fn of_scores() -> Histogram {
        Histogram::with_bounds(SCORE_BOUNDS)
    }

    fn with_bounds(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts a value; NaN is none.
    pub fn observe(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place] += 1;
        self.sum += value;
    }

    /// Adds the values of another one with the same bounds.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }

    /// The values that came since an earlier state of this histogram.
    #[must_use]
    pub fn since(&self, before: &Histogram) -> Histogram {
        let counts = self.counts.iter().zip(&before.counts).map(|(now, before)| now.saturating_sub(*before)).collect();
        Histogram { bounds: self.bounds, counts, sum: self.sum - before.sum }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean, where there are any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / count as f64)
    }

    /// The upper bound of each bucket, which belongs to it, and the number of values in it alone. The last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut scores = Histogram::of_scores();
        [0.0, 0.05, 0.7, 0.700_001, 1.0, f64::NAN].into_iter().for_each(|score| scores.observe(score));
        let filled: Vec<(f64, u64)> = scores.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.05, 2), (0.7, 1), (0.75, 1), (1.0, 1)]);
        assert_eq!(scores.count(), 5, "a score that is no number is none");
    }

    #[test]
    fn values_since_an_earlier_state_are_told_apart() {
        let mut seconds = Histogram::of_seconds();
        seconds.observe(1.0);
        let before = seconds.clone();
        seconds.observe(3.0);
        seconds.observe(5.0);
        assert_eq!((seconds.since(&before).count(), seconds.since(&before).mean()), (2, Some(4.0)));
        let mut sum = before.clone();
        sum.add(&seconds.since(&before));
        assert_eq!(sum, seconds);
    }
}
