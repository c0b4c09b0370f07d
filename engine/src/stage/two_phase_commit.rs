//! The second phase of a commit, and what a sink may offer beside it.

use std::sync::Arc;

use crate::error::Result;
use crate::record::SplitId;

/// Commits or aborts what a [`Writer`](super::Writer) prepared as [`Staged`](super::Prepared::Staged) output.
pub trait TwoPhaseCommit: Send + Sync {
    /// Makes prepared output visible. Idempotent, for recovery calls it again.
    ///
    /// # Errors
    /// Stops the pipeline; the next start tries again.
    fn commit(&self, prepared: &[u8]) -> Result<()>;

    /// Removes prepared output. Idempotent.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn abort(&self, prepared: &[u8]) -> Result<()>;
}

/// Staged output of processes that have ended.
pub trait Orphans: Send + Sync {
    /// Whether [`commit`](TwoPhaseCommit::commit) finds the output that was prepared, hidden or visible already. It does not
    /// where that output is on another disk.
    ///
    /// # Errors
    /// Where the output cannot be looked for.
    fn is_staged(&self, prepared: &[u8]) -> Result<bool>;

    /// The [writers](super::BuildContext::writer_id) that left staged output of this pipeline and run no more. None of them
    /// can start again until the next [`remove_orphans`](Self::remove_orphans).
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>>;

    /// Removes the staged output of writers that run no more, except the `committed` output, which only waits to become
    /// visible. Called only once it is known which commits of these writers were decided.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn remove_orphans(&self, writers: &[Arc<str>], committed: &[Vec<u8>]) -> Result<()>;
}

/// The claim of a pipeline to its output.
pub trait Acquire: Send + Sync {
    /// Checks, before anything runs, that the output can be written, and claims it for this pipeline.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn acquire(&self) -> Result<()>;

    /// The id of the cluster that the output goes to, where there is one. Called after [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    fn cluster_id(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Whether no output of this pipeline is there: what it wrote, if it did, is gone.
    ///
    /// # Errors
    /// Where the output cannot be looked for.
    fn is_unclaimed(&self) -> Result<bool> {
        Ok(false)
    }

    /// Removes the output that this pipeline wrote (`--fresh`).
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn reset(&self) -> Result<()> {
        Ok(())
    }
}

/// The offsets up to which output is visible.
pub trait CommittedOffsets: Send + Sync {
    /// The end of the visible output of each split. No later output of a split may start before it.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>>;
}
