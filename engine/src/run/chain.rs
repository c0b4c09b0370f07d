//! The transforms of one split, one after the other.

use std::sync::Arc;
use std::time::Instant;

use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::record::Batch;
use crate::stage::{BuildContext, DeadLetter, Output, Transform, TransformConfig};

struct ChainStage {
    label: String,
    config: Arc<dyn TransformConfig>,
    cx: BuildContext,
    transform: Box<dyn Transform>,
}

/// The transforms of one split.
pub(super) struct Chain {
    links: Vec<ChainStage>,
}

/// What came out at the end of a chain.
#[derive(Debug, Default)]
pub(super) struct ChainOutput {
    pub(super) batches: Vec<Batch>,
    pub(super) dead: Vec<DeadLetter>,
    pub(super) filtered: u64,
}

impl Chain {
    /// The first `count` transforms of a pipeline, with what each learned from a survey.
    pub(super) fn build(
        pipeline: &Pipeline,
        count: usize,
        cx: &BuildContext,
        surveys: &[Option<Arc<[u8]>>],
    ) -> Result<Chain> {
        let links = pipeline.transforms.iter().take(count).enumerate().map(|(i, stage)| {
            let cx = cx.for_stage(&stage.label).with_fitted(surveys.get(i).cloned().flatten());
            let transform = stage.config.build(&cx).map_err(|e| e.in_stage(&stage.label))?;
            Ok(ChainStage { label: stage.label.clone(), config: Arc::clone(&stage.config), cx, transform })
        });
        Ok(Chain { links: links.collect::<Result<_>>()? })
    }

    /// Puts a batch through all of them.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<ChainOutput> {
        let mut passed = ChainOutput::default();
        self.push(0, batch, &mut passed)?;
        Ok(passed)
    }

    /// The input has ended: everything that is held goes on, through the later transforms too.
    pub(super) fn finish(&mut self) -> Result<ChainOutput> {
        self.each(|transform, out| transform.finish(out))
    }

    /// What waited long enough goes on.
    pub(super) fn tick(&mut self, now: Instant) -> Result<ChainOutput> {
        self.each(|transform, out| transform.tick(now, out))
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Transform, &mut Output) -> Result<()>) -> Result<ChainOutput> {
        let mut passed = ChainOutput::default();
        for i in 0..self.links.len() {
            let mut out = Output::default();
            let link = &mut self.links[i];
            act(link.transform.as_mut(), &mut out).map_err(|e| e.in_stage(&link.label))?;
            self.pass(i, out, &mut passed)?;
        }
        Ok(passed)
    }

    fn push(&mut self, i: usize, batch: Batch, passed: &mut ChainOutput) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let Some(link) = self.links.get_mut(i) else {
            passed.batches.push(batch);
            return Ok(());
        };
        let mut out = Output::default();
        link.transform.apply(batch, &mut out).map_err(|e| e.in_stage(&link.label))?;
        self.pass(i, out, passed)
    }

    fn pass(&mut self, i: usize, out: Output, passed: &mut ChainOutput) -> Result<()> {
        let label = &self.links[i].label;
        passed.filtered += out.filtered;
        passed.dead.extend(out.dead.into_iter().map(|letter| DeadLetter { stage: label.clone(), ..letter }));
        out.batches.into_iter().try_for_each(|batch| self.push(i + 1, batch, passed))
    }

    /// How many rows are held back in all.
    pub(super) fn held(&self) -> u64 {
        self.links.iter().map(|link| link.transform.held()).sum()
    }

    /// Whether any of them may turn rows into dead letters.
    pub(super) fn rejects(&self) -> bool {
        self.links.iter().any(|link| link.config.rejects())
    }

    /// The state of each.
    pub(super) fn save(&self) -> Result<Vec<Vec<u8>>> {
        self.links.iter().map(|link| link.transform.save().map_err(|e| e.in_stage(&link.label))).collect()
    }

    /// Goes on from what `save` returned; from nothing where it is empty.
    pub(super) fn restore(&mut self, states: &[Vec<u8>]) -> Result<()> {
        if states.is_empty() {
            return Ok(());
        }
        if states.len() != self.links.len() {
            return Err(Error::new("the saved state is of a pipeline with other transforms")
                .help("start afresh with `--fresh`, or put the transforms back"));
        }
        for (link, state) in self.links.iter_mut().zip(states).filter(|(_, state)| !state.is_empty()) {
            link.transform.restore(state).map_err(|e| e.in_stage(&link.label))?;
        }
        Ok(())
    }

    /// Back to a state that `save` returned, by building the transforms anew.
    pub(super) fn reset(&mut self, states: &[Vec<u8>]) -> Result<()> {
        for link in &mut self.links {
            link.transform = link.config.build(&link.cx).map_err(|e| e.in_stage(&link.label))?;
        }
        self.restore(states)
    }
}
