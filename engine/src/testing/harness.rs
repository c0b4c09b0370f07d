//! The transforms of a pipeline, with rows in and rows out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::stubs::{STUB, STUBS};
use crate::clock::Clock;
use crate::config::{Loader, Pipeline};
use crate::error::Result;
use crate::record::Batch;
use crate::run::{Chain, ChainOutput, Observer};
use crate::stage::{BuildContext, DeadLetter, Registry, State};

/// Runs the transforms of a pipeline as one split does, with a clock that is moved by hand.
///
/// ```no_run
/// # use std::time::Duration;
/// # use aqpipe_engine::testing::{BatchBuilder, PipelineHarness};
/// let mut pipeline = PipelineHarness::from_toml("[[transform]]\ntype = \"derive\"\nfeatures = [\"hour\"]\n");
/// let out = pipeline.push(BatchBuilder::new().numbers("co", [Some(2.6)]).build());
/// let late = pipeline.advance(Duration::from_secs(60));
/// let rest = pipeline.finish();
/// ```
pub struct PipelineHarness {
    pipeline: Pipeline,
    chain: Chain,
    cx: BuildContext,
    fitted: Vec<Option<Arc<[u8]>>>,
    observer: Option<Arc<dyn Observer>>,
    /// The state of each transform, as its changes make it.
    saved: BTreeMap<String, State>,
}

/// What came out of the last transform.
#[derive(Debug, Default)]
pub struct HarnessOutput {
    /// Rows, in order.
    pub batches: Vec<Batch>,
    /// Dead letters, with the stage that gave each up.
    pub dead: Vec<DeadLetter>,
    /// The number of rows that the configuration asked to leave out.
    pub filtered: u64,
    /// The number of rows that transforms made beside those that came in.
    pub made: u64,
    /// The number of rows that transforms merged into others.
    pub merged: u64,
}

impl PipelineHarness {
    /// The transforms of a pipeline in TOML. Its source and its sink are not built; they may be left out.
    ///
    /// # Panics
    /// Where the pipeline has mistakes, with all of them and their places.
    #[must_use]
    pub fn from_toml(text: &str) -> PipelineHarness {
        Self::with_input(text, &[])
    }

    /// The same for transforms that learn from the whole input before they start: from these batches.
    ///
    /// # Panics
    /// As [`from_toml`](Self::from_toml), and where a transform cannot learn from the batches.
    #[must_use]
    pub fn with_input(text: &str, input: &[Batch]) -> PipelineHarness {
        let pipeline = load(text);
        let cx = BuildContext::bare(&pipeline.name)
            .with_clock(Clock::manual(Duration::from_secs(1_704_067_200)))
            .with_numeric_fields(pipeline.numeric_fields.iter().cloned())
            .with_bounded(pipeline.source.config.boundedness().is_bounded());
        let fitted = fit(&pipeline, &cx, input);
        let chain = build(&pipeline, &cx, &fitted, None);
        PipelineHarness { pipeline, chain, cx, fitted, observer: None, saved: BTreeMap::new() }
    }

