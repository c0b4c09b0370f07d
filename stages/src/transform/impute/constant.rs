//! A value of the configuration for what is missing.

use aqpipe_engine::Result;
use aqpipe_engine::record::Provenance;
use indexmap::IndexMap;

use super::chain::{Pass, Seen, State};
use super::rows::Rows;

/// Fills by field.
pub(super) struct Constant {
    value: Option<f64>,
    values: IndexMap<String, f64>,
}

impl Constant {
    pub(super) fn new(value: Option<f64>, values: IndexMap<String, f64>) -> Constant {
        Constant { value, values }
    }
}

impl Pass for Constant {
    fn apply(&mut self, mut rows: Rows, seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()> {
        let columns = std::sync::Arc::clone(&rows.columns);
        for (field, column) in columns.iter() {
            let value = self.values.get(&*seen.fields[field]).copied().or(self.value);
            if value.is_some() {
                rows.fill_missing(column, Provenance::Constant, |_| value)?;
            }
        }
        out.push(rows);
        Ok(())
    }

    fn restore(&mut self, _state: State, _held: Vec<Rows>) -> Result<()> {
        Ok(())
    }
}
