//! Errors by stage and class.

use std::collections::BTreeMap;

use super::splits::OTHER;
use crate::error_class::ErrorClass;

/// Pairs of stage and class that are told apart: a pipeline has a dozen stages, and few of them fail in several ways.
const PAIRS_MAX: usize = 100;
/// What the engine is called where the error is of no stage: its state directory, its commit log, its threads.
pub const ENGINE: &str = "engine";

/// Errors of one stage and one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// The stage, or [`ENGINE`].
    pub stage: String,
    /// The class.
    pub class: ErrorClass,
    /// How many.
    pub count: u64,
}

/// All errors.
#[derive(Debug, Default)]
pub(super) struct Errors {
    by: BTreeMap<(String, ErrorClass), u64>,
    /// Those among them that ended the run.
    pub(super) fatal: u64,
}

impl Errors {
    /// Counts one.
    pub(super) fn add(&mut self, stage: Option<&str>, class: ErrorClass) {
        let key = (stage.unwrap_or(ENGINE).to_owned(), class);
        let is_full = self.by.len() >= PAIRS_MAX && !self.by.contains_key(&key);
        *self.by.entry(if is_full { (OTHER.to_owned(), ErrorClass::Other) } else { key }).or_default() += 1;
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.by.values().sum()
    }

    /// All of them, with the names that `name` gives to stages.
    pub(super) fn list(&self, name: impl Fn(&str) -> String) -> Vec<ErrorCount> {
        let of = |((stage, class), count): (&(String, ErrorClass), &u64)| ErrorCount {
            stage: name(stage),
            class: *class,
            count: *count,
        };
        self.by.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_beyond_the_bound_are_counted_together() {
        let mut errors = Errors::default();
        (0..PAIRS_MAX + 5).for_each(|i| errors.add(Some(&format!("s{i}")), ErrorClass::Io));
        errors.add(None, ErrorClass::DiskFull);
        let list = errors.list(str::to_owned);
        assert_eq!((errors.count(), list.len()), (PAIRS_MAX as u64 + 6, PAIRS_MAX + 1));
        assert_eq!(list.iter().find(|error| error.stage == OTHER).map(|error| error.count), Some(6));
    }
}
