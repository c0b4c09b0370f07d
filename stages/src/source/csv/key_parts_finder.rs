//! Finds the columns that differ between records of one key and time in a sample, whether they are fields or not.

use std::collections::HashMap;
use std::io::Read;

use aqpipe_engine::record::Kind;

use super::column_plan::ColumnPlan;
use super::records::Records;
use crate::decimal::parse_f64;

/// Records of one key and time that are compared with each other.
const SAME_MAX: usize = 8;
/// Stands between cells: no cell of a file with text has it.
const SEPARATOR: u8 = 0x1f;

/// The records so far, and the columns that differ between those two of one key and time that differ least.
#[derive(Default)]
pub(super) struct KeyPartsFinder {
    /// The cells of records, by those of key and time.
    seen: HashMap<Vec<u8>, Vec<Vec<u8>>, foldhash::fast::RandomState>,
    found: Vec<usize>,
}

impl KeyPartsFinder {
    /// Looks at a record.
    pub(super) fn look<R: Read>(&mut self, plan: &ColumnPlan, decimal: u8, record: &Records<R>) {
        let join = |columns: &mut dyn Iterator<Item = usize>| {
            let mut joined = Vec::with_capacity(record.raw().len());
            columns.filter(|column| *column < record.columns()).for_each(|column| {
                joined.extend_from_slice(record.cell(column).trim_ascii());
                joined.push(SEPARATOR);
            });
            joined
        };
        let same = self.seen.entry(join(&mut plan.key.iter().chain(&plan.time).copied())).or_default();
        let cells = join(&mut (0..plan.columns));
        for other in same.iter() {
            let found = differing(plan, decimal, other, &cells);
            if !found.is_empty() && (self.found.is_empty() || found.len() < self.found.len()) {
                self.found = found;
            }
        }
        if same.len() < SAME_MAX {
            same.push(cells);
        }
    }

    /// The names of the columns.
    pub(super) fn found(self, plan: &ColumnPlan) -> Vec<String> {
        self.found.into_iter().filter_map(|column| plan.names.get(column).cloned()).collect()
    }
}

/// The columns that differ and may be parts of a key: no measurements, no codes for them, and no fractions.
fn differing(plan: &ColumnPlan, decimal: u8, one: &[u8], two: &[u8]) -> Vec<usize> {
    let is_value = |column: usize| {
        plan.names.get(column).is_none_or(String::is_empty)
            || plan
                .fields
                .iter()
                .any(|field| (field.column == column && field.kind == Kind::Number) || field.flags == Some(column))
    };
    let is_fraction = |cell: &[u8]| parse_f64(cell, decimal).is_some_and(|number| number.fract() != 0.0);
    let cells = one.split(|byte| *byte == SEPARATOR).zip(two.split(|byte| *byte == SEPARATOR)).enumerate();
    let differ = cells.filter(|(_, (one, two))| one != two && !is_fraction(one) && !is_fraction(two));
    differ.map(|(column, _)| column).filter(|column| !is_value(*column)).collect()
}
