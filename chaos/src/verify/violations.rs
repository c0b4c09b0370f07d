//! What was found wrong.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

use crate::printer;

/// How many of a kind are kept with their detail: the first ones say what happened.
const KEPT: usize = 5;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A record or a dead letter is there twice.
    Duplicate,
    /// A record or a dead letter is not there at the end.
    Lost,
    /// Records of a key are not in their order.
    Order,
    /// A value or its fill is not what it has to be.
    Wrong,
    /// Something that was never fed.
    Unknown,
    /// A visible file is not whole.
    Partial,
    /// A visible file or message changed, or went away.
    Changed,
    /// The ranges of two files overlap.
    Overlap,
    /// Records between the ranges of two files are in none.
    Gap,
    /// A file does not hold what was to be written for its range.
    Content,
    /// Something was left over at the end.
    LeftOver,
    /// A pipeline did what it must not: it ended, or it did not, or it said something.
    Conduct,
    /// Nothing moves any more.
    Stalled,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

/// All that was found wrong, by any thread.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    found: Mutex<Found>,
    quiet: bool,
}

#[derive(Debug, Default)]
struct Found {
    counts: BTreeMap<Kind, u64>,
    first: Vec<Violation>,
}

impl Violations {
    /// Violations that nothing is said of when they are found.
    #[cfg(test)]
    pub(crate) fn quiet() -> Violations {
        Violations { quiet: true, ..Violations::default() }
    }

    pub(crate) fn add(&self, kind: Kind, detail: impl Into<String>) {
        let violation = Violation { kind, detail: detail.into() };
        let mut found = self.found.lock();
        let count = found.counts.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT as u64 {
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
    pub(crate) fn counts(&self) -> BTreeMap<Kind, u64> {
        self.found.lock().counts.clone()
    }

    /// The first ones of each kind, in the order in which they were found.
    pub(crate) fn first(&self) -> Vec<Violation> {
        self.found.lock().first.clone()
    }
}
