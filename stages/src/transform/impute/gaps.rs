//! Gaps: the rows of a key between two values that can be carried, for keys whose records come in the order of their times.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Flag, Numbers};
use arrow_array::Array;

use super::gap_state::{DONORS_MAX, DONORS_THAT_DECIDE, Donor, GapState};
use super::key_id::KeyId;
use super::key_order::KeyOrder;
use super::row_set::RowSet;

/// A field's cells, of one batch or of several one after the other.
pub(super) struct FieldCells<'a> {
    pub(super) values: Cow<'a, [f64]>,
    pub(super) quality: Cow<'a, [u32]>,
    /// `None` where every row has a value.
    pub(super) valid: Option<RowSet>,
}

impl<'a> FieldCells<'a> {
    pub(super) fn of(numbers: &'a Numbers) -> FieldCells<'a> {
        let nulls = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0);
        FieldCells {
            values: Cow::Borrowed(numbers.values.values()),
            quality: Cow::Borrowed(&numbers.quality),
            valid: nulls.map(RowSet::valid),
        }
    }

    #[inline]
    pub(super) fn is_missing(&self, row: usize) -> bool {
        self.valid.as_ref().is_some_and(|valid| !valid.has(row))
    }

    #[inline]
    pub(super) fn quality_at(&self, row: usize) -> CellQuality {
        CellQuality(self.quality[row])
    }

    #[inline]
    pub(super) fn is_donor(&self, row: usize) -> bool {
        !self.is_missing(row) && self.quality_at(row).flag() != Flag::Fail
    }

    /// The donor at a row that is one.
    pub(super) fn donor(&self, row: usize, time: &[i64]) -> Donor {
        Donor { value: self.values[row], time: time[row], distance: self.quality_at(row).distance() }
    }
}

/// A gap, all rows of a key between two donors, missing or flagged `fail`: the part of it that lies in the present rows.
pub(super) struct Gap<'a> {
    /// The gap's rows, in order.
    pub(super) rows: &'a [usize],
    /// Records of the gap before those rows.
    pub(super) before: u64,
    /// The donor before the gap, if there is one.
    pub(super) left: Option<Donor>,
    /// The donor after the gap; `None` while it has not come.
    pub(super) right: Option<Donor>,
    /// Whether its neighbours (or, where there are none, its ends) are known to lie further apart than `max_gap`.
    pub(super) long: bool,
}

/// The beginning of a gap, up to some row.
#[derive(Clone, Copy)]
struct GapStart {
    left: Option<Donor>,
    since: u64,
    from: Option<i64>,
    latest: Option<i64>,
}

impl GapStart {
    fn after(donor: Donor) -> GapStart {
        GapStart { left: Some(donor), since: 0, from: Some(donor.time), latest: Some(donor.time) }
    }

    fn of(state: &GapState) -> GapStart {
        let (left, since) = state.last();
        let from = left.map(|donor| donor.time).or(state.start());
        GapStart { left, since, from, latest: state.latest() }
    }

    fn extend_to(&mut self, time: i64) {
        self.from = self.from.or(Some(time));
        self.latest = self.latest.max(Some(time));
    }
}

/// How the times of a key's rows follow each other, and those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// None is older than one that came before it.
    InOrder,
    /// None is older than another of these rows, but some are older than rows before them: an old stretch that comes again.
    BehindState,
    /// Some are older than others of these rows that came before them.
    Mixed,
}

/// Whether a gap that begins at `from` and reaches up to `to` is longer than `max_gap`.
pub(super) fn is_long(from: i64, to: i64, max_gap: Option<u64>) -> bool {
    max_gap.is_some_and(|max_gap| to > from && to.abs_diff(from) > max_gap)
}

/// Rows of several keys, to search for gaps.
pub(super) struct KeyedSeries<'a> {
    pub(super) time: &'a [i64],
    pub(super) order: &'a KeyOrder,
    /// In microseconds.
    pub(super) max_gap: Option<u64>,
}

impl KeyedSeries<'_> {
    /// Calls `fill` for each gap of a field, but not for the keys of `late`, which ascend. `states` has the state before the
    /// rows, by key.
    pub(super) fn gaps(
        &self,
        cells: &FieldCells<'_>,
        states: &[GapState],
        late: &[KeyId],
        mut fill: impl FnMut(&Gap<'_>),
    ) {
        let Some(valid) = &cells.valid else { return };
        let mut rows = Vec::new();
        for row in valid.iter_absent() {
            if !late.is_empty() && late.binary_search(&self.order.key(row)).is_ok() {
                continue;
            }
            let Some((head, mut start)) = self.head(cells, row, states) else { continue };
            let (before, left) = (start.since, start.left);
            rows.clear();
            let mut next = Some(head);
            while let Some(row) = next.filter(|row| !cells.is_donor(*row)) {
                rows.push(row);
                start.extend_to(self.time[row]);
                next = self.order.next(row);
            }
            let right = next.map(|row| cells.donor(row, self.time));
            if let Some(right) = right {
                start.extend_to(right.time);
            }
            let ends = start.from.zip(start.latest);
            let long = ends.is_some_and(|(from, to)| is_long(from, to, self.max_gap));
            fill(&Gap { rows: &rows, before, left, right, long });
        }
    }

    /// The first row of a missing cell's gap, with the beginning of the gap before it; `None` unless the cell is the first
    /// missing one of its gap, so that each gap is found once.
    fn head(&self, cells: &FieldCells<'_>, missing: usize, states: &[GapState]) -> Option<(usize, GapStart)> {
        let mut head = missing;
        while let Some(row) = self.order.previous(head) {
            if cells.is_missing(row) {
                return None;
            }
            if cells.is_donor(row) {
                return Some((head, GapStart::after(cells.donor(row, self.time))));
            }
            head = row;
        }
        let before = states.get(self.order.key(head) as usize).map(GapStart::of);
        Some((head, before.unwrap_or(GapStart { left: None, since: 0, from: None, latest: None })))
    }

    /// Advances the state to behind `last`, the last row of its key that leaves.
    pub(super) fn advance(&self, state: &mut GapState, cells: &FieldCells<'_>, last: usize, arrival: Arrival) {
        let (mut rows, mut donors) = (Vec::new(), 0);
        let mut row = Some(last);
        let enough = match arrival {
            // Nothing before the donors that are remembered matters.
            Arrival::InOrder => DONORS_MAX,
            Arrival::BehindState => DONORS_THAT_DECIDE,
            Arrival::Mixed => usize::MAX,
        };
        while let Some(at) = row.filter(|_| donors < enough) {
            rows.push(at);
            donors += usize::from(cells.is_donor(at));
            row = self.order.previous(at);
        }
        for row in rows.into_iter().rev() {
            if cells.is_donor(row) {
                state.insert(cells.donor(row, self.time));
            } else {
                state.push(self.time[row]);
            }
        }
    }

    /// The keys, ascending, of which a record here is older than one before it, by the order of arrival.
    pub(super) fn late_keys(&self) -> Vec<KeyId> {
        let late = |row: &usize| self.order.previous(*row).is_some_and(|before| self.time[before] > self.time[*row]);
        let mut keys = match self.order {
            KeyOrder::One { .. } if self.time.is_sorted() => Vec::new(),
            KeyOrder::One { key, .. } => vec![*key],
            KeyOrder::Interleaved(_) => (0..self.order.rows()).filter(late).map(|row| self.order.key(row)).collect(),
        };
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
