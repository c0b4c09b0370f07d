//! Running lanes that end by themselves, no more at once than there are processors.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aqpipe_engine::Result;
use aqpipe_engine::record::LaneId;
use aqpipe_engine::stage::{Lane, Lanes, Start};

/// How long the end of a lane may go unnoticed where nobody says so.
const LOOK: Duration = Duration::from_millis(100);

/// A lane to open: its name, itself, and where it goes on.
pub(crate) type ToOpen = (LaneId, Box<dyn Lane>, Option<Start>);

/// Opens lanes one after the other, until all have ended or a stop is asked for. Each one is made when its turn comes,
/// so that its file is not open before.
pub(crate) fn run(to_open: impl Iterator<Item = Result<ToOpen>>, lanes: &dyn Lanes) -> Result<()> {
    run_at_most(to_open, lanes, std::thread::available_parallelism().map_or(1, usize::from))
}

fn run_at_most(mut to_open: impl Iterator<Item = Result<ToOpen>>, lanes: &dyn Lanes, most: usize) -> Result<()> {
    let mut opened: BTreeSet<LaneId> = BTreeSet::new();
    let mut all_open = false;
    while !lanes.stopping() {
        let running = lanes.running();
        opened.retain(|id| running.contains(id));
        while opened.len() < most && !all_open && !lanes.stopping() {
            match to_open.next().transpose()? {
                Some((id, lane, start)) => {
                    opened.insert(id.clone());
                    lanes.open(id, lane, start, None)?;
                }
                None => all_open = true,
            }
        }
        if opened.is_empty() && all_open {
            return Ok(());
        }
        lanes.wait(Instant::now() + LOOK);
    }
    let left: Vec<LaneId> = opened.into_iter().collect();
    // How long they may take is the engine's to say: it closes what is still there when this returns.
    tracing::debug!("stopping with {} lanes open", left.len());
    Ok(())
}
