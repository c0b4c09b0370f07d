//! The partitions that the consumer group has assigned to this member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::SourceContext;
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, ConsumerGroupMetadata};

use super::field_presence::SeenFields;
use super::partition_handle::PartitionHandle;
use super::settings::{Assignment, Settings};
use super::topic_identity::TopicIdentities;
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::metadata_client::list_offsets;
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::transactions::{GroupFence, GroupMetadata};

/// How long splits may take to drain and commit when their partitions are taken away, or at a stop.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the request for the ends of partitions may take where only the lag depends on them.
const LAG_TIMEOUT: Duration = Duration::from_millis(500);
/// The same where it shows whether a partition is empty.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);

/// The membership of a source in its consumer group. Its splits, its consumer and its offsets share it.
pub(super) struct Membership {
    pub(super) settings: Settings,
    pub(super) monitor: Arc<ConnectionMonitor>,
    pub(super) topic_ids: TopicIdentities,
    pub(super) seen_fields: Arc<SeenFields>,
    /// Whether the group is being left: nothing more is begun.
    pub(super) is_leaving: AtomicBool,
    state: Mutex<State>,
    /// What was said to be passed over. Each decoder names so many at most.
    passed_over: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct State {
    splits: Option<Arc<dyn SourceContext>>,
    /// The partitions whose splits were opened.
    open: BTreeMap<TopicPartition, Open>,
    /// The membership of partitions that outlive rebalances.
    metadata: Option<Arc<GroupMetadata>>,
    /// How often each partition was taken away for good.
    given_up: BTreeMap<TopicPartition, u64>,
    /// Partitions whose records were counted as expected.
    counted: BTreeSet<TopicPartition>,
    is_assigned: bool,
    /// Whether it was logged that there is nothing for this member.
    is_idle_reported: bool,
    /// Whether it was logged that all records of a topic are in one partition.
    is_skew_reported: bool,
    /// Whether writers were told not to wait for this reader.
    is_reader_forgotten: bool,
    failure: Option<Error>,
}

#[derive(Clone)]
struct Open {
    handle: Arc<PartitionHandle>,
    fence: Option<Arc<GroupFence>>,
}

/// Partitions that the group takes away: their splits, and what keeps them from committing.
pub(super) struct Removed {
    pub(super) ids: Vec<SplitId>,
    partitions: Vec<TopicPartition>,
    fences: Vec<Arc<GroupFence>>,
}

impl Membership {
    pub(super) fn new(settings: Settings, monitor: ConnectionMonitor) -> Membership {
        settings.endpoint.register_reader(&settings.topics, &settings.group);
        Membership {
            settings,
            monitor: Arc::new(monitor),
            topic_ids: TopicIdentities::default(),
            seen_fields: Arc::default(),
            is_leaving: AtomicBool::new(false),
            state: Mutex::default(),
            passed_over: Mutex::default(),
        }
    }

    /// Says what is passed over: once for each name, whatever partition has it.
    pub(super) fn report_passed_over(&self, names: Vec<String>) {
        let mut known = self.passed_over.lock();
        let fresh: Vec<String> = names.into_iter().filter(|name| known.insert(name.clone())).collect();
        if !fresh.is_empty() {
            let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
            tracing::info!(pipeline, stage, "passed over, for no field asks for it: {}", fresh.join(", "));
        }
    }

    /// Begins a run: splits are opened there.
    pub(super) fn attach(&self, splits: &Arc<dyn SourceContext>) {
        self.state.lock().splits = Some(Arc::clone(splits));
    }

    /// Ends the run.
    pub(super) fn detach(&self) {
        self.forget_reader();
        let mut state = self.state.lock();
        state.splits = None;
        state.open.clear();
    }

    /// No writer of this process is to wait for this reader any more.
    fn forget_reader(&self) {
        if !std::mem::replace(&mut self.state.lock().is_reader_forgotten, true) {
            self.settings.endpoint.forget_reader(&self.settings.topics, &self.settings.group);
        }
    }

