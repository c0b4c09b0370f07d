//! The distribution of values in bounded memory.

use datasketches::tdigest::TDigestMut;
use serde::Serialize;

/// The compression of a digest of all values of a series: 17 kB.
const SERIES_COMPRESSION: u16 = 100;
/// The compression of a digest of one hour of the day, a day of the week or a month: 6 kB, for there are 43 in a series.
const PROFILE_COMPRESSION: u16 = 20;
/// Bars of a histogram.
const BARS: usize = 30;

/// Sums and quantiles of values.
#[derive(Clone, Debug)]
pub(super) struct Values {
    digest: TDigestMut,
    count: u64,
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
    /// A twentieth of them is less. Quantiles come from a t-digest: they are close, not exact.
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
    /// How many values lie in it, as the t-digest has it.
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
        Values::new(SERIES_COMPRESSION)
    }

    pub(super) fn of_profile() -> Values {
        Values::new(PROFILE_COMPRESSION)
    }

    fn new(compression: u16) -> Values {
        Values { digest: TDigestMut::new(compression).unwrap_or_default(), count: 0, mean: 0.0, squares: 0.0 }
    }

    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.digest.update(value);
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn quantile(&mut self, rank: f64) -> Option<f64> {
        self.digest.quantile(rank).ok().flatten()
    }

    /// The distribution, where there are values.
    pub(super) fn distribution(&mut self) -> Option<Distribution> {
        let (min, max) = (self.digest.min_value()?, self.digest.max_value()?);
        let ranks = [0.05, 0.25, 0.5, 0.75, 0.95, 0.98];
        let quantiles = self.digest.quantiles(&ranks).ok().flatten()?;
        let [p05, p25, median, p75, p95, p98] = <[f64; 6]>::try_from(quantiles).ok()?;
        let below = self.count.saturating_sub(1).max(1) as f64;
        Some(Distribution {
            count: self.count,
            mean: self.mean,
            standard_deviation: (self.squares / below).max(0.0).sqrt(),
            min,
            p05,
            p25,
            median,
            p75,
            p95,
            p98,
            max,
            histogram: self.histogram(min, max),
        })
    }

    fn histogram(&mut self, min: f64, max: f64) -> Vec<Bar> {
        let width = (max - min) / BARS as f64;
        if !width.is_finite() || width <= 0.0 {
            return vec![Bar { from: min, to: max, count: self.count as f64 }];
        }
        let mut edges: Vec<f64> = (1..BARS).map(|bar| min + width * bar as f64).collect();
        edges.dedup();
        let shares = self.digest.pmf(&edges).ok().flatten().unwrap_or_default();
        let starts = std::iter::once(min).chain(edges.iter().copied());
        let ends = edges.iter().copied().chain(std::iter::once(max));
        let bars = starts.zip(ends).zip(shares);
        bars.map(|((from, to), share)| Bar { from, to, count: (share * self.count as f64).max(0.0) }).collect()
    }

    /// The point of a profile.
    pub(super) fn point(&mut self) -> ProfilePoint {
        let mean = (self.count > 0).then_some(self.mean);
        ProfilePoint {
            count: self.count,
            mean,
            p25: self.quantile(0.25),
            median: self.quantile(0.5),
            p75: self.quantile(0.75),
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
