//! One partition, read on its split's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::record::Position;
use aqpipe_engine::stage::{Poll, SplitReader};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::Message;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::assignment::Assignment;
use super::message_reader::{MessageReader, TakeOutcome};
use crate::kafka::client::{is_leaderless, is_transient, take_partition_end, watermarks};

/// How long a split waits at a time while it does not know its end yet: the gate of its upstream opens unseen.
const UPSTREAM_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// After so many records of one partition others should have some as well, where there are several keys.
const SKEW_CHECK_RECORDS: u64 = 5_000;
/// How long one question for the end of the partition may take.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a split ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UntilEnd {
    /// Nowhere.
    Never,
    /// Where the partition ends once those are done that write it.
    Unknown,
    /// There.
    At(u64),
}

/// What the group and a split share about its partition.
#[derive(Debug)]
pub(super) struct PartitionHandle {
    /// The end of the partition as far as it is known, for the lag.
    pub(super) end: AtomicU64,
    /// How many records were read.
    read: AtomicU64,
    /// Whether the partition was taken away; held by the split while it takes a message. The library gives a partition's
    /// next split the same queue, and a message that an earlier one takes is missing there.
    is_abandoned: Mutex<bool>,
}

impl PartitionHandle {
    pub(super) fn new(end: u64) -> PartitionHandle {
        PartitionHandle { end: AtomicU64::new(end), read: AtomicU64::new(0), is_abandoned: Mutex::new(false) }
    }

    /// Takes a message, unless the split has left.
    fn take<T>(&self, poll: impl FnOnce() -> T) -> Option<T> {
        let is_abandoned = self.is_abandoned.lock();
        if *is_abandoned { None } else { Some(poll()) }
    }

    /// The split takes nothing more; waits for what it is just taking.
    pub(super) fn abandon(&self) {
        *self.is_abandoned.lock() = true;
    }
}

pub(super) struct KafkaSplitReader {
    consumer: Arc<BaseConsumer<Assignment>>,
    queue: PartitionQueue<Assignment>,
    reader: MessageReader,
    until_end: UntilEnd,
    handle: Arc<PartitionHandle>,
}

