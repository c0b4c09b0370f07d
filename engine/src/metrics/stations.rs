//! The newest reading of each station: of each key.

use std::collections::HashMap;
use std::sync::Arc;

/// Stations whose newest reading is known.
const STATIONS_MAX: usize = 100_000;
/// Stations that a snapshot names: those whose newest reading is oldest.
const STATIONS_SHOWN_MAX: usize = 1_000;

/// The newest reading of one station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationTime {
    /// Its key.
    pub station: Arc<str>,
    /// The time of its newest reading: microseconds since 1970.
    pub newest_micros: i64,
}

/// The newest readings of stations at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StationTimes {
    /// How many stations are known.
    pub known: u64,
    /// Those whose newest reading is oldest, the oldest first: 1,000 at most.
    pub oldest: Vec<StationTime>,
    /// The newest reading of all: microseconds since 1970.
    pub newest_micros: Option<i64>,
    /// The newest reading of all that does not lie ahead of now: a station whose clock runs ahead is no measure for others.
    pub newest_till_now_micros: Option<i64>,
    /// Readings of stations that found no room among 100,000.
    pub untold: u64,
    /// How many stations are silent, the named ones included, where somebody has said when one is.
    pub silent: u64,
}

/// The newest reading by station.
#[derive(Debug, Default)]
pub(super) struct Stations {
    newest: HashMap<Arc<str>, i64>,
    untold: u64,
    /// How far the newest reading of a station may lie behind that of all.
    pub(super) silent_after_micros: Option<i64>,
}

impl Stations {
    /// Takes note of the newest reading of a station. Readings without a key are of none.
    pub(super) fn add(&mut self, station: &str, micros: i64) {
        if station.is_empty() {
            return;
        }
        if let Some(newest) = self.newest.get_mut(station) {
            *newest = micros.max(*newest);
        } else if self.newest.len() < STATIONS_MAX {
            self.newest.insert(station.into(), micros);
        } else {
            self.untold += 1;
        }
    }

    /// The oldest ones, at a time in microseconds since 1970.
    pub(super) fn times(&self, now_micros: i64) -> StationTimes {
        let mut all: Vec<(i64, &Arc<str>)> = self.newest.iter().map(|(station, micros)| (*micros, station)).collect();
        let newest_micros = all.iter().map(|(micros, _)| *micros).max();
        let newest_till_now_micros = all.iter().map(|(micros, _)| *micros).filter(|micros| *micros <= now_micros).max();
        let is_silent = |micros: i64| {
            let behind = newest_till_now_micros.map(|newest| newest.saturating_sub(micros));
            behind.zip(self.silent_after_micros).is_some_and(|(behind, allowed)| behind > allowed)
        };
        let silent = all.iter().filter(|(micros, _)| is_silent(*micros)).count() as u64;
        if all.len() > STATIONS_SHOWN_MAX {
            all.select_nth_unstable(STATIONS_SHOWN_MAX);
            all.truncate(STATIONS_SHOWN_MAX);
        }
        all.sort_unstable();
        StationTimes {
            known: self.newest.len() as u64,
            oldest: all
                .into_iter()
                .map(|(newest_micros, station)| StationTime { station: Arc::clone(station), newest_micros })
                .collect(),
            newest_micros,
            newest_till_now_micros,
            untold: self.untold,
            silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stations_are_named_and_the_others_counted() {
        let mut stations = Stations::default();
        for i in 0..1_500 {
            stations.add(&format!("s{i:04}"), 1_000 + i);
        }
        stations.add("s0000", 5_000);
        stations.add("s0001", 7);
        stations.add("", 1);
        let times = stations.times(2_000);
        assert_eq!(times.newest_till_now_micros, Some(2_000), "a clock that runs ahead is no measure");
        assert_eq!((times.known, times.oldest.len(), times.newest_micros), (1_500, 1_000, Some(5_000)));
        assert_eq!(times.silent, 0, "nobody has said when a station is");
        stations.silent_after_micros = Some(100);
        assert_eq!(stations.times(2_000).silent, 899, "those that are not named too: from 1,001 to 1,899");
        let first = &times.oldest[0];
        assert_eq!((&*first.station, first.newest_micros), ("s0001", 1_001), "a late reading is not the newest");
    }
}
