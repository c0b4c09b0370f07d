//! Cells that were read and had a problem.

use std::collections::BTreeMap;

/// Fields whose problems are told apart.
const PROBLEM_FIELDS_MAX: usize = 1_000;
/// Where the problems of all other fields are counted.
const OTHER_FIELDS: &str = "other fields";

/// Why a source could not make full use of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellProblem {
    /// The cell of a measurement is neither a number nor a word for "no value".
    Unreadable,
    /// The publisher's code for the cell is not among those that the pipeline lists.
    UnlistedCode,
}

impl CellProblem {
    /// Its name among data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CellProblem::Unreadable => "unreadable",
            CellProblem::UnlistedCode => "unlisted_code",
        }
    }
}

/// How many cells of a field have a problem, and which was the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellProblemCount {
    /// How many.
    pub cells: u64,
    /// The text of the first one.
    pub text: String,
    /// Where the first one is, if the source can tell.
    pub place: Option<String>,
}

/// The problems of cells by field.
#[derive(Debug, Default)]
pub(super) struct CellProblems(BTreeMap<(CellProblem, String), CellProblemCount>);

impl CellProblems {
    /// Counts cells. Of a stream that brings field names without limit, only the first ones are told apart.
    pub(super) fn add(
        &mut self,
        problem: CellProblem,
        field: &str,
        cells: u64,
        first: impl FnOnce() -> (String, Option<String>),
    ) {
        let is_full = self.0.len() >= PROBLEM_FIELDS_MAX;
        let key = (problem, field.to_owned());
        let key = if is_full && !self.0.contains_key(&key) { (problem, OTHER_FIELDS.to_owned()) } else { key };
        let count = self.0.entry(key).or_insert_with(|| {
            let (text, place) = first();
            CellProblemCount { cells: 0, text, place }
        });
        count.cells += cells;
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<(CellProblem, String, CellProblemCount)> {
        self.0.iter().map(|((problem, field), count)| (*problem, field.clone(), count.clone())).collect()
    }
}
