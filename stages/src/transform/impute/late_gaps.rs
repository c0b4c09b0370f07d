//! Fills of a key of which records came late: each missing cell by itself, from the donors around its own time.

use super::gap_rule::{GapOutcome, GapRule, Sides};
use super::gap_state::{DONORS_THAT_DECIDE, GapState, Place};
use super::gaps::{Arrival, FieldCells, is_long};

/// The rows of one key, in the order in which they came.
#[derive(Clone, Copy)]
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
    pub(super) fn fill(
        &self,
        mut state: GapState,
        arrival: Arrival,
        rule: &GapRule,
        last: bool,
        outcome: &mut GapOutcome<'_>,
    ) {
        if arrival == Arrival::Mixed {
            return self.fill_in(&mut state, rule, last, outcome);
        }
        // Each gap by itself, with the donors before it that decide its state, and the one behind it.
        let is_donor = |row: &usize| self.cells.is_donor(*row);
        let mut done = 0;
        while let Some(donors) = self.rows[done..].iter().position(|row| !is_donor(row)) {
            let gap = done + donors;
            let rows = self.rows[gap..].iter().position(is_donor);
            let end = rows.map_or(self.rows.len(), |rows| gap + rows + 1);
            let from = done.max(gap.saturating_sub(DONORS_THAT_DECIDE));
            LateSeries { rows: &self.rows[from..end], ..*self }.fill_in(&mut state, rule, last, outcome);
            done = end;
        }
    }

    /// Fills the missing cells, and advances the state to behind the rows.
    fn fill_in(&self, state: &mut GapState, rule: &GapRule, last: bool, outcome: &mut GapOutcome<'_>) {
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use aqpipe_engine::record::CellQuality;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fill_policy::FillPolicy;
    use super::super::gap_state::Donor;
    use super::super::gaps::KeyedSeries;
    use super::super::key_order::KeyOrder;
    use super::super::row_set::RowSet;
    use super::super::step::Step;
    use super::*;

    fn rules() -> Vec<GapRule> {
        let micros = 1e-6;
        let steps = json!([
            { "method": "forward_fill", "limit": 3 },
            { "method": "backward_fill", "limit": 3 },
            { "method": "backward_fill", "max_age": 4.0 * micros },
            { "method": "interpolate", "max_gap": 5.0 * micros },
        ]);
        let steps: Vec<Step> = serde_json::from_value(steps).expect("fits");
        steps.iter().map(|step| GapRule::of(step, FillPolicy::default())).collect()
    }

    proptest! {
        // A record has a value or none. Those before have instants, those of the stretch say how much later each is than the last.
        #[test]
        fn gaps_of_an_old_stretch_one_by_one_are_those_of_all_its_rows(
            before in vec((option::weighted(0.8, 0_u8..9), 0_i64..60), 0..12),
            (start, records) in (0_i64..60, vec((option::weighted(0.9, 0_u8..9), 0_i64..3), 1..60)),
            last in any::<bool>(),
        ) {
            let mut state = GapState::default();
            for (value, time) in before {
                match value {
                    Some(value) => state.insert(Donor { value: f64::from(value), time, distance: 0 }),
                    None => drop(state.push(time)),
                }
            }
            let values: Vec<f64> = records.iter().map(|(value, _)| value.map_or(0.0, f64::from)).collect();
            let time: Vec<i64> = records
                .iter()
                .scan(start, |time, (_, later)| {
                    *time += later;
                    Some(*time)
                })
                .collect();
            let mut valid = RowSet::none(records.len());
            (0..records.len()).filter(|row| records[*row].0.is_some()).for_each(|row| valid.insert(row));
            let quality = |value: Option<u8>| if value.is_some() { CellQuality::OBSERVED } else { CellQuality::MISSING };
            let quality = records.iter().map(|(value, _)| quality(*value).0).collect();
            let cells = FieldCells { values: Cow::Owned(values), quality: Cow::Owned(quality), valid: Some(valid) };
            let rows: Vec<usize> = (0..records.len()).collect();
            let series = LateSeries { rows: &rows, time: &time, cells: &cells };
            for rule in rules() {
                let filled = |arrival| {
                    let (mut fills, mut waiting) = (Vec::new(), RowSet::none(rows.len()));
                    let mut outcome = GapOutcome { fills: &mut fills, waiting: &mut waiting };
                    series.fill(state.clone(), arrival, &rule, last, &mut outcome);
                    let mut fills: Vec<_> = fills.iter().map(|fill| (fill.row, fill.distance, fill.value)).collect();
                    fills.sort_by_key(|(row, ..)| *row);
                    (fills, rows.iter().map(|row| waiting.has(*row)).collect::<Vec<_>>())
                };
                prop_assert_eq!(filled(Arrival::BehindState), filled(Arrival::Mixed));
            }
            let order = KeyOrder::One { key: 0, rows: rows.len() };
            let series = KeyedSeries { time: &time, order: &order, max_gap: None };
            let advanced = |arrival| {
                let mut state = state.clone();
                series.advance(&mut state, &cells, rows.len() - 1, arrival);
                state
            };
            prop_assert_eq!(advanced(Arrival::BehindState), advanced(Arrival::Mixed));
        }
    }
}