    /// Where splits are opened and closed, while a run is attached.
    pub(super) fn splits(&self) -> Option<Arc<dyn SourceContext>> {
        self.state.lock().splits.clone()
    }

    /// Whether the run is to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.splits().is_some_and(|splits| splits.stopping())
    }

    /// Whether the group has assigned partitions, be it none, since it last took all away.
    pub(super) fn is_assigned(&self) -> bool {
        self.state.lock().is_assigned
    }

    pub(super) fn set_assigned(&self) {
        self.state.lock().is_assigned = true;
    }

    /// Keeps an error of a callback until [`take_failure`](Self::take_failure); the first one counts.
    pub(super) fn fail(&self, error: Error) {
        self.state.lock().failure.get_or_insert(error);
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.state.lock().failure.take()
    }

    /// Takes the membership as of a rebalance. Partitions that outlive rebalances are committed as the latest one, others as
    /// that of their assignment.
    pub(super) fn renew(&self, metadata: Option<ConsumerGroupMetadata>) -> Option<Arc<GroupMetadata>> {
        let metadata = metadata?;
        if self.settings.assignment == Assignment::Eager {
            return Some(Arc::new(GroupMetadata::fixed(metadata)));
        }
        let known = &mut self.state.lock().metadata;
        match known {
            Some(known) => known.renew(metadata),
            None => *known = Some(Arc::new(GroupMetadata::renewed(metadata))),
        }
        known.clone()
    }

    /// Adds a partition whose split is opened.
    pub(super) fn add(&self, partition: TopicPartition, handle: Arc<PartitionHandle>, fence: Option<Arc<GroupFence>>) {
        self.state.lock().open.insert(partition, Open { handle, fence });
    }

    /// Removes those of the partitions that have a split, and keeps the splits from taking more messages.
    pub(super) fn remove(&self, partitions: &[TopicPartition]) -> Removed {
        let (partitions, removed): (Vec<TopicPartition>, Vec<Open>) = {
            let mut state = self.state.lock();
            let removed = partitions.iter().filter_map(|it| Some((it.clone(), state.open.remove(it)?))).unzip();
            state.is_assigned = !state.open.is_empty();
            removed
        };
        removed.iter().for_each(|open| open.handle.abandon());
        let ids = partitions.iter().map(TopicPartition::split_id).collect();
        Removed { ids, partitions, fences: removed.into_iter().filter_map(|open| open.fence).collect() }
    }

    /// Nothing of partitions that were removed is committed from now on: another member may have them.
    pub(super) fn give_up(&self, removed: &Removed) {
        removed.fences.iter().for_each(|fence| fence.give_up());
        let given_up = &mut self.state.lock().given_up;
        removed.partitions.iter().for_each(|partition| *given_up.entry(partition.clone()).or_default() += 1);
    }

    /// How often any of the partitions was given up. A commit that began before the number grew is not repeated.
    pub(super) fn times_given_up(&self, partitions: &[TopicPartition]) -> u64 {
        let state = self.state.lock();
        partitions.iter().filter_map(|partition| state.given_up.get(partition)).sum()
    }

    /// The partitions that this member has.
    pub(super) fn open_partitions(&self) -> BTreeSet<TopicPartition> {
        self.state.lock().open.keys().cloned().collect()
    }

    fn open_splits(&self) -> Vec<SplitId> {
        self.state.lock().open.keys().map(TopicPartition::split_id).collect()
    }

    /// Whether no split runs any more.
    pub(super) fn all_ended(&self, splits: &dyn SourceContext) -> bool {
        let open = self.open_splits();
        if open.is_empty() {
            // A member without partitions has ended once no upstream pipeline writes any more.
            return self.settings.upstream.is_open();
        }
        let running = splits.running();
        !open.iter().any(|id| running.contains(id))
    }

