//! The stations, found by the keys of records.

use std::collections::HashMap;

use super::civil::LocalTime;
use super::step::StepFinder;

/// Stations that are told apart. A key that is no station (an id of each record) would have no end.
pub(super) const STATIONS_MAX: usize = 10_000;
/// No series of this field.
pub(super) const NO_SERIES: u32 = u32::MAX;

/// What is known of a station.
#[derive(Clone, Debug)]
pub(super) struct Station {
    pub(super) data: usize,
    pub(super) name: Option<String>,
    pub(super) records: u64,
    pub(super) first: LocalTime,
    pub(super) last: LocalTime,
    /// Records with the time of the one before, and with an earlier one.
    pub(super) repeated: u64,
    pub(super) late: u64,
    pub(super) steps: StepFinder,
    /// The series of each field.
    pub(super) series: Vec<u32>,
    previous: Option<LocalTime>,
}

impl Station {
    #[inline]
    pub(super) fn record(&mut self, time: LocalTime) {
        self.records += 1;
        if let Some(previous) = self.previous.replace(time) {
            match time.0.saturating_sub(previous.0) {
                0 => self.repeated += 1,
                distance @ 1.. => self.steps.add(distance),
                _ => self.late += 1,
            }
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }
}

/// The stations of all pipelines.
#[derive(Debug, Default)]
pub(super) struct Stations {
    pub(super) list: Vec<Station>,
    by_name: HashMap<(usize, Option<String>), usize>,
}

impl Stations {
    /// The number of a station; `None` where there are too many.
    pub(super) fn find(&mut self, data: usize, name: Option<&str>) -> Option<usize> {
        let key = (data, name.map(str::to_owned));
        if let Some(known) = self.by_name.get(&key) {
            return Some(*known);
        }
        if self.list.len() >= STATIONS_MAX {
            return None;
        }
        self.list.push(Station {
            data,
            name: key.1.clone(),
            records: 0,
            first: LocalTime(i64::MAX),
            last: LocalTime(i64::MIN),
            repeated: 0,
            late: 0,
            steps: StepFinder::default(),
            series: Vec::new(),
            previous: None,
        });
        self.by_name.insert(key, self.list.len() - 1);
        Some(self.list.len() - 1)
    }
}
