//! Answers the rebalances of the consumer group: opens the splits of partitions that come, closes those of partitions that
//! go.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use aqpipe_engine::stage::FencingToken;
use aqpipe_engine::{Error, Result};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::membership::{DRAIN_TIMEOUT, Membership};
use super::opener::PartitionOpener;
use crate::kafka::connection_monitor::CONSUMER;
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::transactions::GroupFence;

/// How long the splits of lost partitions are waited for. They commit nothing more and keep no other member from the
/// partitions, so a longer wait would only delay this member's return to the group. Commits under way then are decided or
/// refused before partitions are assigned again.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);

/// The consumer of a source.
pub(super) type GroupConsumer = BaseConsumer<RebalanceHandler>;

/// Listens to the consumer.
pub(super) struct RebalanceHandler {
    membership: Arc<Membership>,
    consumer: OnceLock<Weak<GroupConsumer>>,
}

impl RebalanceHandler {
    pub(super) fn new(membership: Arc<Membership>) -> RebalanceHandler {
        RebalanceHandler { membership, consumer: OnceLock::new() }
    }

    /// Says to which consumer this handler belongs.
    pub(super) fn belongs_to(&self, consumer: &Arc<GroupConsumer>) {
        // Set once, right after the consumer was made.
        let _ = self.consumer.set(Arc::downgrade(consumer));
    }

    fn assign(&self, base: &GroupConsumer, list: &mut TopicPartitionList) -> Result<()> {
        let membership = &self.membership;
        membership.monitor.metrics.rebalances.fetch_add(1, Ordering::Relaxed);
        let splits = membership.splits().ok_or_else(|| Error::bug("assigned before it was run"))?;
        let consumer = self.consumer.get().and_then(Weak::upgrade);
        let consumer = consumer.ok_or_else(|| Error::bug("assigned after its consumer was gone"))?;
        let partitions = TopicPartition::all(list);
        // As of now: with a later one a commit would pass whose partitions were taken away meanwhile. Before anything is
        // opened, for splits that stay commit meanwhile.
        let metadata = membership.renew(base.group_metadata());
        if membership.is_stopping() || membership.is_leaving.load(Ordering::Relaxed) {
            // Nothing more is begun; what is left commits as a member of this generation.
            let nothing = TopicPartitionList::new();
            return answer(
                base,
                if is_incremental(base) { Change::Assign(&nothing) } else { Change::Revoke(&nothing) },
            );
        }
        let opener = PartitionOpener { consumer: &consumer, membership, splits: &*splits };
        let ready = opener.ready(&partitions)?;
        for split in &ready {
            let (topic, partition) = (split.partition.topic(), split.partition.partition());
            list.set_partition_offset(topic, partition, Offset::Offset(split.offset))
                .map_err(|error| Error::new("cannot set the start").at(split.partition.to_string()).because(error))?;
        }
        // Assigned once, with explicit offsets, so that no answer from the brokers overrides them.
        answer(base, Change::Assign(list))?;
        membership.monitor.recovered();
        membership.report_assigned(&partitions);
        for split in ready {
            let id = split.partition.split_id();
            let fence = metadata.as_ref().map(|metadata| Arc::new(GroupFence::new(metadata)));
            membership.add(split.partition, split.handle, fence.clone());
            let token = fence.map(|fence| fence as FencingToken);
            splits.open(id, Box::new(split.reader), split.start, token)?;
        }
        membership.set_assigned();
        Ok(())
    }

    fn revoke(&self, base: &GroupConsumer, list: &TopicPartitionList) -> Result<()> {
        let membership = &self.membership;
        membership.monitor.metrics.rebalances.fetch_add(1, Ordering::Relaxed);
        let is_lost = base.assignment_lost();
        if !is_lost && is_incremental(base) {
            // Splits that stay, and those that are to drain, commit as a member of the new generation.
            membership.renew(base.group_metadata());
        }
        let removed = membership.remove(&TopicPartition::all(list));
        if is_lost {
            // Another member has the partitions already.
            membership.give_up(&removed);
        }
        let ids = &removed.ids;
        let closed = match membership.splits() {
            Some(splits) if !ids.is_empty() => {
                let (pipeline, stage) = (&*membership.monitor.pipeline, &*membership.monitor.stage);
                let how = if is_lost { "lost" } else { "given back" };
                tracing::info!(pipeline, stage, "{how}: {}", ids.join(", "));
                let timeout = if is_lost { ABANDON_TIMEOUT } else { DRAIN_TIMEOUT };
                splits.close(ids, is_lost, Instant::now() + timeout)
            }
            _ => Ok(()),
        };
        membership.give_up(&removed);
        let answered = answer(base, Change::Revoke(list));
        if is_lost {
            // Another member has the partitions: it reads again what could not be closed here.
            return answered;
        }
        closed.and(answered)
    }
}

/// A change of the partitions that the consumer has.
enum Change<'a> {
    Assign(&'a TopicPartitionList),
    Revoke(&'a TopicPartitionList),
}

/// Whether the group assigns and revokes single partitions, while members keep the others.
fn is_incremental(base: &GroupConsumer) -> bool {
    matches!(base.rebalance_protocol(), RebalanceProtocol::Cooperative)
}

/// Tells the consumer that a change has been made.
fn answer(base: &GroupConsumer, change: Change<'_>) -> Result<()> {
    let answered = match (is_incremental(base), change) {
        (false, Change::Assign(list)) => base.assign(list),
        (false, Change::Revoke(_)) => base.unassign(),
        (true, Change::Assign(list)) => base.incremental_assign(list),
        (true, Change::Revoke(list)) => taken_of(base, list).and_then(|taken| base.incremental_unassign(&taken)),
    };
    answered.map_err(|error| Error::new("cannot take the assignment").because(error))
}

/// Those of the partitions that the consumer has taken. The group also takes away what was declined, and the library refuses an
/// answer that names such a partition: it would wait for another one for ever, and the consumer would never be closed.
fn taken_of(base: &GroupConsumer, list: &TopicPartitionList) -> Result<TopicPartitionList, KafkaError> {
    let has = base.assignment()?;
    let mut taken = TopicPartitionList::with_capacity(list.count());
    for one in list.elements() {
        if has.find_partition(one.topic(), one.partition()).is_some() {
            taken.add_partition(one.topic(), one.partition());
        }
    }
    Ok(taken)
}

impl ClientContext for RebalanceHandler {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.membership.monitor.log_line(level, facility, message);
    }

    fn stats(&self, report: Statistics) {
        self.membership.monitor.statistics(CONSUMER, &report);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.membership.monitor.client_error(&error, reason);
    }
}

impl ConsumerContext for RebalanceHandler {
    fn rebalance(&self, base: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let answered = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(base, partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(base, partitions),
            other => Err(Error::new("the group could not be joined").because(KafkaError::Rebalance(Code::from(other)))),
        };
        if let Err(error) = answered {
            // The consumer waits for an answer whatever went wrong. Where that fails too, the error that is kept tells.
            let nothing = TopicPartitionList::new();
            let _ = match event {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => answer(base, Change::Revoke(partitions)),
                _ if is_incremental(base) => answer(base, Change::Assign(&nothing)),
                _ => answer(base, Change::Revoke(&nothing)),
            };
            let is_revoked = matches!(event, RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
            if is_revoked || !self.membership.is_stopping() {
                self.membership.fail(error);
            } else {
                self.membership.report_declined(&error);
            }
        }
    }
}
