//! What a stage is told when it is built.

use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::metrics::Metrics;
use crate::record::QcTests;

/// What a stage is told when it is built, once a split for a transform, once a run for the others.
#[derive(Clone)]
pub struct BuildContext {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The stage's name in messages: its `id`, else its type.
    pub stage: Arc<str>,
    /// The instance of this process among those of the pipeline: `0`, `1`, …
    pub instance: Arc<str>,
    /// What this process's hidden output is called after: unlike [`instance`](Self::instance), no process with another
    /// state directory has the same.
    pub writer_id: Arc<str>,
    /// Whether only one process at a time may run the pipeline.
    pub exclusive: bool,
    /// Where this instance keeps what it must remember. It exists and no other process uses it.
    pub state_dir: PathBuf,
    /// The test names behind the bits of marks.
    pub qc_tests: Arc<QcTests>,
    /// The fields that stages use as measurements: a source yields them as numbers.
    pub numeric_fields: Arc<BTreeSet<String>>,
    /// Whether the source ends by itself.
    pub bounded: bool,
    /// Whether a source that does not end by itself is to stop at the end of what is there (`--until-end`).
    pub until_end: bool,
    /// Open once the other pipelines of this run that write what this source reads are done.
    pub upstream: Arc<Latch>,
    /// What the stage learned from the whole input, where it asked for that.
    pub fitted: Option<Arc<[u8]>>,
    /// Whether a source is to keep the bytes of each row in the batch, for a later stage may reject rows.
    pub keep_raw: bool,
    /// The metrics of this pipeline.
    pub metrics: Arc<Metrics>,
    /// What the pipelines of one run share, by type.
    pub process_extensions: Arc<Extensions>,
    /// What the stages of this pipeline share, by type.
    pub pipeline_extensions: Arc<Extensions>,
}

impl BuildContext {
    /// A context to test a stage with.
    #[must_use]
    pub fn for_tests() -> BuildContext {
        BuildContext::bare("test")
    }

    /// A context without a run: a bounded source, no state, nothing shared.
    #[must_use]
    pub fn bare(pipeline: &str) -> BuildContext {
        BuildContext {
            pipeline: pipeline.into(),
            stage: "stage".into(),
            instance: "0".into(),
            writer_id: "0".into(),
            exclusive: false,
            state_dir: PathBuf::new(),
            qc_tests: Arc::default(),
            numeric_fields: Arc::default(),
            bounded: true,
            until_end: false,
            upstream: Arc::new(Latch::opened()),
            fitted: None,
            keep_raw: false,
            metrics: Arc::default(),
            process_extensions: Arc::default(),
            pipeline_extensions: Arc::default(),
        }
    }
}

/// Something that opens once and that others wait for.
#[derive(Debug, Default)]
pub struct Latch {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    /// A gate that is open already.
    #[must_use]
    pub fn opened() -> Latch {
        Latch { open: Mutex::new(true), changed: Condvar::new() }
    }

    /// Opens it, for good.
    pub fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.open.lock()
    }

    /// Waits for it, at most so long; returns whether it is open.
    pub fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut open = self.open.lock();
        while !*open && !self.changed.wait_until(&mut open, until).timed_out() {}
        *open
    }
}

/// Things that stages share, one of each type: how an embedded broker reaches the stages that use it while the engine
/// knows nothing of brokers.
#[derive(Default)]
pub struct Extensions {
    things: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Extensions {
    /// Puts a thing there, in place of an earlier one of its type.
    pub fn put<T: Any + Send + Sync>(&self, thing: Arc<T>) {
        self.things.write().insert(TypeId::of::<T>(), thing);
    }

    /// The thing of a type, made where there is none yet.
    pub fn get_or_put<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut things = self.things.write();
        let thing = things.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(make()));
        // The key is the type, so that nothing else is there.
        Arc::clone(thing).downcast().unwrap_or_else(|_| unreachable!("a thing of another type"))
    }

    /// The thing of a type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let thing = self.things.read().get(&TypeId::of::<T>()).cloned()?;
        thing.downcast().ok()
    }
}
