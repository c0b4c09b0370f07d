//! Splits, cuts and commits: how a checked pipeline runs.
//!
//! Each split is a thread: source, transforms, writer. At a barrier it makes a checkpoint of what it did since the last
//! one and goes on; the committer takes all finished checkpoints, has the commit log decide them in one act, and makes the
//! output visible. A restart begins at the last decided checkpoint, with the state that was saved there.

mod chain;
mod checkpoint;
mod commit_log;
mod committer;
mod control;
mod fit;
mod instance;
mod ledger;
mod metadata;
mod pace;
mod recovery;
mod replay;
mod runner;
mod sinks;
mod start_decision;
mod state;
mod supervisor;
mod task;
mod transactional_log;

pub use pace::Pace;
pub use replay::{REPLAY, Replayed};
pub use runner::{Outcome, RunOptions, Stop, Summary, run};
pub use state::{InstanceState, PipelineState, SplitStatus, replayed, state};
