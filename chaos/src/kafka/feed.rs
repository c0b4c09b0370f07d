//! Writes the input topic during the rounds: a number of readings for each round, evenly paced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::client::{self, Topic};
use crate::dataset::{Dataset, Item, Reading};
use crate::input::{self, InputPositions};

/// How long the readings of a round take to be written.
const ROUND_FEED_DURATION: Duration = Duration::from_secs(3);
/// How long brokers may refuse messages.
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause while no reading may be written, or the producer's queue is full.
const FEED_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running producer of the input.
pub(crate) struct Feed {
    control: Arc<FeedControl>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct FeedControl {
    /// How many readings may have been written by now.
    allowed: AtomicU64,
    /// Write the rest at once.
    unpaced: AtomicBool,
    stop: AtomicBool,
}

impl Feed {
    /// Starts to write the items of a dataset. All readings of a source go to one partition.
    pub(crate) fn start(topic: Topic, dataset: Dataset, readings_per_round: u64) -> Result<Feed> {
        let control = Arc::new(FeedControl::default());
        let shared = Arc::clone(&control);
        let thread = std::thread::Builder::new().name("feed".into());
        let thread = thread.spawn(move || write(&topic, dataset, readings_per_round, &shared)).context("a thread")?;
        Ok(Feed { control, thread: Some(thread) })
    }

    /// Allows this many more readings to be written.
    pub(crate) fn allow(&self, readings: u64) {
        self.control.allowed.fetch_add(readings, Ordering::AcqRel);
    }

    /// Writes the rest and waits until it is acknowledged.
    pub(crate) fn complete(&mut self) -> Result<()> {
        self.control.unpaced.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => bail!("the feed panicked"),
            None => Ok(()),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        // A caller that needs the result has called `complete`.
        let _ = self.complete();
    }
}

fn write(topic: &Topic, dataset: Dataset, readings_per_round: u64, control: &FeedControl) -> Result<()> {
    let mut config = client::config(&topic.brokers);
    config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "5");
    // One request in flight: with more, librdkafka resets its sequence numbers in all partitions after a broker was
    // killed, and writes messages twice that were written and not acknowledged.
    config.set("message.timeout.ms", "0").set("max.in.flight.requests.per.connection", "1");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().context("a producer")?;
    let pause = ROUND_FEED_DURATION.div_f64(readings_per_round.max(1) as f64);
    let mut due = Instant::now();
    for (item, readings) in dataset.items().scan(0u64, |readings, item| {
        *readings += u64::from(matches!(item, Item::Valid(_)));
        Some((item, *readings))
    }) {
        while control.allowed.load(Ordering::Acquire) < readings && !control.unpaced.load(Ordering::Acquire) {
            std::thread::sleep(FEED_POLL_INTERVAL);
            due = Instant::now();
        }
        due += pause;
        if !control.unpaced.load(Ordering::Acquire) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if control.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        send(&producer, topic, item)?;
    }
    producer.flush(PRODUCE_TIMEOUT).context("the input cannot be written")
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &Topic, item: Item) -> Result<()> {
    let source = match item {
        Item::Valid(reading) => reading.source,
        Item::Malformed { source, .. } => source,
    };
    let (key, value) = (Reading { source, seq: 0 }.key(), input::message(item));
    let partition = i32::try_from(source)? % topic.partitions;
    let mut record = BaseRecord::to(&topic.name).partition(partition).key(&key).payload(&value);
    let until = Instant::now() + PRODUCE_TIMEOUT;
    while let Err((error, back)) = producer.send(record) {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) if Instant::now() < until => {
                std::thread::sleep(FEED_POLL_INTERVAL);
                record = back;
            }
            error => return Err(error).context("the input cannot be written"),
        }
    }
    Ok(())
}

/// The contents of the input topic.
struct TopicContents {
    positions: InputPositions,
    /// By source: how many of its readings are there, in order.
    next: Vec<u64>,
    malformed: usize,
    /// Messages that are neither malformed items nor the next reading of their source.
    unexpected: Vec<String>,
}

fn read_back(topic: &Topic, dataset: Dataset) -> Result<TopicContents> {
    let (mut positions, mut malformed, mut unexpected) = (InputPositions::default(), 0, Vec::new());
    let mut next = vec![0; dataset.sources as usize];
    let ends = topic.read(|message| {
        let text = message.text();
        if input::malformed_id(&text).is_some() {
            malformed += 1;
            return;
        }
        let read: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let source = read["station"].as_str().and_then(|key| key.strip_prefix('s')?.parse().ok());
        let (Some(source), Some(seq)) = (source, read["seq"].as_u64()) else {
            unexpected.push(text);
            return;
        };
        if next.get(source as usize) != Some(&seq) {
            unexpected.push(text);
            return;
        }
        next[source as usize] += 1;
        positions.readings.insert(Reading { source, seq }, (message.partition, message.offset));
    })?;
    positions.ends = ends;
    Ok(TopicContents { positions, next, malformed, unexpected })
}

/// Checks that violations do not come from the input: as far as it was written, it has each reading once and in order.
pub(crate) fn check(topic: &Topic, dataset: Dataset) -> Result<()> {
    let TopicContents { unexpected, .. } = read_back(topic, dataset)?;
    if !unexpected.is_empty() {
        bail!("the input is not what was fed, which is no mistake of aqpipe: {unexpected:?}");
    }
    Ok(())
}

/// The positions of the readings in the input topic, which has to hold all of them once and in order.
pub(crate) fn positions(topic: &Topic, dataset: Dataset) -> Result<InputPositions> {
    let TopicContents { positions, next, malformed, unexpected } = read_back(topic, dataset)?;
    if !unexpected.is_empty()
        || malformed != dataset.malformed().count()
        || next.iter().any(|next| *next != dataset.per_source)
    {
        bail!("the input is not what was fed, which is no mistake of aqpipe: {unexpected:?}, {malformed}, {next:?}");
    }
    Ok(positions)
}
