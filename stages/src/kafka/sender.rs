//! The sending core of every producer: records go into the library's queue, its reports come back, and waits for it end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::BatchProducer;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::util::IntoOpaque;
use rdkafka::{ClientConfig, ClientContext, Statistics};

use super::connection_monitor::ConnectionMonitor;
use super::statistics;

/// How long nothing may be acknowledged before that is reported.
const WAIT_REPORT_DELAY: Duration = Duration::from_secs(2);
/// The first pause of a wait: less than a round trip, so that it costs little latency.
const PAUSE_MIN: Duration = Duration::from_micros(400);
/// The longest pause: so long a stop may go unnoticed.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// A pause is this part of the wait so far, which adds half a percent to it.
const PAUSES_IN_WAIT: u32 = 200;
/// How long one flush waits: so long its threads have to notice it, and so long a stop may go unnoticed.
const FLUSH_TIME: Duration = Duration::from_millis(5);

/// Keeps what the library reports about records.
pub(crate) trait DeliveryReports: Send + Sync + Sized + 'static {
    /// Travels with each record to its report.
    type Tag: IntoOpaque;

    /// The brokers have acknowledged a record.
    fn acknowledged(&self, message: &BorrowedMessage<'_>, tag: Self::Tag);

    /// A record was not delivered.
    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, tag: Self::Tag);

    /// The client reports an error by itself.
    fn client_error(&self, monitor: &ConnectionMonitor, error: &KafkaError, reason: &str) {
        monitor.client_error(error, reason);
    }

    /// Waits for a report, at most so long.
    fn wait(&self, at_most: Duration) {
        std::thread::sleep(at_most);
    }
}

/// Passes logs, errors and reports of a producer on.
pub(crate) struct SenderContext<R> {
    monitor: Arc<ConnectionMonitor>,
    reports: R,
    is_muted: AtomicBool,
}

impl<R> SenderContext<R> {
    fn is_muted(&self) -> bool {
        self.is_muted.load(Ordering::Acquire)
    }
}

impl<R: DeliveryReports> ClientContext for SenderContext<R> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if !self.is_muted() {
            self.monitor.log_line(level, facility, message);
        }
    }

    fn stats(&self, report: Statistics) {
        if !self.is_muted() {
            self.monitor.statistics("producer", &report);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !self.is_muted() {
            self.reports.client_error(&self.monitor, &error, reason);
        }
    }
}

impl<R: DeliveryReports> ProducerContext for SenderContext<R> {
    type DeliveryOpaque = R::Tag;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: R::Tag) {
        match result {
            _ if self.is_muted() => {}
            Ok(message) => {
                self.monitor.recovered();
                self.reports.acknowledged(message, tag);
            }
            Err((error, message)) => self.reports.failed(error, message, tag),
        }
    }
}

/// A producer of librdkafka, with the reports about its records.
pub(crate) struct Sender<R: DeliveryReports> {
    producer: BatchProducer<SenderContext<R>>,
    monitor: Arc<ConnectionMonitor>,
    cancellation: CancellationToken,
}

/// The run has abandoned its waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abandoned;

impl<R: DeliveryReports> Sender<R> {
    /// Makes a producer. It connects in the background.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(crate) fn new(
        config: &ClientConfig,
        reports: R,
        monitor: &Arc<ConnectionMonitor>,
        cancellation: &CancellationToken,
    ) -> Result<Sender<R>> {
        let context = SenderContext { monitor: Arc::clone(monitor), reports, is_muted: AtomicBool::new(false) };
        let mut config = config.clone();
        statistics::report(&mut config);
        let producer = BatchProducer::new(&config, context)
            .map_err(|error| Error::config("cannot create a Kafka producer").because(error))?;
        Ok(Sender { producer, monitor: Arc::clone(monitor), cancellation: cancellation.clone() })
    }

    pub(crate) fn producer(&self) -> &BatchProducer<SenderContext<R>> {
        &self.producer
    }

    pub(crate) fn monitor(&self) -> &ConnectionMonitor {
        &self.monitor
    }

    pub(crate) fn reports(&self) -> &R {
        &self.producer.context().reports
    }

    /// Whether the run has abandoned its waits.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.cancellation.is_abandoned()
    }

    /// Abandons all waits, now and later.
    pub(crate) fn abandon(&self) {
        self.cancellation.abandon();
    }

    /// Drops everything that the library reports from now on: another producer has taken the place of this one.
    pub(crate) fn mute(&self) {
        self.producer.context().is_muted.store(true, Ordering::Release);
    }

    /// Queues a record; the inner error is that of a record that the library refuses. `pause` is called while its queue is
    /// full, to wait or to fail.
    ///
    /// # Errors
    /// That of `pause`.
    pub(crate) fn send<E>(
        &self,
        mut record: BaseRecord<'_, [u8], [u8], R::Tag>,
        mut pause: impl FnMut() -> Result<(), E>,
    ) -> Result<Result<(), KafkaError>, E> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(Ok(())),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    pause()?;
                }
                Err((error, _)) => return Ok(Err(error)),
            }
        }
    }

    /// Begins a wait for the brokers to do `what`.
    pub(crate) fn wait(&self, what: &'static str) -> SendWait<'_, R> {
        SendWait { sender: self, what, since: None, is_reported: false }
    }
}

/// A wait for brokers: its pauses grow with it, it is reported once it takes long, and it ends when the run abandons waits.
pub(crate) struct SendWait<'a, R: DeliveryReports> {
    sender: &'a Sender<R>,
    what: &'static str,
    /// The time of the first pause: most records wait for nothing, and looking at a clock costs as much as sending them.
    since: Option<Instant>,
    is_reported: bool,
}

impl<R: DeliveryReports> SendWait<'_, R> {
    /// How long the wait has taken since its first pause.
    pub(crate) fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits for a report, or a little while.
    ///
    /// # Errors
    /// Where the run has abandoned its waits.
    pub(crate) fn pause(&mut self) -> Result<(), Abandoned> {
        let waited = self.check()?;
        self.sender.reports().wait((waited / PAUSES_IN_WAIT).clamp(PAUSE_MIN, PAUSE_MAX));
        Ok(())
    }

    /// Has the library send what waits for its batch to fill, and waits until nothing is under way, or a little while.
    ///
    /// # Errors
    /// Where the run has abandoned its waits.
    pub(crate) fn flush(&mut self) -> Result<(), Abandoned> {
        self.check()?;
        self.sender.producer.flush_for(FLUSH_TIME);
        Ok(())
    }

    /// How long the wait has taken; reports one that takes long.
    fn check(&mut self) -> Result<Duration, Abandoned> {
        if self.sender.is_abandoned() {
            return Err(Abandoned);
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= WAIT_REPORT_DELAY && !self.is_reported {
            self.report(Some(self.what));
            self.is_reported = true;
        }
        Ok(waited)
    }

    fn report(&self, what: Option<&str>) {
        let monitor = self.sender.monitor();
        monitor.metrics.waiting(&monitor.stage, what.map(str::to_owned));
    }
}

impl<R: DeliveryReports> Drop for SendWait<'_, R> {
    fn drop(&mut self) {
        if self.is_reported {
            self.report(None);
        }
    }
}
