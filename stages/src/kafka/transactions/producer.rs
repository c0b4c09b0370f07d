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

use super::commit_topic::commits_gone;
use super::error::{self, TransactionError};
use super::group_fence::GroupFence;
use super::metadata_records::MetadataRecord;
use super::record_buffer::RecordBuffer;
use super::timed_call::call_within;
use crate::kafka::client::ConnectionMonitor;
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::topics;

/// How long one call may take before it is made again: long enough that most are answered, short enough that a stop
/// is noticed.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// The pauses between two tries of a transaction: the first, and the longest.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a call is repeated whose error is none of those that pass.
const UNKNOWN_ERROR_RETRIES_MAX: u32 = 20;
/// How often a transaction is made again that brokers refuse for a reason that does not pass.
const ATTEMPTS_MAX: u32 = 5;
/// The pause between two looks whether everything is acknowledged: less than a round trip, so that it costs little.
const ACK_POLL_INTERVAL: Duration = Duration::from_micros(400);
/// How long a call may take beyond the time that it was given before it is taken for one that never returns. Twice as
/// long after each in a row, for what is left behind takes memory.
const STUCK_GRACE_MIN: Duration = Duration::from_secs(5);
const STUCK_GRACE_MAX: Duration = Duration::from_secs(80);
/// How many producers may be left behind at a time: each has its threads and connections.
const LAGGING_PRODUCERS_MAX: usize = 8;

/// Listens to the producer.
pub(super) struct Deliveries {
    monitor: Arc<ConnectionMonitor>,
    reports: Arc<Reports>,
}

/// What a producer reports beside the answers to calls.
#[derive(Default)]
struct Reports {
    is_set: AtomicBool,
    /// Why the first record of a transaction was not acknowledged.
    error: Mutex<Option<KafkaError>>,
    /// Whether another producer has taken this one's place: what it still has to say is of the past.
    is_replaced: AtomicBool,
}

impl Reports {
    fn take_failure(&self) -> Option<KafkaError> {
        if !self.is_set.swap(false, Ordering::AcqRel) { None } else { self.error.lock().take() }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if !self.reports.is_replaced.load(Ordering::Acquire) {
            self.monitor.log_line(level, facility, message);
        }
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if !self.reports.is_replaced.load(Ordering::Acquire) {
            self.monitor.transactional_client_error(&error, reason);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            _ if self.reports.is_replaced.load(Ordering::Acquire) => {}
            Ok(_) => self.monitor.recovered(),
            Err((error, _)) => {
                // The first is the cause: others fail because the transaction has failed.
                self.reports.error.lock().get_or_insert_with(|| error.clone());
                self.reports.is_set.store(true, Ordering::Release);
            }
        }
    }
}

/// What one transaction holds.
pub(super) struct TransactionContents<'a> {
    pub(super) buffers: Vec<&'a RecordBuffer>,
    pub(super) metadata: Vec<MetadataRecord>,
    pub(super) offsets: Option<(TopicPartitionList, Arc<GroupFence>)>,
}

/// What came of a try.
pub(super) enum Attempt {
    Decided(Decision),
    /// The producer has to be replaced, and the outcome of the transaction is not known.
    Unknown(KafkaError),
}

/// A transactional producer.
pub(super) struct TransactionalProducer {
    config: ClientConfig,
    pub(super) id: String,
    commit_partition: TopicPartition,
    pub(super) monitor: Arc<ConnectionMonitor>,
    is_abandoned: Arc<AtomicBool>,
    reports: Arc<Reports>,
    producer: Arc<ThreadedProducer<Deliveries>>,
    /// How long brokers let a transaction last.
    timeout: Duration,
    /// How long a call may take beyond its time now.
    stuck_grace: Duration,
    /// Producers whose place was taken and that are not gone: the library may keep them in a call.
    lagging: Vec<Weak<ThreadedProducer<Deliveries>>>,
}

impl TransactionalProducer {
    /// One that is not known to the brokers yet.
    pub(super) fn new(
        config: ClientConfig,
        id: String,
        commit_partition: TopicPartition,
        (monitor, is_abandoned): (&Arc<ConnectionMonitor>, &Arc<AtomicBool>),
        timeout: Duration,
    ) -> Result<TransactionalProducer> {
        let reports = Arc::new(Reports::default());
        let producer = make(&config, monitor, &reports)?;
        let (monitor, is_abandoned) = (Arc::clone(monitor), Arc::clone(is_abandoned));
        Ok(TransactionalProducer {
            config,
            id,
            commit_partition,
            monitor,
            is_abandoned,
            reports,
            producer,
            timeout,
            stuck_grace: STUCK_GRACE_MIN,
            lagging: Vec::new(),
        })
    }

