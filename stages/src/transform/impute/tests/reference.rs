//! The same imputation in the plainest way: a whole series at once, each cell by looking left and right.

use aqpipe_engine::record::{CellQuality, Flag, Provenance};

use super::super::step::{Method, Over, Step};
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

fn fill(step: &Step, time: &[i64], cells: &[Cell], row: usize, all: &[f64]) -> Option<(f64, Provenance, u64)> {
    let micros = |secs: f64| (secs * 1e6) as u64;
    let left = (0..row).rev().find_map(|at| Some((at, donor(&cells[at])?)));
    let right = (row + 1..cells.len()).find_map(|at| Some((at, donor(&cells[at])?)));
    let first = left.map_or(0, |(at, _)| at + 1);
    let behind = right.map_or(cells.len(), |(at, _)| at);
    let from = time[left.map_or(first, |(at, _)| at)];
    let mut reached = time[first..behind].iter().chain(right.map(|(at, _)| &time[at]));
    let too_long = step.max_gap.is_some_and(|max| reached.any(|time| time.abs_diff(from) > micros(max.get())));
    let within = |records: usize| step.limit.is_none_or(|limit| records <= limit as usize);
    let recent = |mut times: std::slice::Iter<'_, i64>| {
        step.max_age.is_none_or(|max| times.all(|at| at.abs_diff(time[row]) <= micros(max.get())))
    };
    match step.method {
        Method::ForwardFill => {
            let (at, value) = left?;
            let near = within(row - at) && recent(time[at..=at].iter()) && !too_long;
            near.then(|| (value, Provenance::ForwardFill, (row - at) as u64 + u64::from(cells[at].1.distance())))
        }
        Method::BackwardFill => {
            let (at, value) = right?;
            let near = within(at - row) && recent(time[row + 1..=at].iter()) && !too_long;
            near.then(|| (value, Provenance::BackwardFill, (at - row) as u64 + u64::from(cells[at].1.distance())))
        }
        Method::Interpolate => {
            let ((start, low), (end, high)) = (left?, right?);
            let slope = (high - low) / (end - start) as f64;
            let value = slope * (row - start) as f64 + low;
            (within(row - start) && !too_long).then_some((value, Provenance::Interpolated, 0))
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
