//! The distribution of values in bounded memory.

use serde::Serialize;

use super::quantiles::Quantiles;

/// Different values of a series that are kept apart: 16 kB. Readings with a few digits have fewer.
const SERIES_DISTINCT_MAX: usize = 1_024;
/// The compression of a digest of all values of a series: 17 kB.
const SERIES_COMPRESSION: u16 = 100;
/// The same of one hour of the day, a day of the week or a month: 16 kB, and there are 43 in a series.
const PROFILE_DISTINCT_MAX: usize = 1_024;
/// The compression of its digest: 17 kB.
const PROFILE_COMPRESSION: u16 = 100;
/// Bars of a histogram.
const BARS: usize = 30;

/// Sums and quantiles of values.
#[derive(Clone, Debug)]
pub(super) struct Values {
    quantiles: Quantiles,
    mean: f64,
    /// The sum of the squares of the distances from the mean (Welford).
    squares: f64,
}

/// A distribution.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with one less than their number below.
    pub standard_deviation: f64,
    /// The least of them.
    pub min: f64,
    /// Whether the quantiles are exact. Of more than 1,024 different values they are close: those of a t-digest.
    pub exact: bool,
    /// A twentieth of them is less.
    pub p05: f64,
    /// A quarter of them is less.
    pub p25: f64,
    /// Half of them is less.
    pub median: f64,
    /// Three quarters of them are less.
    pub p75: f64,
    /// All but a twentieth are less.
    pub p95: f64,
    /// All but two in a hundred are less.
    pub p98: f64,
    /// The greatest of them.
    pub max: f64,
    /// Bars of equal width from the least to the greatest value.
    pub histogram: Vec<Bar>,
}

/// A bar of a histogram.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bar {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How many values lie in it; a fraction where quantiles are not exact.
    pub count: f64,
}

/// A point of a profile: the values of one hour of the day, one day of the week or one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ProfilePoint {
    /// How many values.
    pub count: u64,
    /// Their mean; null where there are none.
    pub mean: Option<f64>,
    /// A quarter of them is less.
    pub p25: Option<f64>,
    /// Half of them is less.
    pub median: Option<f64>,
    /// Three quarters of them are less.
    pub p75: Option<f64>,
}

impl Values {
    pub(super) fn of_series() -> Values {
        Values::new(Quantiles::new(SERIES_DISTINCT_MAX, SERIES_COMPRESSION))
    }

    pub(super) fn of_profile() -> Values {
        Values::new(Quantiles::new(PROFILE_DISTINCT_MAX, PROFILE_COMPRESSION))
    }

    fn new(quantiles: Quantiles) -> Values {
        Values { quantiles, mean: 0.0, squares: 0.0 }
    }

    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.quantiles.add(value);
        let distance = value - self.mean;
        self.mean += distance / self.quantiles.count() as f64;
        self.squares += distance * (value - self.mean);
    }

    /// The distribution, where there are values.
    pub(super) fn distribution(&mut self) -> Option<Distribution> {
        let (min, max) = self.quantiles.ends()?;
        let count = self.quantiles.count();
        let below = count.saturating_sub(1).max(1) as f64;
        Some(Distribution {
            count,
            mean: self.mean,
            standard_deviation: (self.squares / below).max(0.0).sqrt(),
            min,
            exact: self.quantiles.is_exact(),
            p05: self.quantiles.quantile(0.05)?,
            p25: self.quantiles.quantile(0.25)?,
            median: self.quantiles.quantile(0.5)?,
            p75: self.quantiles.quantile(0.75)?,
            p95: self.quantiles.quantile(0.95)?,
            p98: self.quantiles.quantile(0.98)?,
            max,
            histogram: self.histogram(min, max),
        })
    }

    fn histogram(&mut self, min: f64, max: f64) -> Vec<Bar> {
        let width = (max - min) / BARS as f64;
        if !width.is_finite() || width <= 0.0 {
            return vec![Bar { from: min, to: max, count: self.quantiles.count() as f64 }];
        }
        let mut edges: Vec<f64> = (1..BARS).map(|bar| min + width * bar as f64).collect();
        edges.dedup();
        let counts = self.quantiles.between(&edges);
        let starts = std::iter::once(min).chain(edges.iter().copied());
        let ends = edges.iter().copied().chain(std::iter::once(max));
        starts.zip(ends).zip(counts).map(|((from, to), count)| Bar { from, to, count }).collect()
    }

    /// The point of a profile.
    pub(super) fn point(&mut self) -> ProfilePoint {
        let count = self.quantiles.count();
        ProfilePoint {
            count,
            mean: (count > 0).then_some(self.mean),
            p25: self.quantiles.quantile(0.25),
            median: self.quantiles.quantile(0.5),
            p75: self.quantiles.quantile(0.75),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_and_the_ends_exact() {
        let mut values = Values::of_series();
        // Every remainder once: 7 has no factor in common with 10,007.
        (0..10_007_u64).for_each(|i| values.add((i * 7 % 10_007) as f64));
        values.add(f64::NAN);
        let found = values.distribution().expect("values");
        assert_eq!((found.count, found.min, found.max), (10_007, 0.0, 10_006.0));
        for (quantile, expected) in
            [(found.p25, 2501.5), (found.median, 5003.0), (found.p75, 7504.5), (found.p98, 9806.0)]
        {
            assert!((quantile - expected).abs() < 60.0, "{quantile} is not {expected}");
        }
        assert!((found.mean - 5003.0).abs() < 1e-6 && (found.standard_deviation - 2888.9).abs() < 0.1);
        let sum: f64 = found.histogram.iter().map(|bar| bar.count).sum();
        assert!((sum - 10_007.0).abs() < 1e-6 && found.histogram.len() == BARS, "{sum}");
    }

    #[test]
    fn no_value_and_one_value_are_distributions_too() {
        assert!(Values::of_series().distribution().is_none());
        assert_eq!(Values::of_profile().point(), ProfilePoint::default());
        let mut values = Values::of_series();
        values.add(2.5);
        let found = values.distribution().expect("a value");
        assert_eq!((found.median, found.histogram.len()), (2.5, 1));
    }
}