    /// Makes itself known: what a process of this name left is settled, and a live one decides nothing any more.
    /// `None` where the user has no right to transactions, with the reason.
    pub(super) fn init(&self) -> Result<Option<KafkaError>> {
        // A client that is not connected yet looks for its coordinator only every half second.
        let _ = self.producer.client().fetch_metadata(Some(&self.commit_partition.topic()), CALL_TIMEOUT);
        let mut unknown_errors = 0;
        loop {
            let Err(error) = self.producer.init_transactions(CALL_TIMEOUT) else {
                self.monitor.recovered();
                self.waits(None);
                return Ok(None);
            };
            if error::is_unauthorized(&error) {
                return Ok(Some(error));
            }
            match error::classify(error) {
                TransactionError::Retriable(error)
                    if error::is_retriable(&error) || unknown_errors < UNKNOWN_ERROR_RETRIES_MAX =>
                {
                    unknown_errors += u32::from(!error::is_retriable(&error));
                    self.pause(&error, "the brokers to take this process for transactions", RETRY_PAUSE_MIN)?;
                }
                TransactionError::Permanent(error) => return Err(error.at(self.id.clone())),
                TransactionError::Retriable(error)
                | TransactionError::Abortable(error)
                | TransactionError::ProducerLost(error) => {
                    return Err(Error::new("cannot begin with transactions").at(self.id.clone()).because(error));
                }
                TransactionError::Refused(reason) => {
                    return Err(Error::new("cannot begin with transactions").at(self.id.clone()).because(reason));
                }
            }
        }
    }

    /// The id of the topic of commits, where the brokers tell it.
    pub(super) fn commit_topic_id(&self) -> Option<TopicId> {
        let topic = &*self.commit_partition.topic();
        topic_ids(self.producer.client(), &[topic], CALL_TIMEOUT).ok()?.remove(topic)
    }

    /// The error of a pipeline whose notes were deleted while it ran.
    pub(super) fn commits_gone(&self) -> Error {
        commits_gone(&self.commit_partition.topic())
    }

    /// Another producer in place of one that has become useless.
    pub(super) fn reinit(&mut self) -> Result<()> {
        self.lagging.retain(|producer| producer.strong_count() > 0);
        if self.lagging.len() >= LAGGING_PRODUCERS_MAX {
            return Err(Error::new(format!("{LAGGING_PRODUCERS_MAX} producers wait for brokers that say nothing"))
                .at(self.id.clone())
                .help("can this machine connect to every broker by the address that it advertises?"));
        }
        self.reports.is_replaced.store(true, Ordering::Release);
        self.reports = Arc::new(Reports::default());
        let old = std::mem::replace(&mut self.producer, make(&self.config, &self.monitor, &self.reports)?);
        self.lagging.push(Arc::downgrade(&old));
        // Its end waits for its threads, which may wait for brokers.
        let end = std::thread::Builder::new().name("old producer".to_owned()).spawn(move || drop(old));
        end.map_err(|error| Error::new("cannot start a thread").because(error))?;
        match self.init()? {
            None => Ok(()),
            Some(error) => Err(Error::new("the user may not use transactions any more").because(error)),
        }
    }

