//! One partition, read on its split's thread.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::metrics::LagMeter;
use aqpipe_engine::record::Position;
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader, Waker};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{PartitionMessage, PartitionMessages, Polled};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::membership::Membership;
use super::message_decoder::MessageParts;
use super::message_reader::{MessageReader, TakeOutcome};
use super::partition_handle::PartitionHandle;
use crate::kafka::error_class::{is_leaderless, is_transient};
use crate::kafka::metadata_client::watermarks;

/// How long one wait for messages may take while the end of the split depends on its upstream, whose end wakes nobody.
const UPSTREAM_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// After so many records of one partition the others should have some as well, where there are several keys.
const SKEW_CHECK_RECORDS: u64 = 5_000;
/// How long the sample is read where the end of the partition is not met: some messages decide more than none.
const SAMPLE_WAIT_MAX: Duration = Duration::from_millis(250);
/// How long one request for the end of the partition may take.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UntilEnd {
    /// It has none.
    Never,
    /// The end of the partition once the upstream pipelines have ended.
    Unknown,
    /// That offset.
    At(u64),
}

/// How a look into the queue ended.
enum Step {
    /// There was nothing.
    Nothing,
    /// As many records were taken as there was room for, or there may be more.
    Taken,
    /// The last message waits.
    Waiting,
    /// The end of the partition was met.
    End,
    /// An error that passes.
    Passing,
}

/// Reads one partition, from a queue of its own.
pub(super) struct KafkaSplitReader<C: ConsumerContext> {
    queue: PartitionMessages<C>,
    messages: MessageReader,
    until_end: UntilEnd,
    /// When the sample ends at the latest, once it has a message.
    sample_ends: Option<Instant>,
    handle: Arc<PartitionHandle>,
    membership: Arc<Membership>,
}

impl<C: ConsumerContext> KafkaSplitReader<C> {
    pub(super) fn new(
        queue: PartitionMessages<C>,
        messages: MessageReader,
        until_end: UntilEnd,
        (handle, membership): (Arc<PartitionHandle>, Arc<Membership>),
    ) -> KafkaSplitReader<C> {
        KafkaSplitReader { queue, messages, until_end, sample_ends: None, handle, membership }
    }

    /// Whether everything up to the end was read; asks for the end once the upstream has ended.
    fn is_done(&mut self) -> Result<bool> {
        if self.until_end == UntilEnd::Unknown && self.membership.settings.upstream.is_open() {
            let partition = self.messages.partition();
            match watermarks(self.queue.consumer(), partition.topic(), partition.partition(), WATERMARKS_TIMEOUT) {
                Ok((_, high)) => {
                    let high = high.max(0) as u64;
                    self.handle.end.store(high, Ordering::Relaxed);
                    self.until_end = UntilEnd::At(high);
                }
                Err(error) if is_leaderless(&error) => {
                    self.membership.monitor.failed(&error);
                }
                Err(error) => {
                    return Err(Error::new("cannot ask where the partition ends")
                        .at(partition.to_string())
                        .because(error));
                }
            }
        }
        Ok(matches!(self.until_end, UntilEnd::At(end) if self.messages.position.offset >= end)
            && !self.messages.is_waiting())
    }

