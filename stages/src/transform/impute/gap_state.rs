//! What is known of a field and key before a row: the values that can be carried to it, by their times.

use serde::{Deserialize, Serialize};

/// How many donors are remembered, so that a record that comes late is filled from those around its own time. Each takes
/// some twenty bytes in every saved state, for each field and key.
pub(super) const DONORS_MAX: usize = 4;

/// A value that can be carried: one that is present and not flagged `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Donor {
    pub(super) value: f64,
    /// Its instant, in microseconds.
    pub(super) time: i64,
    /// Records to where it was observed, if it is itself a carried value.
    pub(super) distance: u8,
}

/// A donor, and the records since: those that came with times from its own up to that of the next donor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Remembered {
    donor: Donor,
    since: u64,
}

/// The place of a record that is no donor, between donors that came before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The last donor, in time, that is not later.
    pub(super) left: Option<Donor>,
    /// Its number among the records since that donor.
    pub(super) number: u64,
    /// The first donor, in time, that is later: only a record that came late has one.
    pub(super) right: Option<Donor>,
    /// Records from that one to this, where it came last and each record since is older than the one before: a file with its newest
    /// record first. Otherwise the next value in time may still come.
    pub(super) falling: Option<u64>,
    /// Where its gap begins: at the donor, else at the first record.
    pub(super) from: i64,
}

/// The last donors of a field and key, and the records since.
///
/// The donors that came last are remembered, and the latest of all, whenever it came: a station that sends an old stretch again
/// has its own donors there, and a record in order has the last one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GapState {
    /// In the order in which they came.
    donors: Vec<Remembered>,
    /// While there is no donor: the number of records, and the instant of the earliest. With donors: the number of records since
    /// the one that came last, and the instant of the last of them; no instant where one is not older than the one before.
    since: u64,
    start: Option<i64>,
    /// The latest instant of all records.
    latest: Option<i64>,
}

impl GapState {
    /// The latest donor, where there is one, and the records since, in order.
    pub(super) fn last(&self) -> (Option<Donor>, u64) {
        let last = self.donors.iter().max_by_key(|known| known.donor.time);
        last.map_or((None, self.since), |known| (Some(known.donor), known.since))
    }

    /// The instant of the earliest record, while there is no donor.
    pub(super) fn start(&self) -> Option<i64> {
        self.start
    }

    /// The latest instant of all records.
    pub(super) fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// Adds a record that is no donor.
    pub(super) fn push(&mut self, time: i64) -> Place {
        self.latest = self.latest.max(Some(time));
        // Of several at one time, the one that came last.
        let right =
            self.donors.iter().rev().filter(|known| known.donor.time > time).min_by_key(|known| known.donor.time);
        let right = right.map(|known| known.donor);
        let falling = self.fall(time).filter(|_| right == self.donors.last().map(|last| last.donor));
        if let Some(left) = Self::not_later(&mut self.donors, time) {
            left.since += 1;
            return Place { left: Some(left.donor), number: left.since, right, falling, from: left.donor.time };
        }
        if right.is_some() {
            // Older than all that is remembered.
            return Place { left: None, number: 1, right, falling, from: time };
        }
        self.since += 1;
        let from = self.start.map_or(time, |start| start.min(time));
        self.start = Some(from);
        Place { left: None, number: self.since, right: None, falling: None, from }
    }

    /// The records since the donor that came last, with this one, while each is older than the one before.
    fn fall(&mut self, time: i64) -> Option<u64> {
        if self.donors.is_empty() {
            return None;
        }
        let is_older = self.donors.last().is_some_and(|last| time < last.donor.time);
        self.start = self.start.filter(|before| is_older && time <= *before).map(|_| time);
        self.since = if self.start.is_some() { self.since + 1 } else { 0 };
        self.start.map(|_| self.since)
    }

    /// Adds a donor.
    pub(super) fn insert(&mut self, donor: Donor) {
        self.latest = self.latest.max(Some(donor.time));
        (self.since, self.start) = (0, Some(donor.time));
        if self.donors.len() >= DONORS_MAX {
            let first = self.donors[0].donor.time;
            let others = self.donors[1..].iter().map(|known| known.donor.time).chain([donor.time]);
            let first_is_latest = others.max().is_some_and(|latest| latest < first);
            let forgotten = self.donors.remove(usize::from(first_is_latest));
            // One of the same time has no records in between: in order, none that is forgotten is missed.
            let earlier = self.donors.iter_mut().filter(|known| known.donor.time < forgotten.donor.time);
            if let Some(before) = earlier.max_by_key(|known| known.donor.time) {
                before.since += forgotten.since + 1;
            }
        }
        self.donors.push(Remembered { donor, since: 0 });
    }

    /// The last donor, in time, that is not later than an instant.
    fn not_later(donors: &mut [Remembered], time: i64) -> Option<&mut Remembered> {
        donors.iter_mut().filter(|known| known.donor.time <= time).max_by_key(|known| known.donor.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn donor(time: i64) -> Donor {
        Donor { value: time as f64, time, distance: 0 }
    }

    #[test]
    fn a_late_record_is_placed_between_the_donors_around_its_own_time() {
        let mut state = GapState::default();
        state.insert(donor(10));
        state.push(11);
        state.insert(donor(20));
        let late = state.push(15);
        assert_eq!((late.left, late.number, late.right), (Some(donor(10)), 2, Some(donor(20))));
        let next = state.push(21);
        assert_eq!((next.left, next.number, next.right), (Some(donor(20)), 1, None));
    }

    #[test]
    fn a_donor_that_is_forgotten_adds_no_records_to_one_of_the_same_time() {
        let mut state = GapState::default();
        [10, 10, 11, 12, 13].into_iter().for_each(|time| state.insert(donor(time)));
        assert_eq!(state.push(10).number, 1);
    }

    #[test]
    fn the_latest_donor_is_not_forgotten_while_an_old_stretch_comes() {
        let mut state = GapState::default();
        state.insert(donor(100));
        (1..=10).for_each(|time| state.insert(donor(time)));
        assert_eq!(state.last(), (Some(donor(100)), 0));
        assert_eq!(state.push(10).left, Some(donor(10)));
        assert_eq!(state.push(2).left, None, "too old to be remembered");
        assert_eq!(state.donors.len(), DONORS_MAX);
    }
}
