//! The last time of each key, by which a reading is decided that a clock shows twice.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How many keys a split remembers the last time of: those beyond are as keys without an earlier record.
const KEYS_MAX: usize = 100_000;
/// After so many steps back, records count as sorted from the newest to the oldest; and the other way round.
const TREND_MAX: i8 = 3;

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    /// The instant of its last record.
    time: i64,
    /// Whether its times ascend (above zero) or descend (below), by the last steps.
    trend: i8,
    /// The records with this time so far, and with the two times before it. Where a key has several records at each
    /// time, equal readings are one instant.
    records: [u32; 3],
}

/// Which of the two instants of a reading is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Earlier,
    Later,
}

impl Last {
    fn after(before: Option<Last>, time: i64) -> Last {
        let Some(before) = before else { return Last { time, trend: 0, records: [1, 0, 0] } };
        let [now, last, _] = before.records;
        if time == before.time {
            return Last { records: [now.saturating_add(1), last, before.records[2]], ..before };
        }
        let trend = if time > before.time { before.trend + 1 } else { before.trend - 1 };
        Last { time, trend: trend.clamp(-TREND_MAX, TREND_MAX), records: [1, now, last] }
    }

    /// Whether the next record may have the time of this one, because there were as many at the times before.
    fn has_more(self) -> bool {
        let [now, last, before] = self.records;
        now < if before == 0 { last } else { last.min(before) }
    }

    fn choose(self, earlier: i64, later: i64) -> Option<Which> {
        if self.has_more() && (self.time == earlier || self.time == later) {
            return Some(if self.time == earlier { Which::Earlier } else { Which::Later });
        }
        if self.trend < 0 {
            return match () {
                () if later < self.time => Some(Which::Later),
                () if earlier < self.time => Some(Which::Earlier),
                () => None,
            };
        }
        match () {
            () if earlier > self.time => Some(Which::Earlier),
            () if later > self.time => Some(Which::Later),
            // The second record of its key goes back in time: the newest come first.
            () if self.trend == 0 && later < self.time => Some(Which::Later),
            () => None,
        }
    }
}

/// A change of a key that is undone where a checkpoint lies before it.
#[derive(Clone, Copy, Debug)]
struct Change {
    source_offset: u64,
    key: usize,
    before: Option<Last>,
}

/// The last time of each key.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeOrder {
    last: IndexMap<Box<[u8]>, Option<Last>, foldhash::fast::RandomState>,
    /// The changes since the last batch began, oldest first.
    changes: Vec<Change>,
}

impl TimeOrder {
    /// Which of two instants a record of the key has; `None` where its earlier records do not tell.
    pub(super) fn choose(&self, key: &[u8], earlier: i64, later: i64) -> Option<Which> {
        self.last.get(key).copied().flatten()?.choose(earlier, later)
    }

    /// Takes a record in.
    pub(super) fn add(&mut self, key: &[u8], time: i64, source_offset: u64) {
        let index = match self.last.get_index_of(key) {
            Some(index) => index,
            None if self.last.len() < KEYS_MAX => self.last.insert_full(key.into(), None).0,
            None => return,
        };
        if let Some((_, last)) = self.last.get_index_mut(index) {
            self.changes.push(Change { source_offset, key: index, before: *last });
            *last = Some(Last::after(*last, time));
        }
    }

    /// A new batch begins: nothing before it will be undone.
    pub(super) fn begin_batch(&mut self) {
        self.changes.clear();
    }

    /// What is known before the record at an offset of the split, to be saved.
    pub(super) fn saved(&self, before: u64) -> Vec<u8> {
        let mut last: Vec<Option<Last>> = self.last.values().copied().collect();
        for change in self.changes.iter().rev().take_while(|change| change.source_offset >= before) {
            last[change.key] = change.before;
        }
        let known = self.last.keys().zip(last).filter_map(|(key, last)| Some((key, last?)));
        // Bytes and numbers: nothing that cannot be serialised.
        postcard::to_stdvec(&known.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// Takes over what an earlier run saved; returns whether it could be read.
    pub(super) fn restore(&mut self, saved: &[u8]) -> bool {
        let Ok(known) = postcard::from_bytes::<Vec<(Box<[u8]>, Last)>>(saved) else { return false };
        self.last = known.into_iter().take(KEYS_MAX).map(|(key, last)| (key, Some(last))).collect();
        self.changes.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides readings of a clock that is put back from 3 to 2: `2.5` is half past two, once (2.5) or again (3.5).
    fn decide(order: &mut TimeOrder, readings: &[f64]) -> Vec<Option<f64>> {
        let mut decided = Vec::new();
        for (row, reading) in readings.iter().enumerate() {
            let (earlier, later) = ((reading * 10.0) as i64, (reading * 10.0) as i64 + 10);
            let time = match *reading {
                reading if reading < 2.0 => Some(earlier),
                reading if reading >= 3.0 => Some(later),
                _ => order
                    .choose(b"k", earlier, later)
                    .map(|which| if which == Which::Earlier { earlier } else { later }),
            };
            if let Some(time) = time {
                order.add(b"k", time, row as u64);
            }
            decided.push(time.map(|time| time as f64 / 10.0));
        }
        decided
    }

    #[test]
    fn readings_that_come_twice_go_by_the_order_of_records() {
        let some = |times: &[f64]| times.iter().copied().map(Some).collect::<Vec<_>>();
        for (readings, times) in [
            // Hourly, every half hour, and with a gap.
            (&[0.0, 1.0, 2.0, 2.0, 3.0][..], &[0.0, 1.0, 2.0, 3.0, 4.0][..]),
            (&[1.5, 2.0, 2.5, 2.0, 2.5, 3.0], &[1.5, 2.0, 2.5, 3.0, 3.5, 4.0]),
            (&[0.0, 2.5, 2.0, 2.5], &[0.0, 2.5, 3.0, 3.5]),
            // The newest first.
            (&[4.0, 3.0, 2.0, 2.0, 1.0], &[5.0, 4.0, 3.0, 2.0, 1.0]),
            (&[3.0, 2.5, 2.0, 2.5, 2.0], &[4.0, 3.5, 3.0, 2.5, 2.0]),
            // Two records at each time.
            (&[0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0], &[0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0]),
            // The same where the input begins one time before.
            (&[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0], &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]),
            // One late record does not turn the order round.
            (&[0.0, 0.5, 1.0, 0.75, 1.5, 2.0, 2.0], &[0.0, 0.5, 1.0, 0.7, 1.5, 2.0, 3.0]),
        ] {
            assert_eq!(decide(&mut TimeOrder::default(), readings), some(times), "{readings:?}");
        }
        assert_eq!(decide(&mut TimeOrder::default(), &[2.0, 1.0]), [None, Some(1.0)], "nothing came before");
        assert_eq!(decide(&mut TimeOrder::default(), &[1.0, 3.5, 2.0])[2], None, "late, and nobody knows how late");
    }

    #[test]
    fn what_is_saved_is_what_was_known_at_that_place() {
        let mut order = TimeOrder::default();
        order.add(b"a", 1, 10);
        order.begin_batch();
        order.add(b"a", 2, 20);
        order.add(b"b", 3, 30);
        let known = |before: u64| {
            let mut restored = TimeOrder::default();
            assert!(restored.restore(&order.saved(before)));
            let time = |key: &[u8]| restored.last.get(key).copied().flatten().map(|last| last.time);
            (time(b"a"), time(b"b"))
        };
        assert_eq!([known(20), known(30), known(31)], [(Some(1), None), (Some(2), None), (Some(2), Some(3))]);
        assert!(!TimeOrder::default().restore(b"\xff"));
    }
}