    /// Reads until `max` records were taken, the queue is empty or the rows are full; waits for the first one only.
    fn fill(&mut self, max: usize, until: Instant) -> Result<usize> {
        if self.messages.is_sampling() && !self.sample(until)? {
            return Ok(0);
        }
        let mut taken = self.messages.take_waiting(max)?;
        while taken < max && !self.messages.is_waiting() {
            let mut timeout = Duration::ZERO;
            if taken == 0 {
                timeout = until.saturating_duration_since(Instant::now());
                if self.until_end == UntilEnd::Unknown {
                    timeout = timeout.min(UPSTREAM_CHECK_INTERVAL);
                }
            }
            let (more, step) = self.step(timeout, max - taken)?;
            taken += more;
            match step {
                Step::Nothing | Step::Waiting => break,
                Step::Taken => {}
                Step::End | Step::Passing => {
                    if self.is_done()? {
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Reads the sample, by which the kinds of fields are decided before the first record goes on; returns whether it is decided. It ends
    /// with as many records as it may have, or with those that are there: a stream that is slow is not waited for.
    fn sample(&mut self, until: Instant) -> Result<bool> {
        while !self.messages.is_sample_full() {
            let now = Instant::now();
            let ends = self.sample_ends.filter(|_| self.messages.is_waiting());
            // Behind the last record may lie the marker of its transaction.
            let is_at_end =
                self.messages.is_waiting() && self.messages.taken_to() + 1 >= self.handle.end.load(Ordering::Relaxed);
            let wait_until = if is_at_end { now } else { ends.map_or(until, |ends| ends.min(until)) };
            let mut timeout = wait_until.saturating_duration_since(now);
            if self.until_end == UntilEnd::Unknown {
                timeout = timeout.min(UPSTREAM_CHECK_INTERVAL);
            }
            match self.step(timeout, 1)?.1 {
                Step::Nothing if is_at_end || ends.is_some_and(|ends| ends <= Instant::now()) => break,
                Step::Nothing => return Ok(false),
                Step::Taken | Step::Waiting => {
                    self.sample_ends.get_or_insert(now + SAMPLE_WAIT_MAX);
                }
                Step::End if self.messages.is_waiting() => break,
                Step::End | Step::Passing => {
                    if self.is_done()? {
                        return Ok(false);
                    }
                }
            }
        }
        self.messages.decide_kinds();
        Ok(true)
    }

    /// Takes what the queue holds, up to `room` records, and waits for the first so long at most. Returns how many it took.
    fn step(&mut self, timeout: Duration, room: usize) -> Result<(usize, Step)> {
        let KafkaSplitReader { queue, messages, handle, membership, .. } = self;
        let (mut taken, mut step, mut failed) = (0, Ok(Step::Nothing), None);
        let mut each = |polled: Polled<'_>| {
            step = match polled {
                Polled::Message(message) => take(messages, &message).map(|outcome| match outcome {
                    TakeOutcome::Taken => {
                        taken += 1;
                        Step::Taken
                    }
                    TakeOutcome::Known => Step::Taken,
                    TakeOutcome::Full | TakeOutcome::Held => Step::Waiting,
                }),
                Polled::End(end) => {
                    messages.reached(end);
                    handle.end.fetch_max(end, Ordering::Relaxed);
                    membership.monitor.recovered();
                    Ok(Step::End)
                }
                Polled::Failed(error) => {
                    failed = Some(error);
                    Ok(Step::Passing)
                }
            };
            let goes_on = taken < room && matches!(step, Ok(Step::Taken));
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        handle.take(|| queue.take(timeout, &mut each));
        let step = step?;
        if let Some(error) = failed {
            self.handle_error(error)?;
        }
        Ok((taken, step))
    }

    /// Fails with an error that does not pass by itself.
    fn handle_error(&mut self, error: KafkaError) -> Result<()> {
        let code = error.rdkafka_error_code();
        if !code.is_some_and(is_transient) {
            // A topic that was made anew answers so to the positions of the old one.
            self.membership.compare_topics(self.queue.consumer())?;
        }
        match code {
            Some(code) if is_transient(code) => {
                self.membership.monitor.retried(code);
                Ok(())
            }
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Err(Error::new("the next record is gone: the topic has dropped it before it was read")
                    .at(self.messages.place())
                    .because(error)
                    .help("raise the topic's `retention.ms`, and run with `--fresh` to begin again"))
            }
            _ => Err(Error::new("the partition cannot be read").at(self.messages.place()).because(error)),
        }
    }

    fn count(&self, taken: u64) {
        let before = self.handle.read.fetch_add(taken, Ordering::Relaxed);
        if (before..before + taken).contains(&SKEW_CHECK_RECORDS) {
            self.membership.report_skew(self.queue.consumer(), self.messages.partition(), before + taken);
        }
    }

    fn end(&mut self) -> Poll {
        self.messages.end();
        self.warn();
        Poll::End
    }

    fn warn(&mut self) {
        for warning in self.messages.take_warnings() {
            let (monitor, partition) = (&self.membership.monitor, self.messages.partition());
            tracing::warn!(pipeline = &*monitor.pipeline, stage = &*monitor.stage, "{partition}: {warning}");
        }
    }

    fn report(&mut self) {
        let bytes = self.messages.take_bytes();
        let ignored = self.messages.marks_ignored();
        let read = self.messages.take_read();
        let (passed_over, tombstones) = self.messages.take_skipped();
        let Membership { monitor, settings, .. } = &*self.membership;
        monitor.metrics.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        if ignored > 0 {
            monitor.metrics.marks_ignored(ignored);
        }
        monitor.metrics.note("values that no field asks for, and that were passed over", passed_over.values);
        monitor.metrics.note("messages without a record (tombstones)", tombstones);
        self.membership.report_passed_over(passed_over.names);
        let partition = self.messages.partition();
        settings.endpoint.report_reads(partition.topic(), &settings.group, partition.partition(), &read);
    }
}

/// Hands a message over.
fn take(messages: &mut MessageReader, message: &PartitionMessage<'_>) -> Result<TakeOutcome> {
    let parts = MessageParts { key: message.key(), time: message.timestamp_millis() };
    messages.take(message.offset(), message.payload(), parts)
}

impl<C: ConsumerContext + 'static> SplitReader for KafkaSplitReader<C> {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        if self.is_done()? {
            return Ok(self.end());
        }
        let taken = self.fill(max.max(1), until);
        self.report();
        let taken = taken?;
        if taken > 0 {
            self.count(taken as u64);
            let (batch, dead) = self.messages.rows()?;
            if batch.rows() == 0 && dead.is_empty() {
                // Nothing but tombstones.
                return Ok(Poll::Idle);
            }
            let keyless = self.messages.take_keyless();
            self.membership.monitor.metrics.note("records without a key", keyless);
            self.warn();
            return Ok(Poll::Rows(batch, dead));
        }
        Ok(if self.is_done()? { self.end() } else { Poll::Idle })
    }

    fn position(&self) -> Position {
        self.messages.position
    }

    fn snapshot_state(&self, _: Position) -> Result<Vec<u8>> {
        self.messages.snapshot_state()
    }

    fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        self.messages.raw_schema(letter)
    }

    /// At a later start the newest records would be others, and the oldest ones may be gone.
    fn commits_at_start(&self) -> bool {
        self.membership.settings.endpoint.is_durable()
    }

    fn lag(&self) -> Option<u64> {
        self.handle.lag_from(self.messages.position.offset)
    }

    fn waker(&self) -> Option<Waker> {
        let handle = Arc::clone(&self.handle);
        Some(Arc::new(move || handle.wake()))
    }

    fn lag_meter(&self) -> Option<Arc<dyn LagMeter>> {
        Some(Arc::clone(&self.handle) as Arc<dyn LagMeter>)
    }
}
