//! What the group assigns: partitions that become lanes, and lanes that end because the group wants them back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use aqpipe_engine::record::{LaneId, Position};
use aqpipe_engine::stage::{Fence, Lanes, Start};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::Start as From;
use super::census::Census;
use super::group::{DRAIN, Settings};
use super::lane::{KafkaLane, Seat, UntilEnd};
use super::reader::{Carry, Reader, Telling};
use crate::codec::json::Decoder;
use crate::kafka::client::{Watch, is_leaderless, watermarks};
use crate::kafka::transactions::GroupFence;

/// How long one question for the ends of a partition may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long lanes of lost partitions are waited for: they commit nothing more, and nothing keeps others from their
/// partitions, so waiting only keeps this member from joining again. What is under way then is decided or refused before
/// partitions are assigned again.
const LEAVE_BEHIND: Duration = Duration::from_secs(2);
/// How long brokers may not answer while partitions are assigned: less than the group waits for this member.
const PATIENCE: Duration = Duration::from_secs(120);

/// Listens to the consumer and keeps what is assigned to it.
pub(super) struct Assignment {
    pub(super) settings: Settings,
    pub(super) watch: Arc<Watch>,
    consumer: OnceLock<Weak<BaseConsumer<Assignment>>>,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    lanes: Option<Arc<dyn Lanes>>,
    /// The lanes that were opened.
    open: BTreeMap<LaneId, Arc<Seat>>,
    /// Partitions whose records were counted as expected.
    expected: BTreeSet<LaneId>,
    assigned: bool,
    /// Whether writers were told not to wait for this reader.
    left: bool,
    failure: Option<Error>,
}

/// A lane's name.
fn lane_id(topic: &str, partition: i32) -> LaneId {
    format!("{topic}/{partition}").into()
}

/// The partition behind a lane's name.
pub(super) fn partition_of(id: &LaneId) -> Result<(&str, i32)> {
    id.rsplit_once('/')
        .and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)))
        .ok_or_else(|| Error::bug(format!("`{id}` is not a partition")))
}

impl Assignment {
    pub(super) fn new(settings: Settings, watch: Watch) -> Assignment {
        if let Some(embedded) = &settings.embedded {
            settings.topics.iter().for_each(|topic| embedded.register_reader(topic, &settings.group));
        }
        Assignment { settings, watch: Arc::new(watch), consumer: OnceLock::new(), live: Mutex::default() }
    }

    /// Says which consumer this listens to.
    pub(super) fn belongs_to(&self, consumer: &Arc<BaseConsumer<Assignment>>) {
        // Set once, right after the consumer was made.
        let _ = self.consumer.set(Arc::downgrade(consumer));
    }

    pub(super) fn attach(&self, lanes: &Arc<dyn Lanes>) {
        self.live.lock().lanes = Some(Arc::clone(lanes));
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
        live.lanes = None;
        live.open.clear();
    }

    /// Whether the run that this is attached to is to end.
    pub(super) fn is_stopping(&self) -> bool {
        let lanes = self.live.lock().lanes.clone();
        lanes.is_some_and(|lanes| lanes.stopping())
    }

    pub(super) fn is_assigned(&self) -> bool {
        self.live.lock().assigned
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.live.lock().failure.take()
    }

    fn open_ids(&self) -> Vec<LaneId> {
        self.live.lock().open.keys().cloned().collect()
    }

    /// Whether no lane runs any more.
    pub(super) fn all_ended(&self, lanes: &dyn Lanes) -> bool {
        let open = self.open_ids();
        if open.is_empty() {
            // A member without partitions is done once nobody writes any more.
            return self.settings.upstream.is_open();
        }
        let running = lanes.running();
        !open.iter().any(|id| running.contains(id))
    }

    /// Drains all lanes and commits.
    pub(super) fn close_all(&self, lanes: &dyn Lanes) -> Result<()> {
        let open = self.open_ids();
        if open.is_empty() { Ok(()) } else { lanes.close(&open, false, Instant::now() + DRAIN) }
    }

