//! The rule by which a step fills gaps.

use aqpipe_engine::record::Provenance;

use super::fill_policy::FillPolicy;
use super::gap_state::{Donor, GapState};
use super::gaps::{FieldCells, Gap};
use super::row_set::RowSet;
use super::step::{By, Method, Step};

/// How a step fills gaps. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct GapRule {
    direction: FillDirection,
    pub(super) limit: Option<u64>,
    pub(super) max_gap: Option<u64>,
    pub(super) max_age: Option<u64>,
    by: By,
    pub(super) policy: FillPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FillDirection {
    Forward,
    Backward,
    Between,
}

/// A missing cell, and its neighbours in time.
pub(super) struct Sides {
    pub(super) row: usize,
    pub(super) time: i64,
    pub(super) left: Option<Donor>,
    /// The number of the record among those since the left neighbour.
    pub(super) number: u64,
    pub(super) right: Option<Donor>,
    /// Records to the right neighbour, or to the next record that comes.
    pub(super) to_right: u64,
    /// Records from one neighbour to the other.
    pub(super) steps: u64,
    /// Whether the neighbours are known to lie further apart than `max_gap`.
    pub(super) long: bool,
    /// Whether the right neighbour is known to lie further away than `max_age`.
    pub(super) right_is_far: bool,
}

/// A cell to fill, and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellFill {
    pub(super) row: u32,
    /// Records to where the value was observed.
    pub(super) distance: u32,
    pub(super) value: f64,
}

/// The outcome for the gaps of a field.
pub(super) struct GapOutcome<'a> {
    /// Cells to fill, in no order.
    pub(super) fills: &'a mut Vec<CellFill>,
    /// Rows with a cell that later records decide.
    pub(super) waiting: &'a mut RowSet,
}

impl GapOutcome<'_> {
    fn fill(&mut self, row: usize, records: u64, donor: &Donor) {
        let distance = records.saturating_add(u64::from(donor.distance)).min(u64::from(u32::MAX)) as u32;
        self.fills.push(CellFill { row: row as u32, distance, value: donor.value });
    }
}

impl GapRule {
    pub(super) fn of(step: &Step, policy: FillPolicy) -> GapRule {
        // A span beyond what instants can hold is no bound.
        let micros = |secs: f64| (secs * 1e6).round() as u64;
        GapRule {
            direction: match step.method {
                Method::BackwardFill => FillDirection::Backward,
                Method::Interpolate => FillDirection::Between,
                Method::ForwardFill | Method::Median | Method::Constant => FillDirection::Forward,
            },
            limit: step.limit.map(u64::from),
            max_gap: step.max_gap.map(|span| micros(span.get())),
            max_age: step.max_age.map(|span| micros(span.get())),
            by: step.by.unwrap_or_default(),
            policy,
        }
    }

    pub(super) fn provenance(&self) -> Provenance {
        match self.direction {
            FillDirection::Forward => Provenance::ForwardFill,
            FillDirection::Backward => Provenance::BackwardFill,
            FillDirection::Between => Provenance::Interpolated,
        }
    }

    /// Whether a row's cell is missing and may be filled.
    pub(super) fn takes(&self, cells: &FieldCells<'_>, row: usize) -> bool {
        cells.is_missing(row) && self.policy.takes(cells.quality_at(row))
    }

    /// Whether the first missing cell behind a state waits for the next value, and for nothing else.
    pub(super) fn waits_for_value(&self, state: &GapState) -> bool {
        let (left, before) = state.last();
        self.max_gap.is_none()
            && match self.direction {
                FillDirection::Forward => false,
                FillDirection::Backward => self.limit.is_none() && self.max_age.is_none(),
                FillDirection::Between => left.is_some() && self.limit.is_none_or(|limit| before < limit),
            }
    }

    /// Fills a gap as far as it is decided. `last` says that the input has ended.
    pub(super) fn fill(
        &self,
        gap: &Gap<'_>,
        cells: &FieldCells<'_>,
        time: &[i64],
        last: bool,
        outcome: &mut GapOutcome<'_>,
    ) {
        if gap.long {
            return;
        }
        match self.direction {
            FillDirection::Forward => self.forward(gap, cells, time, last, outcome),
            FillDirection::Backward => self.backward(gap, cells, time, last, outcome),
            FillDirection::Between => self.between(gap, cells, time, last, outcome),
        }
    }