    /// Repeats a transaction until it is decided. `before_abort` is asked before each abort.
    pub(super) fn decide(
        &mut self,
        contents: &TransactionContents<'_>,
        before_abort: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Attempt> {
        let mut pause = RETRY_PAUSE_MIN;
        let mut unknown_errors = 0;
        loop {
            self.reports.take_failure();
            let error = match self.attempt(contents) {
                Ok(()) => {
                    self.monitor.recovered();
                    self.waits(None);
                    self.stuck_grace = STUCK_GRACE_MIN;
                    return Ok(Attempt::Decided(Decision::Committed));
                }
                Err(error) => self.cause(error),
            };
            match error {
                TransactionError::ProducerLost(error) => {
                    if error::is_no_answer(&error) {
                        self.stuck_grace =
                            (self.stuck_grace * 2).min(STUCK_GRACE_MAX).min(self.timeout.max(STUCK_GRACE_MIN));
                    }
                    return Ok(Attempt::Unknown(error));
                }
                // A commit may be under way: what became of it is found out by the next start.
                TransactionError::Permanent(error) if self.is_abandoned.load(Ordering::SeqCst) => return Err(error),
                TransactionError::Permanent(error) => {
                    before_abort()?;
                    // The next start undoes it in any case; until then nobody waits for it.
                    let _ = self.abort();
                    return Err(self.explained(error).at(self.id.clone()));
                }
                TransactionError::Refused(reason) => {
                    before_abort()?;
                    if let Some(error) = self.abort()? {
                        // Nothing of it was decided: the refusal came before the commit.
                        tracing::debug!("a refused transaction could not be aborted: {error}");
                        self.reinit()?;
                    }
                    return Ok(Attempt::Decided(Decision::Refused { reason }));
                }
                TransactionError::Retriable(error) | TransactionError::Abortable(error) => {
                    before_abort()?;
                    if let Some(error) = self.abort()? {
                        return Ok(Attempt::Unknown(error));
                    }
                    if !error::is_retriable(&error) {
                        unknown_errors += 1;
                        if unknown_errors >= ATTEMPTS_MAX {
                            let error = Error::new("the brokers do not take a transaction").because(error);
                            return Err(error.at(self.id.clone()).help(
                                "is there a record that the topic refuses, such as one without a key in a compacted topic?",
                            ));
                        }
                    }
                    self.pause(&error, "the brokers to take a transaction", pause)?;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
            }
        }
    }

    fn attempt(&self, contents: &TransactionContents<'_>) -> Result<(), TransactionError> {
        self.producer.begin_transaction().map_err(error::classify)?;
        step("decide.begun")?;
        for record_buffer in &contents.buffers {
            for buffered in record_buffer.records() {
                let mut record = BaseRecord::to(&record_buffer.topic);
                (record.key, record.payload, record.headers) =
                    (buffered.key, buffered.value, buffered.headers.cloned());
                self.send(record)?;
            }
        }
        for (key, value) in &contents.metadata {
            let mut record = BaseRecord::to(&self.commit_partition.topic())
                .partition(self.commit_partition.partition())
                .key(key.as_bytes());
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
        self.repeat("the brokers to commit", || self.producer.commit_transaction(CALL_TIMEOUT).map_err(error::classify))
    }

    fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), TransactionError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    self.check_abandoned()?;
                    std::thread::sleep(ACK_POLL_INTERVAL);
                }
                Err((error, _)) => {
                    // Why it is refused is told by the record that failed first.
                    return Err(error::classify_delivery(self.reports.take_failure().unwrap_or(error)));
                }
            }
        }
    }

    /// Adds the offsets of the group.
    ///
    /// The library bounds this call by no time while it looks for the group's coordinator (`rd_kafka_coord_req` keeps a
    /// time that it never looks at), and where the coordinator moves at the wrong moment, it looks for ever. So a thread
    /// of its own makes the call. One that does not come back is left behind, with its producer.
    fn send_offsets(&self, offsets: &TopicPartitionList, fence: &Arc<GroupFence>) -> Result<(), TransactionError> {
        let (producer, offsets, group) = (Arc::clone(&self.producer), offsets.clone(), Arc::clone(fence));
        let call = move || producer.send_offsets_to_transaction(&offsets, &group.0, CALL_TIMEOUT);
        let check_abandoned = || {
            self.waits(Some("the group to take offsets"));
            self.check_abandoned()
        };
        match call_within(CALL_TIMEOUT + self.stuck_grace, check_abandoned, call)? {
            Some(result) => result.map_err(error::classify),
            None => Err(self.no_answer("offsets were neither taken nor refused")),
        }
    }

    /// Waits until everything is acknowledged.
    fn drain(&self) -> Result<(), TransactionError> {
        let since = Instant::now();
        loop {
            let left = self.producer.in_flight_count();
            if let Some(error) = self.reports.take_failure() {
                return Err(error::classify_delivery(error));
            }
            if left == 0 {
                return Ok(());
            }
            self.check_abandoned()?;
            let waited = since.elapsed();
            if waited > self.timeout + STUCK_GRACE_MIN {
                // Each record should have timed out before.
                return Err(self.no_answer("records were neither acknowledged nor given up"));
            }
            if waited > CALL_TIMEOUT {
                self.waits(Some("the brokers to acknowledge records"));
            }
            std::thread::sleep(if waited < CALL_TIMEOUT { ACK_POLL_INTERVAL } else { RETRY_PAUSE_MIN });
        }
    }

    /// Repeats a call while its error says that this is right.
    fn repeat(
        &self,
        what: &str,
        mut call: impl FnMut() -> Result<(), TransactionError>,
    ) -> Result<(), TransactionError> {
        let mut unknown_errors = 0;
        loop {
            match call() {
                Err(TransactionError::Retriable(error)) => {
                    if !error::is_retriable(&error) {
                        unknown_errors += 1;
                        if unknown_errors > UNKNOWN_ERROR_RETRIES_MAX {
                            return Err(TransactionError::ProducerLost(error));
                        }
                    }
                    self.pause(&error, what, RETRY_PAUSE_MIN).map_err(TransactionError::Permanent)?;
                }
                done => return done,
            }
        }
    }

    /// Undoes the transaction. Returns the error of a producer that cannot.
    fn abort(&self) -> Result<Option<KafkaError>> {
        let abort = || self.producer.abort_transaction(CALL_TIMEOUT).map_err(error::classify);
        match self.repeat("the brokers to abort a transaction", abort) {
            Ok(()) => Ok(None),
            Err(
                TransactionError::Retriable(error)
                | TransactionError::Abortable(error)
                | TransactionError::ProducerLost(error),
            ) => Ok(Some(error)),
            Err(TransactionError::Permanent(error)) => Err(error),
            Err(TransactionError::Refused(reason)) => {
                Err(Error::new("a transaction cannot be aborted").because(reason))
            }
        }
    }

    /// The library neither does what it was asked for nor says why not.
    fn no_answer(&self, what: &str) -> TransactionError {
        self.monitor.failure(what);
        TransactionError::ProducerLost(error::NO_ANSWER)
    }

    fn check_abandoned(&self) -> Result<(), TransactionError> {
        if self.is_abandoned.load(Ordering::SeqCst) { Err(TransactionError::Permanent(self.gave_up())) } else { Ok(()) }
    }

    /// Why a transaction has failed. The library drops its records then and refuses calls, and neither says more than that;
    /// the reason is told to whoever asks for another transaction, which is not begun.
    fn cause(&self, error: TransactionError) -> TransactionError {
        match error {
            TransactionError::Retriable(_) | TransactionError::Abortable(_) => {
                match self.producer.begin_transaction() {
                    Err(KafkaError::Transaction(cause)) if cause.is_fatal() || cause.txn_requires_abort() => {
                        error::classify(KafkaError::Transaction(cause))
                    }
                    _ => error,
                }
            }
            other => other,
        }
    }

    /// The error of a transaction that cannot be made: where a topic is gone, that it is the topic of commits.
    fn explained(&self, error: Error) -> Error {
        let is_gone = error.cause::<KafkaError>().is_some_and(error::is_gone);
        if is_gone && topics::is_missing(self.producer.client(), &self.commit_partition.topic()) {
            return self.commits_gone();
        }
        error
    }

    fn gave_up(&self) -> Error {
        let error = Error::new("gave up waiting for the brokers to decide a commit").at(self.id.clone());
        let error = error.help("the next start finds out what became of it");
        match self.monitor.last_failure() {
            Some(failure) => error.because(failure),
            None => error,
        }
    }

    /// Waits a little before the next try, unless the run gives up.
    fn pause(&self, error: &KafkaError, for_what: &str, pause: Duration) -> Result<()> {
        if self.is_abandoned.load(Ordering::SeqCst) {
            return Err(self.gave_up());
        }
        if let Some(error) = self.monitor.fatal() {
            return Err(error);
        }
        self.monitor.failed(error);
        self.waits(Some(for_what));
        std::thread::sleep(pause);
        Ok(())
    }

    fn waits(&self, for_what: Option<&str>) {
        self.monitor.metrics.waiting("transactions", for_what.map(str::to_owned));
    }
}

fn step(name: &'static str) -> Result<(), TransactionError> {
    fault::step(name).map_err(TransactionError::Permanent)
}

fn make(
    config: &ClientConfig,
    monitor: &Arc<ConnectionMonitor>,
    reports: &Arc<Reports>,
) -> Result<Arc<ThreadedProducer<Deliveries>>> {
    let context = Deliveries { monitor: Arc::clone(monitor), reports: Arc::clone(reports) };
    config
        .create_with_context(context)
        .map(Arc::new)
        .map_err(|error| Error::config("cannot create a Kafka producer for transactions").because(error))
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
