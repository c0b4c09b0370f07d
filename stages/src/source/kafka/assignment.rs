//! What the group assigns: partitions that become splits, and splits that end because the group wants them back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::{FencingToken, SourceContext, SplitState};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::TopicId;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::StartOffset;
use super::field_presence::FieldPresence;
use super::group::{DRAIN_TIMEOUT, Settings};
use super::message_reader::MessageReader;
use super::partition_state::{MessageIdentity, PartitionState};
use super::split_reader::{KafkaSplitReader, PartitionHandle, UntilEnd};
use super::topic_identity::TopicIdentities;
use super::topic_start::{TopicStart, all_split_states, saved_state};
use crate::codec::json::Decoder;
use crate::kafka::client::{ConnectionMonitor, is_leaderless, watermarks};
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::transactions::GroupFence;

/// How long one question for the ends of a partition may take.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long splits of lost partitions are waited for: they commit nothing more, and nothing keeps others from their
/// partitions, so waiting only keeps this member from joining again. What is under way then is decided or refused before
/// partitions are assigned again.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);
/// How long brokers may not answer while partitions are assigned: less than the group waits for this member.
const BROKER_TIMEOUT: Duration = Duration::from_secs(120);

/// Listens to the consumer and keeps what is assigned to it.
pub(super) struct Assignment {
    pub(super) settings: Settings,
    pub(super) monitor: Arc<ConnectionMonitor>,
    identities: TopicIdentities,
    consumer: OnceLock<Weak<BaseConsumer<Assignment>>>,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    splits: Option<Arc<dyn SourceContext>>,
    /// The splits that were opened.
    open: BTreeMap<SplitId, Arc<PartitionHandle>>,
    /// Partitions whose records were counted as expected.
    expected: BTreeSet<SplitId>,
    assigned: bool,
    /// Whether it was said that there is nothing for this member.
    idle_reported: bool,
    /// Whether it was said that all records of a topic are in one partition.
    skew_reported: bool,
    /// Whether writers were told not to wait for this reader.
    left: bool,
    failure: Option<Error>,
}

/// A split's name.
fn split_id(topic: &str, partition: i32) -> SplitId {
    TopicPartition::new(topic, partition).split_id()
}

impl Assignment {
    pub(super) fn new(settings: Settings, monitor: ConnectionMonitor) -> Assignment {
        if let Some(embedded) = &settings.embedded {
            settings.topics.iter().for_each(|topic| embedded.register_reader(topic, &settings.group));
        }
        Assignment {
            settings,
            monitor: Arc::new(monitor),
            identities: TopicIdentities::default(),
            consumer: OnceLock::new(),
            live: Mutex::default(),
        }
    }

    /// Says which consumer this listens to.
    pub(super) fn belongs_to(&self, consumer: &Arc<BaseConsumer<Assignment>>) {
        // Set once, right after the consumer was made.
        let _ = self.consumer.set(Arc::downgrade(consumer));
    }

    pub(super) fn attach(&self, splits: &Arc<dyn SourceContext>) {
        self.live.lock().splits = Some(Arc::clone(splits));
    }

    /// Nobody of this run is to wait for this reader any more.
    fn forget_reader(&self) {
        if let Some(embedded) = &self.settings.embedded
            && !std::mem::replace(&mut self.live.lock().left, true)
        {
            self.settings.topics.iter().for_each(|topic| embedded.forget_reader(topic, &self.settings.group));
        }
    }

    pub(super) fn detach(&self) {
        self.forget_reader();
        let mut live = self.live.lock();
        live.splits = None;
        live.open.clear();
    }

    /// Whether the run that this is attached to is to end.
    pub(super) fn is_stopping(&self) -> bool {
        let splits = self.live.lock().splits.clone();
        splits.is_some_and(|splits| splits.stopping())
    }

    pub(super) fn is_assigned(&self) -> bool {
        self.live.lock().assigned
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.live.lock().failure.take()
    }

