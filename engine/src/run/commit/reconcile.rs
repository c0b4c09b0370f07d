//! Where a split goes on: one answer from all that is known of it.
//!
//! Up to four memories say where a split stands: the ledger of this instance, the commit metadata of transactions, the
//! committed offset of a consumer group, and the end of the visible output. They differ after a crash, after somebody moved an
//! offset, after another member took the split over, and after a disk or a broker lost something. [`reconcile`] is pure, so
//! that all of this is one table of tests.

use super::ledger::LedgerSplit;
use super::metadata::SplitValue;
use crate::error::{Error, Result};
use crate::record::Position;
use crate::stage::SplitState;

/// All that is known of a split.
#[derive(Default)]
pub(super) struct Evidence<'a> {
    /// Its last checkpoint in the ledger of this instance.
    pub(super) ledger: Option<&'a LedgerSplit>,
    /// Its last checkpoint in the commit metadata, where transactions decide.
    pub(super) metadata: Option<SplitValue>,
    /// Whether transactions decide.
    pub(super) transactional: bool,
    /// Whether a consumer group keeps offsets.
    pub(super) has_group: bool,
    /// The group's offset before the metadata was read, and after.
    pub(super) committed: (Option<u64>, Option<u64>),
    /// The end of its visible output.
    pub(super) visible: Option<u64>,
    /// Where one process runs the pipeline alone: the memory that ought to know of the output, for a message.
    pub(super) exclusive_memory: Option<&'a str>,
    /// The name of the sink, for a message about its output.
    pub(super) sink: &'a str,
}

/// Where a split goes on, and what a person should know of it.
#[derive(Debug, PartialEq)]
pub(super) struct Reconciled {
    /// `None` is the beginning.
    pub(super) start: Option<SplitState>,
    /// What was lost, or changed by somebody.
    pub(super) warning: Option<String>,
}

impl Reconciled {
    fn at(start: Option<SplitState>) -> Reconciled {
        Reconciled { start, warning: None }
    }

    fn without_state(offset: u64, records: u64, warning: Option<String>) -> Reconciled {
        let start = SplitState { position: Position { offset, records }, ..SplitState::default() };
        Reconciled { start: Some(start), warning }
    }
}

/// Where the split `id` goes on.
///
/// # Errors
/// Where the memories contradict each other in a way that would lose records or write them twice.
pub(super) fn reconcile(id: &str, evidence: &Evidence<'_>) -> Result<Reconciled> {
    let reconciled = if evidence.transactional { transactional(id, evidence)? } else { with_ledger(evidence) };
    match evidence.visible {
        Some(end) if reconciled.start.as_ref().is_none_or(|start| start.position.offset < end) => {
            beyond_visible(id, evidence, &reconciled, end).map_err(|error| error.in_stage(evidence.sink))
        }
        _ => Ok(reconciled),
    }
}

/// A ledger tells the group of a commit after it, so that it may be ahead by one. Another member may have gone on from there.
fn with_ledger(evidence: &Evidence<'_>) -> Reconciled {
    match (evidence.ledger, evidence.committed.0) {
        (Some(split), Some(committed)) if split.acknowledged.is_some_and(|told| committed < told) => {
            let at = split.state.position.offset;
            Reconciled::without_state(
                committed,
                0,
                Some(format!(
                    "the group's offset was moved back from {at} to {committed}: going on there. The transforms start without \
                 the state that they had then"
                )),
            )
        }
        (Some(split), Some(committed)) if committed > split.state.position.offset => {
            let Position { offset, records } = split.state.position;
            Reconciled::without_state(
                committed,
                records,
                Some(format!(
                    "another member read on from {offset} to {committed}: the state that transforms had there is not known here"
                )),
            )
        }
        (Some(split), _) => Reconciled::at(Some(split.state.clone())),
        (None, Some(committed)) => Reconciled::without_state(committed, 0, None),
        (None, None) => Reconciled::at(None),
    }
}

