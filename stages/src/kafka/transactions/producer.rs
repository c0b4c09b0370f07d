//! The transactional producer of a pipeline's instance: how it is made, replaced, and kept from waiting for ever.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{TopicId, topic_ids};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::Producer;

use super::commit_topic::commits_gone;
use super::error::{self, TransactionError};
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::producer_config::batch_bytes;
use crate::kafka::sender::{DeliveryReports, Sender};
use crate::kafka::topic_partition::TopicPartition;

/// How long one call may take before it is repeated: long enough that most are answered, short enough that a stop is
/// noticed.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// The pauses between two attempts: the first, and the longest.
pub(super) const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
pub(super) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a call is repeated whose error is not known to pass.
const UNKNOWN_ERROR_RETRIES_MAX: u32 = 20;
/// How long a call may exceed its timeout before it counts as one that never returns. The grace doubles with each in a
/// row, for a producer that is left in a call takes memory.
pub(super) const STUCK_GRACE_MIN: Duration = Duration::from_secs(5);
const STUCK_GRACE_MAX: Duration = Duration::from_secs(80);
/// How many replaced producers may still be in a call: each has its threads and connections.
const LAGGING_PRODUCERS_MAX: usize = 8;

/// Keeps the first failure of a transaction: the other records fail because the transaction has failed.
#[derive(Default)]
pub(super) struct FirstFailure {
    is_set: AtomicBool,
    error: Mutex<Option<KafkaError>>,
}

impl FirstFailure {
    pub(super) fn take(&self) -> Option<KafkaError> {
        if !self.is_set.swap(false, Ordering::AcqRel) { None } else { self.error.lock().take() }
    }
}

impl DeliveryReports for FirstFailure {
    type Tag = ();

    fn acknowledged(&self, _: &BorrowedMessage<'_>, (): ()) {}

    fn failed(&self, error: &KafkaError, _: &BorrowedMessage<'_>, (): ()) {
        self.error.lock().get_or_insert_with(|| error.clone());
        self.is_set.store(true, Ordering::Release);
    }

    fn client_error(&self, monitor: &ConnectionMonitor, error: &KafkaError, reason: &str) {
        monitor.transactional_client_error(error, reason);
    }
}

/// A transactional producer.
pub(super) struct TransactionalProducer {
    config: ClientConfig,
    pub(super) id: String,
    pub(super) commit_partition: TopicPartition,
    pub(super) monitor: Arc<ConnectionMonitor>,
    cancellation: CancellationToken,
    pub(super) sender: Arc<Sender<FirstFailure>>,
    /// How many partitions the topics have that are written.
    pub(super) partitions: Arc<HashMap<String, usize>>,
    /// How many bytes a full batch has.
    pub(super) batch_bytes: usize,
    /// How long brokers let a transaction last.
    timeout: Duration,
    /// How long a call may exceed its timeout now.
    pub(super) stuck_grace: Duration,
    /// Replaced producers that still exist, for the library may keep them in a call.
    lagging: Vec<Weak<Sender<FirstFailure>>>,
}

impl TransactionalProducer {
    /// A producer that the brokers do not know yet.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(super) fn new(
        config: ClientConfig,
        id: String,
        (commit_partition, partitions): (TopicPartition, Arc<HashMap<String, usize>>),
        (monitor, cancellation): (&Arc<ConnectionMonitor>, &CancellationToken),
        timeout: Duration,
    ) -> Result<TransactionalProducer> {
        let sender = Arc::new(Sender::new(&config, FirstFailure::default(), monitor, cancellation)?);
        Ok(TransactionalProducer {
            batch_bytes: batch_bytes(&config),
            config,
            id,
            commit_partition,
            partitions,
            monitor: Arc::clone(monitor),
            cancellation: cancellation.clone(),
            sender,
            timeout,
            stuck_grace: STUCK_GRACE_MIN,
            lagging: Vec::new(),
        })
    }