    /// The missing rows of a gap within the limit, counted from its left side, with their places in it from 1.
    fn within_limit<'a>(
        &self,
        gap: &Gap<'a>,
        cells: &'a FieldCells<'_>,
    ) -> impl Iterator<Item = (usize, u64)> + use<'a> {
        let before = gap.before;
        let reach = self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(before) as usize);
        let rule = *self;
        let placed = gap.rows.iter().take(reach).enumerate().map(move |(n, row)| (*row, before + n as u64 + 1));
        placed.filter(move |(row, _)| rule.takes(cells, *row))
    }

    fn forward(&self, gap: &Gap<'_>, cells: &FieldCells<'_>, time: &[i64], last: bool, outcome: &mut GapOutcome<'_>) {
        let Some(left) = &gap.left else { return };
        // Whether the gap is too long is certain only when it ends.
        let may_be_long = self.max_gap.is_some() && gap.right.is_none() && !last;
        for (row, place) in self.within_limit(gap, cells) {
            if self.max_age.is_some_and(|max_age| time[row].abs_diff(left.time) > max_age) {
                continue;
            }
            if may_be_long {
                outcome.waiting.insert(row);
            } else {
                outcome.fill(row, place, left);
            }
        }
    }

    fn backward(&self, gap: &Gap<'_>, cells: &FieldCells<'_>, time: &[i64], last: bool, outcome: &mut GapOutcome<'_>) {
        if gap.right.is_none() && last {
            return;
        }
        // A donor that is still to come takes the next place, so that as many cells may yet be filled.
        let reach = self.limit.map_or(usize::MAX, |limit| limit as usize);
        // A value that meets a record too far away is given up: the outcome must not depend on where batches end.
        let mut latest = gap.right.map_or(i64::MIN, |right| right.time);
        for (records, row) in (1..).zip(gap.rows.iter().rev().copied().take(reach)) {
            let at = time[row];
            let far = self.max_age.is_some_and(|max_age| latest > at && latest.abs_diff(at) > max_age);
            latest = latest.max(at);
            if far || !self.takes(cells, row) {
                continue;
            }
            match &gap.right {
                Some(right) => outcome.fill(row, records, right),
                None => {
                    outcome.waiting.insert(row);
                }
            }
        }
    }

    fn between(&self, gap: &Gap<'_>, cells: &FieldCells<'_>, time: &[i64], last: bool, outcome: &mut GapOutcome<'_>) {
        let Some(left) = &gap.left else { return };
        match gap.right {
            None if last => {}
            None => self.within_limit(gap, cells).for_each(|(row, _)| outcome.waiting.insert(row)),
            Some(right) => {
                let steps = gap.before + gap.rows.len() as u64 + 1;
                for (row, number) in self.within_limit(gap, cells) {
                    let value = self.value_between(left, &right, time[row], number, steps);
                    outcome.fills.push(CellFill { row: row as u32, distance: 0, value });
                }
            }
        }
    }

    /// The value on the line between two others, for the `number`th of so many records from one to the other.
    fn value_between(&self, left: &Donor, right: &Donor, time: i64, number: u64, steps: u64) -> f64 {
        let rise = right.value - left.value;
        let (share, value) = match self.by {
            By::Time if right.time > left.time => {
                let (part, whole) = (time.abs_diff(left.time) as f64, right.time.abs_diff(left.time) as f64);
                (part / whole, rise * part / whole + left.value)
            }
            By::Time | By::Records => {
                let (part, whole) = (number as f64, steps as f64);
                (part / whole, rise / whole * part + left.value)
            }
        };
        // The difference of two huge values may be infinite; a value between them is not.
        if value.is_finite() { value } else { left.value * (1.0 - share) + right.value * share }
    }

    /// Fills a missing cell of a key of which records came late, if it is decided.
    pub(super) fn fill_one(&self, cell: &Sides, last: bool, outcome: &mut GapOutcome<'_>) {
        let within = |records: u64| self.limit.is_none_or(|limit| records <= limit);
        let waits = cell.right.is_none() && !last;
        if cell.long {
            return;
        }
        match (self.direction, &cell.left, &cell.right) {
            (FillDirection::Forward, Some(left), _) => {
                let old = self.max_age.is_some_and(|max_age| cell.time.abs_diff(left.time) > max_age);
                if !within(cell.number) || old {
                } else if self.max_gap.is_some() && waits {
                    outcome.waiting.insert(cell.row);
                } else {
                    outcome.fill(cell.row, cell.number, left);
                }
            }
            (FillDirection::Backward, _, right) if within(cell.to_right) && !cell.right_is_far => match right {
                Some(right) => outcome.fill(cell.row, cell.to_right, right),
                None if waits => outcome.waiting.insert(cell.row),
                None => {}
            },
            (FillDirection::Between, Some(left), right) if within(cell.number) => match right {
                Some(right) => {
                    let value = self.value_between(left, right, cell.time, cell.number, cell.steps);
                    outcome.fills.push(CellFill { row: cell.row as u32, distance: 0, value });
                }
                None if waits => outcome.waiting.insert(cell.row),
                None => {}
            },
            _ => {}
        }
    }
}
