//! Medians of observed values for what is missing.

use std::sync::Arc;

use aqpipe_engine::record::{CellQuality, Numbers, Provenance};
use aqpipe_engine::{Error, Result};
use arrow_array::Array;

use super::bits::Bits;
use super::chain::{Pass, Seen, State};
use super::rows::Rows;
use super::survey::{Medians, counts};

/// Fills by medians that are known from the start.
pub(super) struct Fixed {
    medians: Medians,
    /// The same by the numbers of fields and keys.
    table: Vec<Vec<Option<f64>>>,
}

impl Fixed {
    pub(super) fn new(survey: Option<&[u8]>) -> Result<Fixed> {
        let survey = survey.ok_or_else(|| Error::bug("`impute` was built without its survey"))?;
        Ok(Fixed { medians: Medians::from_bytes(survey)?, table: Vec::new() })
    }

    fn look_up(&mut self, seen: &Seen<'_>) {
        let known = self.table.first().map_or(0, Vec::len);
        if self.table.len() == seen.fields.len() && known == seen.keys.len() {
            return;
        }
        let of_key = |key: &Option<Box<str>>| self.medians.0.get(&key.as_deref().map(str::to_owned));
        let of_keys: Vec<_> = seen.keys.iter().map(of_key).collect();
        let of_field = |name: &str| of_keys.iter().map(|medians| medians.and_then(|m| m.get(name).copied())).collect();
        self.table = seen.fields.iter().map(|name| of_field(name)).collect();
    }
}

impl Pass for Fixed {
    fn apply(&mut self, mut rows: Rows, seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()> {
        self.look_up(seen);
        let columns = Arc::clone(&rows.columns);
        for (field, column) in columns.iter() {
            let medians = &self.table[field];
            rows.fill_missing(column, Provenance::Median, |key| medians[key as usize])?;
        }
        out.push(rows);
        Ok(())
    }

    fn restore(&mut self, _state: State, _held: Vec<Rows>) -> Result<()> {
        Ok(())
    }
}

/// Observed values of a key and field, from which a median is taken as they come.
pub(super) trait Sample: Default + Send {
    /// The median of the values so far.
    fn median(&mut self) -> Option<f64>;
}

/// Runs over rows in order: takes in what was observed, fills what is missing by the median so far.
pub(super) fn run<S: Sample>(
    series: &mut Vec<Vec<S>>,
    rows: &mut Rows,
    keys: usize,
    mut take: impl FnMut(&mut S, f64) -> Result<()>,
) -> Result<()> {
    let columns = Arc::clone(&rows.columns);
    if series.len() < columns.fields() {
        series.resize_with(columns.fields(), Vec::new);
    }
    let order = &rows.order;
    for (field, column) in columns.iter() {
        let samples = &mut series[field];
        if samples.len() < keys {
            samples.resize_with(keys, S::default);
        }
        rows.batch.change_numbers(column, |numbers| {
            let missing = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0).map(Bits::valid);
            let Some(before) = missing else {
                for (row, (value, mark)) in numbers.values.values().iter().zip(numbers.quality.iter()).enumerate() {
                    if counts(*mark) {
                        take(&mut samples[order.key(row) as usize], *value)?;
                    }
                }
                return Ok(numbers);
            };
            let (mut values, _, mut marks) = numbers.into_vecs();
            let mut valid = before.clone();
            for row in 0..values.len() {
                let sample = &mut samples[order.key(row) as usize];
                if before.has(row) {
                    if counts(marks[row]) {
                        take(sample, values[row])?;
                    }
                } else if let Some(median) = sample.median() {
                    values[row] = median;
                    marks[row] = CellQuality(marks[row]).filled(Provenance::Median, 0).0;
                    valid.insert(row);
                }
            }
            Ok(Numbers::from_vecs(values, valid.into_nulls(), marks))
        })?;
    }
    Ok(())
}
