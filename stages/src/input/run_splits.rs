//! Runs splits that a source knows from the start, no more at once than there are processors.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{SourceContext, SplitReader, SplitState};

/// How long the end of a split may go unnoticed if the engine does not wake the source.
const SPLIT_END_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A split to open: its id, its reader, and the state that it resumes from.
pub(crate) type SplitToOpen = (SplitId, Box<dyn SplitReader>, Option<SplitState>);

/// Opens splits one after the other, until all have ended or a stop is asked for. `to_open` makes a reader when its turn
/// comes, so that its file is not open before. The engine closes the splits that are still open on return.
pub(crate) fn run_splits(
    mut to_open: impl Iterator<Item = Result<SplitToOpen>>,
    context: &dyn SourceContext,
) -> Result<()> {
    let open_max = std::thread::available_parallelism().map_or(1, usize::from);
    let mut open: BTreeSet<SplitId> = BTreeSet::new();
    let mut all_opened = false;
    while !context.stopping() {
        let running = context.running();
        open.retain(|id| running.contains(id));
        while open.len() < open_max && !all_opened && !context.stopping() {
            match to_open.next().transpose()? {
                Some((id, reader, state)) => {
                    open.insert(id.clone());
                    context.open(id, reader, state, None)?;
                }
                None => all_opened = true,
            }
        }
        if open.is_empty() && all_opened {
            return Ok(());
        }
        context.wait(Instant::now() + SPLIT_END_POLL_INTERVAL);
    }
    tracing::debug!("stopping with {} splits open", open.len());
    Ok(())
}
