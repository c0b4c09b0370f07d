//! Fills of a key of which records came late: each missing cell by itself, from the donors around its own time.

use super::gap_rule::{GapOutcome, GapRule, Sides};
use super::gap_state::{GapState, Place};
use super::gaps::{FieldCells, is_long};

/// The rows of one key, in the order in which they came.
pub(super) struct LateSeries<'a> {
    pub(super) rows: &'a [usize],
    pub(super) time: &'a [i64],
    pub(super) cells: &'a FieldCells<'a>,
}

/// Rows behind one, of which only those matter that are later than all between: instants descend from the first to the last,
/// places too.
#[derive(Default)]
struct Horizon(Vec<(i64, usize)>);

impl Horizon {
    /// Adds the row before all others.
    fn add(&mut self, time: i64, at: usize) {
        while self.0.last().is_some_and(|(later, _)| *later <= time) {
            self.0.pop();
        }
        self.0.push((time, at));
    }

    /// The first row, as they came, at `time` or later.
    fn first_from(&self, time: i64) -> Option<usize> {
        self.0[..self.0.partition_point(|(at, _)| *at >= time)].last().map(|(_, at)| *at)
    }

    /// The first row, as they came, that is more than `span` later than `time`.
    fn first_beyond(&self, time: i64, span: u64) -> Option<usize> {
        let beyond = |at: i64| at > time && at.abs_diff(time) > span;
        self.0[..self.0.partition_point(|(at, _)| beyond(*at))].last().map(|(_, at)| *at)
    }
}

impl LateSeries<'_> {
    /// Fills the missing cells as far as they are decided. `state` is that before the rows, `last` says that the input has
    /// ended.
    pub(super) fn fill(&self, mut state: GapState, rule: &GapRule, last: bool, outcome: &mut GapOutcome<'_>) {
        let mut places: Vec<(usize, Place, i64)> = Vec::new();
        for (at, row) in self.rows.iter().copied().enumerate() {
            if self.cells.is_donor(row) {
                state.insert(self.cells.donor(row, self.time));
                continue;
            }
            let place = state.push(self.time[row]);
            if rule.takes(self.cells, row) {
                places.push((at, place, state.latest().unwrap_or(place.from)));
            }
        }
        let (mut donors, mut all) = (Horizon::default(), Horizon::default());
        let mut behind = self.rows.len();
        for (at, place, latest) in places.into_iter().rev() {
            while behind > at + 1 {
                behind -= 1;
                let row = self.rows[behind];
                all.add(self.time[row], behind);
                if self.cells.is_donor(row) {
                    donors.add(self.time[row], behind);
                }
            }
            let row = self.rows[at];
            let time = self.time[row];
            let to_come = donors.first_from(time).filter(|_| place.falling.is_none());
            let next = to_come.map(|at| self.cells.donor(self.rows[at], self.time));
            let arrivals = (to_come.unwrap_or(self.rows.len()) - at) as u64;
            let is_beyond_limit = rule.limit.is_some_and(|limit| arrivals > limit);
            // A value that came before this record is the next one in time only if none that comes is nearer.
            let is_known = match (place.right, next) {
                (None, _) => false,
                (Some(_), None) => place.falling.is_some() || last || is_beyond_limit,
                (Some(known), Some(next)) => known.time < next.time || is_beyond_limit,
            };
            let right = if is_known { place.right } else { next };
            // What lies beyond a span is known by the first record there, unless the donor comes before it.
            let is_beyond = |from: i64, span: Option<u64>| {
                let first = span.and_then(|span| all.first_beyond(from, span));
                first.is_some_and(|first| to_come.is_none_or(|donor| first <= donor))
            };
            let beyond = |from: i64, span: Option<u64>| match (place.right, right) {
                (None, _) => is_beyond(from, span),
                (Some(_), right) => right.is_some_and(|right| is_long(from, right.time, span)),
            };
            let seen = place.right.is_none() && is_long(place.from, latest, rule.max_gap);
            let to_right = if is_known { place.falling.unwrap_or(place.number) } else { arrivals };
            let sides = Sides {
                row,
                time,
                left: place.left,
                number: place.number,
                right,
                to_right,
                steps: place.number + if is_known { place.falling.unwrap_or(1) } else { arrivals },
                long: seen || beyond(place.from, rule.max_gap),
                right_is_far: beyond(time, rule.max_age),
            };
            rule.fill_one(&sides, last, outcome);
        }
    }
}
