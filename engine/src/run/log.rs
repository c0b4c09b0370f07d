//! Who decides a commit.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ledger::{Entry, LaneState, Ledger};
use crate::error::Result;
use crate::monitor::Counts;
use crate::record::{LaneId, Position, Span};
use crate::stage::{Acknowledge, Start};

/// A lane's stretch between two barriers. All of it becomes true together.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The lane.
    pub lane: LaneId,
    /// Counts the times that this process opened the lane.
    pub epoch: u64,
    /// From where to where.
    pub span: Span,
    /// What a later run needs to go on: the lane's carry, then each transform's state.
    pub state: Vec<Vec<u8>>,
    /// What the ends prepared: the sink's, then the dead letters'.
    pub prepared: Vec<Vec<u8>>,
    /// What was counted.
    pub counts: Counts,
}

impl Cut {
    /// Where the lane goes on after it.
    #[must_use]
    pub fn start(&self) -> Start {
        Start { position: self.span.to, part: self.span.part, state: self.state.clone() }
    }
}

/// What became of cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They are true.
    Committed,
    /// They are not: lanes restart from their last cut.
    Aborted {
        /// Why.
        reason: String,
    },
}

/// How a run began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Counts the runs of this pipeline.
    pub run: u64,
    /// The stages in order. A run with other stages cannot use the saved state.
    pub shape: String,
    /// A checksum of all options, to say when they changed.
    pub options: u32,
    /// What each transform learned from the whole input.
    pub surveys: Vec<Option<Vec<u8>>>,
}

/// The last run, as the log knows it.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// How it began.
    pub begin: Begin,
    /// Whether its input ended.
    pub done: bool,
    /// What it counted.
    pub counts: Counts,
}

/// Whoever decides commits.
pub trait CommitLog: Send {
    /// What was decided and perhaps never finished. To be finished again, then [`finished`](Self::finished).
    fn unfinished(&self) -> Vec<Vec<Vec<u8>>>;

    /// The last run.
    fn last_run(&self) -> Option<LastRun>;

    /// A run begins. `anew` forgets the positions of the run before it.
    ///
    /// # Errors
    /// Where that cannot be noted.
    fn begin(&mut self, begin: Begin, anew: bool) -> Result<()>;

    /// Where lanes go on.
    ///
    /// # Errors
    /// Where that cannot be read.
    fn starts(&mut self, ids: &[LaneId]) -> Result<Vec<Option<Start>>>;

    /// The one act that makes cuts true.
    ///
    /// # Errors
    /// Where it is not known whether they are: the pipeline ends, and the next start finds out.
    fn decide(&mut self, cuts: &[Cut]) -> Result<Decision>;

    /// Everything decided so far is visible.
    ///
    /// # Errors
    /// Where that cannot be noted.
    fn finished(&mut self) -> Result<()>;

    /// The input has ended.
    ///
    /// # Errors
    /// Where that cannot be noted.
    fn done(&mut self) -> Result<()>;

    /// Forgets everything.
    ///
    /// # Errors
    /// Where that cannot be noted.
    fn forget(&mut self) -> Result<()>;
}

/// A ledger file decides. Where the source keeps positions of its own, it is told of them afterwards: a crash between
/// the two leaves the ledger ahead, and the next start begins at whichever is further.
pub(super) struct LedgerLog {
    ledger: Ledger,
    source: Option<Arc<dyn Acknowledge>>,
}

impl LedgerLog {
    pub(super) fn open(dir: &Path) -> Result<LedgerLog> {
        Ok(LedgerLog { ledger: Ledger::open(&dir.join("ledger"))?, source: None })
    }

    pub(super) fn tell(&mut self, source: Option<Arc<dyn Acknowledge>>) {
        self.source = source;
    }
}

impl CommitLog for LedgerLog {
    fn unfinished(&self) -> Vec<Vec<Vec<u8>>> {
        self.ledger.state().unfinished.clone()
    }

    fn last_run(&self) -> Option<LastRun> {
        let state = self.ledger.state();
        let begin = state.begin.clone()?;
        Some(LastRun { begin, done: state.done, counts: state.counts.clone() })
    }

    fn begin(&mut self, begin: Begin, anew: bool) -> Result<()> {
        self.ledger.append(Entry::Begin { begin, anew })
    }

    fn starts(&mut self, ids: &[LaneId]) -> Result<Vec<Option<Start>>> {
        let noted = match &self.source {
            Some(source) => source.acknowledged(ids)?,
            None => vec![None; ids.len()],
        };
        let lanes = &self.ledger.state().lanes;
        Ok(ids.iter().zip(noted).map(|(id, noted)| merge(lanes.get(&**id), noted)).collect())
    }

    fn decide(&mut self, cuts: &[Cut]) -> Result<Decision> {
        self.ledger.append(Entry::cuts(cuts))?;
        if let Some(source) = &self.source {
            // Cuts of a lane come in order, so the last one counts.
            let ends: BTreeMap<LaneId, Position> =
                cuts.iter().map(|cut| (Arc::clone(&cut.lane), cut.span.to)).collect();
            source.acknowledge(&ends.into_iter().collect::<Vec<_>>())?;
        }
        Ok(Decision::Committed)
    }

    fn finished(&mut self) -> Result<()> {
        self.ledger.append(Entry::Finished)
    }

    fn done(&mut self) -> Result<()> {
        self.ledger.append(Entry::Done)
    }

    fn forget(&mut self) -> Result<()> {
        self.ledger.append(Entry::Forget)
    }
}

/// The further of the two. Another member may have taken the lane on from here: its position is then the source's,
/// and the state that is kept here no longer belongs to it.
fn merge(lane: Option<&LaneState>, noted: Option<u64>) -> Option<Start> {
    match (lane, noted) {
        (Some(lane), Some(noted)) if noted > lane.start.position.at => {
            tracing::warn!(
                "another member read on from {} to {noted}: what the transforms knew then is not known here",
                lane.start.position.at
            );
            Some(Start { position: Position { at: noted, row: lane.start.position.row }, ..Start::default() })
        }
        (Some(lane), _) => Some(lane.start.clone()),
        (None, Some(noted)) => Some(Start { position: Position { at: noted, row: 0 }, ..Start::default() }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> LaneState {
        let state = vec![vec![1]];
        LaneState { start: Start { position: Position { at: position, row: 3 }, part: 0, state } }
    }

    #[test]
    fn a_lane_goes_on_at_the_further_of_both_positions_and_keeps_its_state_only_where_it_fits() {
        assert_eq!(merge(None, None), None);
        assert_eq!(merge(Some(&at(5)), None), Some(at(5).start));
        assert_eq!(merge(Some(&at(5)), Some(4)), Some(at(5).start), "a crash came before the group was told");
        assert_eq!(merge(Some(&at(5)), Some(5)), Some(at(5).start));
        let ahead = merge(Some(&at(5)), Some(9)).expect("starts");
        assert_eq!((ahead.position.at, ahead.state.len()), (9, 0));
    }
}