/// A transaction writes the metadata and the group's offset together, so that they differ only where somebody changed one.
fn transactional(id: &str, evidence: &Evidence<'_>) -> Result<Reconciled> {
    let committed = committed_with(evidence.committed, evidence.metadata.as_ref());
    let (value, warning) = match (&evidence.metadata, committed) {
        (None, None) => return Ok(Reconciled::at(None)),
        (None, Some(committed)) => return Ok(Reconciled::without_state(committed, 0, None)),
        (Some(value), Some(committed)) if committed > value.state.position.offset => {
            let Position { offset, records } = value.state.position;
            return Ok(Reconciled::without_state(
                committed,
                records,
                Some(format!(
                    "{id}: the group stands at {committed}, beyond the last commit at {offset}: going on there. The state that \
                 transforms had there is not known here"
                )),
            ));
        }
        (Some(value), Some(committed)) if committed < value.state.position.offset && !value.from_ledger => {
            return Err(Error::new(format!(
                "{id}: the group stands at {committed}, and the last commit was at {}: one of them was changed, or lost by \
                 its broker",
                value.state.position.offset
            ))
            .help("set the group's offset to that of the last commit, or start from the beginning with `--fresh`"));
        }
        (Some(value), None) if evidence.has_group => {
            (value, Some(format!("{id}: the group has no offset any more: going on at that of the last commit")))
        }
        (Some(value), _) => (value, None),
    };
    Ok(Reconciled { start: Some(value.state.clone()), warning })
}

/// The group's offset at the moment when the metadata was read. A process that is frozen between the two questions sees an
/// old offset and new metadata; asked again afterwards, the group is at the metadata's offset or past it.
fn committed_with((before, after): (Option<u64>, Option<u64>), metadata: Option<&SplitValue>) -> Option<u64> {
    metadata
        .map(|value| value.state.position.offset)
        .filter(|at| before.is_some_and(|before| before < *at) && after.is_some_and(|after| *at <= after))
        .or(before)
}

