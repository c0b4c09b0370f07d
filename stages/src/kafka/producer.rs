//! What the Kafka sink and the Kafka dead letter send through: one producer, a window of bytes under way, and for each
//! split a count of what the brokers have acknowledged.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, ClientContext, Message, Statistics};

use super::EmbeddedBroker;
use super::client::ConnectionMonitor;

/// How many bytes may be under way: enough to keep brokers busy, and little beside what a batch is.
const IN_FLIGHT_BYTES_MAX: u64 = 8 << 20;
/// What a record needs in a batch of its own besides key, value and headers, at most.
pub(crate) const RECORD_FRAMING_BYTES: usize = 128;
/// How long nothing may be acknowledged before that is worth a word.
const WAIT_REPORT_DELAY: Duration = Duration::from_secs(5);

/// The bytes under way.
#[derive(Default)]
struct InFlightWindow {
    bytes: AtomicU64,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    moved: Condvar,
}

impl InFlightWindow {
    /// Waits until something was acknowledged, or a little while.
    fn wait(&self, at_most: Duration) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut lock = self.lock.lock();
        self.moved.wait_for(&mut lock, at_most);
        drop(lock);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.moved.notify_all();
        }
    }
}

/// What became of one split's records.
#[derive(Default)]
pub(crate) struct DeliveryTally {
    settled: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<KafkaError>>,
}

/// Listens to the producer.
pub(crate) struct Deliveries {
    monitor: Arc<ConnectionMonitor>,
    window: Arc<InFlightWindow>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.monitor.log_line(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.monitor.client_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<DeliveryTally>;

    fn delivery(&self, result: &DeliveryResult<'_>, tally: Arc<DeliveryTally>) {
        let message = match result {
            Ok(message) => {
                self.monitor.recovered();
                message
            }
            Err((error, message)) => {
                tally.failure.lock().get_or_insert_with(|| error.clone());
                tally.failed.store(true, Ordering::Release);
                message
            }
        };
        // The count first: whoever is woken by the window looks at it.
        tally.settled.fetch_add(1, Ordering::Release);
        self.window.release(size(message.key(), message.payload()));
    }
}

fn size(key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
    (key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len)) as u64
}

/// A producer and what is under way through it.
pub(crate) struct ProducerHandle {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
    window: Arc<InFlightWindow>,
    monitor: Arc<ConnectionMonitor>,
    embedded: Option<Arc<EmbeddedBroker>>,
    largest: usize,
    is_abandoned: Arc<AtomicBool>,
}

impl fmt::Debug for ProducerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProducerHandle({})", self.topic)
    }
}

/// librdkafka's default of `message.max.bytes`.
pub(crate) const REQUEST_BYTES_DEFAULT: usize = 1_000_000;

/// What every producer of ours is set to, before the stage's own properties.
pub(crate) fn defaults(config: &mut ClientConfig) {
    // A record is never dropped because it waited too long, and its key decides its partition as with Java clients.
    config.set("message.timeout.ms", "0");
    config.set("partitioner", "murmur2_random");
    // Bytes are counted here, so records need not be counted there.
    config.set("queue.buffering.max.messages", "0");
}

/// What a stage with an outbox does not let others set.
pub(crate) const RESERVED_PROPERTIES: &[super::properties::ReservedProperty] = &[
    ("message.timeout.ms", "a record is never given up; stop the pipeline instead"),
    ("delivery.report.only.error", "every acknowledgement is counted"),
    ("enable.gapless.guarantee", "a record that cannot be sent stops the pipeline"),
    ("transactional.id", "it follows from the pipeline's `name` and `instance`"),
    ("transaction.timeout.ms", "set `transactions = { timeout_secs = … }`"),
];

impl ProducerHandle {
    /// A producer for `topic`, which takes batches of at most `largest_batch` bytes where that is known.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(crate) fn new(
        mut config: ClientConfig,
        topic: &str,
        largest_batch: Option<usize>,
        monitor: Arc<ConnectionMonitor>,
        embedded: Option<Arc<EmbeddedBroker>>,
        is_abandoned: Arc<AtomicBool>,
    ) -> Result<ProducerHandle> {
        let number =
            |name: &str, default: usize| config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let request = number("message.max.bytes", REQUEST_BYTES_DEFAULT);
        let batch = number("batch.size", 1_000_000);
        let largest = request.min(largest_batch.unwrap_or(usize::MAX));
        if largest_batch.is_some_and(|largest| largest < batch) {
            // A batch that the topic refuses fails all its records, the small ones too.
            config.set("batch.size", largest.to_string());
        }
        let window = Arc::new(InFlightWindow::default());
        let context = Deliveries { monitor: Arc::clone(&monitor), window: Arc::clone(&window) };
        let producer = config
            .create_with_context(context)
            .map_err(|error| Error::config("cannot create a Kafka producer").because(error))?;
        let topic = topic.to_owned();
        Ok(ProducerHandle { producer, topic, window, monitor, embedded, largest, is_abandoned })
    }

    /// The most bytes that key, value and headers of a record may have together.
    pub(crate) fn largest(&self) -> usize {
        self.largest.saturating_sub(RECORD_FRAMING_BYTES)
    }

    /// Waits until everything is acknowledged. What is not by then is given up, and writers that still wait fail.
    ///
    /// # Errors
    /// Where something was given up.
    pub(crate) fn close(&self, until: Instant) -> Result<()> {
        while self.producer.in_flight_count() > 0 && Instant::now() < until {
            self.flush_hint();
            self.window.wait(Duration::from_millis(1));
        }
        self.is_abandoned.store(true, Ordering::SeqCst);
        match self.producer.in_flight_count() {
            0 => Ok(()),
            left => {
                self.producer.purge(PurgeConfig::default().queue().inflight());
                Err(self.error(format!("{left} records were not acknowledged in time")))
            }
        }
    }

    fn error(&self, message: String) -> Error {
        let error = Error::new(message).at(format!("topic {}", self.topic));
        match self.monitor.last_failure() {
            Some(trouble) => error.because(trouble),
            None => error,
        }
    }

    /// Sends what waits for its batch to fill.
    fn flush_hint(&self) {
        // It reports that records are still under way, which is known.
        let _ = self.producer.flush(Duration::ZERO);
    }
}

