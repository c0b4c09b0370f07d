//! A task: the thread of one split. It reads batches, puts them through the chain of transforms, and hands them to the
//! writers; at a checkpoint it hands what it did to the committer and goes on.
//!
//! [`run_loop`] decides what comes next, [`checkpoint_builder`] collects the open checkpoint, [`accounting`] counts rows, flags
//! and times, and [`schedule`] says when a checkpoint is due.

mod accounting;
mod checkpoint_builder;
mod key_times;
mod run_loop;
mod schedule;

pub(super) use checkpoint_builder::CheckpointBuilder;
pub(super) use run_loop::{FieldCheck, Task};
pub(super) use schedule::CheckpointSchedule;