    /// Asks for the ends of the partitions, so that lanes know their lag.
    pub(super) fn ask_for_ends(&self, consumer: &BaseConsumer<Assignment>) {
        let open: Vec<(LaneId, Arc<Seat>)> =
            self.live.lock().open.iter().map(|(id, seat)| (Arc::clone(id), Arc::clone(seat))).collect();
        for (id, seat) in open {
            let Ok((topic, partition)) = partition_of(&id) else { continue };
            match consumer.fetch_watermarks(topic, partition, Duration::from_millis(500)) {
                Ok((_, high)) => seat.end.store(high.max(0) as u64, Ordering::Relaxed),
                // The lag is a comfort: it is as old as the last answer.
                Err(_) => return,
            }
        }
    }

    fn assign(&self, base: &BaseConsumer<Assignment>, partitions: &mut TopicPartitionList) -> Result<()> {
        let lanes = self.live.lock().lanes.clone().ok_or_else(|| Error::bug("assigned before it was run"))?;
        let wanted: Vec<(String, i32)> =
            partitions.elements().iter().map(|it| (it.topic().to_owned(), it.partition())).collect();
        let ids: Vec<LaneId> = wanted.iter().map(|(topic, partition)| lane_id(topic, *partition)).collect();
        let starts = if ids.is_empty() { Vec::new() } else { lanes.starts(&ids)? };
        let mut made = Vec::with_capacity(ids.len());
        for ((id, start), (topic, partition)) in ids.into_iter().zip(starts).zip(&wanted) {
            let (low, high) = self.ends(base, &*lanes, topic, *partition)?;
            let position = self.position(start.as_ref(), low, high, &id)?;
            let carried = start.as_ref().and_then(|start| start.state.first()).filter(|carried| !carried.is_empty());
            let carry = carried.map(|carried| Carry::from_bytes(carried)).transpose().map_err(|e| e.at(&*id))?;
            // The last message that was read is read again where it is still there, to see that it is the same topic.
            let last = carry.as_ref().and_then(|carry| carry.last).filter(|_| self.settings.embedded.is_none());
            let last = last.filter(|last| (low..position.at).contains(&last.offset));
            let from = last.map_or(position.at, |last| last.offset);
            let offset = i64::try_from(from).map_err(|_| Error::new("an offset too large").at(&*id))?;
            partitions
                .set_partition_offset(topic, *partition, Offset::Offset(offset))
                .map_err(|error| Error::new("cannot set the start").at(&*id).because(error))?;
            let seat = Arc::new(Seat::new(high));
            let known = carry.map(|carry| (carry.decoder, last));
            let lane = self.lane(&id, topic, *partition, position, &seat, known)?;
            made.push((id, lane, start, seat));
        }
        // Split before they are assigned, so that no message comes through the main queue; assigned once, with
        // explicit offsets, so that no answer from the brokers overrides them.
        self.hand_over(base, Some(partitions))?;
        self.watch.fine();
        let names: Vec<&str> = made.iter().map(|(id, ..)| &**id).collect();
        let (pipeline, stage) = (&*self.watch.pipeline, &*self.watch.stage);
        tracing::info!(
            pipeline,
            stage,
            "assigned: {}",
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        );
        // The membership as it is now: a later one would let a commit pass of what was taken away meanwhile.
        let fence = base.group_metadata().map(|group| Arc::new(GroupFence(group)) as Fence);
        for (id, lane, start, seat) in made {
            self.live.lock().open.insert(Arc::clone(&id), seat);
            lanes.open(id, Box::new(lane), start, fence.clone())?;
        }
        self.live.lock().assigned = true;
        Ok(())
    }

