//! Fills by the medians of the whole input.

use std::sync::Arc;

use aqpipe_engine::record::Provenance;
use aqpipe_engine::{Error, Result};

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::keyed_batch::KeyedBatch;
use super::median_fit::Medians;

/// Fills by the medians that a fit found before the run.
pub(super) struct FittedMedian {
    medians: Medians,
    /// The medians by the numbers of fields and keys.
    table: Vec<Vec<Option<f64>>>,
    policy: FillPolicy,
}

impl FittedMedian {
    pub(super) fn new(fitted: Option<&[u8]>, policy: FillPolicy) -> Result<FittedMedian> {
        let fitted = fitted.ok_or_else(|| Error::bug("`impute` was built without its medians"))?;
        Ok(FittedMedian { medians: Medians::from_bytes(fitted)?, table: Vec::new(), policy })
    }

    fn look_up(&mut self, names: &SeriesNames<'_>) {
        if self.table.len() != names.fields.len() {
            self.table = vec![Vec::new(); names.fields.len()];
        }
        let known = self.table.first().map_or(names.keys.len(), Vec::len);
        for key in &names.keys[known..] {
            let medians = self.medians.0.get(&key.as_deref().map(str::to_owned));
            for (name, of_keys) in names.fields.iter().zip(&mut self.table) {
                of_keys.push(medians.and_then(|medians| medians.get(&**name).copied()));
            }
        }
    }
}

impl Imputer for FittedMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        self.look_up(names);
        let columns = Arc::clone(&rows.columns);
        for (field, column) in columns.iter() {
            let medians = &self.table[field];
            rows.fill_missing(column, Provenance::Median, self.policy, |key| medians[key as usize])?;
        }
        out.push(rows);
        Ok(())
    }

    fn restore(&mut self, _saved: SavedStep<'_>) -> Result<()> {
        Ok(())
    }
}
