//! Gaps: where a key has no value that could be carried, and what lies around.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Flag, Numbers};
use arrow_array::Array;
use serde::{Deserialize, Serialize};

use super::bits::Bits;
use super::order::Order;

/// A value that can be carried: any that is there and not flagged `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Donor {
    pub(super) value: f64,
    /// Its instant, in microseconds.
    pub(super) time: i64,
    /// How many records away it was observed itself, where it was carried already.
    pub(super) own: u8,
}

/// What came before a row of a key, as far as it matters for a field: the last donor and the records since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) donor: Option<Donor>,
    /// Records after the donor, or all of them where there is none.
    pub(super) since: u64,
    /// The instant of the first of those, where there is no donor.
    start: Option<i64>,
    /// Whether they reach further in time than `max_gap`.
    pub(super) long: bool,
}

impl Run {
    fn after(donor: Donor) -> Run {
        Run { donor: Some(donor), ..Run::default() }
    }

    /// Takes in a record without a donor.
    fn push(&mut self, time: i64, max_gap: Option<u64>) {
        self.since += 1;
        self.reach(time, max_gap);
        self.start.get_or_insert(time);
    }

    /// Notes whether an instant lies too far from where the gap begins.
    fn reach(&mut self, time: i64, max_gap: Option<u64>) {
        let from = self.donor.map(|donor| donor.time).or(self.start);
        if let (Some(from), Some(max_gap)) = (from, max_gap) {
            self.long |= time.abs_diff(from) > max_gap;
        }
    }
}

/// A field's cells, of one batch or of several one after the other.
pub(super) struct Cells<'a> {
    pub(super) values: Cow<'a, [f64]>,
    pub(super) marks: Cow<'a, [u32]>,
    /// `None` where every row has a value.
    pub(super) valid: Option<Bits>,
}

impl<'a> Cells<'a> {
    pub(super) fn of(numbers: &'a Numbers) -> Cells<'a> {
        let nulls = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0);
        Cells {
            values: Cow::Borrowed(numbers.values.values()),
            marks: Cow::Borrowed(&numbers.quality),
            valid: nulls.map(Bits::valid),
        }
    }

    #[inline]
    pub(super) fn is_missing(&self, row: usize) -> bool {
        self.valid.as_ref().is_some_and(|valid| !valid.has(row))
    }

    #[inline]
    fn mark(&self, row: usize) -> CellQuality {
        CellQuality(self.marks[row])
    }

    #[inline]
    fn is_donor(&self, row: usize) -> bool {
        !self.is_missing(row) && self.mark(row).flag() != Flag::Fail
    }

    /// The donor at a row that is one.
    pub(super) fn donor(&self, row: usize, time: &[i64]) -> Donor {
        Donor { value: self.values[row], time: time[row], own: self.mark(row).distance() }
    }
}

/// The part of a gap that lies in the rows at hand: all rows of a key between two donors, missing or flagged `fail`.
pub(super) struct Gap<'a> {
    /// Its rows, in order.
    pub(super) rows: &'a [usize],
    /// Records of the gap before them.
    pub(super) before: u64,
    /// The donor before it, where there is one.
    pub(super) left: Option<Donor>,
    /// The donor after it; `None` while that has not come.
    pub(super) right: Option<Donor>,
    /// Whether its neighbours (or, where there are none, its ends) are known to lie further apart than `max_gap`.
    pub(super) long: bool,
}

/// The rows of several keys, to be searched for gaps.
pub(super) struct Series<'a> {
    pub(super) time: &'a [i64],
    pub(super) order: &'a Order,
    /// In microseconds.
    pub(super) max_gap: Option<u64>,
}

impl Series<'_> {
    /// Calls `settle` for each gap of a field. `runs` says, by key, what came before the rows at hand.
    pub(super) fn gaps(&self, cells: &Cells<'_>, runs: &[Run], mut settle: impl FnMut(&Gap<'_>)) {
        let Some(valid) = &cells.valid else { return };
        let mut rows = Vec::new();
        for row in valid.iter_absent() {
            let Some((head, mut run)) = self.head(cells, row, runs) else { continue };
            let (before, left) = (run.since, run.donor);
            rows.clear();
            let mut next = Some(head);
            while let Some(row) = next.filter(|row| !cells.is_donor(*row)) {
                rows.push(row);
                run.push(self.time[row], self.max_gap);
                next = self.order.next(row);
            }
            let right = next.map(|row| cells.donor(row, self.time));
            if let Some(right) = right {
                run.reach(right.time, self.max_gap);
            }
            settle(&Gap { rows: &rows, before, left, right, long: run.long });
        }
    }

    /// The first row of the gap of a missing cell, with what came before it; `None` unless that cell is the first
    /// missing one of its gap, so that each gap is met once.
    fn head(&self, cells: &Cells<'_>, missing: usize, runs: &[Run]) -> Option<(usize, Run)> {
        let mut head = missing;
        while let Some(row) = self.order.previous(head) {
            if cells.is_missing(row) {
                return None;
            }
            if cells.is_donor(row) {
                return Some((head, Run::after(cells.donor(row, self.time))));
            }
            head = row;
        }
        Some((head, runs.get(self.order.key(head) as usize).cloned().unwrap_or_default()))
    }

    /// Moves what came before on to behind `last`, the last row of its key that counts.
    pub(super) fn advance(&self, run: &mut Run, cells: &Cells<'_>, last: usize) {
        let mut rows = Vec::new();
        let mut row = Some(last);
        while let Some(at) = row.filter(|row| !cells.is_donor(*row)) {
            rows.push(at);
            row = self.order.previous(at);
        }
        if let Some(at) = row {
            *run = Run::after(cells.donor(at, self.time));
        }
        for row in rows.into_iter().rev() {
            run.push(self.time[row], self.max_gap);
        }
    }
}
