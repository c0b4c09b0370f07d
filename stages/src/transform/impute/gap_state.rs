//! What is known of a field and key before a row: the values that can be carried to it, by their times.

use aqpipe_engine::Result;

use super::damaged::damaged;
use super::saved_numbers::{Numbers, write_few, write_number};
use super::saved_times::Times;

/// How many donors are remembered, so that a record that comes late is filled from those around its own time. Each takes
/// some three bytes in every saved state, for each field and key.
pub(super) const DONORS_MAX: usize = 4;

/// After so many donors in order a state does not depend on rows before them in that order: what was remembered first is then forgotten,
/// and so is each donor to which a forgotten one gave its records. Only a donor that is later than all of them stays.
pub(super) const DONORS_THAT_DECIDE: usize = 2 * DONORS_MAX;

/// A value that can be carried: one that is present and not flagged `fail`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Donor {
    pub(super) value: f64,
    /// Its instant, in microseconds.
    pub(super) time: i64,
    /// Records to where it was observed, if it is itself a carried value.
    pub(super) distance: u8,
}

/// A donor, and the records since: those that came with times from its own up to that of the next donor.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// What the first byte of a saved state has beside the number of donors: whether there is a start, and a latest instant, and whether
/// donors and numbers of records have all zeros in common.
const HAS_START: u8 = 8;
const HAS_LATEST: u8 = 16;
const HAS_NUMBERS: u8 = 32;

/// The last donors of a field and key, and the records since.
///
/// The donors that came last are remembered, and the latest of all, whenever it came: a station that sends an old stretch again
/// has its own donors there, and a record in order has the last one.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// That of a field and key of which nothing came.
    pub(super) const NONE: &GapState = &GapState { donors: Vec::new(), since: 0, start: None, latest: None };

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

    /// Writes it in few bytes.
    pub(super) fn write(&self, times: &mut Times, out: &mut Vec<u8>) {
        let has_numbers = self.since > 0 || self.donors.iter().any(|known| known.since > 0 || known.donor.distance > 0);
        let has = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(
            self.donors.len() as u8
                | has(self.start.is_some(), HAS_START)
                | has(self.latest.is_some(), HAS_LATEST)
                | has(has_numbers, HAS_NUMBERS),
        );
        self.donors.iter().for_each(|known| times.write(known.donor.time, out));
        [self.start, self.latest].into_iter().flatten().for_each(|time| times.write(time, out));
        if has_numbers {
            write_number(self.since, out);
            for known in &self.donors {
                write_number(known.since, out);
                out.push(known.donor.distance);
            }
        }
        if !self.donors.is_empty() {
            write_few(self.donors.iter().map(|known| known.donor.value), out);
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(times: &mut Times, numbers: &mut Numbers<'_>) -> Result<GapState> {
        let first = numbers.byte()?;
        let count = usize::from(first & 7);
        if count > DONORS_MAX || first >= 2 * HAS_NUMBERS {
            return Err(damaged());
        }
        let mut at = [0; DONORS_MAX];
        for time in &mut at[..count] {
            *time = times.read(numbers)?;
        }
        let mut time = |bit: u8| (first & bit != 0).then(|| times.read(numbers)).transpose();
        let (start, latest) = (time(HAS_START)?, time(HAS_LATEST)?);
        let mut state = GapState { donors: Vec::with_capacity(count), since: 0, start, latest };
        let known = |time: &i64| Remembered { donor: Donor { value: 0.0, time: *time, distance: 0 }, since: 0 };
        state.donors.extend(at[..count].iter().map(known));
        if first & HAS_NUMBERS != 0 {
            // No run sees so many records that it could not count on.
            let records = |numbers: &mut Numbers<'_>| numbers.number().map(|records| records.min(u64::MAX / 2));
            state.since = records(numbers)?;
            for known in &mut state.donors {
                (known.since, known.donor.distance) = (records(numbers)?, numbers.byte()?);
            }
        }
        if count > 0 {
            let scale = numbers.byte()?;
            for known in &mut state.donors {
                known.donor.value = numbers.value(scale)?;
            }
        }
        Ok(state)
    }

    /// The last donor, in time, that is not later than an instant.
    fn not_later(donors: &mut [Remembered], time: i64) -> Option<&mut Remembered> {
        donors.iter_mut().filter(|known| known.donor.time <= time).max_by_key(|known| known.donor.time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn donor(time: i64) -> Donor {
        Donor { value: time as f64, time, distance: 0 }
    }

    proptest! {
        #[test]
        fn a_state_comes_back_as_it_was(records in vec((option::of(value()), time(), 0_u8..2), 0..12)) {
            let mut state = GapState::default();
            for (value, time, distance) in records {
                match value {
                    Some(value) => state.insert(Donor { value, time, distance: distance * 255 }),
                    None => drop(state.push(time)),
                }
            }
            let mut bytes = Vec::new();
            state.write(&mut Times::default(), &mut bytes);
            let mut numbers = Numbers::of(&bytes);
            prop_assert_eq!(GapState::read(&mut Times::default(), &mut numbers).expect("reads"), state);
            prop_assert!(numbers.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..60)) {
            let mut numbers = Numbers::of(&bytes);
            let _ = GapState::read(&mut Times::default(), &mut numbers);
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![(-9_999_i32..9_999).prop_map(|n| f64::from(n) / 10.0), -1e9..1e9, Just(-0.0)]
    }

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![(0_i64..6).prop_map(|hour| hour * 3_600_000_000), any::<i64>()]
    }

    #[test]
    fn a_state_in_order_takes_few_bytes() {
        let mut state = GapState::default();
        (1..=9).for_each(|hour| state.insert(Donor { value: 1.5, time: hour * 3_600_000_000, distance: 0 }));
        let (mut times, mut first, mut next) = (Times::default(), Vec::new(), Vec::new());
        state.write(&mut times, &mut first);
        state.write(&mut times, &mut next);
        assert!(first.len() < 25 && next.len() <= 12, "{} and {} bytes", first.len(), next.len());
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
