//! Running splits that end by themselves, no more at once than there are processors.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{SourceContext, SplitReader, SplitState};

/// How long the end of a split may go unnoticed where nobody says so.
const LOOK: Duration = Duration::from_millis(100);

/// A split to open: its name, itself, and where it goes on.
pub(crate) type ToOpen = (SplitId, Box<dyn SplitReader>, Option<SplitState>);

/// Opens splits one after the other, until all have ended or a stop is asked for. Each one is made when its turn comes,
/// so that its file is not open before.
pub(crate) fn run(to_open: impl Iterator<Item = Result<ToOpen>>, splits: &dyn SourceContext) -> Result<()> {
    run_at_most(to_open, splits, std::thread::available_parallelism().map_or(1, usize::from))
}

fn run_at_most(
    mut to_open: impl Iterator<Item = Result<ToOpen>>,
    splits: &dyn SourceContext,
    most: usize,
) -> Result<()> {
    let mut opened: BTreeSet<SplitId> = BTreeSet::new();
    let mut all_open = false;
    while !splits.stopping() {
        let running = splits.running();
        opened.retain(|id| running.contains(id));
        while opened.len() < most && !all_open && !splits.stopping() {
            match to_open.next().transpose()? {
                Some((id, split, start)) => {
                    opened.insert(id.clone());
                    splits.open(id, split, start, None)?;
                }
                None => all_open = true,
            }
        }
        if opened.is_empty() && all_open {
            return Ok(());
        }
        splits.wait(Instant::now() + LOOK);
    }
    let left: Vec<SplitId> = opened.into_iter().collect();
    // How long they may take is the engine's to say: it closes what is still there when this returns.
    tracing::debug!("stopping with {} splits open", left.len());
    Ok(())
}
