//! The transactional producer of a pipeline's instance, and one transaction through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aqpipe_engine::stage::Decision;
use aqpipe_engine::{Error, Result, fault};
use aqpipe_librdkafka::{TopicId, topic_ids};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, ClientContext, Statistics, TopicPartitionList};

use super::bounded::bounded;
use super::notes::Record;
use super::parcel::Parcel;
use super::session::GroupFence;
use super::trouble::{self, Trouble};
use crate::kafka::client::Watch;
use crate::kafka::topics;

/// How long one call may take before it is made again: long enough that most are answered, short enough that a stop
/// is noticed.
const ANSWER: Duration = Duration::from_secs(2);
/// The pauses between two tries of a transaction: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// How often a call is repeated whose error is none of those that pass.
const STRANGE_MOST: u32 = 20;
/// How often a transaction is made again that brokers refuse for a reason that does not pass.
const TRIES_MOST: u32 = 5;
/// The pause between two looks whether everything is acknowledged: less than a round trip, so that it costs little.
const GLANCE: Duration = Duration::from_micros(400);
/// How long a call may take beyond the time that it was given before it is taken for one that never returns. Twice as
/// long after each in a row, for what is left behind takes memory.
const STUCK: Duration = Duration::from_secs(5);
const STUCK_MOST: Duration = Duration::from_secs(80);
/// How many producers may be left behind at a time: each has its threads and connections.
const BEHIND_MOST: usize = 8;

/// Listens to the producer.
pub(super) struct Deliveries {
    watch: Arc<Watch>,
    reports: Arc<Reports>,
}

/// What a producer reports beside the answers to calls.
#[derive(Default)]
struct Reports {
    is_set: AtomicBool,
    /// Why the first record of a transaction was not acknowledged.
    error: Mutex<Option<KafkaError>>,
    /// Whether another producer has taken this one's place: what it still has to say is of the past.
    is_over: AtomicBool,
}

impl Reports {
    fn take_failure(&self) -> Option<KafkaError> {
        if !self.is_set.swap(false, Ordering::AcqRel) { None } else { self.error.lock().take() }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if !self.reports.is_over.load(Ordering::Acquire) {
            self.watch.line(level, facility, message);
        }
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if !self.reports.is_over.load(Ordering::Acquire) {
            self.watch.heard_of_transactions(&error, reason);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            _ if self.reports.is_over.load(Ordering::Acquire) => {}
            Ok(_) => self.watch.fine(),
            Err((error, _)) => {
                // The first is the cause: others fail because the transaction has failed.
                self.reports.error.lock().get_or_insert_with(|| error.clone());
                self.reports.is_set.store(true, Ordering::Release);
            }
        }
    }
}

/// What one transaction holds.
pub(super) struct Contents<'a> {
    pub(super) parcels: Vec<&'a Parcel>,
    pub(super) notes: Vec<Record>,
    pub(super) offsets: Option<(TopicPartitionList, Arc<GroupFence>)>,
}

/// Where a pipeline's notes go.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
}

/// What came of a try.
pub(super) enum Tried {
    Decided(Decision),
    /// The producer had to be made anew: it is not known what became of the transaction.
    Unknown(KafkaError),
}

/// A transactional producer.
pub(super) struct TransactionalProducer {
    config: ClientConfig,
    pub(super) id: String,
    place: Place,
    pub(super) watch: Arc<Watch>,
    given_up: Arc<AtomicBool>,
    reports: Arc<Reports>,
    producer: Arc<ThreadedProducer<Deliveries>>,
    /// How long brokers let a transaction last.
    timeout: Duration,
    /// How long a call may take beyond its time now.
    stuck: Duration,
    /// Producers whose place was taken and that are not gone: the library may keep them in a call.
    behind: Vec<Weak<ThreadedProducer<Deliveries>>>,
}

impl TransactionalProducer {
    /// One that is not known to the brokers yet.
    pub(super) fn new(
        config: ClientConfig,
        id: String,
        place: Place,
        (watch, given_up): (&Arc<Watch>, &Arc<AtomicBool>),
        timeout: Duration,
    ) -> Result<TransactionalProducer> {
        let reports = Arc::new(Reports::default());
        let producer = make(&config, watch, &reports)?;
        let (watch, given_up) = (Arc::clone(watch), Arc::clone(given_up));
        Ok(TransactionalProducer {
            config,
            id,
            place,
            watch,
            given_up,
            reports,
            producer,
            timeout,
            stuck: STUCK,
            behind: Vec::new(),
        })
    }