    /// Has an observer see what each transform takes and gives.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> PipelineHarness {
        self.observer = Some(observer);
        self.chain = self.chain.observed_by(self.observer.clone());
        self
    }

    /// Puts rows in.
    ///
    /// # Panics
    /// Where a transform fails. [`try_push`](Self::try_push) returns the error.
    pub fn push(&mut self, batch: Batch) -> HarnessOutput {
        self.try_push(batch).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Puts rows in.
    ///
    /// # Errors
    /// Where a transform fails.
    pub fn try_push(&mut self, batch: Batch) -> Result<HarnessOutput> {
        let out = self.chain.apply(batch)?;
        self.checkpoint()?;
        Ok(HarnessOutput::from(out))
    }

    /// Saves what changed, as a checkpoint does.
    fn checkpoint(&mut self) -> Result<()> {
        let changes = self.chain.save_changes()?;
        self.saved.retain(|stage, _| changes.contains_key(stage));
        for (stage, changes) in changes {
            self.saved.entry(stage).or_default().apply(changes);
        }
        Ok(())
    }

    /// Moves the clock on, and lets transforms emit the rows that have waited long enough.
    ///
    /// # Panics
    /// Where a transform fails.
    pub fn advance(&mut self, by: Duration) -> HarnessOutput {
        self.cx.clock().advance(by);
        let out = self.chain.tick(self.cx.clock().now());
        out.map_or_else(|error| panic!("{error}"), HarnessOutput::from)
    }

    /// The rows that transforms hold back.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.chain.held()
    }

    /// A kill and a restart: saves what changed in each transform, builds all anew, and restores the state that all changes together
    /// make.
    ///
    /// # Panics
    /// Where a transform cannot save or restore. [`try_restart`](Self::try_restart) returns the error.
    pub fn restart(&mut self) {
        self.try_restart().unwrap_or_else(|error| panic!("{error}"));
    }

    /// As [`restart`](Self::restart).
    ///
    /// # Errors
    /// Where a transform cannot save or restore.
    pub fn try_restart(&mut self) -> Result<()> {
        self.checkpoint()?;
        self.chain = build(&self.pipeline, &self.cx, &self.fitted, self.observer.clone());
        self.chain.restore(&self.saved)
    }

    /// The saved state of each transform that has one, by its name.
    ///
    /// # Panics
    /// Where a transform cannot save.
    #[must_use]
    pub fn saved(&self) -> BTreeMap<String, State> {
        self.chain.save().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Restores one transform.
    pub(super) fn restore_of(&mut self, stage: &str, state: &State) -> Result<()> {
        self.chain.restore(&BTreeMap::from([(stage.to_owned(), state.clone())]))
    }

    /// Puts rows in of which only these parts go on, each with the source offset of its record, as a replay of dead letters
    /// does.
    ///
    /// # Panics
    /// Where a transform fails.
    pub fn push_parts(&mut self, batch: Batch, parts: Vec<(u64, String)>) -> HarnessOutput {
        self.chain.only_parts(parts);
        let out = self.push(batch);
        self.chain.only_parts(Vec::new());
        out
    }

    /// The end of the input: all held rows come out.
    ///
    /// # Panics
    /// Where a transform fails. [`try_finish`](Self::try_finish) returns the error.
    pub fn finish(mut self) -> HarnessOutput {
        self.try_finish().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The end of the input: all held rows come out.
    ///
    /// # Errors
    /// Where a transform fails.
    pub fn try_finish(&mut self) -> Result<HarnessOutput> {
        self.chain.finish().map(HarnessOutput::from)
    }
}

impl From<ChainOutput> for HarnessOutput {
    fn from(ChainOutput { batches, dead, filtered, made, merged }: ChainOutput) -> HarnessOutput {
        HarnessOutput { batches, dead, filtered, made, merged }
    }
}

/// Loads a pipeline; a source and a sink are added where it has none.
pub(super) fn load(text: &str) -> Pipeline {
    let registry = Registry::collect_with(&STUBS).unwrap_or_else(|error| panic!("{error}"));
    let mut whole = String::new();
    let has = |start: &str| text.lines().any(|line| line.trim_start().starts_with(start));
    let has_name = text.lines().any(|line| line.split_once('=').is_some_and(|(key, _)| key.trim() == "name"));
    if !has_name {
        whole += "name = \"harness\"\n";
    }
    whole += text;
    for table in ["source", "sink"].iter().filter(|table| !has(&format!("[{table}]"))) {
        whole += &format!("\n[{table}]\ntype = \"{STUB}\"\n");
    }
    let loaded = Loader::new(&registry, &|_| None).load_text("harness.toml", &whole);
    loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn build(
    pipeline: &Pipeline,
    cx: &BuildContext,
    fitted: &[Option<Arc<[u8]>>],
    observer: Option<Arc<dyn Observer>>,
) -> Chain {
    let chain = Chain::build(pipeline, usize::MAX, cx, fitted).unwrap_or_else(|error| panic!("{error}"));
    chain.observed_by(observer)
}

/// What each transform learns from the input, through the transforms before it.
fn fit(pipeline: &Pipeline, cx: &BuildContext, input: &[Batch]) -> Vec<Option<Arc<[u8]>>> {
    let mut fitted = vec![None; pipeline.transforms.len()];
    for (i, stage) in pipeline.transforms.iter().enumerate() {
        let Some(mut fitter) = stage.config.fitter(&cx.for_stage(&stage.label)) else { continue };
        let mut before = Chain::build(pipeline, i, cx, &fitted).unwrap_or_else(|error| panic!("{error}"));
        let mut observe = |out: Result<ChainOutput>| {
            let out = out.unwrap_or_else(|error| panic!("{error}"));
            let observed = out.batches.iter().try_for_each(|batch| fitter.observe(batch));
            observed.unwrap_or_else(|error| panic!("{error}"));
        };
        input.iter().for_each(|batch| observe(before.apply(batch.clone())));
        observe(before.finish());
        fitted[i] = Some(fitter.finish().unwrap_or_else(|error| panic!("{error}")).into());
    }
    fitted
}