/// What became of a record that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// It is under way.
    Sent,
    /// It is larger than what the client or the topic takes.
    TooLarge,
}

/// A split's share of an [`ProducerHandle`].
pub(crate) struct SplitProducer {
    producer: Arc<ProducerHandle>,
    tally: Arc<DeliveryTally>,
    sent: u64,
}

impl SplitProducer {
    pub(crate) fn new(producer: Arc<ProducerHandle>) -> SplitProducer {
        SplitProducer { producer, tally: Arc::default(), sent: 0 }
    }

    pub(crate) fn producer(&self) -> &ProducerHandle {
        &self.producer
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
        if bytes as usize > self.producer.largest() {
            return Ok(SendOutcome::TooLarge);
        }
        self.wait_for_room(bytes)?;
        let mut record = BaseRecord::with_opaque_to(&self.producer.topic, Arc::clone(&self.tally));
        record.key = key;
        record.payload = payload;
        record.headers = headers;
        // Before it is sent: it may be acknowledged before `send` returns.
        self.producer.window.bytes.fetch_add(bytes, Ordering::SeqCst);
        let mut wait = SendWait::new(&self.producer);
        loop {
            match self.producer.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    if let Err(error) = self.failed().and_then(|()| wait.wait("room in the producer's queue")) {
                        self.producer.window.release(bytes);
                        return Err(error);
                    }
                }
                Err((error, _)) => {
                    self.producer.window.release(bytes);
                    return match error {
                        KafkaError::MessageProduction(Code::MessageSizeTooLarge) => Ok(SendOutcome::TooLarge),
                        other => Err(self.why(&other)),
                    };
                }
            }
        }
        self.sent += 1;
        Ok(SendOutcome::Sent)
    }

    fn wait_for_room(&self, bytes: u64) -> Result<()> {
        self.failed()?;
        let producer = &*self.producer;
        let cancelled = || producer.is_abandoned.load(Ordering::SeqCst) || self.tally.failed.load(Ordering::Acquire);
        if let Some(embedded) = &producer.embedded
            && !embedded.flow_control.send(&producer.topic, bytes, &cancelled)
        {
            self.failed()?;
            return Err(producer.error("gave up waiting for the readers of the embedded broker".to_owned()));
        }
        let mut wait = SendWait::new(producer);
        while producer.window.bytes.load(Ordering::SeqCst) > IN_FLIGHT_BYTES_MAX {
            self.failed()?;
            wait.wait("the brokers to acknowledge records")?;
        }
        Ok(())
    }

    /// Waits until everything sent so far is acknowledged.
    ///
    /// # Errors
    /// Where a record was refused, or was given up.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut wait = SendWait::new(&self.producer);
        loop {
            // The count before the failure: a refused record is counted after its failure is noted.
            let settled = self.tally.settled.load(Ordering::Acquire);
            self.failed()?;
            if settled == self.sent {
                return Ok(());
            }
            self.producer.flush_hint();
            if self.tally.settled.load(Ordering::Acquire) == settled {
                wait.wait("the brokers to acknowledge records")?;
            } else {
                wait = SendWait::new(&self.producer);
            }
        }
    }

    fn failed(&self) -> Result<()> {
        if !self.tally.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.tally.failure.lock().clone();
        Err(match failure {
            Some(error) => self.why(&error),
            None => Error::bug("a delivery failed for no reason"),
        })
    }

    fn why(&self, error: &KafkaError) -> Error {
        let reason = match error.rdkafka_error_code() {
            Some(Code::Fatal) => match self.producer.producer.client().fatal_error() {
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
        Error::new("a record could not be sent").at(format!("topic {}", self.producer.topic)).because(reason).help(help)
    }
}

/// Waiting for brokers: short at first, longer when nothing happens, said aloud when it takes long, and ended when
/// the run gives up.
struct SendWait<'a> {
    producer: &'a ProducerHandle,
    since: Instant,
    told: bool,
}

impl<'a> SendWait<'a> {
    fn new(producer: &'a ProducerHandle) -> SendWait<'a> {
        SendWait { producer, since: Instant::now(), told: false }
    }

    fn wait(&mut self, for_what: &str) -> Result<()> {
        if self.producer.is_abandoned.load(Ordering::SeqCst) {
            return Err(self.producer.error("gave up waiting for the brokers".to_owned()));
        }
        let waited = self.since.elapsed();
        if waited >= WAIT_REPORT_DELAY && !self.told {
            let monitor = &self.producer.monitor;
            monitor.metrics.waiting(&monitor.stage, Some(for_what.to_owned()));
            self.told = true;
        }
        let pause =
            if waited < Duration::from_millis(100) { Duration::from_micros(500) } else { Duration::from_millis(20) };
        self.producer.window.wait(pause);
        Ok(())
    }
}

impl Drop for SendWait<'_> {
    fn drop(&mut self) {
        if self.told {
            let monitor = &self.producer.monitor;
            monitor.metrics.waiting(&monitor.stage, None);
        }
    }
}
