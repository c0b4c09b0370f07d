//! The violations of a trial.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

use crate::printer;

/// How many violations of a kind are kept with their detail: the first ones show the cause.
const DETAILS_PER_KIND_MAX: usize = 5;

/// The kinds of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ViolationKind {
    /// A record or a dead letter came twice.
    Duplicate,
    /// A record or a dead letter is missing at the end.
    Lost,
    /// Records of a key are out of order.
    Order,
    /// A value or its fill is wrong.
    Wrong,
    /// A record, dead letter or file that does not belong to the input.
    Unknown,
    /// A visible file is incomplete.
    Partial,
    /// A visible file or message changed, or went away.
    Changed,
    /// The ranges of two files overlap.
    Overlap,
    /// Records between the ranges of two files are in no file.
    Gap,
    /// A file holds a record that does not belong to its range.
    Content,
    /// A temporary file was left behind at the end.
    LeftOver,
    /// A process ended by itself, did not end when told to, or logged a forbidden message.
    Conduct,
    /// No record comes out any more.
    Stalled,
}

/// A violation with its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) kind: ViolationKind,
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

/// All violations, found by any thread.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    found: Mutex<Found>,
    quiet: bool,
}

#[derive(Debug, Default)]
struct Found {
    counts: BTreeMap<ViolationKind, u64>,
    first: Vec<Violation>,
}

impl Violations {
    /// Violations that are not printed when they are found.
    #[cfg(test)]
    pub(crate) fn quiet() -> Violations {
        Violations { quiet: true, ..Violations::default() }
    }

    pub(crate) fn add(&self, kind: ViolationKind, detail: impl Into<String>) {
        let violation = Violation { kind, detail: detail.into() };
        let mut found = self.found.lock();
        let count = found.counts.entry(kind).or_default();
        *count += 1;
        if *count <= DETAILS_PER_KIND_MAX as u64 {
            if !self.quiet {
                printer::say(&format!("  VIOLATION {violation}"));
            }
            found.first.push(violation);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.lock().counts.is_empty()
    }

    /// How many there are of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<ViolationKind, u64> {
        self.found.lock().counts.clone()
    }

    /// The first ones of each kind, in the order in which they were found.
    pub(crate) fn first(&self) -> Vec<Violation> {
        self.found.lock().first.clone()
    }
}
