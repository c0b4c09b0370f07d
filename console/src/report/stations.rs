//! The stations, found by the keys of records.

use std::collections::HashMap;

use super::expected::Moment;
use super::timeline::Timeline;

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
    /// The first and the last record.
    pub(super) ends: Option<(Moment, Moment)>,
    /// Records that are earlier than the one before.
    pub(super) late: u64,
    /// Records for whose times there was no room.
    pub(super) beyond: u64,
    pub(super) timeline: Timeline,
    /// The series of each field.
    pub(super) series: Vec<u32>,
    /// How many series there are.
    pub(super) slots: usize,
    previous: i64,
}

impl Station {
    #[inline]
    pub(super) fn record(&mut self, at: Moment) {
        self.records += 1;
        self.late += u64::from(at.instant < std::mem::replace(&mut self.previous, at.instant));
        self.ends = Some(self.ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// Records at a time that another one has.
    pub(super) fn repeated(&self) -> u64 {
        self.records.saturating_sub(self.beyond).saturating_sub(self.timeline.count())
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
            ends: None,
            late: 0,
            beyond: 0,
            timeline: Timeline::default(),
            series: Vec::new(),
            slots: 0,
            previous: i64::MIN,
        });
        self.by_name.insert(key, self.list.len() - 1);
        Some(self.list.len() - 1)
    }
}
