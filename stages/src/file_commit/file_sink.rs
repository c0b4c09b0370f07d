//! A sink of files.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{Acquire, CommittedOffsets, Destination, Orphans, Sink, TwoPhaseCommit, Writer};

use super::output_dir::OutputDir;

/// A sink whose output is files of an [`OutputDir`].
///
/// `open` makes the writer of a split. It is a `Fn(&Arc<OutputDir>, &SplitId) -> Box<dyn Writer<T>>`: of batches, or of
/// [`DeadLetters`](aqpipe_engine::stage::DeadLetters).
pub struct FileSink<F> {
    dir: Arc<OutputDir>,
    open: F,
}

impl<F> FileSink<F> {
    /// A sink that writes into `dir` by the writers that `open` makes.
    pub fn new(dir: OutputDir, open: F) -> FileSink<F> {
        FileSink { dir: Arc::new(dir), open }
    }
}

impl<T, F> Sink<T> for FileSink<F>
where
    F: Fn(&Arc<OutputDir>, &SplitId) -> Box<dyn Writer<T>> + Send + Sync,
{
    fn open(&self, split: &SplitId, _epoch: u64) -> Result<Box<dyn Writer<T>>> {
        Ok((self.open)(&self.dir, split))
    }

    fn two_phase_commit(&self) -> Option<&dyn TwoPhaseCommit> {
        Some(&*self.dir)
    }

    fn orphans(&self) -> Option<&dyn Orphans> {
        Some(&*self.dir)
    }

    fn acquire(&self) -> Option<&dyn Acquire> {
        Some(&*self.dir)
    }

    fn committed_offsets(&self) -> Option<&dyn CommittedOffsets> {
        Some(&*self.dir)
    }

    fn destination(&self) -> Option<Destination> {
        Some(self.dir.destination())
    }

    fn on_run_start(&self, run: u64) {
        self.dir.on_run_start(run);
    }
}
