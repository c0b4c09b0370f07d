//! The rule by which a step fills gaps.

use aqpipe_engine::record::Provenance;

use super::gaps::{Donor, FieldCells, Gap};
use super::row_set::RowSet;
use super::step::{Method, Step};

/// How a step fills gaps. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct GapRule {
    direction: FillDirection,
    pub(super) limit: Option<u64>,
    pub(super) max_gap: Option<u64>,
    max_age: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FillDirection {
    Forward,
    Backward,
    Between,
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
    pub(super) fn of(step: &Step) -> GapRule {
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
        }
    }

    pub(super) fn provenance(&self) -> Provenance {
        match self.direction {
            FillDirection::Forward => Provenance::ForwardFill,
            FillDirection::Backward => Provenance::BackwardFill,
            FillDirection::Between => Provenance::Interpolated,
        }
    }

    /// Whether the rule depends on earlier rows.
    pub(super) fn needs_earlier_rows(&self) -> bool {
        self.direction != FillDirection::Backward || self.max_gap.is_some()
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
            FillDirection::Between => self.between(gap, cells, last, outcome),
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
        let placed = gap.rows.iter().take(reach).enumerate().map(move |(n, row)| (*row, before + n as u64 + 1));
        placed.filter(|(row, _)| cells.is_missing(*row))
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
        // A value that meets a record too far away is given up, even if time goes back later: the outcome must not depend on
        // where batches end.
        let (mut earliest, mut latest) = gap.right.map_or((i64::MAX, i64::MIN), |right| (right.time, right.time));
        for (records, row) in (1..).zip(gap.rows.iter().rev().copied().take(reach)) {
            let at = time[row];
            let far = self.max_age.is_some_and(|max_age| {
                (latest > at && latest.abs_diff(at) > max_age) || (earliest < at && earliest.abs_diff(at) > max_age)
            });
            (earliest, latest) = (earliest.min(at), latest.max(at));
            if far || !cells.is_missing(row) {
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

    fn between(&self, gap: &Gap<'_>, cells: &FieldCells<'_>, last: bool, outcome: &mut GapOutcome<'_>) {
        let Some(left) = &gap.left else { return };
        match gap.right {
            None if last => {}
            None => self.within_limit(gap, cells).for_each(|(row, _)| outcome.waiting.insert(row)),
            Some(right) => {
                let steps = (gap.before + gap.rows.len() as u64 + 1) as f64;
                let slope = (right.value - left.value) / steps;
                for (row, place) in self.within_limit(gap, cells) {
                    let share = place as f64 / steps;
                    let value = slope * place as f64 + left.value;
                    // The difference of two huge values may be infinite; a value between them is not.
                    let value =
                        if value.is_finite() { value } else { left.value * (1.0 - share) + right.value * share };
                    outcome.fills.push(CellFill { row: row as u32, distance: 0, value });
                }
            }
        }
    }
}
