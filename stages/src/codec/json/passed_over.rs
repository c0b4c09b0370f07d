//! What records have and nobody asked for.

use std::collections::BTreeSet;

/// Names that are remembered: those of a stream may be data.
const NAMES_MAX: usize = 100;

/// What was passed over since the last call of [`Decoder::passed_over`](super::Decoder::passed_over).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Values in records that became rows.
    pub values: u64,
    /// What is passed over for the first time: "`coordinates` (an object)". Of a stream with many such names only the first.
    pub names: Vec<String>,
}

/// Counts what is passed over.
#[derive(Debug, Default)]
pub(super) struct PassedOverLog {
    seen: BTreeSet<String>,
    fresh: Vec<String>,
    values: u64,
    /// Of the record that is being read.
    pending: u64,
}

impl PassedOverLog {
    /// Begins a record.
    pub(super) fn begin(&mut self) {
        self.pending = 0;
    }

    /// A value of the present record is passed over.
    pub(super) fn note(&mut self, name: &str, what: &str) {
        self.pending += 1;
        if self.seen.len() < NAMES_MAX && !self.seen.contains(name) {
            self.seen.insert(name.to_owned());
            self.fresh.push(format!("`{name}` ({what})"));
        }
    }

    /// The present record is a row.
    pub(super) fn commit(&mut self) {
        self.values += std::mem::take(&mut self.pending);
    }

    pub(super) fn take(&mut self) -> PassedOver {
        PassedOver { values: std::mem::take(&mut self.values), names: std::mem::take(&mut self.fresh) }
    }
}
