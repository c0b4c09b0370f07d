//! Recovery: what was decided becomes visible, what was not is removed, of this instance, of those that died and were not
//! started again, and of processes whose state directory is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::commit_log::{CommitLog, PendingCommit};
use super::instance::Instance;
use super::ledger::{Entry, Ledger};
use super::metadata::{DecidedCheckpoint, DecidedNote};
use super::sinks::{Sinks, Staged};
use crate::error::{Error, Result};
use crate::fault;
use crate::record::SplitId;

/// How many processes without a state directory are settled in one start: each costs about a second. The others wait for
/// the next.
const STRANGERS_MAX: usize = 30;

/// Settles everything, before a run begins.
pub(super) fn settle(instance: &Instance, log: &mut CommitLog, sinks: &Sinks, strangers: bool) -> Result<()> {
    let unsettled = log.unsettled()?;
    roll(&unsettled, sinks)?;
    fault::step("settle.finished")?;
    if unsettled.decided {
        log.finished()?;
    } else {
        log.undone()?;
    }
    sinks.remove_orphans(std::slice::from_ref(&instance.output), &decided(log)?)?;
    settle_orphans(instance, log, sinks)?;
    if strangers { settle_strangers(log, sinks) } else { Ok(()) }
}

/// Settles what other instances left that died since, before this one goes on with their splits. One after the other, so
/// that none of them is kept from starting again for long.
pub(super) fn settle_orphans(instance: &Instance, log: &mut CommitLog, sinks: &Sinks) -> Result<()> {
    for orphan in instance.orphans()? {
        let orphan = orphan?;
        match Ledger::open(&orphan.dir.join("ledger")) {
            Ok(ledger) => {
                if settle_orphan(&orphan, ledger, log, sinks)? {
                    sinks.remove_orphans(std::slice::from_ref(&orphan.output), &decided(log)?)?;
                }
            }
            // What it left stays as it is: whoever starts it again is told.
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(())
}

/// Settles what one left; false where nobody can say what was decided.
fn settle_orphan(orphan: &Instance, mut ledger: Ledger, log: &mut CommitLog, sinks: &Sinks) -> Result<bool> {
    let Some(unsettled) = log.unsettled_of(&ledger)? else {
        tracing::warn!(
            "{} has output of which only transactions of another cluster know whether it was decided: it stays as it is",
            orphan.dir.display()
        );
        return Ok(false);
    };
    if !unsettled.staged.is_empty() {
        roll(&unsettled, sinks)?;
        ledger.append(if unsettled.decided { Entry::Finished } else { Entry::Undone })?;
    }
    log.is_visible(ledger.state().spent);
    Ok(true)
}

/// Settles what processes left whose ledger is not here: its volume is lost, or they ran on another machine. What their
/// transactions decided is noted by the transactions; the rest of what they left was surely not decided.
fn settle_strangers(log: &mut CommitLog, sinks: &Sinks) -> Result<()> {
    let left = sinks.orphaned_writers()?;
    if !log.knows_others() {
        if !left.is_empty() {
            let names = left.iter().map(|writer| &**writer).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                "hidden output of processes with another state directory ({names}) stays where it is: whether it was \
                 decided is known there alone"
            );
        }
        // Whoever they are, they may start again.
        return sinks.remove_orphans(&[], &[]);
    }
    let dead: Vec<Arc<str>> = left.into_iter().take(STRANGERS_MAX).collect();
    dead.iter().try_for_each(|writer| log.settle_writer(writer))?;
    finish_decided(log, sinks)?;
    // By what is known now: until then none of them could start again and decide more.
    sinks.remove_orphans(&dead, &decided(log)?)
}

/// Makes visible whatever was decided and is not known to be, by whichever process; returns what is not to be found.
pub(super) fn finish_decided(log: &mut CommitLog, sinks: &Sinks) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for (id, DecidedNote { writer, checkpoints }) in log.decided()? {
        let mut all = true;
        for checkpoint in checkpoints {
            if sinks.is_staged(&checkpoint.staged)? {
                sinks.commit(&checkpoint.staged)?;
            } else {
                all = false;
                missing.push(Missing { writer: writer.clone(), checkpoint });
            }
        }
        log.is_visible(all.then_some(id));
    }
    Ok(missing)
}

/// Output that was decided and is not to be found: it is on another disk, or lost.
pub(super) struct Missing {
    writer: String,
    checkpoint: DecidedCheckpoint,
}

impl Missing {
    /// Whether it belongs to one of these splits.
    pub(super) fn is_of(&self, splits: &[SplitId]) -> bool {
        splits.iter().any(|split| **split == *self.checkpoint.split)
    }

    /// Why a run may not go on.
    pub(super) fn error(&self) -> Error {
        let DecidedCheckpoint { split, span, .. } = &self.checkpoint;
        Error::new(format!(
            "the output of {split} from {} to {} was committed by the process {}, and is not here: neither the hidden \
             file nor the visible one",
            span.from.offset, span.to.offset, self.writer
        ))
        .help(
            "start that process again where its disk is, or bring its output directory here: then the output appears; \
             `--fresh` starts from the beginning without it",
        )
    }
}

/// What transactions decided that is not known to be visible.
fn decided(log: &CommitLog) -> Result<Vec<Staged>> {
    let records = log.decided()?.into_iter().flat_map(|(_, record)| record.checkpoints);
    Ok(records.map(|checkpoint| checkpoint.staged).collect())
}

fn roll(PendingCommit { staged, decided }: &PendingCommit, sinks: &Sinks) -> Result<()> {
    match (staged.len(), decided) {
        (0, _) => {}
        (count, true) => tracing::info!(
            "an earlier run was interrupted: finishing its last commit, decided before ({count} outputs)"
        ),
        (count, false) => tracing::info!(
            "an earlier run was interrupted: removing what it had not committed ({count} outputs), to be read again"
        ),
    }
    staged.iter().try_for_each(|staged| if *decided { sinks.commit(staged) } else { sinks.abort(staged) })
}