    /// Drains all splits and commits.
    pub(super) fn close_all(&self, splits: &dyn SourceContext) -> Result<()> {
        let open = self.open_splits();
        if open.is_empty() { Ok(()) } else { splits.close(&open, false, Instant::now() + DRAIN_TIMEOUT) }
    }

    /// Counts the records that wait in a partition, once.
    pub(super) fn count_expected(&self, partition: &TopicPartition, records: u64) {
        if self.state.lock().counted.insert(partition.clone()) {
            self.monitor.metrics.expected.fetch_add(records, Ordering::Relaxed);
        }
    }

    /// Asks for the ends of the partitions, so that splits know their lag.
    pub(super) fn update_ends<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) {
        let open = self.state.lock().open.clone();
        let partitions: Vec<TopicPartition> = open.keys().cloned().collect();
        // Nothing but the lag depends on it.
        let ends = list_offsets(consumer, &partitions, Offset::End, LAG_TIMEOUT).ok();
        for (place, Open { handle, .. }) in open.values().enumerate() {
            handle.end_answered(ends.as_ref().map(|ends| ends[place]));
        }
    }

    /// Compares the ids of the topics with those seen first.
    ///
    /// # Errors
    /// Where a topic was deleted and made anew.
    pub(super) fn compare_topics<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> Result<()> {
        // The embedded broker gives no ids, and creates its topics once.
        if !self.settings.endpoint.is_durable() {
            return Ok(());
        }
        self.topic_ids.compare(consumer, &self.settings.topics())
    }

    /// Logs, once, that all `read` records so far are in one partition: more members would not share the work.
    pub(super) fn report_skew<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: &TopicPartition,
        read: u64,
    ) {
        if !self.settings.endpoint.is_durable() || self.state.lock().is_skew_reported {
            return;
        }
        let topic = partition.topic();
        let mut others = self.state.lock().open.clone();
        others.retain(|other, _| other.topic() == topic && other != partition);
        // The known ends may be some seconds old.
        let are_empty = others.values().all(|open| open.handle.end.load(Ordering::Relaxed) == 0);
        let others: Vec<TopicPartition> = others.into_keys().collect();
        let are_still_empty = || {
            let ends = list_offsets(consumer, &others, Offset::End, WATERMARKS_TIMEOUT);
            ends.is_ok_and(|ends| ends.iter().all(|end| *end == 0))
        };
        if others.is_empty()
            || !are_empty
            || !are_still_empty()
            || std::mem::replace(&mut self.state.lock().is_skew_reported, true)
        {
            return;
        }
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        let (number, others) = (partition.partition(), others.len());
        tracing::warn!(
            pipeline,
            stage,
            "all {read} records read so far of topic `{topic}` are in partition {number}, and the {others} others that this \
             instance reads are empty: records of one key are in one partition, so more instances do not share this work"
        );
    }

    /// Logs an assignment that failed while the run stops. Nothing would have been read of it, so the run does not fail;
    /// what lasts is an error of the next start.
    pub(super) fn report_declined(&self, error: &Error) {
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        tracing::warn!(pipeline, stage, "the run stops and takes no partitions any more: {error}");
    }

    /// Logs an assignment.
    pub(super) fn report_assigned(&self, partitions: &[TopicPartition]) {
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        if !partitions.is_empty() {
            self.state.lock().is_idle_reported = false;
            let names: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
            tracing::info!(pipeline, stage, "assigned: {}", names.join(", "));
            return;
        }
        let mut state = self.state.lock();
        if state.open.is_empty() && !std::mem::replace(&mut state.is_idle_reported, true) {
            let group = &self.settings.group;
            tracing::info!(
                pipeline,
                stage,
                "this instance reads nothing: group `{group}` has more members than there are partitions; it takes over when \
                 one of them leaves"
            );
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.forget_reader();
    }
}