    fn open_ids(&self) -> Vec<SplitId> {
        self.live.lock().open.keys().cloned().collect()
    }

    /// Whether no split runs any more.
    pub(super) fn all_ended(&self, splits: &dyn SourceContext) -> bool {
        let open = self.open_ids();
        if open.is_empty() {
            // A member without partitions is done once nobody writes any more.
            return self.settings.upstream.is_open();
        }
        let running = splits.running();
        !open.iter().any(|id| running.contains(id))
    }

    /// Drains all splits and commits.
    pub(super) fn close_all(&self, splits: &dyn SourceContext) -> Result<()> {
        let open = self.open_ids();
        if open.is_empty() { Ok(()) } else { splits.close(&open, false, Instant::now() + DRAIN_TIMEOUT) }
    }

    /// Asks for the ends of the partitions, so that splits know their lag.
    pub(super) fn update_ends(&self, consumer: &BaseConsumer<Assignment>) {
        let open: Vec<(SplitId, Arc<PartitionHandle>)> =
            self.live.lock().open.iter().map(|(id, handle)| (Arc::clone(id), Arc::clone(handle))).collect();
        for (id, handle) in open {
            let Ok(partition) = id.parse::<TopicPartition>() else { continue };
            match consumer.fetch_watermarks(partition.topic(), partition.partition(), Duration::from_millis(500)) {
                Ok((_, high)) => handle.end.store(high.max(0) as u64, Ordering::Relaxed),
                // The lag is a comfort: it is as old as the last answer.
                Err(_) => return,
            }
        }
    }

    /// Compares the ids of the topics with what they were.
    ///
    /// # Errors
    /// Where a topic was deleted and made anew.
    pub(super) fn compare_topics(&self, consumer: &BaseConsumer<Assignment>) -> Result<()> {
        // The embedded broker gives no ids, and its topics are made once.
        if self.settings.embedded.is_some() {
            return Ok(());
        }
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        self.identities.compare(consumer, &topics)
    }

    /// Whether nearly nothing would be shared where more members join: said once, when a split has read enough.
    pub(super) fn report_skew(&self, consumer: &BaseConsumer<Assignment>, topic: &str, partition: i32, read: u64) {
        if self.settings.embedded.is_some() || self.live.lock().skew_reported {
            return;
        }
        let others: Vec<(i32, Arc<PartitionHandle>)> = {
            let live = self.live.lock();
            let others = live.open.iter().filter_map(|(id, handle)| Some((id.parse::<TopicPartition>().ok()?, handle)));
            let others = others.filter(|(other, _)| other.topic() == topic && other.partition() != partition);
            others.map(|(other, handle)| (other.partition(), Arc::clone(handle))).collect()
        };
        let is_empty = |(number, handle): &(i32, Arc<PartitionHandle>)| {
            // What is known of their ends may be some seconds old.
            handle.end.load(Ordering::Relaxed) == 0
                && consumer.fetch_watermarks(topic, *number, WATERMARKS_TIMEOUT).is_ok_and(|(_, high)| high == 0)
        };
        if others.is_empty() || !others.iter().all(is_empty) || self.live.lock().skew_reported {
            return;
        }
        self.live.lock().skew_reported = true;
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        tracing::warn!(
            pipeline,
            stage,
            "all {read} records read so far of topic `{topic}` are in partition {partition}, and the {} others that this \
             instance reads are empty: records of one key are in one partition, so more instances do not share this work",
            others.len()
        );
    }

