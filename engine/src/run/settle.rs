//! Recovery: what was decided becomes visible, what was not is removed, of this instance and of those that died and
//! were not started again.

use std::sync::Arc;

use super::committer::Ends;
use super::instance::Instance;
use super::ledger::{Entry, Ledger};
use super::log::{Log, Unsettled};
use crate::error::Result;
use crate::fault;

/// Settles everything, before a run begins.
pub(super) fn settle(instance: &Instance, log: &mut Log, ends: &Ends) -> Result<()> {
    let unsettled = log.unsettled()?;
    roll(&unsettled, ends)?;
    fault::step("settle.finished")?;
    if unsettled.decided {
        log.finished()?;
    } else {
        log.undone()?;
    }
    sweep(&instance.id, ends)?;
    settle_orphans(instance, log, ends)
}

/// Settles what other instances left that died since, before this one goes on with their lanes. One after the other, so
/// that none of them is kept from starting again for long.
pub(super) fn settle_orphans(instance: &Instance, log: &mut Log, ends: &Ends) -> Result<()> {
    for orphan in instance.orphans()? {
        let orphan = orphan?;
        match Ledger::open(&orphan.dir.join("ledger")) {
            Ok(ledger) => {
                if settle_orphan(&orphan, ledger, log, ends)? {
                    sweep(&orphan.id, ends)?;
                }
            }
            // What it left stays as it is: whoever starts it again is told.
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(())
}

/// Settles what one left; false where nobody can say what was decided.
fn settle_orphan(orphan: &Instance, mut ledger: Ledger, log: &mut Log, ends: &Ends) -> Result<bool> {
    let Some(unsettled) = log.unsettled_of(&ledger)? else {
        tracing::warn!(
            "{} has output of which only transactions of another cluster know whether it was decided: it stays as it is",
            orphan.dir.display()
        );
        return Ok(false);
    };
    if !unsettled.cuts.is_empty() {
        roll(&unsettled, ends)?;
        ledger.append(if unsettled.decided { Entry::Finished } else { Entry::Undone })?;
    }
    Ok(true)
}

fn roll(Unsettled { cuts, decided }: &Unsettled, ends: &Ends) -> Result<()> {
    match (cuts.len(), decided) {
        (0, _) => {}
        (count, true) => tracing::info!("an earlier run was interrupted: finishing {count} cuts that were decided"),
        (count, false) => tracing::info!("an earlier run was interrupted: removing {count} cuts that were not decided"),
    }
    cuts.iter().try_for_each(|cut| {
        let prepared = cut.iter().map(Vec::as_slice);
        if *decided { ends.finish(prepared) } else { ends.undo(prepared) }
    })
}

fn sweep(instance: &Arc<str>, ends: &Ends) -> Result<()> {
    let instances = std::slice::from_ref(instance);
    ends.sink.sweep(instances).map_err(|e| e.in_stage(&ends.sink_label))?;
    ends.dead.iter().try_for_each(|dead| dead.sweep(instances)).map_err(|e| e.in_stage("dead_letter"))
}
