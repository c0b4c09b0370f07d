//! Kafka transactions as the commit log of a pipeline: records, dead letters, the group's offsets and what the pipeline
//! must remember become true in one act.
//!
//! Every stage of a pipeline that talks to Kafka [joins](Transactor::join) one [`Transactor`]. Output that is part of a
//! commit waits in [parcels](Parcel) until the committer has a checkpoint decided; a transaction is open only for as long as it
//! takes to send them. So a transaction that has to be undone is made again from the same parcels, no split has to read
//! anything twice, and a process that dies seldom leaves an open transaction that others wait for.

mod bounded;
mod coordinator;
mod notes;
mod options;
mod parcel;
mod producer;
mod reader;
mod session;
mod trouble;

pub(crate) use coordinator::{Joined, Part, Transactor};
pub(crate) use options::TransactionOptions;
pub(crate) use parcel::Parcel;
pub(crate) use reader::alarm;
pub(crate) use session::GroupFence;