    fn assign(&self, base: &BaseConsumer<Assignment>, partitions: &mut TopicPartitionList) -> Result<()> {
        let splits = self.live.lock().splits.clone().ok_or_else(|| Error::bug("assigned before it was run"))?;
        let wanted: Vec<(String, i32)> =
            partitions.elements().iter().map(|it| (it.topic().to_owned(), it.partition())).collect();
        let ids: Vec<SplitId> = wanted.iter().map(|(topic, partition)| split_id(topic, *partition)).collect();
        let starts = if ids.is_empty() { Vec::new() } else { splits.split_states(&ids)? };
        self.compare_topics(base)?;
        let known: BTreeMap<SplitId, Option<SplitState>> = ids.iter().cloned().zip(starts).collect();
        let beginnings = self.beginnings(base, &*splits, &wanted, &known)?;
        let mut made = Vec::with_capacity(ids.len());
        // Of all partitions together.
        let started = Instant::now();
        let give_up = || splits.stopping() || started.elapsed() > BROKER_TIMEOUT;
        for (id, (topic, partition)) in ids.into_iter().zip(&wanted) {
            let start = known.get(&id).cloned().flatten();
            let state = start.as_ref().map(saved_state).transpose().map_err(|error| error.at(&*id))?.flatten();
            if let Some(was) = state.as_ref().and_then(|state| TopicId::new(state.topic?))
                && !self.identities.compare_with(base, topic, was, give_up)?
            {
                self.say_unsure(topic);
            }
            let (low, high) = self.ends(base, &*splits, topic, *partition)?;
            let beginning = beginnings.get(topic.as_str());
            let position = self.position((start.as_ref(), beginning), (low, high), (&id, *partition))?;
            let mut state = state.unwrap_or_default();
            state.topic = self.identities.of(topic).map(TopicId::number).or(state.topic);
            state.first_ends = match beginning {
                Some(TopicStart::Ends(ends)) => Some(ends.clone()),
                _ => None,
            };
            // The last message that was read is read again where it is still there, to see that it is the same topic.
            let last = state.last.filter(|_| self.settings.embedded.is_none());
            let last = last.filter(|last| (low..position.offset).contains(&last.offset));
            let from = last.map_or(position.offset, |last| last.offset);
            let offset = i64::try_from(from).map_err(|_| Error::new("an offset too large").at(&*id))?;
            partitions
                .set_partition_offset(topic, *partition, Offset::Offset(offset))
                .map_err(|error| Error::new("cannot set the start").at(&*id).because(error))?;
            let handle = Arc::new(PartitionHandle::new(high));
            let split = self.split(&id, (topic, *partition), position, &handle, (state, last))?;
            made.push((id, split, start, handle));
        }
        // Split before they are assigned, so that no message comes through the main queue; assigned once, with
        // explicit offsets, so that no answer from the brokers overrides them.
        self.hand_over(base, Some(partitions))?;
        self.monitor.recovered();
        self.say_assigned(&made.iter().map(|(id, ..)| &**id).collect::<Vec<_>>());
        // The membership as it is now: a later one would let a commit pass of what was taken away meanwhile.
        let fence = base.group_metadata().map(|group| Arc::new(GroupFence(group)) as FencingToken);
        for (id, split, start, handle) in made {
            self.live.lock().open.insert(Arc::clone(&id), handle);
            splits.open(id, Box::new(split), start, fence.clone())?;
        }
        self.live.lock().assigned = true;
        Ok(())
    }

    fn say_unsure(&self, topic: &str) {
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        tracing::warn!(
            pipeline,
            stage,
            "the brokers do not tell whether topic `{topic}` is the one that was read before: it is taken for that one if \
             the message that was read last is still there as it was, and its id is compared once they tell it"
        );
    }

    fn say_assigned(&self, names: &[&str]) {
        let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
        if !names.is_empty() {
            self.live.lock().idle_reported = false;
            tracing::info!(pipeline, stage, "assigned: {}", names.join(", "));
        } else if !std::mem::replace(&mut self.live.lock().idle_reported, true) {
            tracing::info!(
                pipeline,
                stage,
                "this instance reads nothing: group `{}` has more members than there are partitions; it takes over when \
                 one of them leaves",
                self.settings.group
            );
        }
    }

