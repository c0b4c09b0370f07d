//! The at-least-once producer of a sink: all splits share it and its bound of bytes under way, and each counts its own
//! acknowledgements.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection_monitor::ConnectionMonitor;
use super::endpoint::KafkaEndpoint;
use super::producer_config::{limit_batches, record_bytes_max};
use super::sender::{DeliveryReports, Sender};

/// The most bytes under way: enough to keep brokers busy, and little beside a batch.
const IN_FLIGHT_BYTES_MAX: u64 = 8 << 20;

/// The bytes under way.
#[derive(Default)]
pub(crate) struct InFlightWindow {
    bytes: AtomicU64,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    moved: Condvar,
}

impl InFlightWindow {
    fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.moved.notify_all();
        }
    }

    /// Counts the report of a record.
    fn settle(&self, message: &BorrowedMessage<'_>, tally: &DeliveryTally) {
        // The count first: a thread that the window wakes looks at it.
        tally.settled.fetch_add(1, Ordering::Release);
        self.release(size(message.key(), message.payload()));
    }
}

impl DeliveryReports for InFlightWindow {
    type Tag = Arc<DeliveryTally>;

    fn acknowledged(&self, message: &BorrowedMessage<'_>, tally: Arc<DeliveryTally>) {
        self.settle(message, &tally);
    }

    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, tally: Arc<DeliveryTally>) {
        tally.failure.lock().get_or_insert_with(|| error.clone());
        tally.failed.store(true, Ordering::Release);
        self.settle(message, &tally);
    }

    fn wait(&self, at_most: Duration) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut lock = self.lock.lock();
        self.moved.wait_for(&mut lock, at_most);
        drop(lock);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The reports about the records of one split.
#[derive(Default)]
pub(crate) struct DeliveryTally {
    settled: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<KafkaError>>,
}

fn size(key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
    (key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len)) as u64
}

/// The producer of a sink, which all its splits share.
pub(crate) struct ProducerHandle {
    sender: Sender<InFlightWindow>,
    topic: String,
    endpoint: KafkaEndpoint,
    /// The most bytes that key, value and headers of a record may have together.
    record_bytes_max: usize,
}

impl fmt::Debug for ProducerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProducerHandle({})", self.topic)
    }
}

impl ProducerHandle {
    /// A producer for `topic`, which takes batches of at most `batch_bytes_max` bytes where that is known.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(crate) fn new(
        mut config: ClientConfig,
        (topic, batch_bytes_max): (&str, Option<usize>),
        endpoint: &KafkaEndpoint,
        (monitor, cancellation): (&Arc<ConnectionMonitor>, &CancellationToken),
    ) -> Result<ProducerHandle> {
        // A record is never dropped because it waited too long.
        config.set("message.timeout.ms", "0");
        limit_batches(&mut config, batch_bytes_max.into_iter());
        Ok(ProducerHandle {
            sender: Sender::new(&config, InFlightWindow::default(), monitor, cancellation)?,
            topic: topic.to_owned(),
            endpoint: endpoint.clone(),
            record_bytes_max: record_bytes_max(&config, batch_bytes_max),
        })
    }

    /// Waits until everything is acknowledged. Records that are not by then are dropped, and writers that still wait fail.
    ///
    /// # Errors
    /// Where records were dropped.
    pub(crate) fn close(&self, until: Instant) -> Result<()> {
        let producer = self.sender.producer();
        while producer.in_flight_count() > 0 && Instant::now() < until && !self.sender.is_abandoned() {
            producer.flush_for(Duration::from_millis(1));
        }
        self.sender.abandon();
        match producer.in_flight_count() {
            0 => Ok(()),
            left => {
                producer.purge(PurgeConfig::default().queue().inflight());
                Err(self.error(format!("{left} records were not acknowledged in time")))
            }
        }
    }

    fn error(&self, message: String) -> Error {
        let error = Error::new(message).at(format!("topic {}", self.topic));
        match self.sender.monitor().last_failure() {
            Some(failure) => error.because(failure),
            None => error,
        }
    }

    fn abandoned(&self) -> Error {
        self.error("gave up waiting for the brokers".to_owned())
    }
}

/// The outcome of sending a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// It is under way.
    Sent,
    /// It is larger than the client or the topic takes.
    TooLarge,
}

/// A split's use of a [`ProducerHandle`].
pub(crate) struct SplitProducer {
    producer: Arc<ProducerHandle>,
    tally: Arc<DeliveryTally>,
    sent: u64,
}

