//! Recovery: committed output becomes visible, other staged output is removed; of this instance, of instances that died and
//! were not started again, and of processes whose state directory is lost.

use std::sync::Arc;

use super::ledger::{Entry, Ledger};
use super::log::{CommitLog, Pending};
use super::metadata::{StagedCheckpoint, StagedValue};
use crate::error::{Error, Result};
use crate::fault;
use crate::record::SplitId;
use crate::run::instance::Instance;
use crate::run::sinks::{Sinks, Staged};

/// How many processes without a state directory are recovered in one start: each costs about a second. The others wait for
/// the next start.
const LOST_WRITERS_MAX: usize = 30;

/// Recovers everything before a run begins. A replay of dead letters leaves processes with lost state directories to the
/// pipeline's own start.
pub(in crate::run) fn recover(
    instance: &Instance,
    log: &mut dyn CommitLog,
    sinks: &Sinks,
    with_lost_writers: bool,
) -> Result<()> {
    let pending = log.pending()?;
    roll(&pending, sinks)?;
    fault::step("recover.rolled")?;
    if pending.committed {
        log.on_visible()?;
    } else {
        log.on_aborted()?;
    }
    sinks.remove_orphans(std::slice::from_ref(&instance.output), &committed(log)?)?;
    recover_orphans(instance, log, sinks)?;
    if with_lost_writers { recover_lost_writers(log, sinks) } else { Ok(()) }
}

/// Recovers other instances that died since, before this one goes on with their splits. One after the other, so that none
/// of them is kept from starting again for long.
pub(in crate::run) fn recover_orphans(instance: &Instance, log: &mut dyn CommitLog, sinks: &Sinks) -> Result<()> {
    for orphan in instance.orphans()? {
        let orphan = orphan?;
        match Ledger::open(&orphan.dir.join("ledger")) {
            Ok(ledger) => {
                if recover_orphan(&orphan, ledger, log, sinks)? {
                    sinks.remove_orphans(std::slice::from_ref(&orphan.output), &committed(log)?)?;
                }
            }
            // What it left stays: whoever starts it again is told.
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(())
}

/// Recovers one instance; false where nobody can say what was committed.
fn recover_orphan(orphan: &Instance, mut ledger: Ledger, log: &mut dyn CommitLog, sinks: &Sinks) -> Result<bool> {
    let Some(pending) = log.pending_of(&ledger)? else {
        tracing::warn!(
            "{} has output of which only transactions of another cluster know whether it was committed: it stays as it is",
            orphan.dir.display()
        );
        return Ok(false);
    };
    if !pending.staged.is_empty() {
        roll(&pending, sinks)?;
        ledger.append(if pending.committed { Entry::Visible } else { Entry::Aborted })?;
    }
    if let Some(id) = ledger.state().visible {
        log.acknowledge(&[id]);
    }
    Ok(true)
}

/// Recovers processes whose ledger is not here: its volume is lost, or they ran on another machine. Transactions record what
/// they committed; the rest of their staged output was surely not committed.
fn recover_lost_writers(log: &mut dyn CommitLog, sinks: &Sinks) -> Result<()> {
    let lost: Vec<Arc<str>> = sinks.orphaned_writers()?.into_iter().take(LOST_WRITERS_MAX).collect();
    let recovered = log.recover_writers(&lost)?;
    let unknown: Vec<&str> = lost.iter().filter(|writer| !recovered.contains(writer)).map(|writer| &**writer).collect();
    if !unknown.is_empty() {
        tracing::warn!(
            "hidden output of processes with another state directory ({}) stays where it is: whether it was committed is \
             known there alone",
            unknown.join(", ")
        );
    }
    make_visible(log, sinks)?;
    // By what is known now: until here none of them could start again and commit more.
    sinks.remove_orphans(&recovered, &committed(log)?)
}

/// Makes all committed output visible that is not known to be, of any process; returns the output that is not to be found.
pub(in crate::run) fn make_visible(log: &mut dyn CommitLog, sinks: &Sinks) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for (id, StagedValue { writer, checkpoints }) in log.staged()? {
        let mut all = true;
        for checkpoint in checkpoints {
            if sinks.is_staged(&checkpoint.staged)? {
                sinks.commit(&checkpoint.staged)?;
            } else {
                all = false;
                missing.push(Missing { writer: writer.clone(), checkpoint });
            }
        }
        if all {
            log.acknowledge(&[id]);
        }
    }
    Ok(missing)
}

/// Committed output that is not to be found: it is on another disk, or lost.
pub(in crate::run) struct Missing {
    writer: String,
    checkpoint: StagedCheckpoint,
}

impl Missing {
    /// Whether it belongs to one of these splits.
    pub(in crate::run) fn is_of(&self, splits: &[SplitId]) -> bool {
        splits.iter().any(|split| **split == *self.checkpoint.split)
    }

    /// Why a run may not go on.
    pub(in crate::run) fn error(&self) -> Error {
        let StagedCheckpoint { split, range, .. } = &self.checkpoint;
        Error::new(format!(
            "the output of {split} from {} to {} was committed by the process {}, and is not here: neither the hidden file \
             nor the visible one",
            range.from.offset, range.to.offset, self.writer
        ))
        .help(
            "start that process again where its disk is, or bring its output directory here: then the output appears; \
             `--fresh` starts from the beginning without it",
        )
    }
}

/// The committed output that is not known to be visible.
fn committed(log: &dyn CommitLog) -> Result<Vec<Staged>> {
    let values = log.staged()?.into_iter().flat_map(|(_, value)| value.checkpoints);
    Ok(values.map(|checkpoint| checkpoint.staged).collect())
}

/// Rolls pending output forward where it was committed, else back.
fn roll(Pending { staged, committed }: &Pending, sinks: &Sinks) -> Result<()> {
    match (staged.len(), committed) {
        (0, _) => {}
        (count, true) => {
            tracing::info!("an earlier run was interrupted: its last commit becomes visible now ({count} outputs)");
        }
        (count, false) => tracing::info!(
            "an earlier run was interrupted: removing what it had not committed ({count} outputs), to be read again"
        ),
    }
    staged.iter().try_for_each(|staged| if *committed { sinks.commit(staged) } else { sinks.abort(staged) })
}
