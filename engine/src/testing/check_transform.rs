//! Conformance of a transform.

use super::harness::{HarnessOutput, PipelineHarness};
use super::rows::{Row, rows};
use crate::error::Result;
use crate::record::Batch;

/// At how many rows a run is cut at most: each cut carries all rows once more.
const CUTS_MAX: usize = 64;

/// Checks that the transforms of a pipeline do what a run relies on, with these batches as the input:
///
/// * every row that comes in leaves once, or is held: `held` says how many are. Rows that were made or merged are counted as
///   such, and have the source offset of a record that they were made of;
/// * `finish` emits all held rows;
/// * a row keeps its source offset, and rows leave in the order in which they came, unless some are merged;
/// * batches of one row give the same rows as larger ones;
/// * `save` and `restore` keep the state, held rows included: a run that is killed after any row gives the same rows;
/// * a state of another version is an error.
///
/// # Panics
/// Where a rule is broken, with the rule.
pub fn check_transform(toml: &str, input: &[Batch]) {
    let whole = run(toml, input, input, None);
    keeps_rows(&whole, input);
    let single: Vec<Batch> = input.iter().flat_map(|batch| (0..batch.rows()).map(|row| batch.slice(row, 1))).collect();
    same(&whole, &run(toml, input, &single, None), "batches of one row");
    let step = single.len().div_ceil(CUTS_MAX).max(1);
    for cut in (0..=single.len()).step_by(step) {
        same(&whole, &run(toml, input, &single, Some(cut)), &format!("a kill after {cut} rows"));
    }
    refuses_other_versions(toml, input, &single);
}

/// The outcome of a run.
struct Outcome {
    rows: Vec<Row>,
    dead: Vec<u64>,
    filtered: u64,
    made: u64,
    merged: u64,
}

impl Outcome {
    fn add(&mut self, HarnessOutput { batches, dead, filtered, made, merged }: HarnessOutput) {
        self.rows.extend(rows(&batches));
        self.dead.extend(dead.iter().map(|letter| letter.source_offset));
        self.filtered += filtered;
        self.made += made;
        self.merged += merged;
    }
}

fn run(toml: &str, input: &[Batch], batches: &[Batch], kill_after: Option<usize>) -> Outcome {
    let rule =
        || kill_after.map_or("carries the rows".to_owned(), |cut| format!("carries on after a kill after {cut} rows"));
    let outcome = try_run(toml, input, batches, kill_after);
    outcome.unwrap_or_else(|error| panic!("a transform {}: {error}", rule()))
}

fn try_run(toml: &str, input: &[Batch], batches: &[Batch], kill_after: Option<usize>) -> Result<Outcome> {
    let mut harness = PipelineHarness::with_input(toml, input);
    let mut outcome = Outcome { rows: Vec::new(), dead: Vec::new(), filtered: 0, made: 0, merged: 0 };
    for (i, batch) in batches.iter().enumerate() {
        if kill_after == Some(i) {
            harness.try_restart()?;
        }
        outcome.add(harness.try_push(batch.clone())?);
    }
    if kill_after == Some(batches.len()) {
        harness.try_restart()?;
    }
    outcome.add(harness.try_finish()?);
    Ok(outcome)
}

fn keeps_rows(outcome: &Outcome, input: &[Batch]) {
    let before: Vec<u64> = input.iter().flat_map(|batch| batch.source_offsets().iter().copied()).collect();
    let after: Vec<u64> = outcome.rows.iter().map(|row| row.source_offset).collect();
    assert!(after.is_sorted() || outcome.merged > 0, "rows leave in the order in which they came: {after:?}");
    let mut all: Vec<u64> = after.iter().chain(&outcome.dead).copied().collect();
    all.sort_unstable();
    let twice = all.windows(2).find(|two| two[0] == two[1]);
    assert!(twice.is_none() || outcome.made > 0, "a row leaves once: {twice:?}");
    let foreign = all.iter().find(|offset| !before.contains(offset));
    assert!(foreign.is_none(), "a row keeps its source offset: {foreign:?} did not come in");
    let left = (before.len() as u64 + outcome.made).checked_sub(outcome.filtered + outcome.merged);
    let left = left.expect("no more rows are filtered and merged than came in and were made");
    assert_eq!(all.len() as u64, left, "every row that comes in leaves: {} of {} did", all.len(), before.len());
}

fn same(whole: &Outcome, other: &Outcome, what: &str) {
    let differ = whole.rows.iter().zip(&other.rows).find(|(a, b)| a != b);
    assert!(differ.is_none(), "{what} give the same rows: {differ:?}");
    assert_eq!(whole.rows.len(), other.rows.len(), "{what} give as many rows");
    assert_eq!((&whole.dead, whole.filtered), (&other.dead, other.filtered), "{what} give the same dead letters");
    let changed = |outcome: &Outcome| (outcome.made, outcome.merged);
    assert_eq!(changed(whole), changed(other), "{what} make and merge as many rows");
}

fn refuses_other_versions(toml: &str, input: &[Batch], single: &[Batch]) {
    let mut harness = PipelineHarness::with_input(toml, input);
    for batch in single.iter().take(single.len().div_ceil(2)) {
        harness.push(batch.clone());
    }
    for (stage, state) in harness.saved() {
        if !state.is_empty() {
            let refused = PipelineHarness::with_input(toml, input).restore_of(&stage, &state.of_another_version());
            assert!(refused.is_err(), "{stage}: a state of another version is an error");
        }
    }
}