impl SplitProducer {
    pub(crate) fn new(producer: Arc<ProducerHandle>) -> SplitProducer {
        SplitProducer { producer, tally: Arc::default(), sent: 0 }
    }

    /// The most bytes that key, value and headers of a record may have together.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.producer.record_bytes_max
    }

    /// Sends a record; waits while too many bytes are under way.
    ///
    /// # Errors
    /// Where it, or an earlier one of this split, cannot be sent.
    pub(crate) fn send(
        &mut self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<SendOutcome> {
        let bytes = size(key, payload);
        if bytes as usize > self.record_bytes_max() {
            return Ok(SendOutcome::TooLarge);
        }
        self.wait_for_room(bytes)?;
        let producer = &*self.producer;
        let window = producer.sender.reports();
        let mut record = BaseRecord::with_opaque_to(&producer.topic, Arc::clone(&self.tally));
        (record.key, record.payload, record.headers) = (key, payload, headers);
        // Before it is sent: it may be acknowledged before `send` returns.
        window.bytes.fetch_add(bytes, Ordering::SeqCst);
        let mut wait = producer.sender.wait("room in the producer's queue");
        let pause = || self.failed().and_then(|()| wait.pause().map_err(|_| producer.abandoned()));
        let sent = producer.sender.send(record, pause);
        if !matches!(sent, Ok(Ok(()))) {
            window.release(bytes);
        }
        match sent? {
            Ok(()) => {}
            Err(KafkaError::MessageProduction(Code::MessageSizeTooLarge)) => return Ok(SendOutcome::TooLarge),
            Err(other) => return Err(self.explained(&other)),
        }
        self.sent += 1;
        producer.sender.monitor().metrics.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        Ok(SendOutcome::Sent)
    }

    fn wait_for_room(&self, bytes: u64) -> Result<()> {
        self.failed()?;
        let producer = &*self.producer;
        let is_cancelled = || producer.sender.is_abandoned() || self.tally.failed.load(Ordering::Acquire);
        if !producer.endpoint.wait_for_readers(&producer.topic, bytes, &is_cancelled) {
            self.failed()?;
            return Err(producer.error("gave up waiting for the readers of the embedded broker".to_owned()));
        }
        let mut wait = producer.sender.wait("the brokers to acknowledge records");
        while producer.sender.reports().bytes.load(Ordering::SeqCst) > IN_FLIGHT_BYTES_MAX {
            self.failed()?;
            wait.pause().map_err(|_| producer.abandoned())?;
        }
        Ok(())
    }

    /// Waits until everything sent so far is acknowledged.
    ///
    /// # Errors
    /// Where a record was refused, or the run has abandoned its waits.
    pub(crate) fn drain(&self) -> Result<()> {
        let producer = &*self.producer;
        let begin = || producer.sender.wait("the brokers to acknowledge records");
        let mut wait = begin();
        loop {
            // The count before the failure: a refused record is counted after its failure is kept.
            let settled = self.tally.settled.load(Ordering::Acquire);
            self.failed()?;
            if settled == self.sent {
                return Ok(());
            }
            wait.flush().map_err(|_| producer.abandoned())?;
            if self.tally.settled.load(Ordering::Acquire) != settled {
                wait = begin();
            }
        }
    }

    fn failed(&self) -> Result<()> {
        if !self.tally.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.tally.failure.lock().clone();
        Err(match failure {
            Some(error) => self.explained(&error),
            None => Error::bug("a delivery failed for no reason"),
        })
    }

    fn explained(&self, error: &KafkaError) -> Error {
        let producer = &*self.producer;
        let reason = match error.rdkafka_error_code() {
            Some(Code::Fatal) => match producer.sender.producer().client().fatal_error() {
                Some((_, reason)) => reason,
                None => error.to_string(),
            },
            Some(Code::PurgeQueue | Code::PurgeInflight) => "gave up waiting for the brokers".to_owned(),
            Some(code) => code.to_string(),
            None => error.to_string(),
        };
        let help = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => "raise `max.message.bytes` of the topic, or lower `batch_bytes`",
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                "the user needs the right to write to the topic"
            }
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
                "the topic is gone: was it deleted while the pipeline ran?"
            }
            _ => "nothing was acknowledged that is not there; the next run sends it again",
        };
        Error::new("a record could not be sent").at(format!("topic {}", producer.topic)).because(reason).help(help)
    }
}
