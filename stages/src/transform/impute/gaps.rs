//! Gaps: the rows of a key between two values that can be carried.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Flag, Numbers};
use arrow_array::Array;
use serde::{Deserialize, Serialize};

use super::key_order::KeyOrder;
use super::row_set::RowSet;

/// A value that can be carried: one that is present and not flagged `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Donor {
    pub(super) value: f64,
    /// Its instant, in microseconds.
    pub(super) time: i64,
    /// Records to where it was observed, if it is itself a carried value.
    pub(super) distance: u8,
}

/// The state of a field and key before a row: the last donor, and the records since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GapState {
    pub(super) donor: Option<Donor>,
    /// Records after the donor, or all records if there is none.
    pub(super) since: u64,
    /// The instant of the first of those, if there is no donor.
    start: Option<i64>,
    /// Whether they span more time than `max_gap`.
    pub(super) long: bool,
}

impl GapState {
    fn after(donor: Donor) -> GapState {
        GapState { donor: Some(donor), ..GapState::default() }
    }

    /// Adds a record that is no donor.
    fn push(&mut self, time: i64, max_gap: Option<u64>) {
        self.since += 1;
        self.extend_to(time, max_gap);
        self.start.get_or_insert(time);
    }

    /// Extends the gap to an instant.
    fn extend_to(&mut self, time: i64, max_gap: Option<u64>) {
        let from = self.donor.map(|donor| donor.time).or(self.start);
        if let (Some(from), Some(max_gap)) = (from, max_gap) {
            self.long |= time.abs_diff(from) > max_gap;
        }
    }
}

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
    fn quality_at(&self, row: usize) -> CellQuality {
        CellQuality(self.quality[row])
    }

    #[inline]
    fn is_donor(&self, row: usize) -> bool {
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

/// Rows of several keys, to search for gaps.
pub(super) struct KeyedSeries<'a> {
    pub(super) time: &'a [i64],
    pub(super) order: &'a KeyOrder,
    /// In microseconds.
    pub(super) max_gap: Option<u64>,
}

impl KeyedSeries<'_> {
    /// Calls `fill` for each gap of a field. `states` has the state before the rows, by key.
    pub(super) fn gaps(&self, cells: &FieldCells<'_>, states: &[GapState], mut fill: impl FnMut(&Gap<'_>)) {
        let Some(valid) = &cells.valid else { return };
        let mut rows = Vec::new();
        for row in valid.iter_absent() {
            let Some((head, mut state)) = self.head(cells, row, states) else { continue };
            let (before, left) = (state.since, state.donor);
            rows.clear();
            let mut next = Some(head);
            while let Some(row) = next.filter(|row| !cells.is_donor(*row)) {
                rows.push(row);
                state.push(self.time[row], self.max_gap);
                next = self.order.next(row);
            }
            let right = next.map(|row| cells.donor(row, self.time));
            if let Some(right) = right {
                state.extend_to(right.time, self.max_gap);
            }
            fill(&Gap { rows: &rows, before, left, right, long: state.long });
        }
    }

    /// The first row of a missing cell's gap, with the state before it; `None` unless the cell is the first missing one of its
    /// gap, so that each gap is found once.
    fn head(&self, cells: &FieldCells<'_>, missing: usize, states: &[GapState]) -> Option<(usize, GapState)> {
        let mut head = missing;
        while let Some(row) = self.order.previous(head) {
            if cells.is_missing(row) {
                return None;
            }
            if cells.is_donor(row) {
                return Some((head, GapState::after(cells.donor(row, self.time))));
            }
            head = row;
        }
        Some((head, states.get(self.order.key(head) as usize).cloned().unwrap_or_default()))
    }

    /// Advances the state to behind `last`, the last row of its key that leaves.
    pub(super) fn advance(&self, state: &mut GapState, cells: &FieldCells<'_>, last: usize) {
        let mut rows = Vec::new();
        let mut row = Some(last);
        while let Some(at) = row.filter(|row| !cells.is_donor(*row)) {
            rows.push(at);
            row = self.order.previous(at);
        }
        if let Some(at) = row {
            *state = GapState::after(cells.donor(at, self.time));
        }
        for row in rows.into_iter().rev() {
            state.push(self.time[row], self.max_gap);
        }
    }
}