impl KafkaSplitReader {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Assignment>>,
        queue: PartitionQueue<Assignment>,
        reader: MessageReader,
        until_end: UntilEnd,
        handle: Arc<PartitionHandle>,
    ) -> KafkaSplitReader {
        KafkaSplitReader { consumer, queue, reader, until_end, handle }
    }

    fn context(&self) -> &Assignment {
        self.consumer.context()
    }

    /// Whether everything up to the end was read; asks for the end once the upstream is done.
    fn is_done(&mut self) -> Result<bool> {
        if self.until_end == UntilEnd::Unknown && self.context().settings.upstream.is_open() {
            match watermarks(&self.consumer, self.reader.topic(), self.reader.partition(), WATERMARKS_TIMEOUT) {
                Ok((_, high)) => {
                    let high = high.max(0) as u64;
                    self.handle.end.store(high, Ordering::Relaxed);
                    self.until_end = UntilEnd::At(high);
                }
                Err(error) if is_leaderless(&error) => {
                    self.context().monitor.failed(&error);
                }
                Err(error) => {
                    return Err(Error::new("cannot ask where the partition ends")
                        .at(self.reader.name())
                        .because(error));
                }
            }
        }
        Ok(matches!(self.until_end, UntilEnd::At(end) if self.reader.position.offset >= end)
            && !self.reader.is_pending())
    }

    /// Reads until `max` records were taken, the queue is empty or the rows are full; waits for the first one only.
    fn fill(&mut self, max: usize, until: Instant) -> Result<usize> {
        let handle = Arc::clone(&self.handle);
        let mut taken = usize::from(self.reader.take_pending()?);
        while taken < max {
            let mut timeout = Duration::ZERO;
            if taken == 0 {
                timeout = until.saturating_duration_since(Instant::now());
                if self.until_end == UntilEnd::Unknown {
                    timeout = timeout.min(UPSTREAM_CHECK_INTERVAL);
                }
            }
            let Some(polled) = handle.take(|| self.queue.poll(timeout)) else { break };
            match polled {
                None => break,
                Some(Ok(message)) => {
                    let offset = message.offset().max(0) as u64;
                    // Headers are left alone: a key that is not UTF-8 would panic in the client library.
                    let payload = message.payload();
                    let bytes = message.key().map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
                    match self.reader.take(offset, payload, bytes as u64)? {
                        TakeOutcome::Taken => taken += 1,
                        TakeOutcome::Known => {}
                        TakeOutcome::Full => break,
                    }
                }
                Some(Err(error)) => {
                    self.handle_error(error)?;
                    if self.is_done()? {
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    fn handle_error(&mut self, error: KafkaError) -> Result<()> {
        if let KafkaError::PartitionEOF(_) = error {
            // Behind the last record may lie markers of transactions, which are passed as well.
            let end = take_partition_end().unwrap_or_default();
            let at = &mut self.reader.position.offset;
            *at = end.max(*at);
            self.handle.end.fetch_max(end, Ordering::Relaxed);
            self.context().monitor.recovered();
            return Ok(());
        }
        let code = error.rdkafka_error_code();
        if !code.is_some_and(is_transient) {
            // What a topic that was made anew answers to the positions of the old one.
            self.context().compare_topics(&self.consumer)?;
        }
        match code {
            Some(code) if is_transient(code) => {
                self.context().monitor.retried(code);
                Ok(())
            }
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Err(Error::new("the next record is gone: the topic has dropped it before it was read")
                    .at(self.reader.place())
                    .because(error)
                    .help("raise the topic's `retention.ms`, and run with `--fresh` to begin again"))
            }
            _ => Err(Error::new("the partition cannot be read").at(self.reader.place()).because(error)),
        }
    }

    fn count(&self, taken: u64) {
        let before = self.handle.read.fetch_add(taken, Ordering::Relaxed);
        if (before..before + taken).contains(&SKEW_CHECK_RECORDS) {
            let (topic, partition) = (self.reader.topic(), self.reader.partition());
            self.context().report_skew(&self.consumer, topic, partition, before + taken);
        }
    }

    fn report(&mut self) {
        let bytes = self.reader.take_bytes();
        let ignored = self.reader.marks_ignored();
        let read = self.reader.take_read();
        let Assignment { monitor, settings, .. } = self.context();
        monitor.metrics.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        if ignored > 0 {
            monitor.metrics.marks_ignored(ignored);
        }
        if let Some(embedded) = settings.embedded.as_ref().filter(|_| !read.is_empty()) {
            embedded.flow_control.read(self.reader.topic(), &settings.group, self.reader.partition(), &read);
        }
    }
}

impl SplitReader for KafkaSplitReader {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        if self.is_done()? {
            return Ok(Poll::End);
        }
        let taken = self.fill(max.max(1), until);
        self.report();
        let taken = taken?;
        if taken > 0 {
            self.count(taken as u64);
            let (batch, dead) = self.reader.rows()?;
            if let Some(warning) = self.reader.take_warning() {
                let (monitor, name) = (&self.context().monitor, self.reader.name());
                tracing::warn!(pipeline = &*monitor.pipeline, stage = &*monitor.stage, "{name}: {warning}");
            }
            return Ok(Poll::Rows(batch, dead));
        }
        Ok(if self.is_done()? { Poll::End } else { Poll::Idle })
    }

    fn position(&self) -> Position {
        self.reader.position
    }

    fn snapshot_state(&self, _: Position) -> Result<Vec<u8>> {
        self.reader.snapshot_state()
    }

    /// Tomorrow the newest records are others, and the oldest ones may be gone.
    fn commits_at_start(&self) -> bool {
        self.context().settings.embedded.is_none()
    }

    fn lag(&self) -> Option<u64> {
        Some(self.handle.end.load(Ordering::Relaxed).saturating_sub(self.reader.position.offset))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_split_that_has_left_takes_nothing_and_leaving_waits_for_what_is_just_taken() {
        let handle = PartitionHandle::new(0);
        assert_eq!(handle.take(|| 7), Some(7));
        let (taking, is_taking) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            let handle = &handle;
            let split = scope.spawn(move || {
                handle.take(|| {
                    taking.send(()).expect("heard");
                    goes_on.recv().expect("told to");
                })
            });
            is_taking.recv().expect("it takes");
            let left = scope.spawn(|| handle.abandon());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!left.is_finished(), "it waits for what is taken");
            go_on.send(()).expect("heard");
            assert_eq!(split.join().expect("a thread"), Some(()));
            left.join().expect("a thread");
        });
        assert_eq!(handle.take(|| panic!("it has left")), None::<()>);
    }
}
