//! The partitions that other members of the group read, for a run that ends once all partitions are read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::membership::Membership;
use super::wait_report::WaitReport;
use crate::kafka::error_class::is_leaderless;
use crate::kafka::metadata_client::{committed_offsets, offset_ranges, partitions_of};
use crate::kafka::topic_partition::TopicPartition;

/// How often the offsets are asked for that the others have committed.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long one request may take: this member does not answer the group meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// So many session timeouts without a commit and without a rebalance show that the others live and do not read: this member
/// would have got the partitions of one that died.
const SESSIONS_WITHOUT_PROGRESS: u32 = 2;

/// The partitions that other members read. One that died keeps its partitions until the group misses it; then they come to
/// this member, with all that was not committed.
pub(super) struct OtherMembers {
    /// The partitions that others had when this member had first read its own.
    partitions: Option<Vec<Partition>>,
    /// The partitions of this member, and the offsets that others had committed, as last seen.
    seen: (BTreeSet<TopicPartition>, Vec<u64>),
    changed: Instant,
    looked: Option<Instant>,
    report: WaitReport,
}

/// A partition, with its first and last offset when it was met.
struct Partition {
    id: TopicPartition,
    low: u64,
    high: u64,
}

impl OtherMembers {
    pub(super) fn new() -> OtherMembers {
        OtherMembers {
            partitions: None,
            seen: Default::default(),
            changed: Instant::now(),
            looked: None,
            report: WaitReport::new(),
        }
    }

    /// Whether nothing is left to wait for: the group has read the partitions of others up to the ends that they had, or
    /// those members live and do not read. To be asked while this member has read its own.
    ///
    /// # Errors
    /// Where the brokers refuse to tell.
    pub(super) fn are_done<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        membership: &Membership,
    ) -> Result<bool> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return Ok(false);
        }
        self.looked = Some(Instant::now());
        let unread = match self.unread(consumer, membership) {
            Ok(unread) => {
                membership.monitor.recovered();
                unread
            }
            // Brokers that are away, or an open transaction: nobody knows what is read.
            Err(error) if is_leaderless(&error) => {
                membership.monitor.failed(&error);
                self.changed = Instant::now();
                return Ok(false);
            }
            Err(error) => {
                let group = &membership.settings.group;
                return Err(Error::new(format!("cannot ask how far group `{group}` has read")).because(error));
            }
        };
        let settings = &membership.settings;
        let (group, timeout) = (&settings.group, settings.session_timeout_secs);
        let without_progress = Duration::from_secs(timeout.into()) * SESSIONS_WITHOUT_PROGRESS;
        if !unread.is_empty() && self.changed.elapsed() < without_progress {
            self.report.report(membership, |secs| {
                format!(
                    "other members of group `{group}` to read {unread}, for {secs} s now; the partitions of one that died come \
                     to this one after {timeout} s (`session_timeout_secs`)"
                )
            });
            return Ok(false);
        }
        self.report.ended(membership);
        if !unread.is_empty() {
            let (pipeline, stage) = (&*membership.monitor.pipeline, &*membership.monitor.stage);
            let secs = without_progress.as_secs();
            tracing::warn!(
                pipeline,
                stage,
                "this run ends before group `{group}` has read to the end of {unread}: the members that have them have \
                 committed nothing for {secs} s"
            );
        }
        Ok(true)
    }

    /// The names of partitions that others have not read up to their ends.
    fn unread<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        membership: &Membership,
    ) -> Result<String, KafkaError> {
        let mine = membership.open_partitions();
        let partitions = match self.partitions.take() {
            Some(partitions) => partitions,
            None => partitions_without(&mine, consumer, membership)?,
        };
        let others: Vec<&Partition> =
            self.partitions.insert(partitions).iter().filter(|one| !mine.contains(&one.id)).collect();
        let ids: Vec<TopicPartition> = others.iter().map(|one| one.id.clone()).collect();
        let committed = if ids.is_empty() { Vec::new() } else { committed_offsets(consumer, &ids, REQUEST_TIMEOUT)? };
        // A group begins with the first record.
        let committed: Vec<u64> =
            others.iter().zip(committed).map(|(one, committed)| committed.unwrap_or(one.low)).collect();
        let unread = others.iter().zip(&committed).filter(|(one, committed)| **committed < one.high);
        let unread: Vec<String> = unread.map(|(one, _)| one.id.to_string()).collect();
        let seen = (mine, committed);
        if seen != self.seen {
            (self.seen, self.changed) = (seen, Instant::now());
        }
        Ok(unread.join(", "))
    }
}

/// The partitions of the topics that are not among these.
fn partitions_without<C: ConsumerContext>(
    mine: &BTreeSet<TopicPartition>,
    consumer: &BaseConsumer<C>,
    membership: &Membership,
) -> Result<Vec<Partition>, KafkaError> {
    let mut found = Vec::new();
    for topic in &membership.settings.topics {
        found.extend(partitions_of(consumer, topic, REQUEST_TIMEOUT)?.into_iter().filter(|id| !mine.contains(id)));
    }
    let ranges = offset_ranges(consumer, &found, REQUEST_TIMEOUT)?;
    Ok(found.into_iter().zip(ranges).map(|(id, (low, high))| Partition { id, low, high }).collect())
}