    /// Where the topics begin of which a partition is not begun with yet, for a group that begins with what is newest.
    fn beginnings(
        &self,
        base: &BaseConsumer<Assignment>,
        splits: &dyn SourceContext,
        wanted: &[(String, i32)],
        known: &BTreeMap<SplitId, Option<SplitState>>,
    ) -> Result<BTreeMap<String, TopicStart>> {
        let mut found = BTreeMap::new();
        // On the embedded broker all there is was written by this run, for this reader too.
        if self.settings.start == StartOffset::Earliest || self.settings.embedded.is_some() {
            return Ok(found);
        }
        for (topic, partition) in wanted {
            let start = known.get(&split_id(topic, *partition)).and_then(Option::as_ref);
            let state = start.map(saved_state).transpose()?.flatten();
            let is_settled = start.is_some() && state.is_none_or(|state| state.first_ends.is_none());
            if is_settled || found.contains_key(topic) {
                continue;
            }
            let count = self.retry_leaderless(splits, "cannot ask for the topic's partitions", topic, || {
                let metadata = base.fetch_metadata(Some(topic), WATERMARKS_TIMEOUT)?;
                Ok(metadata.topics().iter().find(|one| one.name() == topic).map_or(0, |one| one.partitions().len()))
            })?;
            let numbers = 0..i32::try_from(count).unwrap_or(i32::MAX);
            let all: Vec<SplitId> = numbers.clone().map(|number| split_id(topic, number)).collect();
            let starts = all_split_states(splits, known, &all)?;
            let beginning = match TopicStart::of(starts.iter().map(Option::as_ref))? {
                TopicStart::NotStarted => {
                    let ends = numbers.map(|number| Ok(self.ends(base, splits, topic, number)?.1));
                    TopicStart::Ends(ends.collect::<Result<_>>()?)
                }
                other => other,
            };
            found.insert(topic.clone(), beginning);
        }
        Ok(found)
    }

    fn split(
        &self,
        id: &SplitId,
        (topic, partition): (&str, i32),
        position: Position,
        handle: &Arc<PartitionHandle>,
        known: (PartitionState, Option<MessageIdentity>),
    ) -> Result<KafkaSplitReader> {
        let mut decoder = Decoder::new(self.settings.decoder.clone());
        decoder.restore(&known.0.decoder).map_err(|error| error.at(&**id))?;
        let consumer = self.consumer.get().and_then(Weak::upgrade);
        let consumer = consumer.ok_or_else(|| Error::bug("assigned after its consumer was gone"))?;
        let queue = consumer
            .split_partition_queue(topic, partition)
            .ok_or_else(|| Error::new("cannot read the partition by itself").at(&**id))?;
        let high = handle.end.load(Ordering::Relaxed);
        let settings = &self.settings;
        let until_end = match (settings.until_end, settings.upstream.is_open()) {
            (false, _) => UntilEnd::Never,
            (true, false) => UntilEnd::Unknown,
            (true, true) => UntilEnd::At(high),
        };
        if settings.until_end && self.live.lock().expected.insert(Arc::clone(id)) {
            let records = high.saturating_sub(position.offset);
            self.monitor.metrics.expected.fetch_add(records, Ordering::Relaxed);
        }
        let declared = settings.decoder.declared.iter().flat_map(|fields| fields.list.iter().map(|field| &field.name));
        let presence = FieldPresence::new(declared);
        let reader =
            MessageReader::new(topic, partition, decoder, position, settings.embedded.is_some(), presence, known);
        Ok(KafkaSplitReader::new(consumer, queue, reader, until_end, Arc::clone(handle)))
    }

    /// The first offset that is there and the one behind the last, as a reader of committed records sees them.
    fn ends(
        &self,
        base: &BaseConsumer<Assignment>,
        splits: &dyn SourceContext,
        topic: &str,
        partition: i32,
    ) -> Result<(u64, u64)> {
        let at = format!("{topic}/{partition}");
        let (low, high) =
            self.retry_leaderless(splits, "cannot ask where the partition starts and ends", &at, || {
                watermarks(base, topic, partition, WATERMARKS_TIMEOUT)
            })?;
        Ok((low.max(0) as u64, high.max(0) as u64))
    }

