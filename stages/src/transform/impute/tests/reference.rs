//! The same imputation in the plainest way: a whole series at once, each cell by looking left and right.

use aqpipe_engine::record::{CellQuality, Flag, Provenance};

use super::super::gap_state::DONORS_MAX;
use super::super::step::{By, Method, Over, Step};
use super::Cell;

/// A key's records: instants in microseconds, and a field's cells.
pub(super) struct KeyedSeries<'a> {
    pub(super) time: &'a [i64],
    pub(super) cells: Vec<Cell>,
}

pub(super) fn impute(steps: &[Step], series: &mut KeyedSeries<'_>) {
    let original: Vec<f64> = observed(&series.cells).collect();
    for step in steps {
        let before = series.cells.clone();
        for row in 0..before.len() {
            if before[row].0.is_none()
                && let Some((value, provenance, distance)) = fill(step, series.time, &before, row, &original)
            {
                series.cells[row] = (Some(value), before[row].1.filled(provenance, distance));
            }
        }
    }
}

fn observed(cells: &[Cell]) -> impl Iterator<Item = f64> {
    let counts = |quality: &CellQuality| quality.provenance() == Provenance::Observed && quality.flag() != Flag::Fail;
    cells.iter().filter(move |(_, quality)| counts(quality)).filter_map(|(value, _)| *value)
}

fn donor(cell: &Cell) -> Option<f64> {
    cell.0.filter(|_| cell.1.flag() != Flag::Fail)
}

/// The donors that a record knows which is no donor: their rows in the order in which they came, each with the records since.
struct Known {
    donors: Vec<(usize, u64)>,
    /// Records, and the earliest of them, before any donor.
    since: u64,
    start: Option<i64>,
}

impl Known {
    fn at(time: &[i64], cells: &[Cell], row: usize) -> Known {
        let mut known = Known { donors: Vec::new(), since: 0, start: None };
        for at in 0..=row {
            if at < row && donor(&cells[at]).is_some() {
                known.add_donor(time, at);
            } else {
                known.add_other(time, time[at]);
            }
        }
        known
    }

    fn left(&mut self, time: &[i64], instant: i64) -> Option<&mut (usize, u64)> {
        self.donors.iter_mut().filter(|(at, _)| time[*at] <= instant).max_by_key(|(at, _)| time[*at])
    }

    fn add_donor(&mut self, time: &[i64], at: usize) {
        (self.since, self.start) = (0, None);
        if self.donors.len() == DONORS_MAX {
            let latest = self.donors.iter().map(|(at, _)| time[*at]).chain([time[at]]).max().expect("some");
            let is_only_latest = |n: usize| {
                let others = self.donors.iter().enumerate().filter(|(other, _)| *other != n);
                time[self.donors[n].0] == latest
                    && others.map(|(_, (at, _))| time[*at]).chain([time[at]]).all(|other| other < latest)
            };
            let forgotten = self.donors.remove(usize::from(is_only_latest(0)));
            let earlier = self.donors.iter_mut().filter(|(at, _)| time[*at] < time[forgotten.0]);
            if let Some(before) = earlier.max_by_key(|(at, _)| time[*at]) {
                before.1 += forgotten.1 + 1;
            }
        }
        self.donors.push((at, 0));
    }

    fn add_other(&mut self, time: &[i64], instant: i64) {
        if let Some(left) = self.left(time, instant) {
            left.1 += 1;
        } else if self.donors.is_empty() {
            self.since += 1;
            self.start = Some(self.start.map_or(instant, |start| start.min(instant)));
        }
    }
}