    /// Makes itself known: what a process of this name left is settled, and a live one decides nothing any more.
    /// `None` where the user has no right to transactions, with the reason.
    pub(super) fn init(&self) -> Result<Option<KafkaError>> {
        // A client that is not connected yet looks for its coordinator only every half second.
        let _ = self.producer.client().fetch_metadata(Some(&self.place.topic), ANSWER);
        let mut strange = 0;
        loop {
            let Err(error) = self.producer.init_transactions(ANSWER) else {
                self.watch.fine();
                self.waits(None);
                return Ok(None);
            };
            if trouble::is_no_right(&error) {
                return Ok(Some(error));
            }
            match trouble::sort(error) {
                Trouble::Repeat(error) if trouble::may_pass(&error) || strange < STRANGE_MOST => {
                    strange += u32::from(!trouble::may_pass(&error));
                    self.pause(&error, "the brokers to take this process for transactions", PAUSE)?;
                }
                Trouble::Stop(error) => return Err(error.at(self.id.clone())),
                Trouble::Repeat(error) | Trouble::Again(error) | Trouble::Anew(error) => {
                    return Err(Error::new("cannot begin with transactions").at(self.id.clone()).because(error));
                }
                Trouble::Refused(reason) => {
                    return Err(Error::new("cannot begin with transactions").at(self.id.clone()).because(reason));
                }
            }
        }
    }

    /// The id of the topic of commits, where the brokers tell it.
    pub(super) fn id_of_notes(&self) -> Option<TopicId> {
        let topic = &*self.place.topic;
        topic_ids(self.producer.client(), &[topic], ANSWER).ok()?.remove(topic)
    }

    /// The error of a pipeline whose notes were deleted while it ran.
    pub(super) fn commits_gone(&self) -> Error {
        commits_gone(&self.place.topic)
    }

    /// Another producer in place of one that has become useless.
    pub(super) fn renew(&mut self) -> Result<()> {
        self.behind.retain(|producer| producer.strong_count() > 0);
        if self.behind.len() >= BEHIND_MOST {
            return Err(Error::new(format!("{BEHIND_MOST} producers wait for brokers that say nothing"))
                .at(self.id.clone())
                .help("can this machine connect to every broker by the address that it advertises?"));
        }
        self.reports.is_over.store(true, Ordering::Release);
        self.reports = Arc::new(Reports::default());
        let old = std::mem::replace(&mut self.producer, make(&self.config, &self.watch, &self.reports)?);
        self.behind.push(Arc::downgrade(&old));
        // Its end waits for its threads, which may wait for brokers.
        let end = std::thread::Builder::new().name("old producer".to_owned()).spawn(move || drop(old));
        end.map_err(|error| Error::new("cannot start a thread").because(error))?;
        match self.init()? {
            None => Ok(()),
            Some(error) => Err(Error::new("the user may not use transactions any more").because(error)),
        }
    }