    /// Repeats a question while nobody leads what it is about.
    fn retry_leaderless<T>(
        &self,
        splits: &dyn SourceContext,
        failed: &str,
        at: &str,
        mut question: impl FnMut() -> Result<T, KafkaError>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            match question() {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if !is_leaderless(&error) || splits.stopping() || started.elapsed() > BROKER_TIMEOUT {
                        return Err(Error::new(failed).at(at).because(error));
                    }
                    self.monitor.failed(&error);
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Where a partition goes on, or begins.
    fn position(
        &self,
        (start, beginning): (Option<&SplitState>, Option<&TopicStart>),
        (low, high): (u64, u64),
        (id, partition): (&SplitId, i32),
    ) -> Result<Position> {
        let first = match (start, beginning) {
            (Some(start), _) => Some(start.position),
            (None, Some(beginning)) => beginning.first(partition).map(|at| Position { offset: at, records: 0 }),
            (None, None) => None,
        };
        let Some(position) = first else {
            if beginning.is_some() {
                let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
                tracing::info!(pipeline, stage, "{id} was added after the group had begun: all of it is read");
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
        Err(Error::new(message).at(&**id).help(
            "run with `--fresh` to forget positions and state and begin as `start` (\"earliest\" or \"latest\") says",
        ))
    }

    fn revoke(&self, base: &BaseConsumer<Assignment>, partitions: &TopicPartitionList) -> Result<()> {
        let (ids, handles): (Vec<SplitId>, Vec<Arc<PartitionHandle>>) = {
            let mut live = self.live.lock();
            let ids = TopicPartition::all(partitions).into_iter().map(|it| it.split_id());
            let left = ids.filter_map(|id| live.open.remove(&id).map(|handle| (id, handle))).unzip();
            live.assigned = false;
            left
        };
        handles.iter().for_each(|handle| handle.abandon());
        let splits = self.live.lock().splits.clone();
        let lost = base.assignment_lost();
        let closed = match splits {
            Some(splits) if !ids.is_empty() => {
                let (pipeline, stage) = (&*self.monitor.pipeline, &*self.monitor.stage);
                let how = if lost { "lost" } else { "given back" };
                tracing::info!(pipeline, stage, "{how}: {}", ids.join(", "));
                splits.close(&ids, lost, Instant::now() + if lost { ABANDON_TIMEOUT } else { DRAIN_TIMEOUT })
            }
            _ => Ok(()),
        };
        let handed = self.hand_over(base, None);
        if lost {
            // Another member has them; what could not be closed is read again there.
            return handed;
        }
        closed.and(handed)
    }

    /// Tells the consumer what it has: the partitions, or none.
    fn hand_over(&self, base: &BaseConsumer<Assignment>, partitions: Option<&TopicPartitionList>) -> Result<()> {
        if matches!(base.rebalance_protocol(), RebalanceProtocol::Cooperative) {
            return Err(Error::bug("the group assigns cooperatively"));
        }
        let done = match partitions {
            Some(partitions) => base.assign(partitions),
            None => base.unassign(),
        };
        done.map_err(|error| Error::new("cannot take the assignment").because(error))
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.forget_reader();
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.monitor.log_line(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.monitor.client_error(&error, reason);
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, base: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(base, partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(base, partitions),
            other => Err(Error::new("the group could not be joined").because(KafkaError::Rebalance(Code::from(other)))),
        };
        if let Err(error) = done {
            // The consumer waits for an answer whatever went wrong. That it could not be given is told by the error
            // that is kept.
            let _ = base.unassign();
            self.live.lock().failure.get_or_insert(error);
        }
    }
}
