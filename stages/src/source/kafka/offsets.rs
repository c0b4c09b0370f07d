//! The positions that the group keeps.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::OffsetStore;
use aqpipe_engine::{Error, Result};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::assignment::{Assignment, partition_of};
use super::group::Group;
use crate::kafka::client::passes;
use crate::kafka::topics;
use crate::kafka::transactions::alarm;

/// How long brokers may not take a commit, or not tell the last one.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_AT_A_STOP: Duration = Duration::from_secs(10);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// The offsets of the consumer group, as its brokers keep them.
pub(super) struct GroupOffsets {
    consumer: Arc<BaseConsumer<Assignment>>,
}

impl GroupOffsets {
    pub(super) fn new(group: &Group) -> GroupOffsets {
        GroupOffsets { consumer: Arc::clone(group.consumer()) }
    }

    fn context(&self) -> &Assignment {
        self.consumer.context()
    }

    fn patience(&self) -> Duration {
        if self.context().is_stopping() { PATIENCE_AT_A_STOP } else { PATIENCE }
    }

    /// Repeats a call while its error is one that passes.
    fn repeat<T>(&self, mut call: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let started = Instant::now();
        let longest = self.context().settings.transactor.longest();
        let mut alarmed = false;
        loop {
            if !alarmed && started.elapsed() > longest {
                // An offset of an open transaction is not told.
                alarmed = true;
                alarm(&self.context().watch, "the group's offsets", started.elapsed());
            }
            match call() {
                Err(error) if error.rdkafka_error_code().is_some_and(passes) && started.elapsed() < self.patience() => {
                    self.context().watch.trouble_of(&error);
                    std::thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    }
}

impl OffsetStore for GroupOffsets {
    fn group(&self) -> String {
        self.context().settings.group.clone()
    }

    fn commit(&self, ends: &[(SplitId, Position)]) -> Result<bool> {
        let group = &self.context().settings.group;
        let failed =
            |error: KafkaError| Error::new(format!("cannot commit the offsets of group `{group}`")).because(error);
        let mut offsets = TopicPartitionList::with_capacity(ends.len());
        for (id, end) in ends {
            let (topic, partition) = partition_of(id)?;
            let offset = i64::try_from(end.offset).map_err(|_| Error::new("an offset too large").at(&**id))?;
            offsets.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(failed)?;
        }
        match self.repeat(|| self.consumer.commit(&offsets, CommitMode::Sync)) {
            Ok(()) => {
                self.context().watch.fine();
                Ok(true)
            }
            Err(error) => match error.rdkafka_error_code() {
                // Nothing is lost by it, and the next owner of the partitions reads them again from the last commit.
                Some(Code::RebalanceInProgress | Code::IllegalGeneration | Code::UnknownMemberId | Code::NoOffset) => {
                    let watch = &self.context().watch;
                    watch.metrics.retries.fetch_add(1, Ordering::Relaxed);
                    let (pipeline, stage) = (&*watch.pipeline, &*watch.stage);
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
        let group = &self.context().settings.group;
        let failed =
            |error: KafkaError| Error::new(format!("cannot read the offsets of group `{group}`")).because(error);
        let partitions: Vec<(&str, i32)> = ids.iter().map(partition_of).collect::<Result<_>>()?;
        let committed = self
            .repeat(|| {
                let mut wanted = TopicPartitionList::with_capacity(partitions.len());
                for (topic, partition) in &partitions {
                    wanted.add_partition(topic, *partition);
                }
                let committed = self.consumer.committed_offsets(wanted, ANSWER)?;
                committed.elements().iter().try_for_each(|one| one.error())?;
                Ok(committed)
            })
            .map_err(failed)?;
        let offset = |(topic, partition): &(&str, i32)| match committed.find_partition(topic, *partition)?.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        };
        Ok(partitions.iter().map(offset).collect())
    }

    fn reset(&self) -> Result<()> {
        let settings = &self.context().settings;
        // The embedded broker remembers nothing from an earlier run.
        if settings.embedded.is_some() {
            return Ok(());
        }
        topics::delete_group(&settings.connection.common(), &settings.group)
    }
}
