//! Makes the split readers of newly assigned partitions.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::stage::{SourceContext, SplitState};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{PartitionMessages, TopicId};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};

use super::field_presence::FieldPresence;
use super::membership::Membership;
use super::message_reader::MessageReader;
use super::partition_handle::PartitionHandle;
use super::partition_state::PartitionState;
use super::split_reader::{KafkaSplitReader, UntilEnd};
use super::start_position::{BROKER_TIMEOUT, PositionFinder, SplitStates};
use super::topic_start::{TopicStart, saved_state};
use crate::kafka::topic_partition::TopicPartition;

/// Makes split readers.
pub(super) struct PartitionOpener<'a, C: ConsumerContext> {
    pub(super) consumer: &'a Arc<BaseConsumer<C>>,
    pub(super) membership: &'a Arc<Membership>,
    pub(super) splits: &'a dyn SourceContext,
}

/// A split that is ready to be opened.
pub(super) struct ReadySplit<C: ConsumerContext> {
    pub(super) partition: TopicPartition,
    pub(super) reader: KafkaSplitReader<C>,
    pub(super) start: Option<SplitState>,
    pub(super) handle: Arc<PartitionHandle>,
    /// The offset at which the consumer has to begin.
    pub(super) offset: i64,
}

impl<C: ConsumerContext + 'static> PartitionOpener<'_, C> {
    /// Makes the split readers of partitions that are about to be assigned, so that none of their messages comes through
    /// the main queue.
    ///
    /// # Errors
    /// Where the brokers do not tell positions, or a topic or a position is not what it was.
    pub(super) fn ready(&self, partitions: &[TopicPartition]) -> Result<Vec<ReadySplit<C>>> {
        let ids: Vec<_> = partitions.iter().map(TopicPartition::split_id).collect();
        let states = if ids.is_empty() { Vec::new() } else { self.splits.split_states(&ids)? };
        self.membership.compare_topics(self.consumer)?;
        let known: SplitStates = ids.into_iter().zip(states).collect();
        let positions = PositionFinder { consumer: self.consumer, membership: self.membership, splits: self.splits };
        let topic_starts = positions.topic_starts(partitions, &known)?;
        // One limit for all partitions together.
        let started = Instant::now();
        let give_up = || self.splits.stopping() || started.elapsed() > BROKER_TIMEOUT;
        // After the positions, which are not beyond these ends then.
        let ends = positions.ends(partitions)?;
        let ready = |(partition, ends): (&TopicPartition, (u64, u64))| {
            let start = known.get(&partition.split_id()).cloned().flatten();
            let start = (start, topic_starts.get(partition.topic()));
            self.ready_one(partition, start, ends, &positions, &give_up)
        };
        partitions.iter().zip(ends).map(ready).collect()
    }

    fn ready_one(
        &self,
        partition: &TopicPartition,
        (start, topic_start): (Option<SplitState>, Option<&TopicStart>),
        (low, high): (u64, u64),
        positions: &PositionFinder<'_, C>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<ReadySplit<C>> {
        let (topic, topic_ids) = (partition.topic(), &self.membership.topic_ids);
        let state = start.as_ref().map(saved_state).transpose();
        let state = state.map_err(|error| error.at(partition.to_string()))?.flatten();
        if let Some(was) = state.as_ref().and_then(|state| TopicId::new(state.topic?))
            && !topic_ids.compare_with(self.consumer, topic, was, give_up)?
        {
            self.report_unanswered(topic);
        }
        let position = positions.position(partition, (start.as_ref(), topic_start), (low, high))?;
        let mut state = state.unwrap_or_default();
        state.topic = topic_ids.of(topic).map(TopicId::number).or(state.topic);
        state.first_ends = match topic_start {
            Some(TopicStart::Ends(ends)) => Some(ends.clone()),
            _ => None,
        };
        // The last message of an earlier run is read again where it is still there, to see that it is the same topic.
        let last = state.last.filter(|_| self.membership.settings.endpoint.is_durable());
        let last = last.filter(|last| (low..position.offset).contains(&last.offset));
        let from = last.map_or(position.offset, |last| last.offset);
        let offset = i64::try_from(from).map_err(|_| Error::new("an offset too large").at(partition.to_string()))?;
        let messages = self.message_reader(partition, state)?.starting(position, last);
        let until_end = self.until_end(partition, position.offset, high);
        let queue = PartitionMessages::split(self.consumer, topic, partition.partition())
            .ok_or_else(|| Error::new("cannot read the partition by itself").at(partition.to_string()))?;
        let woken = Arc::downgrade(queue.queue());
        let wake = move || {
            if let Some(queue) = woken.upgrade() {
                queue.wake();
            }
        };
        let handle = Arc::new(PartitionHandle::new(high, wake));
        let shared = (Arc::clone(&handle), Arc::clone(self.membership));
        let reader = KafkaSplitReader::new(queue, messages, until_end, shared);
        Ok(ReadySplit { partition: partition.clone(), reader, start, handle, offset })
    }

    fn message_reader(&self, partition: &TopicPartition, state: PartitionState) -> Result<MessageReader> {
        let settings = &self.membership.settings;
        let mut decoder = settings.messages.decoder()?;
        decoder.restore(&state.decoder).map_err(|error| error.at(partition.to_string()))?;
        let presence = FieldPresence::new(settings.declared.iter(), &self.membership.seen_fields);
        let reading = (decoder, settings.tombstones);
        Ok(MessageReader::new(partition, reading, presence, &settings.sample, state, settings.endpoint.wants_reports()))
    }

    /// Where the split ends; counts its records as expected where it does.
    fn until_end(&self, partition: &TopicPartition, from: u64, high: u64) -> UntilEnd {
        let settings = &self.membership.settings;
        if !settings.until_end {
            return UntilEnd::Never;
        }
        self.membership.count_expected(partition, high.saturating_sub(from));
        if settings.upstream.is_open() { UntilEnd::At(high) } else { UntilEnd::Unknown }
    }

    fn report_unanswered(&self, topic: &str) {
        let monitor = &self.membership.monitor;
        let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
        tracing::warn!(
            pipeline,
            stage,
            "the brokers do not tell whether topic `{topic}` is the one that was read before: it is taken for that one if \
             the message that was read last is still there as it was, and its id is compared once they tell it"
        );
    }
}
