//! Fills by values of the configuration.

use aqpipe_engine::Result;
use aqpipe_engine::record::Provenance;
use indexmap::IndexMap;

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::keyed_batch::KeyedBatch;

/// Fills each field by its value, or by the one for all.
pub(super) struct ConstantFill {
    value: Option<f64>,
    values: IndexMap<String, f64>,
    policy: FillPolicy,
}

impl ConstantFill {
    pub(super) fn new(value: Option<f64>, values: IndexMap<String, f64>, policy: FillPolicy) -> ConstantFill {
        ConstantFill { value, values, policy }
    }
}

impl Imputer for ConstantFill {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let columns = std::sync::Arc::clone(&rows.columns);
        for (field, column) in columns.iter() {
            let value = self.values.get(&*names.fields[field]).copied().or(self.value);
            if value.is_some() {
                rows.fill_missing(column, Provenance::Constant, self.policy, |_| value)?;
            }
        }
        out.push(rows);
        Ok(())
    }

    fn restore(&mut self, _saved: SavedStep<'_>) -> Result<()> {
        Ok(())
    }
}
