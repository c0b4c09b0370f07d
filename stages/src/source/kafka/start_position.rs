//! Where the splits of newly assigned partitions start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::{SourceContext, SplitState};
use aqpipe_engine::{Error, Result};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::membership::Membership;
use super::settings::StartOffset;
use super::topic_start::{TopicStart, all_split_states, saved_state};
use crate::kafka::error_class::is_leaderless;
use crate::kafka::metadata_client::{offset_ranges, partitions_of};
use crate::kafka::topic_partition::TopicPartition;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long brokers may not answer while partitions are assigned: less than the group waits for this member.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause before a request is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The saved states of splits; `None` for one that starts for the first time.
pub(super) type SplitStates = BTreeMap<SplitId, Option<SplitState>>;

/// Finds start positions by asking brokers.
pub(super) struct PositionFinder<'a, C: ConsumerContext> {
    pub(super) consumer: &'a BaseConsumer<C>,
    pub(super) membership: &'a Membership,
    pub(super) splits: &'a dyn SourceContext,
}

impl<C: ConsumerContext> PositionFinder<'_, C> {
    /// The first offset of each partition and the one behind its last, as a reader of committed records sees them.
    ///
    /// # Errors
    /// Where the brokers do not tell.
    pub(super) fn ends(&self, partitions: &[TopicPartition]) -> Result<Vec<(u64, u64)>> {
        let topics: BTreeSet<&str> = partitions.iter().map(TopicPartition::topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        self.retry_leaderless("cannot ask where the partitions start and end", &topics.join(", "), || {
            offset_ranges(self.consumer, partitions, REQUEST_TIMEOUT)
        })
    }

    /// For a group with `start = "latest"`, what it knows about the topics that have a partition without a state.
    ///
    /// # Errors
    /// Where the brokers do not tell, or a state cannot be read.
    pub(super) fn topic_starts(
        &self,
        partitions: &[TopicPartition],
        known: &SplitStates,
    ) -> Result<BTreeMap<String, TopicStart>> {
        let settings = &self.membership.settings;
        let mut found = BTreeMap::new();
        // All records on the embedded broker were written by this run, for this reader too.
        if settings.start == StartOffset::Earliest || !settings.endpoint.is_durable() {
            return Ok(found);
        }
        for partition in partitions {
            let topic = partition.topic();
            let start = known.get(&partition.split_id()).and_then(Option::as_ref);
            let state = start.map(saved_state).transpose()?.flatten();
            let is_settled = start.is_some() && state.is_none_or(|state| state.first_ends.is_none());
            if is_settled || found.contains_key(topic) {
                continue;
            }
            let all = self.retry_leaderless("cannot ask for the topic's partitions", topic, || {
                partitions_of(self.consumer, topic, REQUEST_TIMEOUT)
            })?;
            let ids: Vec<SplitId> = all.iter().map(TopicPartition::split_id).collect();
            let states = all_split_states(self.splits, known, &ids)?;
            let start = match TopicStart::of(states.iter().map(Option::as_ref))? {
                TopicStart::NotStarted => {
                    TopicStart::Ends(self.ends(&all)?.into_iter().map(|(_, high)| high).collect())
                }
                other => other,
            };
            found.insert(topic.to_owned(), start);
        }
        Ok(found)
    }

    /// The start of a partition that begins at offset `low` and ends before `high`.
    ///
    /// # Errors
    /// Where the records at its saved position are gone, or were never there.
    pub(super) fn position(
        &self,
        partition: &TopicPartition,
        (start, topic_start): (Option<&SplitState>, Option<&TopicStart>),
        (low, high): (u64, u64),
    ) -> Result<Position> {
        let first = match (start, topic_start) {
            (Some(start), _) => Some(start.position),
            (None, Some(topic)) => topic.first(partition.partition()).map(|offset| Position { offset, records: 0 }),
            (None, None) => None,
        };
        let Some(position) = first else {
            if topic_start.is_some() {
                let monitor = &self.membership.monitor;
                let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
                tracing::info!(pipeline, stage, "{partition} was added after the group had begun: all of it is read");
            }
            return Ok(Position { offset: low, records: 0 });
        };
        let at = position.offset;
        let message = if at < low {
            format!("the records from {at} to {low} are gone: the topic has dropped what was not read yet")
        } else if at > high {
            format!("the last commit was at {at}, and the partition ends at {high}: it is not the same topic any more")
        } else {
            return Ok(position);
        };
        Err(Error::new(message).at(partition.to_string()).help(
            "run with `--fresh` to forget positions and state and begin as `start` (\"earliest\" or \"latest\") says",
        ))
    }

    /// Repeats a request while the partition or topic has no leader.
    fn retry_leaderless<T>(
        &self,
        failed: &str,
        at: &str,
        mut request: impl FnMut() -> Result<T, KafkaError>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            match request() {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if !is_leaderless(&error) || self.splits.stopping() || started.elapsed() > BROKER_TIMEOUT {
                        return Err(Error::new(failed).at(at).because(error));
                    }
                    self.membership.monitor.failed(&error);
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }
}
