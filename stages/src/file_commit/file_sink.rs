//! A sink of files.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{DeadLetterSink, DeadLetterWriter, Destination, Sink, TwoPhaseCommit, Writer};

use super::output_dir::OutputDir;

/// A sink whose output is files of an [`OutputDir`].
///
/// `open` makes the writer of a split: a `Fn(&Arc<OutputDir>, &SplitId) -> Box<dyn Writer>`, or one of a
/// `Box<dyn DeadLetterWriter>` for a sink of dead letters.
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

impl<F: Send + Sync> TwoPhaseCommit for FileSink<F> {
    fn acquire(&self) -> Result<()> {
        self.dir.acquire()
    }

    fn commit(&self, prepared: &[u8]) -> Result<()> {
        self.dir.commit(prepared)
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        self.dir.abort(prepared)
    }

    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        self.dir.is_staged(prepared)
    }

    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        self.dir.orphaned_writers()
    }

    fn remove_orphans(&self, writers: &[Arc<str>], committed: &[Vec<u8>]) -> Result<()> {
        self.dir.remove_orphans(writers, committed)
    }

    fn reset(&self) -> Result<()> {
        self.dir.reset()
    }

    fn destination(&self) -> Option<Destination> {
        Some(self.dir.destination())
    }

    fn is_unclaimed(&self) -> Result<bool> {
        self.dir.is_unclaimed()
    }

    fn on_run_start(&self, run: u64) {
        self.dir.on_run_start(run);
    }

    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        self.dir.committed_offsets(splits)
    }
}

impl<F> Sink for FileSink<F>
where
    F: Fn(&Arc<OutputDir>, &SplitId) -> Box<dyn Writer> + Send + Sync,
{
    fn open(&self, split: &SplitId, _epoch: u64) -> Result<Box<dyn Writer>> {
        Ok((self.open)(&self.dir, split))
    }
}

impl<F> DeadLetterSink for FileSink<F>
where
    F: Fn(&Arc<OutputDir>, &SplitId) -> Box<dyn DeadLetterWriter> + Send + Sync,
{
    fn open(&self, split: &SplitId, _epoch: u64) -> Result<Box<dyn DeadLetterWriter>> {
        Ok((self.open)(&self.dir, split))
    }
}