fn fill(step: &Step, time: &[i64], cells: &[Cell], row: usize, all: &[f64]) -> Option<(f64, Provenance, u64)> {
    let micros = |secs: f64| (secs * 1e6) as i64;
    let now = time[row];
    let mut known = Known::at(time, cells, row);
    let (none, since, start) = (known.donors.is_empty(), known.since, known.start);
    let left = known.left(time, now).copied();
    let number = left.map_or(if none { since } else { 1 }, |(_, number)| number);
    let known_right =
        known.donors.iter().rev().map(|(at, _)| *at).filter(|at| time[*at] > now).min_by_key(|at| time[*at]);
    let behind = row + 1..cells.len();
    // The value that came last, if each record since is older than the one before.
    let falls = (0..row).rev().take_while(|at| time[*at] >= time[*at + 1]);
    let falling = falls.clone().find(|at| donor(&cells[*at]).is_some()).filter(|at| known_right == Some(*at));
    let falling = falling.filter(|at| time[at + 1..=row].iter().all(|later| *later < time[*at]));
    let to_come = behind.clone().find(|at| donor(&cells[*at]).is_some() && time[*at] >= now);
    let to_come = to_come.filter(|_| falling.is_none());
    let near = to_come.filter(|at| step.limit.is_none_or(|limit| (at - row) as u64 <= u64::from(limit)));
    let is_known = known_right.is_some_and(|known| near.is_none_or(|next| time[known] < time[next]));
    let right = if is_known { known_right } else { to_come };
    let to_come_in = (to_come.unwrap_or(cells.len()) - row) as u64;
    let (known_in, known_steps) = falling.map_or((number, 1), |at| ((row - at) as u64, (row - at) as u64));
    let to_right = if is_known { known_in } else { to_come_in };
    let from = left.map(|(at, _)| time[at]).or(start.filter(|_| none)).unwrap_or(now);
    // What is between here and the right side decides, and if there is none, all that came.
    let reaches = |from: i64, span: i64| match (known_right, to_come) {
        (Some(_), _) => time[right.expect("a side")] - from > span,
        (None, to_come) => {
            time[behind.start..to_come.map_or(cells.len(), |at| at + 1)].iter().any(|at| at - from > span)
        }
    };
    let seen = |span: i64| known_right.is_none() && time[..=row].iter().any(|at| at - from > span);
    let too_long = step.max_gap.is_some_and(|max| seen(micros(max.get())) || reaches(from, micros(max.get())));
    let within = |records: u64| step.limit.is_none_or(|limit| records <= u64::from(limit));
    let distance = |at: usize, records: u64| records + u64::from(cells[at].1.distance());
    match step.method {
        Method::ForwardFill => {
            let at = left?.0;
            let recent = step.max_age.is_none_or(|max| now - time[at] <= micros(max.get()));
            let near = within(number) && recent && !too_long;
            near.then(|| (cells[at].0.expect("a donor"), Provenance::ForwardFill, distance(at, number)))
        }
        Method::BackwardFill => {
            let at = right?;
            let recent = step.max_age.is_none_or(|max| !reaches(now, micros(max.get())));
            let near = within(to_right) && recent && !too_long;
            near.then(|| (cells[at].0.expect("a donor"), Provenance::BackwardFill, distance(at, to_right)))
        }
        Method::Interpolate => {
            let (start, end) = (left?.0, right?);
            let (low, high) = (cells[start].0.expect("a donor"), cells[end].0.expect("a donor"));
            let steps = number + if is_known { known_steps } else { to_right };
            let value = if step.by != Some(By::Records) && time[end] > time[start] {
                (high - low) * (now - time[start]) as f64 / (time[end] - time[start]) as f64 + low
            } else {
                (high - low) / steps as f64 * number as f64 + low
            };
            (within(number) && !too_long).then_some((value, Provenance::Interpolated, 0))
        }
        Method::Median => {
            let so_far: Vec<f64> = observed(&cells[..row]).collect();
            let values = match (step.window, step.over) {
                (Some(window), _) => &so_far[so_far.len().saturating_sub(window as usize)..],
                (None, Some(Over::Expanding)) => &so_far[..],
                (None, _) => all,
            };
            Some((median(values)?, Provenance::Median, 0))
        }
        Method::Constant => Some((step.value?, Provenance::Constant, 0)),
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[last.div_ceil(2)]) / 2.0)
}
