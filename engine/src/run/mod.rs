//! How a checked pipeline runs.
//!
//! [`runner`] takes the steps of a run: acquire, open the log, decide the start, recover, fit (all in [`start`]), then run
//! under a [`supervisor`]. The source opens splits; each split has a [`task`] with a thread of its own: source, transforms,
//! writers. A task takes checkpoints and goes on; the committer (in [`commit`]) takes all finished checkpoints, has the commit
//! log decide them in one act, and makes the output visible. A restart begins at the last committed checkpoint, with the
//! state that was saved there.

mod chain;
mod commit;
mod fit;
mod guard;
mod instance;
mod loss_marker;
mod losses;
mod observer;
mod options;
mod playback;
mod reconfigure;
mod replay;
mod runner;
mod sinks;
mod start;
mod start_decision;
mod state;
mod supervisor;
mod task;
mod tasks;

pub(crate) use chain::{Chain, ChainOutput};
pub use observer::{Observer, Passed};
pub use options::{Outcome, RunOptions, Summary};
pub use reconfigure::RunControl;
pub use replay::{REPLAY, Replayed};
pub use runner::run;
pub use state::{InstanceState, PipelineState, SplitStatus, replayed, state};
