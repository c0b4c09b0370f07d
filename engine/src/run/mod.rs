//! Lanes, cuts and commits: how a checked pipeline runs.
//!
//! Each lane is a thread: source, transforms, writer. At a barrier it makes a cut of what it did since the last
//! one and goes on; the committer takes all finished cuts, has the commit log decide them in one act, and makes the
//! output visible. A restart begins at the last decided cut, with the state that was saved there.

mod begin;
mod chain;
mod committer;
mod control;
mod cut;
mod instance;
mod lane;
mod ledger;
mod log;
mod notes;
mod outside;
mod pace;
mod replay;
mod runner;
mod running;
mod settle;
mod state;
mod survey;

pub use pace::Pace;
pub use replay::{REPLAY, Replayed};
pub use runner::{Ended, RunOptions, Stop, Summary, run};
pub use state::{InstanceState, LaneState, PipelineState, replayed, state};