/// Visible output ends at `end`, behind the place where the split would go on: nothing before `end` is written again.
fn beyond_visible(id: &str, evidence: &Evidence<'_>, reconciled: &Reconciled, end: u64) -> Result<Reconciled> {
    if let Some(memory) = evidence.exclusive_memory {
        return Err(Error::config(format!("there is output of {id} up to {end}, and {memory}")).help(
            "put that back (`state_dir`, or the topic that `transactions` names), write to another place, or start from the \
             beginning with `--fresh`, which removes this output",
        ));
    }
    let start = reconciled.start.as_ref();
    let moved_back = |split: &LedgerSplit| {
        start.is_some_and(|start| split.acknowledged.is_some_and(|told| start.position.offset < told))
    };
    if !evidence.transactional && evidence.ledger.is_some_and(moved_back) {
        let at = start.map_or(0, |start| start.position.offset);
        return Err(Error::config(format!(
            "{id}: the group's offset was moved back to {at}, and there are files of the records up to {end}: they are not \
             written again"
        ))
        .help(format!(
            "set the group's offset to {end}, or start from the beginning with `--fresh`, which removes these files"
        )));
    }
    match evidence.ledger.filter(|own| own.state.position.offset == end) {
        Some(own) => Ok(Reconciled {
            start: Some(own.state.clone()),
            warning: Some(format!(
                "{id}: there is output up to {end}, beyond the committed offset: the brokers have lost a commit. Going on \
                 there, with the state that the ledger kept beside the output"
            )),
        }),
        None if evidence.transactional => Err(Error::new(format!(
            "{id}: there is output up to {end}, beyond the committed offset: the brokers have lost a commit, or the output \
             was read as another group"
        ))
        .help(
            "look whether `group` is the one that the output was read as; else write to another place, or start from the \
             beginning with `--fresh`",
        )),
        None => Ok(Reconciled::without_state(end, 0, Some(format!(
            "{id}: there is output up to {end}, beyond the committed offset: going on there. The state that transforms had \
             there is not known here"
        )))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(offset: u64) -> SplitState {
        SplitState { position: Position { offset, records: 3 }, reader: vec![1], ..SplitState::default() }
    }

    fn ledger(offset: u64, acknowledged: Option<u64>) -> LedgerSplit {
        LedgerSplit { state: state(offset), held: 0, ended: false, acknowledged, time_ms: 0 }
    }

    fn value(offset: u64, from_ledger: bool) -> SplitValue {
        let split = "t/0".to_owned();
        SplitValue { split, run: 0, state: state(offset), held: 0, ended: false, time_ms: 0, from_ledger }
    }

    /// The outcome in a few words: an offset, with `+state` where the state is used, `!` where there is a warning; or a
    /// part of the error.
    fn outcome(evidence: &Evidence<'_>) -> String {
        match reconcile("t/0", evidence) {
            Err(error) => error.to_string(),
            Ok(Reconciled { start, warning }) => {
                let start = start.map_or("beginning".to_owned(), |start| {
                    format!("{}{}", start.position.offset, if start.has_state() { "+state" } else { "" })
                });
                format!("{start}{}", if warning.is_some() { "!" } else { "" })
            }
        }
    }

    #[test]
    fn with_a_ledger() {
        // The ledger's offset, the offset that the group was told, the group's offset, the end of visible output.
        type Row = (Option<u64>, Option<u64>, Option<u64>, Option<u64>, &'static str);
        let table: &[Row] = &[
            (None, None, None, None, "beginning"),
            (None, None, Some(4), None, "4"),
            (Some(5), None, None, None, "5+state"),
            (Some(5), None, Some(4), None, "5+state"), // a crash came before the group was told
            (Some(5), None, Some(5), None, "5+state"),
            (Some(5), Some(4), Some(4), None, "5+state"), // it was told of an earlier one
            (Some(5), Some(5), Some(4), None, "4!"),      // somebody moved the group back
            (Some(5), Some(5), Some(9), None, "9!"),      // another member went on
            (Some(5), Some(5), Some(5), Some(5), "5+state"),
            (Some(5), Some(5), Some(5), Some(3), "5+state"), // the last checkpoints wrote nothing
            (Some(5), Some(5), Some(5), Some(8), "8!"),      // the ledger is behind its output
            (None, None, Some(5), Some(8), "8!"),
            (None, None, None, Some(8), "8!"),
            (Some(5), Some(5), Some(4), Some(5), "moved back to 4"),
        ];
        for (at, told, committed, visible, expected) in table {
            let ledger = at.map(|at| ledger(at, *told));
            let evidence = Evidence {
                ledger: ledger.as_ref(),
                has_group: committed.is_some(),
                committed: (*committed, *committed),
                visible: *visible,
                ..Evidence::default()
            };
            let outcome = outcome(&evidence);
            let fits = outcome == *expected || expected.len() > 9 && outcome.contains(expected);
            assert!(fits, "{at:?} {told:?} {committed:?} {visible:?}: {outcome}, not {expected}");
        }
    }

    #[test]
    fn with_transactions() {
        // The metadata's offset, whether a ledger wrote it, the group's offset before and after it was read, the end of
        // visible output, the offset of this instance's ledger.
        type Row = (Option<u64>, bool, (Option<u64>, Option<u64>), Option<u64>, Option<u64>, &'static str);
        let table: &[Row] = &[
            (None, false, (None, None), None, None, "beginning"),
            (None, false, (Some(4), Some(4)), None, None, "4"),
            (Some(5), false, (Some(5), Some(5)), None, None, "5+state"),
            (Some(5), false, (Some(3), Some(9)), None, None, "5+state"), // frozen while others went on
            (Some(5), false, (Some(3), Some(5)), None, None, "5+state"),
            (Some(5), false, (Some(9), Some(9)), None, None, "9!"), // somebody moved the group on
            (Some(5), false, (Some(3), Some(3)), None, None, "stands at 3, and the last commit was at 5"),
            (Some(5), true, (Some(3), Some(3)), None, None, "5+state"), // a crash came before the group was told
            (Some(5), false, (None, None), None, None, "5+state!"),     // the group's offset expired
            (Some(5), false, (Some(5), Some(5)), Some(5), None, "5+state"),
            (Some(5), false, (Some(5), Some(5)), Some(8), None, "the brokers have lost a commit"),
            (Some(5), false, (Some(5), Some(5)), Some(8), Some(7), "the brokers have lost a commit"),
            (Some(5), false, (Some(5), Some(5)), Some(8), Some(8), "8+state!"),
        ];
        for (at, from_ledger, committed, visible, own, expected) in table {
            let own = own.map(|own| ledger(own, None));
            let evidence = Evidence {
                ledger: own.as_ref(),
                metadata: at.map(|at| value(at, *from_ledger)),
                transactional: true,
                has_group: true,
                committed: *committed,
                visible: *visible,
                ..Evidence::default()
            };
            let outcome = outcome(&evidence);
            let fits = outcome == *expected || expected.len() > 9 && outcome.contains(expected);
            assert!(fits, "{at:?} {committed:?} {visible:?}: {outcome}, not {expected}");
        }
    }

    #[test]
    fn output_that_no_memory_of_an_exclusive_pipeline_knows_is_refused() {
        for transactional in [false, true] {
            let evidence = Evidence {
                transactional,
                visible: Some(8),
                exclusive_memory: Some("the state directory `s` does not know of it"),
                ..Evidence::default()
            };
            let outcome = outcome(&evidence);
            assert!(outcome.contains("output of t/0 up to 8") && outcome.contains("`s` does not know"), "{outcome}");
        }
    }
}
