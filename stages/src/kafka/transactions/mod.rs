//! Kafka transactions as the commit log of a pipeline: records, dead letters, the group's offsets and the commit metadata
//! are committed in one act.
//!
//! Every Kafka stage of a pipeline [joins](TransactionManager::join) one [`TransactionManager`]. Output of a checkpoint waits
//! in a [`RecordBuffer`] until the checkpoint is decided, and a transaction is open only while the buffers are sent. So an
//! aborted transaction is repeated from the same buffers, no split reads anything twice, and a process that dies seldom
//! leaves an open transaction that others wait for.

mod attempt;
mod commit_topic;
mod error;
mod group_fence;
mod manager;
mod metadata_reader;
mod metadata_records;
mod options;
mod participant;
mod producer;
mod record_buffer;
mod session;
mod timed_call;

pub(crate) use group_fence::{GroupFence, GroupMetadata};
pub(crate) use manager::TransactionManager;
pub(crate) use metadata_reader::alarm_open_transaction;
pub(crate) use options::TransactionOptions;
pub(crate) use participant::{Participant, ParticipantKind};
pub(crate) use record_buffer::RecordBuffer;