    fn lane(
        &self,
        id: &LaneId,
        topic: &str,
        partition: i32,
        position: Position,
        seat: &Arc<Seat>,
        known: Option<(Vec<u8>, Option<Telling>)>,
    ) -> Result<KafkaLane> {
        let mut decoder = Decoder::new(self.settings.decoder.clone());
        let (fields, last) = known.unwrap_or_default();
        decoder.restore(&fields).map_err(|error| error.at(&**id))?;
        let consumer = self.consumer.get().and_then(Weak::upgrade);
        let consumer = consumer.ok_or_else(|| Error::bug("assigned after its consumer was gone"))?;
        let queue = consumer
            .split_partition_queue(topic, partition)
            .ok_or_else(|| Error::new("cannot read the partition by itself").at(&**id))?;
        let high = seat.end.load(Ordering::Relaxed);
        let settings = &self.settings;
        let until_end = match (settings.until_end, settings.upstream.is_open()) {
            (false, _) => UntilEnd::Never,
            (true, false) => UntilEnd::Unknown,
            (true, true) => UntilEnd::At(high),
        };
        if settings.until_end && self.live.lock().expected.insert(Arc::clone(id)) {
            let records = high.saturating_sub(position.at);
            self.watch.facts.expected.fetch_add(records, Ordering::Relaxed);
        }
        let declared = settings.decoder.declared.iter().flat_map(|fields| fields.list.iter().map(|field| &field.name));
        let census = Census::new(declared);
        let reader = Reader::new(topic, partition, decoder, position, settings.embedded.is_some(), census, last);
        Ok(KafkaLane::new(consumer, queue, reader, until_end, Arc::clone(seat)))
    }

    /// The first offset that is there and the one behind the last, as a reader of committed records sees them.
    fn ends(
        &self,
        base: &BaseConsumer<Assignment>,
        lanes: &dyn Lanes,
        topic: &str,
        partition: i32,
    ) -> Result<(u64, u64)> {
        let failed = |error: KafkaError| {
            Error::new("cannot ask where the partition starts and ends")
                .at(format!("{topic}/{partition}"))
                .because(error)
        };
        let started = Instant::now();
        loop {
            match watermarks(base, topic, partition, ANSWER) {
                Ok((low, high)) => return Ok((low.max(0) as u64, high.max(0) as u64)),
                Err(error) => {
                    if !is_leaderless(&error) || lanes.stopping() || started.elapsed() > PATIENCE {
                        return Err(failed(error));
                    }
                    self.watch.facts.retries.fetch_add(1, Ordering::Relaxed);
                    self.watch.trouble(&error.to_string());
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn position(&self, start: Option<&Start>, low: u64, high: u64, id: &LaneId) -> Result<Position> {
        let Some(start) = start else {
            // On the embedded broker all there is was written by this run, for this reader too.
            let from = if self.settings.embedded.is_some() { From::Earliest } else { self.settings.start };
            return Ok(match from {
                From::Earliest => Position { at: low, row: 0 },
                From::Latest => Position { at: high, row: 0 },
            });
        };
        let at = start.position.at;
        let message = if at < low {
            format!("the records from {at} to {low} are gone: the topic has dropped what was not read yet")
        } else if at > high {
            format!("the last commit was at {at}, and the partition ends at {high}: it is not the same topic any more")
        } else {
            return Ok(start.position);
        };
        Err(Error::new(message).at(&**id).help(
            "run with `--fresh` to forget positions and state and begin as `start` (\"earliest\" or \"latest\") says",
        ))
    }

    fn revoke(&self, base: &BaseConsumer<Assignment>, partitions: &TopicPartitionList) -> Result<()> {
        let (ids, seats): (Vec<LaneId>, Vec<Arc<Seat>>) = {
            let mut live = self.live.lock();
            let elements = partitions.elements();
            let ids = elements.iter().map(|it| lane_id(it.topic(), it.partition()));
            let left = ids.filter_map(|id| live.open.remove(&id).map(|seat| (id, seat))).unzip();
            live.assigned = false;
            left
        };
        seats.iter().for_each(|seat| seat.leave());
        let lanes = self.live.lock().lanes.clone();
        let lost = base.assignment_lost();
        let closed = match lanes {
            Some(lanes) if !ids.is_empty() => {
                let (pipeline, stage) = (&*self.watch.pipeline, &*self.watch.stage);
                let how = if lost { "lost" } else { "given back" };
                tracing::info!(pipeline, stage, "{how}: {}", ids.join(", "));
                lanes.close(&ids, lost, Instant::now() + if lost { LEAVE_BEHIND } else { DRAIN })
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
        self.watch.line(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.heard(&error, reason);
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