    /// Makes a transaction until it is decided. `before_undo` is asked before one is undone.
    pub(super) fn decide(
        &mut self,
        contents: &Contents<'_>,
        before_undo: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tried> {
        let mut pause = PAUSE;
        let mut strange = 0;
        loop {
            self.reports.take_failure();
            let trouble = match self.attempt(contents) {
                Ok(()) => {
                    self.watch.fine();
                    self.waits(None);
                    self.stuck = STUCK;
                    return Ok(Tried::Decided(Decision::Committed));
                }
                Err(trouble) => self.cause(trouble),
            };
            match trouble {
                Trouble::Anew(error) => {
                    if trouble::is_no_answer(&error) {
                        self.stuck = (self.stuck * 2).min(STUCK_MOST).min(self.timeout.max(STUCK));
                    }
                    return Ok(Tried::Unknown(error));
                }
                // A commit may be under way: what became of it is found out by the next start.
                Trouble::Stop(error) if self.given_up.load(Ordering::SeqCst) => return Err(error),
                Trouble::Stop(error) => {
                    before_undo()?;
                    // The next start undoes it in any case; until then nobody waits for it.
                    let _ = self.undo();
                    return Err(self.explained(error).at(self.id.clone()));
                }
                Trouble::Refused(reason) => {
                    before_undo()?;
                    if let Some(error) = self.undo()? {
                        // Nothing of it was decided: the refusal came before the commit.
                        tracing::debug!("a refused transaction could not be undone: {error}");
                        self.renew()?;
                    }
                    return Ok(Tried::Decided(Decision::Refused { reason }));
                }
                Trouble::Repeat(error) | Trouble::Again(error) => {
                    before_undo()?;
                    if let Some(error) = self.undo()? {
                        return Ok(Tried::Unknown(error));
                    }
                    if !trouble::may_pass(&error) {
                        strange += 1;
                        if strange >= TRIES_MOST {
                            let error = Error::new("the brokers do not take a transaction").because(error);
                            return Err(error.at(self.id.clone()).help(
                                "is there a record that the topic refuses, such as one without a key in a compacted topic?",
                            ));
                        }
                    }
                    self.pause(&error, "the brokers to take a transaction", pause)?;
                    pause = (pause * 2).min(PAUSE_MOST);
                }
            }
        }
    }

    fn attempt(&self, contents: &Contents<'_>) -> Result<(), Trouble> {
        self.producer.begin_transaction().map_err(trouble::sort)?;
        step("decide.begun")?;
        for parcel in &contents.parcels {
            for post in parcel.posts() {
                let mut record = BaseRecord::to(&parcel.topic);
                (record.key, record.payload, record.headers) = (post.key, post.value, post.headers.cloned());
                self.send(record)?;
            }
        }
        for (key, value) in &contents.notes {
            let mut record = BaseRecord::to(&self.place.topic).partition(self.place.partition).key(key.as_bytes());
            record.payload = value.as_deref();
            self.send(record)?;
        }
        step("decide.sent")?;
        if let Some((offsets, fence)) = &contents.offsets {
            self.repeat("the group to take offsets", || self.send_offsets(offsets, fence))?;
        }
        step("decide.offsets")?;
        self.drain()?;
        step("decide.commit")?;
        self.repeat("the brokers to commit", || self.producer.commit_transaction(ANSWER).map_err(trouble::sort))
    }

    fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), Trouble> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    self.look()?;
                    std::thread::sleep(GLANCE);
                }
                Err((error, _)) => {
                    // Why it is refused is told by the record that failed first.
                    return Err(trouble::sort_delivery(self.reports.take_failure().unwrap_or(error)));
                }
            }
        }
    }

    /// Adds the offsets of the group.
    ///
    /// The library bounds this call by no time while it looks for the group's coordinator (`rd_kafka_coord_req` keeps a
    /// time that it never looks at), and where the coordinator moves at the wrong moment, it looks for ever. So a thread
    /// of its own makes the call. One that does not come back is left behind, with its producer.
    fn send_offsets(&self, offsets: &TopicPartitionList, fence: &Arc<GroupFence>) -> Result<(), Trouble> {
        let (producer, offsets, group) = (Arc::clone(&self.producer), offsets.clone(), Arc::clone(fence));
        let call = move || producer.send_offsets_to_transaction(&offsets, &group.0, ANSWER);
        let look = || {
            self.waits(Some("the group to take offsets"));
            self.look()
        };
        match bounded(ANSWER + self.stuck, look, call)? {
            Some(result) => result.map_err(trouble::sort),
            None => Err(self.silence("offsets were neither taken nor refused")),
        }
    }

    /// Waits until everything is acknowledged.
    fn drain(&self) -> Result<(), Trouble> {
        let since = Instant::now();
        loop {
            let left = self.producer.in_flight_count();
            if let Some(error) = self.reports.take_failure() {
                return Err(trouble::sort_delivery(error));
            }
            if left == 0 {
                return Ok(());
            }
            self.look()?;
            let waited = since.elapsed();
            if waited > self.timeout + STUCK {
                // Each record should have timed out before.
                return Err(self.silence("records were neither acknowledged nor given up"));
            }
            if waited > ANSWER {
                self.waits(Some("the brokers to acknowledge records"));
            }
            std::thread::sleep(if waited < ANSWER { GLANCE } else { PAUSE });
        }
    }

    /// Repeats a call while its error says that this is right.
    fn repeat(&self, what: &str, mut call: impl FnMut() -> Result<(), Trouble>) -> Result<(), Trouble> {
        let mut strange = 0;
        loop {
            match call() {
                Err(Trouble::Repeat(error)) => {
                    if !trouble::may_pass(&error) {
                        strange += 1;
                        if strange > STRANGE_MOST {
                            return Err(Trouble::Anew(error));
                        }
                    }
                    self.pause(&error, what, PAUSE).map_err(Trouble::Stop)?;
                }
                done => return done,
            }
        }
    }

    /// Undoes the transaction. Returns the error of a producer that cannot.
    fn undo(&self) -> Result<Option<KafkaError>> {
        let undo = || self.producer.abort_transaction(ANSWER).map_err(trouble::sort);
        match self.repeat("the brokers to undo a transaction", undo) {
            Ok(()) => Ok(None),
            Err(Trouble::Repeat(error) | Trouble::Again(error) | Trouble::Anew(error)) => Ok(Some(error)),
            Err(Trouble::Stop(error)) => Err(error),
            Err(Trouble::Refused(reason)) => Err(Error::new("a transaction cannot be undone").because(reason)),
        }
    }

    /// The library neither does what it was asked for nor says why not.
    fn silence(&self, what: &str) -> Trouble {
        self.watch.trouble(what);
        Trouble::Anew(trouble::NO_ANSWER)
    }

    fn look(&self) -> Result<(), Trouble> {
        if self.given_up.load(Ordering::SeqCst) { Err(Trouble::Stop(self.gave_up())) } else { Ok(()) }
    }

    /// Why a transaction has failed. The library drops its records then and refuses calls, and neither says more than that;
    /// the reason is told to whoever asks for another transaction, which is not begun.
    fn cause(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Repeat(_) | Trouble::Again(_) => match self.producer.begin_transaction() {
                Err(KafkaError::Transaction(cause)) if cause.is_fatal() || cause.txn_requires_abort() => {
                    trouble::sort(KafkaError::Transaction(cause))
                }
                _ => trouble,
            },
            other => other,
        }
    }

    /// The error of a transaction that cannot be made: where a topic is gone, that it is the topic of commits.
    fn explained(&self, error: Error) -> Error {
        let is_gone = error.cause::<KafkaError>().is_some_and(trouble::is_gone);
        if is_gone && topics::is_missing(self.producer.client(), &self.place.topic) {
            return self.commits_gone();
        }
        error
    }

    fn gave_up(&self) -> Error {
        let error = Error::new("gave up waiting for the brokers to decide a commit").at(self.id.clone());
        let error = error.help("the next start finds out what became of it");
        match self.watch.last_trouble() {
            Some(trouble) => error.because(trouble),
            None => error,
        }
    }

    /// Waits a little before the next try, unless the run gives up.
    fn pause(&self, error: &KafkaError, for_what: &str, pause: Duration) -> Result<()> {
        if self.given_up.load(Ordering::SeqCst) {
            return Err(self.gave_up());
        }
        if let Some(error) = self.watch.fatal() {
            return Err(error);
        }
        self.watch.trouble_of(error);
        self.waits(Some(for_what));
        std::thread::sleep(pause);
        Ok(())
    }

    fn waits(&self, for_what: Option<&str>) {
        self.watch.metrics.waiting("transactions", for_what.map(str::to_owned));
    }
}

/// The error of a pipeline whose memory was deleted while it ran.
pub(super) fn commits_gone(topic: &str) -> Error {
    let message = format!(
        "the topic of commits, `{topic}`, was deleted while the pipeline ran: where it stood and what its transforms knew is \
         gone with it"
    );
    Error::new(message).help(
        "what it wrote is still there. `--fresh` makes that topic anew and starts from the beginning; into a topic all \
         records are then sent once more",
    )
}

fn step(name: &'static str) -> Result<(), Trouble> {
    fault::step(name).map_err(Trouble::Stop)
}

fn make(
    config: &ClientConfig,
    watch: &Arc<Watch>,
    reports: &Arc<Reports>,
) -> Result<Arc<ThreadedProducer<Deliveries>>> {
    let context = Deliveries { watch: Arc::clone(watch), reports: Arc::clone(reports) };
    config
        .create_with_context(context)
        .map(Arc::new)
        .map_err(|error| Error::config("cannot create a Kafka producer for transactions").because(error))
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
