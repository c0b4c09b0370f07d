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
use super::reader::{Reader, Taken};
use crate::kafka::client::{is_leaderless, passes, take_partition_end, watermarks};

/// How long a split waits at a time while it does not know its end yet: the gate of its upstream opens unseen.
const LOOK: Duration = Duration::from_millis(50);
/// After so many records of one partition others should have some as well, where there are several keys.
const SPREAD_SHOWS: u64 = 5_000;
/// How long one question for the end of the partition may take.
const ANSWER: Duration = Duration::from_secs(2);

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
pub(super) struct Seat {
    /// The end of the partition as far as it is known, for the lag.
    pub(super) end: AtomicU64,
    /// How many records were read.
    read: AtomicU64,
    /// Whether the partition was taken away; held by the split while it takes a message. The library gives a partition's
    /// next split the same queue, and a message that an earlier one takes is missing there.
    is_left: Mutex<bool>,
}

impl Seat {
    pub(super) fn new(end: u64) -> Seat {
        Seat { end: AtomicU64::new(end), read: AtomicU64::new(0), is_left: Mutex::new(false) }
    }

    /// Takes a message, unless the split has left.
    fn take<T>(&self, poll: impl FnOnce() -> T) -> Option<T> {
        let is_left = self.is_left.lock();
        if *is_left { None } else { Some(poll()) }
    }

    /// The split takes nothing more; waits for what it is just taking.
    pub(super) fn leave(&self) {
        *self.is_left.lock() = true;
    }
}

pub(super) struct KafkaSplitReader {
    consumer: Arc<BaseConsumer<Assignment>>,
    queue: PartitionQueue<Assignment>,
    reader: Reader,
    until_end: UntilEnd,
    seat: Arc<Seat>,
}

impl KafkaSplitReader {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Assignment>>,
        queue: PartitionQueue<Assignment>,
        reader: Reader,
        until_end: UntilEnd,
        seat: Arc<Seat>,
    ) -> KafkaSplitReader {
        KafkaSplitReader { consumer, queue, reader, until_end, seat }
    }

    fn context(&self) -> &Assignment {
        self.consumer.context()
    }

    /// Whether everything up to the end was read; asks for the end once the upstream is done.
    fn is_done(&mut self) -> Result<bool> {
        if self.until_end == UntilEnd::Unknown && self.context().settings.upstream.is_open() {
            match watermarks(&self.consumer, self.reader.topic(), self.reader.partition(), ANSWER) {
                Ok((_, high)) => {
                    let high = high.max(0) as u64;
                    self.seat.end.store(high, Ordering::Relaxed);
                    self.until_end = UntilEnd::At(high);
                }
                Err(error) if is_leaderless(&error) => {
                    self.context().watch.trouble_of(&error);
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
        let seat = Arc::clone(&self.seat);
        let mut taken = usize::from(self.reader.take_pending()?);
        while taken < max {
            let mut patience = Duration::ZERO;
            if taken == 0 {
                patience = until.saturating_duration_since(Instant::now());
                if self.until_end == UntilEnd::Unknown {
                    patience = patience.min(LOOK);
                }
            }
            let Some(polled) = seat.take(|| self.queue.poll(patience)) else { break };
            match polled {
                None => break,
                Some(Ok(message)) => {
                    let offset = message.offset().max(0) as u64;
                    // Headers are left alone: a key that is not UTF-8 would panic in the client library.
                    let payload = message.payload();
                    let bytes = message.key().map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
                    match self.reader.take(offset, payload, bytes as u64)? {
                        Taken::Passed => taken += 1,
                        Taken::Known => {}
                        Taken::Full => break,
                    }
                }
                Some(Err(error)) => {
                    self.survive(error)?;
                    if self.is_done()? {
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    fn survive(&mut self, error: KafkaError) -> Result<()> {
        if let KafkaError::PartitionEOF(_) = error {
            // Behind the last record may lie markers of transactions, which are passed as well.
            let end = take_partition_end().unwrap_or_default();
            let at = &mut self.reader.position.offset;
            *at = end.max(*at);
            self.seat.end.fetch_max(end, Ordering::Relaxed);
            self.context().watch.fine();
            return Ok(());
        }
        let code = error.rdkafka_error_code();
        if !code.is_some_and(passes) {
            // What a topic that was made anew answers to the positions of the old one.
            self.context().compare_topics(&self.consumer)?;
        }
        match code {
            Some(code) if passes(code) => {
                self.context().watch.retried(code);
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
        let before = self.seat.read.fetch_add(taken, Ordering::Relaxed);
        if (before..before + taken).contains(&SPREAD_SHOWS) {
            let (topic, partition) = (self.reader.topic(), self.reader.partition());
            self.context().look_at_spread(&self.consumer, topic, partition, before + taken);
        }
    }

    fn report(&mut self) {
        let bytes = self.reader.take_bytes();
        let ignored = self.reader.marks_ignored();
        let read = self.reader.take_read();
        let Assignment { watch, settings, .. } = self.context();
        watch.metrics.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        if ignored > 0 {
            watch.metrics.marks_ignored(ignored);
        }
        if let Some(embedded) = settings.embedded.as_ref().filter(|_| !read.is_empty()) {
            embedded.gates.read(self.reader.topic(), &settings.group, self.reader.partition(), &read);
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
            if let Some(remark) = self.reader.take_remark() {
                let (watch, name) = (&self.context().watch, self.reader.name());
                tracing::warn!(pipeline = &*watch.pipeline, stage = &*watch.stage, "{name}: {remark}");
            }
            return Ok(Poll::Rows(batch, dead));
        }
        Ok(if self.is_done()? { Poll::End } else { Poll::Idle })
    }

    fn position(&self) -> Position {
        self.reader.position
    }

    fn snapshot_state(&self, _: Position) -> Result<Vec<u8>> {
        self.reader.carry()
    }

    /// Tomorrow the newest records are others, and the oldest ones may be gone.
    fn commits_at_start(&self) -> bool {
        self.context().settings.embedded.is_none()
    }

    fn lag(&self) -> Option<u64> {
        Some(self.seat.end.load(Ordering::Relaxed).saturating_sub(self.reader.position.offset))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_split_that_has_left_takes_nothing_and_leaving_waits_for_what_is_just_taken() {
        let seat = Seat::new(0);
        assert_eq!(seat.take(|| 7), Some(7));
        let (taking, is_taking) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            let seat = &seat;
            let split = scope.spawn(move || {
                seat.take(|| {
                    taking.send(()).expect("heard");
                    goes_on.recv().expect("told to");
                })
            });
            is_taking.recv().expect("it takes");
            let left = scope.spawn(|| seat.leave());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!left.is_finished(), "it waits for what is taken");
            go_on.send(()).expect("heard");
            assert_eq!(split.join().expect("a thread"), Some(()));
            left.join().expect("a thread");
        });
        assert_eq!(seat.take(|| panic!("it has left")), None::<()>);
    }
}
