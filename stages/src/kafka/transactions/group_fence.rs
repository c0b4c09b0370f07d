//! Proof to brokers that the partitions whose offsets a transaction commits are still this process's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;

/// The membership in a consumer group as of some rebalance. Brokers refuse the offsets of a member of an earlier
/// generation than the group's, and of one that was replaced.
pub(crate) struct GroupMetadata {
    latest: Mutex<Arc<ConsumerGroupMetadata>>,
    is_renewed: bool,
}

impl GroupMetadata {
    /// The membership at an assignment that ends with the next rebalance.
    pub(crate) fn fixed(metadata: ConsumerGroupMetadata) -> GroupMetadata {
        GroupMetadata { latest: Mutex::new(Arc::new(metadata)), is_renewed: false }
    }

    /// A membership whose partitions outlive rebalances: each one [renews](Self::renew) it.
    pub(crate) fn renewed(metadata: ConsumerGroupMetadata) -> GroupMetadata {
        GroupMetadata { latest: Mutex::new(Arc::new(metadata)), is_renewed: true }
    }

    /// The membership as of a later rebalance. Partitions that others may have since then are [given up](GroupFence::give_up)
    /// before.
    pub(crate) fn renew(&self, metadata: ConsumerGroupMetadata) {
        *self.latest.lock() = Arc::new(metadata);
    }
}

/// The fencing token of one split, from its assignment until its partition is given up.
pub(crate) struct GroupFence {
    metadata: Arc<GroupMetadata>,
    is_given_up: AtomicBool,
}

impl GroupFence {
    pub(crate) fn new(metadata: &Arc<GroupMetadata>) -> GroupFence {
        GroupFence { metadata: Arc::clone(metadata), is_given_up: AtomicBool::new(false) }
    }

    /// Nothing of the partition is committed from now on: another member may get it with the next rebalance.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::SeqCst);
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::SeqCst)
    }
}

/// The offsets that a transaction commits, with the fences of their splits.
pub(super) struct FencedOffsets {
    pub(super) list: TopicPartitionList,
    pub(super) fences: Vec<Arc<GroupFence>>,
}

impl FencedOffsets {
    /// The membership to commit as; `None` where a partition was given up.
    pub(super) fn metadata(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        // In this order: a partition that is not given up by now was not given up when the metadata was read, so that the
        // group refuses that metadata once the partition is another member's.
        let metadata = Arc::clone(&*self.fences.first()?.metadata.latest.lock());
        (!self.is_given_up()).then_some(metadata)
    }

    /// Whether the transaction may be repeated after the group has refused it: its generation had only passed, and a
    /// rebalance renews the membership.
    pub(super) fn is_renewed(&self) -> bool {
        self.fences.iter().all(|fence| fence.metadata.is_renewed) && !self.is_given_up()
    }

    fn is_given_up(&self) -> bool {
        self.fences.iter().any(|fence| fence.is_given_up())
    }
}
