//! Output files that become visible as a whole: written under a hidden name, made durable at a barrier, and renamed once
//! they are decided.
//!
//! A [`Store`] is one directory and one file-name prefix, claimed by one pipeline. A visible file is called
//! `PREFIX_LANE_FROM-TO.EXTENSION` by the half-open range of positions that was read for it (`_PART` behind it where
//! several end at one position). No visible file is ever overwritten, and no two of a split overlap.
//!
//! Everything else is hidden by a dot: `.aqpipe.PIPELINE.WRITER.….tmp` is not visible yet, `.PREFIX.aqpipe.json` records
//! whose the files are and of which splits, `.PREFIX.PIPELINE.WRITER.lock` is locked while somebody writes, and
//! `.aqpipe.lock` while somebody looks at those or changes them.

mod claim;
mod commit;
mod disk;
mod names;
mod ownership;
mod prepared;
mod store;
mod temporary;
#[cfg(test)]
mod tests;

pub(crate) use names::Names;
pub(crate) use store::Store;
pub(crate) use temporary::Temporary;

/// Put into [`Extensions`](aqpipe_engine::stage::Extensions) by a run whose broker is in memory: such a run replaces the files
/// that an earlier one of its kind left, and keeps away from those of a real cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbeddedRun;
