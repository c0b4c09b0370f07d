//! Quantiles of values in bounded memory: exact while there are few different ones, as readings with few digits have, and close beyond.

use datasketches::tdigest::TDigestMut;

/// Values with their quantiles.
#[derive(Clone, Debug)]
pub(super) struct Quantiles {
    /// Different values with how often they came, in order; empty once there were too many.
    exact: Vec<(f64, u64)>,
    distinct_max: usize,
    digest: Option<TDigestMut>,
    compression: u16,
    count: u64,
    min: f64,
    max: f64,
}

impl Quantiles {
    /// Keeps so many different values, and then a t-digest of such a compression.
    pub(super) fn new(distinct_max: usize, compression: u16) -> Quantiles {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Quantiles { exact: Vec::new(), distinct_max, digest: None, compression, count: 0, min, max }
    }

    /// Takes a finite value.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        if let Some(digest) = &mut self.digest {
            return digest.update(value);
        }
        match self.exact.binary_search_by(|(known, _)| known.total_cmp(&value)) {
            Ok(at) => self.exact[at].1 += 1,
            Err(at) => {
                self.exact.insert(at, (value, 1));
                if self.exact.len() > self.distinct_max {
                    self.become_digest();
                }
            }
        }
    }

    #[cold]
    fn become_digest(&mut self) {
        let mut digest = TDigestMut::new(self.compression).unwrap_or_default();
        for (value, times) in std::mem::take(&mut self.exact) {
            (0..times).for_each(|_| digest.update(value));
        }
        self.digest = Some(digest);
    }

    /// Whether quantiles are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.digest.is_none()
    }

    /// How many values there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The least and the greatest value.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        (self.count > 0).then_some((self.min, self.max))
    }

    /// The quantile of a rank from 0 to 1, between two values in proportion as R and numpy have it.
    pub(super) fn quantile(&mut self, rank: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        if let Some(digest) = &mut self.digest {
            return digest.quantile(rank).ok().flatten();
        }
        let place = (self.count - 1) as f64 * rank;
        let (low, high) = (self.at(place.floor() as u64)?, self.at(place.ceil() as u64)?);
        Some(low + (high - low) * place.fract())
    }

    /// The value at a place in the order of all.
    fn at(&self, place: u64) -> Option<f64> {
        let mut before = 0;
        let found = self.exact.iter().find(|(_, times)| {
            before += times;
            place < before
        });
        found.map(|(value, _)| *value)
    }

    /// How many values lie between neighbouring edges, and beyond the first and the last. The last edge belongs to the last part.
    pub(super) fn between(&mut self, edges: &[f64]) -> Vec<f64> {
        if let Some(digest) = &mut self.digest {
            let shares = digest.pmf(edges).ok().flatten().unwrap_or_default();
            return shares.into_iter().map(|share| (share * self.count as f64).max(0.0)).collect();
        }
        let mut counts = vec![0.0; edges.len() + 1];
        for (value, times) in &self.exact {
            counts[edges.partition_point(|edge| edge <= value)] += *times as f64;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_different_values_have_exact_quantiles_and_many_have_close_ones() {
        let mut few = Quantiles::new(100, 20);
        (0..10_000).for_each(|i| few.add(f64::from(i % 11) / 10.0));
        assert!(few.is_exact());
        assert_eq!((few.quantile(0.5), few.quantile(0.0), few.quantile(1.0)), (Some(0.5), Some(0.0), Some(1.0)));
        let mut two = Quantiles::new(100, 20);
        [1.0, 2.0].iter().for_each(|value| two.add(*value));
        assert_eq!(two.quantile(0.25), Some(1.25));
        assert_eq!(two.between(&[1.5, 1.7]), [1.0, 0.0, 1.0]);

        let mut many = Quantiles::new(100, 100);
        (0..10_000).for_each(|i| many.add(f64::from(i * 7 % 10_007)));
        assert!(!many.is_exact() && many.exact.is_empty());
        let median = many.quantile(0.5).expect("values");
        assert!((median - 5_003.0).abs() < 60.0, "{median}");
        assert_eq!(many.ends(), Some((0.0, 10_006.0)));
        let sum: f64 = many.between(&[100.0, 5_000.0]).iter().sum();
        assert!((sum - 10_000.0).abs() < 1e-6);
        assert_eq!(Quantiles::new(1, 20).quantile(0.5), None);
    }
}
