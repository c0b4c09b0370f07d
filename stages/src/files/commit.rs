//! A [`Store`] as the parts of a sink that write files.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{Acquire, CommittedOffsets, Orphans, TwoPhaseCommit};

use super::Store;

impl TwoPhaseCommit for Store {
    fn commit(&self, prepared: &[u8]) -> Result<()> {
        self.finish(prepared)
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        self.undo(prepared)
    }
}

impl Orphans for Store {
    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        self.is_there(prepared)
    }

    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        self.left_by()
    }

    fn remove_orphans(&self, writers: &[Arc<str>], committed: &[Vec<u8>]) -> Result<()> {
        self.sweep(writers, committed)
    }
}

impl Acquire for Store {
    fn acquire(&self) -> Result<()> {
        self.claim()
    }

    fn is_unclaimed(&self) -> Result<bool> {
        self.is_new()
    }

    fn reset(&self) -> Result<()> {
        self.forget()
    }
}

impl CommittedOffsets for Store {
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        self.visible_ends(splits)
    }
}
