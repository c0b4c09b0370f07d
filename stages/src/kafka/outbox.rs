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

use super::Embedded;
use super::client::Watch;

/// How many bytes may be under way: enough to keep brokers busy, and little beside what a batch is.
const WINDOW: u64 = 8 << 20;
/// What a record needs in a batch of its own besides key, value and headers, at most.
pub(crate) const FRAMING: usize = 128;
/// How long nothing may be acknowledged before that is worth a word.
const QUIET: Duration = Duration::from_secs(5);

/// The bytes under way.
#[derive(Default)]
struct Window {
    bytes: AtomicU64,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    moved: Condvar,
}

impl Window {
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
pub(crate) struct Tally {
    settled: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<KafkaError>>,
}

/// Listens to the producer.
pub(crate) struct Deliveries {
    watch: Arc<Watch>,
    window: Arc<Window>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watch.line(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.heard(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Tally>;

    fn delivery(&self, result: &DeliveryResult<'_>, tally: Arc<Tally>) {
        let message = match result {
            Ok(message) => {
                self.watch.fine();
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
pub(crate) struct Outbox {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
    window: Arc<Window>,
    watch: Arc<Watch>,
    embedded: Option<Arc<Embedded>>,
    largest: usize,
    given_up: Arc<AtomicBool>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({})", self.topic)
    }
}

/// librdkafka's default of `message.max.bytes`.
pub(crate) const LARGEST: usize = 1_000_000;

/// What every producer of ours is set to, before the stage's own properties.
pub(crate) fn defaults(config: &mut ClientConfig) {
    // A record is never dropped because it waited too long, and its key decides its partition as with Java clients.
    config.set("message.timeout.ms", "0");
    config.set("partitioner", "murmur2_random");
    // Bytes are counted here, so records need not be counted there.
    config.set("queue.buffering.max.messages", "0");
}

/// What a stage with an outbox does not let others set.
pub(crate) const OWNED: &[super::properties::Owned] = &[
    ("message.timeout.ms", "a record is never given up; stop the pipeline instead"),
    ("delivery.report.only.error", "every acknowledgement is counted"),
    ("enable.gapless.guarantee", "a record that cannot be sent stops the pipeline"),
    ("transactional.id", "it follows from the pipeline's `name` and `instance`"),
    ("transaction.timeout.ms", "set `transactions = { timeout_secs = … }`"),
];

impl Outbox {
    /// A producer for `topic`, which takes batches of at most `largest_batch` bytes where that is known.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(crate) fn new(
        mut config: ClientConfig,
        topic: &str,
        largest_batch: Option<usize>,
        watch: Arc<Watch>,
        embedded: Option<Arc<Embedded>>,
        given_up: Arc<AtomicBool>,
    ) -> Result<Outbox> {
        let number =
            |name: &str, default: usize| config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let request = number("message.max.bytes", LARGEST);
        let batch = number("batch.size", 1_000_000);
        let largest = request.min(largest_batch.unwrap_or(usize::MAX));
        if largest_batch.is_some_and(|largest| largest < batch) {
            // A batch that the topic refuses fails all its records, the small ones too.
            config.set("batch.size", largest.to_string());
        }
        let window = Arc::new(Window::default());
        let context = Deliveries { watch: Arc::clone(&watch), window: Arc::clone(&window) };
        let producer = config
            .create_with_context(context)
            .map_err(|error| Error::config("cannot create a Kafka producer").because(error))?;
        let topic = topic.to_owned();
        Ok(Outbox { producer, topic, window, watch, embedded, largest, given_up })
    }

    /// The most bytes that key, value and headers of a record may have together.
    pub(crate) fn largest(&self) -> usize {
        self.largest.saturating_sub(FRAMING)
    }

    /// Waits until everything is acknowledged. What is not by then is given up, and writers that still wait fail.
    ///
    /// # Errors
    /// Where something was given up.
    pub(crate) fn close(&self, until: Instant) -> Result<()> {
        while self.producer.in_flight_count() > 0 && Instant::now() < until {
            self.kick();
            self.window.wait(Duration::from_millis(1));
        }
        self.given_up.store(true, Ordering::SeqCst);
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
        match self.watch.last_trouble() {
            Some(trouble) => error.because(trouble),
            None => error,
        }
    }

    /// Sends what waits for its batch to fill.
    fn kick(&self) {
        // It reports that records are still under way, which is known.
        let _ = self.producer.flush(Duration::ZERO);
    }
}

/// What became of a record that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It is under way.
    Sent,
    /// It is larger than what the client or the topic takes.
    TooLarge,
}

/// A split's share of an [`Outbox`].
pub(crate) struct Mailbox {
    outbox: Arc<Outbox>,
    tally: Arc<Tally>,
    sent: u64,
}

impl Mailbox {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Mailbox {
        Mailbox { outbox, tally: Arc::default(), sent: 0 }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Sends a record; waits while too many bytes are under way.
    ///
    /// # Errors
    /// Where it, or an earlier one of this split, cannot be sent.
    pub(crate) fn post(
        &mut self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<Posted> {
        let bytes = size(key, payload);
        if bytes as usize > self.outbox.largest() {
            return Ok(Posted::TooLarge);
        }
        self.wait_for_room(bytes)?;
        let mut record = BaseRecord::with_opaque_to(&self.outbox.topic, Arc::clone(&self.tally));
        record.key = key;
        record.payload = payload;
        record.headers = headers;
        // Before it is sent: it may be acknowledged before `send` returns.
        self.outbox.window.bytes.fetch_add(bytes, Ordering::SeqCst);
        let mut patience = Patience::new(&self.outbox);
        loop {
            match self.outbox.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    if let Err(error) = self.failed().and_then(|()| patience.wait("room in the producer's queue")) {
                        self.outbox.window.release(bytes);
                        return Err(error);
                    }
                }
                Err((error, _)) => {
                    self.outbox.window.release(bytes);
                    return match error {
                        KafkaError::MessageProduction(Code::MessageSizeTooLarge) => Ok(Posted::TooLarge),
                        other => Err(self.why(&other)),
                    };
                }
            }
        }
        self.sent += 1;
        Ok(Posted::Sent)
    }

    fn wait_for_room(&self, bytes: u64) -> Result<()> {
        self.failed()?;
        let outbox = &*self.outbox;
        let cancelled = || outbox.given_up.load(Ordering::SeqCst) || self.tally.failed.load(Ordering::Acquire);
        if let Some(embedded) = &outbox.embedded
            && !embedded.gates.send(&outbox.topic, bytes, &cancelled)
        {
            self.failed()?;
            return Err(outbox.error("gave up waiting for the readers of the embedded broker".to_owned()));
        }
        let mut patience = Patience::new(outbox);
        while outbox.window.bytes.load(Ordering::SeqCst) > WINDOW {
            self.failed()?;
            patience.wait("the brokers to acknowledge records")?;
        }
        Ok(())
    }

    /// Waits until everything sent so far is acknowledged.
    ///
    /// # Errors
    /// Where a record was refused, or was given up.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut patience = Patience::new(&self.outbox);
        loop {
            // The count before the failure: a refused record is counted after its failure is noted.
            let settled = self.tally.settled.load(Ordering::Acquire);
            self.failed()?;
            if settled == self.sent {
                return Ok(());
            }
            self.outbox.kick();
            if self.tally.settled.load(Ordering::Acquire) == settled {
                patience.wait("the brokers to acknowledge records")?;
            } else {
                patience = Patience::new(&self.outbox);
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
            Some(Code::Fatal) => match self.outbox.producer.client().fatal_error() {
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
        Error::new("a record could not be sent").at(format!("topic {}", self.outbox.topic)).because(reason).help(help)
    }
}

/// Waiting for brokers: short at first, longer when nothing happens, said aloud when it takes long, and ended when
/// the run gives up.
struct Patience<'a> {
    outbox: &'a Outbox,
    since: Instant,
    told: bool,
}

impl<'a> Patience<'a> {
    fn new(outbox: &'a Outbox) -> Patience<'a> {
        Patience { outbox, since: Instant::now(), told: false }
    }

    fn wait(&mut self, for_what: &str) -> Result<()> {
        if self.outbox.given_up.load(Ordering::SeqCst) {
            return Err(self.outbox.error("gave up waiting for the brokers".to_owned()));
        }
        let waited = self.since.elapsed();
        if waited >= QUIET && !self.told {
            let watch = &self.outbox.watch;
            watch.metrics.waiting(&watch.stage, Some(for_what.to_owned()));
            self.told = true;
        }
        let pause =
            if waited < Duration::from_millis(100) { Duration::from_micros(500) } else { Duration::from_millis(20) };
        self.outbox.window.wait(pause);
        Ok(())
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if self.told {
            let watch = &self.outbox.watch;
            watch.metrics.waiting(&watch.stage, None);
        }
    }
}
