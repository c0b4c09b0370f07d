//! Conformance of a bounded source.

use std::collections::BTreeMap;

use super::reading::{BuildSource, ReadSplit, ReadingContext};
use crate::record::SplitId;
use crate::stage::{BuildContext, SplitState};

/// At how many rows a run is left at most: each time all rows are read once more.
const CUTS_MAX: usize = 32;
/// Rows in a large batch.
const BATCH_ROWS: usize = 1024;

/// Checks that a bounded source does what a run relies on, with an input that it reads to the end:
///
/// * source offsets ascend, none lies before the position, and the position lies behind all that was read;
/// * small batches give the same rows as large ones;
/// * a reader that goes on from any position with its state gives the rows that are left, and no other.
///
/// # Panics
/// Where a rule is broken, with the rule.
pub fn check_source(build: &BuildSource<'_>) {
    let whole = read(build, ReadingContext::new(BTreeMap::new(), BATCH_ROWS), "the whole input");
    let small = read(build, ReadingContext::new(BTreeMap::new(), 1), "batches of one row");
    assert!(!whole.is_empty(), "the source opens a split");
    for (id, split) in &whole {
        assert!(split.ended, "the split {id} comes to its end");
        let other = small.get(id).map(|split| &split.rows);
        assert_eq!(Some(&split.rows), other, "batches of one row give the same rows of {id}");
    }
    let longest = whole.values().map(|split| split.rows.len()).max().unwrap_or_default();
    for left_after in (0..longest).step_by(longest.div_ceil(CUTS_MAX).max(1)) {
        resumes(build, &whole, left_after);
    }
}

fn resumes(build: &BuildSource<'_>, whole: &BTreeMap<SplitId, ReadSplit>, left_after: usize) {
    let what = format!("a start after a kill at row {left_after}");
    let context = ReadingContext::new(BTreeMap::new(), 1).leaving_after(left_after);
    let before = read(build, context, &what);
    let starts: BTreeMap<SplitId, SplitState> =
        before.iter().map(|(id, split)| (id.clone(), split.state.clone())).collect();
    let after = read(build, ReadingContext::new(starts, BATCH_ROWS), &what);
    for (id, split) in whole {
        let part =
            |read: &BTreeMap<SplitId, ReadSplit>| read.get(id).map(|split| split.rows.clone()).unwrap_or_default();
        let joined = [part(&before), part(&after)].concat();
        let differ = split.rows.iter().zip(&joined).find(|(a, b)| a != b);
        assert!(differ.is_none(), "{what} goes on with the next row of {id}: {differ:?}");
        assert_eq!(split.rows.len(), joined.len(), "{what} gives all rows of {id} once");
    }
}

fn read(build: &BuildSource<'_>, context: ReadingContext, what: &str) -> BTreeMap<SplitId, ReadSplit> {
    let source = build(&BuildContext::for_tests()).unwrap_or_else(|error| panic!("the source is built: {error}"));
    context.read(source).unwrap_or_else(|error| panic!("{what}: {error}"))
}
