//! The surroundings of a stage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Extensions, Latch};
use crate::cancel::CancellationToken;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::record::QcTests;

/// The surroundings of a stage when it is built: once a split for a transform, once a run for the others.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildContext {
    pub(crate) pipeline: Arc<str>,
    pub(crate) stage: Arc<str>,
    pub(crate) instance: Arc<str>,
    pub(crate) configured_instance: Option<Arc<str>>,
    pub(crate) writer_id: Arc<str>,
    pub(crate) exclusive: bool,
    pub(crate) state_dir: PathBuf,
    pub(crate) qc_tests: Arc<QcTests>,
    pub(crate) numeric_fields: Arc<BTreeSet<String>>,
    pub(crate) bounded: bool,
    pub(crate) reads_whole: bool,
    pub(crate) until_end: bool,
    pub(crate) upstream: Arc<Latch>,
    pub(crate) fitted: Option<Arc<[u8]>>,
    pub(crate) keep_raw: bool,
    pub(crate) changing_clock: Option<Arc<str>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) cancellation: CancellationToken,
    pub(crate) process_extensions: Arc<Extensions>,
    pub(crate) pipeline_extensions: Arc<Extensions>,
}

impl BuildContext {
    /// A context without a run: a bounded source, no state, nothing shared.
    #[must_use]
    pub fn bare(pipeline: &str) -> BuildContext {
        BuildContext {
            pipeline: pipeline.into(),
            stage: "stage".into(),
            instance: "0".into(),
            configured_instance: None,
            writer_id: "0".into(),
            exclusive: false,
            state_dir: PathBuf::new(),
            qc_tests: Arc::default(),
            numeric_fields: Arc::default(),
            bounded: true,
            reads_whole: true,
            until_end: false,
            upstream: Arc::new(Latch::opened()),
            fitted: None,
            keep_raw: false,
            changing_clock: None,
            metrics: Arc::default(),
            clock: Clock::default(),
            cancellation: CancellationToken::default(),
            process_extensions: Arc::default(),
            pipeline_extensions: Arc::default(),
        }
    }

    /// A context to test a stage with.
    #[must_use]
    pub fn for_tests() -> BuildContext {
        BuildContext::bare("test")
    }

    /// The pipeline's name.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// The stage's name in messages: its `id`, else its type.
    #[must_use]
    pub fn stage(&self) -> &Arc<str> {
        &self.stage
    }

    /// The instance of this process among those of the pipeline: `0`, `1`, …
    #[must_use]
    pub fn instance(&self) -> &Arc<str> {
        &self.instance
    }

    /// The `instance` that the pipeline or the command names; `None` where this process took a free one.
    #[must_use]
    pub fn configured_instance(&self) -> Option<&str> {
        self.configured_instance.as_deref()
    }

    /// The name of this process in staged output. Unlike [`instance`](Self::instance), no process with another state
    /// directory has the same.
    #[must_use]
    pub fn writer_id(&self) -> &Arc<str> {
        &self.writer_id
    }

    /// Whether only one process at a time may run the pipeline.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// The directory in which this instance keeps its state. It exists, and no other process uses it.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The names of the tests behind the bits of a [`CellQuality`](crate::record::CellQuality).
    #[must_use]
    pub fn qc_tests(&self) -> &Arc<QcTests> {
        &self.qc_tests
    }

    /// The fields that stages use as measurements: a source yields them as numbers.
    #[must_use]
    pub fn numeric_fields(&self) -> &Arc<BTreeSet<String>> {
        &self.numeric_fields
    }

    /// Whether the source ends by itself.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Whether a run reads the whole input, not a part that later runs add to.
    #[must_use]
    pub fn reads_whole(&self) -> bool {
        self.reads_whole
    }

    /// Whether a source that does not end by itself is to stop at the last record of now (`--until-end`).
    #[must_use]
    pub fn until_end(&self) -> bool {
        self.until_end
    }

    /// Opens once the other pipelines of this run are done whose output this source reads.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Latch> {
        &self.upstream
    }

    /// What the stage's [`Fitter`](super::Fitter) learned from the whole input.
    #[must_use]
    pub fn fitted(&self) -> Option<&[u8]> {
        self.fitted.as_deref()
    }

    /// Whether a source is to keep the bytes of each row in its batches, for a later stage may reject rows.
    #[must_use]
    pub fn keeps_raw(&self) -> bool {
        self.keep_raw
    }

    /// The name of the zone whose clock gives the times of the source, where that clock is put forward and back.
    #[must_use]
    pub fn changing_clock(&self) -> Option<&str> {
        self.changing_clock.as_deref()
    }

    /// The metrics of this pipeline.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The clock of this run: the only source of wall time for a transform.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends waits: whatever a stage waits for, it looks at this.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// The values, by type, that the pipelines of one run share.
    #[must_use]
    pub fn process_extensions(&self) -> &Arc<Extensions> {
        &self.process_extensions
    }

    /// The values, by type, that the stages of this pipeline share.
    #[must_use]
    pub fn pipeline_extensions(&self) -> &Arc<Extensions> {
        &self.pipeline_extensions
    }

    /// The same for the stage of that name.
    #[must_use]
    pub fn for_stage(&self, stage: &str) -> BuildContext {
        BuildContext { stage: stage.into(), ..self.clone() }
    }

    /// The same with what a fitter learned.
    #[must_use]
    pub fn with_fitted(mut self, fitted: Option<Arc<[u8]>>) -> BuildContext {
        self.fitted = fitted;
        self
    }

    /// The same with other fields that stages use as measurements.
    #[must_use]
    pub fn with_numeric_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> BuildContext {
        self.numeric_fields = Arc::new(fields.into_iter().map(Into::into).collect());
        self
    }

    /// The same with an instance's name, in another directory.
    #[must_use]
    pub fn with_instance(mut self, instance: &str, writer_id: &str, state_dir: &Path) -> BuildContext {
        (self.instance, self.writer_id) = (instance.into(), writer_id.into());
        self.state_dir = state_dir.to_owned();
        self
    }

    /// The same with an `instance` that was configured.
    #[must_use]
    pub fn with_configured_instance(mut self, instance: &str) -> BuildContext {
        self.instance = instance.into();
        self.configured_instance = Some(instance.into());
        self
    }

    /// The same for a process that runs the pipeline alone.
    #[must_use]
    pub fn with_exclusive(mut self) -> BuildContext {
        self.exclusive = true;
        self
    }

    /// The same with a source that ends by itself, or does not.
    #[must_use]
    pub fn with_bounded(mut self, bounded: bool) -> BuildContext {
        self.bounded = bounded;
        self
    }

    /// The same in which the source keeps the bytes of each row.
    #[must_use]
    pub fn with_raw(mut self) -> BuildContext {
        self.keep_raw = true;
        self
    }

    /// The same with times by the clock of a zone, which is put forward and back.
    #[must_use]
    pub fn with_changing_clock(mut self, zone: &str) -> BuildContext {
        self.changing_clock = Some(zone.into());
        self
    }

    /// The same in which the source stops at the last record of now.
    #[must_use]
    pub fn with_until_end(mut self) -> BuildContext {
        self.until_end = true;
        self
    }

    /// The same with a latch that opens once its input is complete.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Arc<Latch>) -> BuildContext {
        self.upstream = upstream;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> BuildContext {
        self.clock = clock;
        self
    }

    /// The same with values that the pipelines of one run share.
    #[must_use]
    pub fn with_process_extensions(mut self, extensions: Arc<Extensions>) -> BuildContext {
        self.process_extensions = extensions;
        self
    }
}
