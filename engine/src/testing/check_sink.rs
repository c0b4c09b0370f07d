//! Conformance of a sink whose output outlives the run.

use std::sync::Arc;

use crate::error::Result;
use crate::record::{Batch, OffsetRange, Position, SplitId};
use crate::stage::{BuildContext, Prepared, Sink, Writer};

/// Checks that a sink with a two-phase commit does what a run relies on. `build` builds it again and again for one and the same
/// output; `visible` counts the rows that a reader of this output sees.
///
/// * prepared output is not visible;
/// * a commit makes it visible, a second one changes nothing;
/// * an abort removes it, a second one changes nothing;
/// * a kill between prepare and commit loses nothing: another process commits, or aborts, what this one prepared;
/// * what a process left that prepared nothing is removed as an orphan, and what was committed is not.
///
/// # Panics
/// Where a rule is broken, with the rule.
pub fn check_sink(build: &dyn Fn(&BuildContext) -> Result<Arc<dyn Sink>>, rows: &Batch, visible: &dyn Fn() -> usize) {
    let split: SplitId = "topic/0".into();
    let open = || {
        let sink = build(&BuildContext::for_tests()).unwrap_or_else(|error| panic!("the sink is built: {error}"));
        if let Some(acquire) = sink.acquire() {
            acquire.acquire().unwrap_or_else(|error| panic!("the output is claimed: {error}"));
        }
        sink
    };
    let write = |sink: &Arc<dyn Sink>, range: OffsetRange| {
        let mut writer = sink.open(&split, 1).unwrap_or_else(|error| panic!("a writer opens: {error}"));
        let mut dead = Vec::new();
        writer.write(rows.clone(), &mut dead).unwrap_or_else(|error| panic!("rows are written: {error}"));
        assert!(dead.is_empty(), "the rows of the check are no dead letters: {dead:?}");
        prepare(&mut *writer, range)
    };
    let each = rows.rows();
    let range = |n: u64| OffsetRange { from: at(n * 100), to: at((n + 1) * 100), sequence: 0 };

    let sink = open();
    let first = write(&sink, range(0));
    assert_eq!(visible(), 0, "prepared output is not visible");
    commit(&sink, &first);
    assert_eq!(visible(), each, "a commit makes output visible");
    commit(&sink, &first);
    assert_eq!(visible(), each, "a second commit changes nothing");

    let second = write(&sink, range(1));
    drop(sink);
    let sink = open();
    commit(&sink, &second);
    assert_eq!(visible(), 2 * each, "another process commits what a killed one prepared");

    let third = write(&sink, range(2));
    drop(sink);
    let sink = open();
    abort(&sink, &third);
    abort(&sink, &third);
    assert_eq!(visible(), 2 * each, "another process aborts what a killed one prepared");
    let again = write(&sink, range(2));
    commit(&sink, &again);
    assert_eq!(visible(), 3 * each, "what was aborted is written again");

    drop(write(&sink, range(3)));
    drop(sink);
    let sink = open();
    if let Some(orphans) = sink.orphans() {
        let writer = Arc::clone(BuildContext::for_tests().writer_id());
        orphans.remove_orphans(&[writer], &[]).unwrap_or_else(|error| panic!("orphans are removed: {error}"));
    }
    assert_eq!(visible(), 3 * each, "orphans are removed, and committed output is not");
    if let Some(offsets) = sink.committed_offsets() {
        let ends = offsets.committed_offsets(std::slice::from_ref(&split));
        let ends = ends.unwrap_or_else(|error| panic!("committed offsets are read: {error}"));
        assert_eq!(ends, [Some(300)], "the committed offset is the end of the visible output");
    }
}

fn at(offset: u64) -> Position {
    Position { offset, records: offset }
}

fn prepare(writer: &mut dyn Writer, range: OffsetRange) -> Vec<u8> {
    match writer.prepare(range).unwrap_or_else(|error| panic!("output is prepared: {error}")) {
        Prepared::Staged(staged) => staged,
        other => panic!("rows that were written are staged output, not {other:?}"),
    }
}

fn commit(sink: &Arc<dyn Sink>, staged: &[u8]) {
    let two_phase_commit = sink.two_phase_commit().expect("a sink with staged output has a two-phase commit");
    two_phase_commit.commit(staged).unwrap_or_else(|error| panic!("prepared output is committed: {error}"));
}

fn abort(sink: &Arc<dyn Sink>, staged: &[u8]) {
    let two_phase_commit = sink.two_phase_commit().expect("a sink with staged output has a two-phase commit");
    two_phase_commit.abort(staged).unwrap_or_else(|error| panic!("prepared output is aborted: {error}"));
}
