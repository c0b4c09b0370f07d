//! What a fill makes of a gap.

use aqpipe_engine::record::Provenance;

use super::bits::Bits;
use super::gaps::{Cells, Donor, Gap};
use super::step::{Method, Step};

/// How a step fills gaps. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    how: How,
    pub(super) limit: Option<u64>,
    pub(super) max_gap: Option<u64>,
    max_age: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Forward,
    Backward,
    Between,
}

/// A cell to be filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    pub(super) row: u32,
    /// Records to where the value was observed.
    pub(super) distance: u32,
    pub(super) value: f64,
}

/// What became of the gaps of a field.
pub(super) struct Settled<'a> {
    /// Cells to be filled, in no order.
    pub(super) fillings: &'a mut Vec<Filling>,
    /// Rows with a cell that later records decide.
    pub(super) waiting: &'a mut Bits,
}

impl Settled<'_> {
    fn fill(&mut self, row: usize, records: u64, donor: &Donor) {
        let distance = records.saturating_add(u64::from(donor.own)).min(u64::from(u32::MAX)) as u32;
        self.fillings.push(Filling { row: row as u32, distance, value: donor.value });
    }
}

impl Rule {
    pub(super) fn of(step: &Step) -> Rule {
        // A span beyond what instants can hold is no bound.
        let micros = |secs: f64| (secs * 1e6).round() as u64;
        Rule {
            how: match step.method {
                Method::BackwardFill => How::Backward,
                Method::Interpolate => How::Between,
                Method::ForwardFill | Method::Median | Method::Constant => How::Forward,
            },
            limit: step.limit.map(u64::from),
            max_gap: step.max_gap.map(|span| micros(span.get())),
            max_age: step.max_age.map(|span| micros(span.get())),
        }
    }

    pub(super) fn provenance(&self) -> Provenance {
        match self.how {
            How::Forward => Provenance::ForwardFill,
            How::Backward => Provenance::BackwardFill,
            How::Between => Provenance::Interpolated,
        }
    }

    /// Whether what came before the rows at hand matters.
    pub(super) fn looks_back(&self) -> bool {
        self.how != How::Backward || self.max_gap.is_some()
    }

    /// Settles a gap as far as it can be. `last`: no more records will come.
    pub(super) fn settle(&self, gap: &Gap<'_>, cells: &Cells<'_>, time: &[i64], last: bool, to: &mut Settled<'_>) {
        if gap.long {
            return;
        }
        match self.how {
            How::Forward => self.forward(gap, cells, time, last, to),
            How::Backward => self.backward(gap, cells, time, last, to),
            How::Between => self.between(gap, cells, last, to),
        }
    }

    /// The missing rows of a gap within the limit, counted from its left side, with their places in it from 1.
    fn within_limit<'a>(&self, gap: &Gap<'a>, cells: &'a Cells<'_>) -> impl Iterator<Item = (usize, u64)> + use<'a> {
        let before = gap.before;
        let reach = self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(before) as usize);
        let placed = gap.rows.iter().take(reach).enumerate().map(move |(n, row)| (*row, before + n as u64 + 1));
        placed.filter(|(row, _)| cells.is_missing(*row))
    }

    fn forward(&self, gap: &Gap<'_>, cells: &Cells<'_>, time: &[i64], last: bool, to: &mut Settled<'_>) {
        let Some(left) = &gap.left else { return };
        // Whether the gap is too long is known for good when it ends.
        let undecided = self.max_gap.is_some() && gap.right.is_none() && !last;
        for (row, place) in self.within_limit(gap, cells) {
            if self.max_age.is_some_and(|max_age| time[row].abs_diff(left.time) > max_age) {
                continue;
            }
            if undecided {
                to.waiting.insert(row);
            } else {
                to.fill(row, place, left);
            }
        }
    }

    fn backward(&self, gap: &Gap<'_>, cells: &Cells<'_>, time: &[i64], last: bool, to: &mut Settled<'_>) {
        if gap.right.is_none() && last {
            return;
        }
        // Where the donor is still to come, it takes the next place: so many cells may yet be filled.
        let reach = self.limit.map_or(usize::MAX, |limit| limit as usize);
        // A value that has met a record too far away is given up, even where time goes back later: what becomes of it
        // must not depend on where batches end.
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
                Some(right) => to.fill(row, records, right),
                None => {
                    to.waiting.insert(row);
                }
            }
        }
    }

    fn between(&self, gap: &Gap<'_>, cells: &Cells<'_>, last: bool, to: &mut Settled<'_>) {
        let Some(left) = &gap.left else { return };
        match gap.right {
            None if last => {}
            None => self.within_limit(gap, cells).for_each(|(row, _)| to.waiting.insert(row)),
            Some(right) => {
                let steps = (gap.before + gap.rows.len() as u64 + 1) as f64;
                let slope = (right.value - left.value) / steps;
                for (row, place) in self.within_limit(gap, cells) {
                    let share = place as f64 / steps;
                    let value = slope * place as f64 + left.value;
                    // The difference of two huge values is not finite, what lies between them is.
                    let value =
                        if value.is_finite() { value } else { left.value * (1.0 - share) + right.value * share };
                    to.fillings.push(Filling { row: row as u32, distance: 0, value });
                }
            }
        }
    }
}
