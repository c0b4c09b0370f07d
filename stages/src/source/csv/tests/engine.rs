//! An engine that opens splits in the thread of the source.

use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{FencingToken, RecordedSplit, SourceContext, SplitReader, SplitState};

type Open = dyn Fn(SplitId, Box<dyn SplitReader>) -> Result<()> + Send + Sync;

/// An engine that hands each split to a function.
pub(super) struct Engine {
    states: Vec<(SplitId, SplitState)>,
    open: Box<Open>,
}

impl Engine {
    pub(super) fn opening(
        open: impl Fn(SplitId, Box<dyn SplitReader>) -> Result<()> + Send + Sync + 'static,
    ) -> Engine {
        Engine { states: Vec::new(), open: Box::new(open) }
    }

    /// With the splits of an interrupted run.
    pub(super) fn resuming(self, states: Vec<(SplitId, SplitState)>) -> Engine {
        Engine { states, ..self }
    }
}

impl SourceContext for Engine {
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        let recorded = |(id, start): &(SplitId, SplitState)| RecordedSplit {
            id: id.clone(),
            start: start.clone(),
            held: 0,
            ended: false,
        };
        Ok(self.states.iter().map(recorded).collect())
    }

    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        let of = |id: &SplitId| self.states.iter().find(|(known, _)| known == id).map(|(_, state)| state.clone());
        Ok(ids.iter().map(of).collect())
    }

    fn open(
        &self,
        id: SplitId,
        reader: Box<dyn SplitReader>,
        _: Option<SplitState>,
        _: Option<FencingToken>,
    ) -> Result<()> {
        (self.open)(id, reader)
    }

    fn close(&self, _: &[SplitId], _: bool, _: Instant) -> Result<()> {
        Ok(())
    }

    fn running(&self) -> Vec<SplitId> {
        Vec::new()
    }

    fn wait(&self, _: Instant) {}

    fn stopping(&self) -> bool {
        false
    }
}