    /// How long brokers let a transaction last.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Registers the transactional id: brokers abort or complete what an earlier process of that id left, and fence a live
    /// one. Returns the reason where the user has no right to transactions.
    ///
    /// # Errors
    /// Where the brokers refuse for another reason, or the run abandons its waits.
    pub(super) fn init(&self) -> Result<Option<KafkaError>> {
        let producer = self.sender.producer();
        // A client that is not connected yet looks for its coordinator only every half second. The first answer comes by the
        // connection to the address that it was given, which it then leaves for one to the broker; the second one waits for that.
        for _ in 0..2 {
            let _ = producer.client().fetch_metadata(Some(self.commit_partition.topic()), CALL_TIMEOUT);
        }
        let failed = || Error::new("cannot begin with transactions").at(self.id.clone());
        let mut unknown_errors = 0;
        loop {
            let Err(error) = producer.init_transactions(CALL_TIMEOUT) else {
                self.monitor.recovered();
                self.report_wait(None);
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
                TransactionError::Refused(reason) | TransactionError::Rebalancing(reason) => {
                    return Err(failed().because(reason));
                }
                TransactionError::Retriable(error)
                | TransactionError::Abortable(error)
                | TransactionError::ProducerLost(error) => return Err(failed().because(error)),
            }
        }
    }

    /// Puts another producer in the place of one that has failed for good.
    ///
    /// # Errors
    /// Where too many are left in calls, or the brokers refuse.
    pub(super) fn reinit(&mut self) -> Result<()> {
        self.lagging.retain(|sender| sender.strong_count() > 0);
        if self.lagging.len() >= LAGGING_PRODUCERS_MAX {
            return Err(Error::new(format!("{LAGGING_PRODUCERS_MAX} producers wait for brokers that say nothing"))
                .at(self.id.clone())
                .help("can this machine connect to every broker by the address that it advertises?"));
        }
        self.sender.mute();
        let sender = Sender::new(&self.config, FirstFailure::default(), &self.monitor, &self.cancellation)?;
        let old = std::mem::replace(&mut self.sender, Arc::new(sender));
        self.lagging.push(Arc::downgrade(&old));
        // Its drop waits for its threads, which may wait for brokers.
        let dropped = std::thread::Builder::new().name("old producer".to_owned()).spawn(move || drop(old));
        dropped.map_err(|error| Error::new("cannot start a thread").because(error))?;
        match self.init()? {
            None => Ok(()),
            Some(error) => Err(Error::new("the user may not use transactions any more").because(error)),
        }
    }

    /// Doubles the grace of a call that does not return.
    pub(super) fn raise_stuck_grace(&mut self) {
        self.stuck_grace = (self.stuck_grace * 2).min(STUCK_GRACE_MAX).min(self.timeout.max(STUCK_GRACE_MIN));
    }

    /// The id of the commit topic, where the brokers tell it.
    pub(super) fn commit_topic_id(&self) -> Option<TopicId> {
        let topic = self.commit_partition.topic();
        topic_ids(self.sender.producer().client(), &[topic], CALL_TIMEOUT).ok()?.remove(topic)
    }

    /// The error of a pipeline whose commit topic was deleted while it ran.
    pub(super) fn commits_gone(&self) -> Error {
        commits_gone(self.commit_partition.topic())
    }

    /// Repeats a call while its error says that this helps.
    pub(super) fn repeat(
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

    pub(super) fn check_abandoned(&self) -> Result<(), TransactionError> {
        if self.sender.is_abandoned() { Err(self.abandoned()) } else { Ok(()) }
    }

    /// The error of a wait that the run has abandoned.
    pub(super) fn abandoned(&self) -> TransactionError {
        TransactionError::Permanent(self.gave_up())
    }

    fn gave_up(&self) -> Error {
        let error = Error::new("gave up waiting for the brokers to decide a commit").at(self.id.clone());
        let error = error.help("the next start finds out what became of it");
        match self.monitor.last_failure() {
            Some(failure) => error.because(failure),
            None => error,
        }
    }

    /// Waits a little before the next attempt.
    ///
    /// # Errors
    /// Where the run abandons its waits, or waiting does not help.
    pub(super) fn pause(&self, error: &KafkaError, what: &str, pause: Duration) -> Result<()> {
        if self.sender.is_abandoned() {
            return Err(self.gave_up());
        }
        if let Some(error) = self.monitor.fatal() {
            return Err(error);
        }
        self.monitor.failed(error);
        self.report_wait(Some(what));
        std::thread::sleep(pause);
        Ok(())
    }

    pub(super) fn report_wait(&self, what: Option<&str>) {
        self.monitor.metrics.waiting(&self.monitor.stage, what.map(str::to_owned));
    }
}
