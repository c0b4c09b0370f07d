//! A series for a picture: the least and the greatest value of each bin of time, at most two thousand points.

use std::collections::BTreeMap;

use aqpipe_engine::record::Flag;
use serde::Serialize;

use super::civil::{DAY_MICROS, HOUR_MICROS, LocalTime, SECOND_MICROS};

/// Bins of a series: each has two points, so that there are at most 2,000.
const BINS_MAX: usize = 1_000;
const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// The widths that bins may have: each is a multiple of the one before, so that bins merge without a rest. Beyond, they double.
const WIDTHS: [i64; 11] = [
    1,
    SECOND_MICROS,
    10 * SECOND_MICROS,
    MINUTE_MICROS,
    5 * MINUTE_MICROS,
    15 * MINUTE_MICROS,
    HOUR_MICROS,
    3 * HOUR_MICROS,
    6 * HOUR_MICROS,
    12 * HOUR_MICROS,
    DAY_MICROS,
];

/// The observed values of a bin of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrendBin {
    /// Where it begins.
    pub time: LocalTime,
    /// The least observed value.
    pub min: f64,
    /// The greatest observed value.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// How many there are.
    pub count: u32,
    /// How many of them are suspect or failed a test.
    pub flagged: u32,
    /// The one among those that is furthest from the mean, and its flag.
    #[serde(skip)]
    pub furthest_flagged: Option<(f64, Flag)>,
}

/// Gathers them.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    width: i64,
    bins: BTreeMap<i64, TrendBin>,
    last: Option<TrendBin>,
}

impl Default for Trend {
    fn default() -> Self {
        Trend { width: WIDTHS[0], bins: BTreeMap::new(), last: None }
    }
}

impl Trend {
    #[inline]
    pub(super) fn add(&mut self, time: LocalTime, value: f64, flag: Flag) {
        let is_flagged = matches!(flag, Flag::Suspect | Flag::Fail);
        let start = time.0.div_euclid(self.width).saturating_mul(self.width);
        let bin = TrendBin {
            time: LocalTime(start),
            min: value,
            max: value,
            mean: value,
            count: 1,
            flagged: u32::from(is_flagged),
            furthest_flagged: is_flagged.then_some((value, flag)),
        };
        match &mut self.last {
            Some(last) if last.time.0 == start => merge(last, &bin),
            _ => {
                self.flush();
                self.last = Some(bin);
            }
        }
    }

    fn flush(&mut self) {
        let Some(mut bin) = self.last.take() else { return };
        self.align(&mut bin);
        put(&mut self.bins, bin);
        while self.bins.len() > BINS_MAX {
            self.width = wider(self.width);
            for mut bin in std::mem::take(&mut self.bins).into_values() {
                self.align(&mut bin);
                put(&mut self.bins, bin);
            }
        }
    }

    fn align(&self, bin: &mut TrendBin) {
        bin.time = LocalTime(bin.time.0.div_euclid(self.width).saturating_mul(self.width));
    }

    /// The width of bins in seconds, and the bins in order.
    pub(super) fn finish(mut self) -> (f64, Vec<TrendBin>) {
        self.flush();
        (self.width as f64 / SECOND_MICROS as f64, self.bins.into_values().collect())
    }
}

fn wider(width: i64) -> i64 {
    WIDTHS.into_iter().find(|other| *other > width).unwrap_or(width.saturating_mul(2))
}

fn put(bins: &mut BTreeMap<i64, TrendBin>, bin: TrendBin) {
    bins.entry(bin.time.0).and_modify(|known| merge(known, &bin)).or_insert(bin);
}

fn merge(bin: &mut TrendBin, other: &TrendBin) {
    let count = bin.count.saturating_add(other.count);
    bin.mean += (other.mean - bin.mean) * f64::from(other.count) / f64::from(count);
    bin.count = count;
    bin.min = bin.min.min(other.min);
    bin.max = bin.max.max(other.max);
    bin.flagged = bin.flagged.saturating_add(other.flagged);
    let far = |(value, _): &(f64, Flag)| (value - bin.mean).abs();
    bin.furthest_flagged =
        bin.furthest_flagged.into_iter().chain(other.furthest_flagged).max_by(|a, b| far(a).total_cmp(&far(b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_grow_with_the_series_and_keep_its_extremes() {
        let mut trend = Trend::default();
        for hour in 0..100_000_i64 {
            let value = if hour == 70_001 { 99.0 } else { (hour % 24) as f64 };
            let flag = if value > 90.0 { Flag::Fail } else { Flag::Good };
            trend.add(LocalTime(hour * HOUR_MICROS), value, flag);
        }
        let (width, bins) = trend.finish();
        assert!(bins.len() <= BINS_MAX && bins.len() > BINS_MAX / 3, "{}", bins.len());
        assert_eq!(width % 86_400.0, 0.0);
        assert_eq!(bins.iter().map(|bin| u64::from(bin.count)).sum::<u64>(), 100_000);
        let peak = bins.iter().find(|bin| bin.max > 90.0).expect("the peak");
        assert_eq!((peak.flagged, peak.furthest_flagged, peak.min), (1, Some((99.0, Flag::Fail)), 0.0));
    }

    #[test]
    fn times_in_any_order_find_their_bin() {
        let mut trend = Trend::default();
        [5, 1, 3, 1].iter().for_each(|hour| trend.add(LocalTime(hour * HOUR_MICROS), *hour as f64, Flag::Good));
        let (_, bins) = trend.finish();
        assert_eq!(bins.iter().map(|bin| (bin.mean, bin.count)).collect::<Vec<_>>(), [(1.0, 2), (3.0, 1), (5.0, 1)]);
    }

    #[test]
    fn the_ends_of_time_overflow_nothing() {
        let mut trend = Trend::default();
        for at in 0..3_000 {
            let time = i128::from(i64::MIN) + at * (i128::from(u64::MAX) / 3_000);
            trend.add(LocalTime(i64::try_from(time).expect("a time")), 1.0, Flag::Good);
        }
        assert!(trend.finish().1.len() <= BINS_MAX);
    }
}
