//! The offsets that the consumer group keeps.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::OffsetStore;
use aqpipe_engine::{Error, Result};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::membership::Membership;
use super::settings::Assignment;
use crate::kafka::error_class::is_transient;
use crate::kafka::metadata_client::{CloseOnDrop, committed_offsets, list_offsets};
use crate::kafka::topic_partition::{TopicPartition, offset_list};
use crate::kafka::transactions::alarm_open_transaction;

/// How long brokers may fail to take or to tell the committed offsets; at a stop, less.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(120);
const OFFSETS_TIMEOUT_STOPPING: Duration = Duration::from_secs(10);
/// How long one request may take.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a cooperative rebalance may refuse commits before they wait for the next one.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The offsets of the consumer group, as its brokers keep them.
pub(super) struct GroupOffsets<C: ConsumerContext> {
    consumer: Arc<BaseConsumer<C>>,
    membership: Arc<Membership>,
    _closes: Arc<CloseOnDrop<C>>,
}

impl<C: ConsumerContext> GroupOffsets<C> {
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<C>>,
        membership: &Arc<Membership>,
        closes: &Arc<CloseOnDrop<C>>,
    ) -> GroupOffsets<C> {
        let (consumer, membership) = (Arc::clone(consumer), Arc::clone(membership));
        GroupOffsets { consumer, membership, _closes: Arc::clone(closes) }
    }

    fn timeout(&self) -> Duration {
        if self.membership.is_stopping() { OFFSETS_TIMEOUT_STOPPING } else { OFFSETS_TIMEOUT }
    }

    /// Whether a cooperative rebalance refuses a commit for its generation only.
    fn is_rebalancing(&self, error: &KafkaError) -> bool {
        self.membership.settings.assignment == Assignment::Cooperative
            && !self.membership.is_stopping()
            && matches!(error.rdkafka_error_code(), Some(Code::RebalanceInProgress | Code::IllegalGeneration))
    }

    /// Repeats a call while its error is one that passes.
    fn repeat<T>(&self, mut call: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let started = Instant::now();
        let open_transaction_timeout = self.membership.settings.transactions.open_transaction_timeout();
        let mut alarmed = false;
        loop {
            if !alarmed && started.elapsed() > open_transaction_timeout {
                // Brokers do not tell an offset that is part of an open transaction.
                alarmed = true;
                alarm_open_transaction(&self.membership.monitor, "the group's offsets", started.elapsed());
            }
            match call() {
                Err(error)
                    if error.rdkafka_error_code().is_some_and(is_transient) && started.elapsed() < self.timeout() =>
                {
                    self.membership.monitor.failed(&error);
                    std::thread::sleep(RETRY_PAUSE);
                }
                other => return other,
            }
        }
    }
}

impl<C: ConsumerContext + 'static> OffsetStore for GroupOffsets<C> {
    fn group(&self) -> String {
        self.membership.settings.group.clone()
    }

    fn commit(&self, ends: &[(SplitId, Position)]) -> Result<bool> {
        let group = &self.membership.settings.group;
        let failed =
            |error: KafkaError| Error::new(format!("cannot commit the offsets of group `{group}`")).because(error);
        let offsets = offset_list(ends.iter().map(|(id, end)| (id, end.offset)))?;
        let partitions = ends.iter().map(|(id, _)| id.parse()).collect::<Result<Vec<TopicPartition>>>()?;
        let times_given_up = self.membership.times_given_up(&partitions);
        let rebalance = Instant::now() + REBALANCE_TIMEOUT;
        let mut commit = || {
            loop {
                if self.membership.times_given_up(&partitions) != times_given_up {
                    // Repeated as a member of a later generation, it would take back what the next owner has committed.
                    return Err(KafkaError::ConsumerCommit(Code::IllegalGeneration));
                }
                match self.consumer.commit(&offsets, CommitMode::Sync) {
                    // Partitions that stay are committed as a member of the new generation, once that is known.
                    Err(error) if self.is_rebalancing(&error) && Instant::now() < rebalance => {
                        std::thread::sleep(RETRY_PAUSE);
                    }
                    other => return other,
                }
            }
        };
        match self.repeat(&mut commit) {
            Ok(()) => {
                self.membership.monitor.recovered();
                Ok(true)
            }
            Err(error) => match error.rdkafka_error_code() {
                // Nothing is lost: the next owner of the partitions reads them again from the last commit.
                Some(Code::RebalanceInProgress | Code::IllegalGeneration | Code::UnknownMemberId | Code::NoOffset) => {
                    let monitor = &self.membership.monitor;
                    monitor.metrics.retries.fetch_add(1, Ordering::Relaxed);
                    let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
                    tracing::warn!(
                        pipeline,
                        stage,
                        "group `{group}` has given the partitions to others and refused a commit: those records are read and \
                         written once more ({error})"
                    );
                    Ok(false)
                }
                _ => Err(failed(error)),
            },
        }
    }

    fn committed(&self, ids: &[SplitId]) -> Result<Vec<Option<u64>>> {
        let group = &self.membership.settings.group;
        let failed =
            |error: KafkaError| Error::new(format!("cannot read the offsets of group `{group}`")).because(error);
        let partitions: Vec<TopicPartition> = ids.iter().map(|id| id.parse()).collect::<Result<_>>()?;
        self.repeat(|| committed_offsets(&self.consumer, &partitions, COMMITTED_TIMEOUT)).map_err(failed)
    }

    fn ends(&self, ids: &[SplitId], until: Instant) -> Vec<Option<u64>> {
        let left = until.saturating_duration_since(Instant::now()).min(COMMITTED_TIMEOUT);
        let partitions: Result<Vec<TopicPartition>> = ids.iter().map(|id| id.parse()).collect();
        let ends = match partitions {
            // No time is no timeout to the library.
            Ok(partitions) if !left.is_zero() => list_offsets(&self.consumer, &partitions, Offset::End, left).ok(),
            _ => None,
        };
        ends.map_or_else(|| vec![None; ids.len()], |ends| ends.into_iter().map(Some).collect())
    }

    fn reset(&self) -> Result<()> {
        let settings = &self.membership.settings;
        settings.endpoint.delete_group(&settings.group)
    }
}
