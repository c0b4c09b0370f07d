//! Messages that are written while the rounds go on: a share of them for each round, at an even pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::client::{self, Topic};
use crate::input::{self, Places};
use crate::records::{Item, Reading, Shape};

/// How long the share of a round takes to be written.
const SHARE: Duration = Duration::from_secs(3);
/// How long brokers may not take messages.
const WAIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);

/// A producer at work.
pub(crate) struct Feed {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Orders {
    /// How many readings may be written by now.
    allowed: AtomicU64,
    /// No pace any more.
    hurry: AtomicBool,
    stop: AtomicBool,
}

impl Feed {
    /// Begins to write the items of `shape`, the readings of a source to one partition, `share` readings for a round.
    pub(crate) fn start(topic: Topic, shape: Shape, share: u64) -> Result<Feed> {
        let orders = Arc::new(Orders::default());
        let told = Arc::clone(&orders);
        let thread = std::thread::Builder::new().name("feed".into());
        let thread = thread.spawn(move || write(&topic, shape, share, &told)).context("a thread")?;
        Ok(Feed { orders, thread: Some(thread) })
    }

    /// Lets the share of one more round be written.
    pub(crate) fn allow(&self, readings: u64) {
        self.orders.allowed.fetch_add(readings, Ordering::AcqRel);
    }

    /// Writes all the rest and waits until it is there.
    pub(crate) fn complete(&mut self) -> Result<()> {
        self.orders.hurry.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => bail!("the feed panicked"),
            None => Ok(()),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        // Whoever wanted to know how it ended has completed it.
        let _ = self.complete();
    }
}

fn write(topic: &Topic, shape: Shape, share: u64, orders: &Orders) -> Result<()> {
    let mut config = client::config(&topic.brokers);
    config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "5");
    // One request at a time: with more, a broker that was killed makes the library begin its numbers anew in all
    // partitions, and what was written and not acknowledged is then written twice.
    config.set("message.timeout.ms", "0").set("max.in.flight.requests.per.connection", "1");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().context("a producer")?;
    let pause = SHARE.div_f64(share.max(1) as f64);
    let mut due = Instant::now();
    for (item, readings) in shape.items().scan(0u64, |readings, item| {
        *readings += u64::from(matches!(item, Item::Good(_)));
        Some((item, *readings))
    }) {
        while orders.allowed.load(Ordering::Acquire) < readings && !orders.hurry.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
            due = Instant::now();
        }
        due += pause;
        if !orders.hurry.load(Ordering::Acquire) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if orders.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        send(&producer, topic, item)?;
    }
    producer.flush(WAIT).context("the input cannot be written")
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &Topic, item: Item) -> Result<()> {
    let source = match item {
        Item::Good(reading) => reading.source,
        Item::Bad { source, .. } => source,
    };
    let (key, value) = (Reading { source, seq: 0 }.key(), input::message(item));
    let partition = i32::try_from(source)? % topic.partitions;
    let mut record = BaseRecord::to(&topic.name).partition(partition).key(&key).payload(&value);
    let until = Instant::now() + WAIT;
    while let Err((error, back)) = producer.send(record) {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) if Instant::now() < until => {
                std::thread::sleep(LOOK);
                record = back;
            }
            error => return Err(error).context("the input cannot be written"),
        }
    }
    Ok(())
}

/// What a topic that is fed holds.
struct Fed {
    places: Places,
    /// How many of each source are there, in their order.
    next: Vec<u64>,
    bad: usize,
    /// What is not the next of its source.
    strange: Vec<String>,
}

fn look(topic: &Topic, shape: Shape) -> Result<Fed> {
    let (mut places, mut bad, mut strange) = (Places::default(), 0, Vec::new());
    let mut next = vec![0; shape.sources as usize];
    let ends = topic.read(|message| {
        let text = message.text();
        if input::marked(&text).is_some() {
            bad += 1;
            return;
        }
        let read: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let source = read["station"].as_str().and_then(|key| key.strip_prefix('s')?.parse().ok());
        let (Some(source), Some(seq)) = (source, read["seq"].as_u64()) else {
            strange.push(text);
            return;
        };
        if next.get(source as usize) != Some(&seq) {
            strange.push(text);
            return;
        }
        next[source as usize] += 1;
        places.readings.insert(Reading { source, seq }, (message.partition, message.offset));
    })?;
    places.ends = ends;
    Ok(Fed { places, next, bad, strange })
}

/// Makes sure that what was found does not come from the input: as far as it is there, it has each reading once and in its
/// order.
pub(crate) fn check(topic: &Topic, shape: Shape) -> Result<()> {
    let Fed { strange, .. } = look(topic, shape)?;
    if !strange.is_empty() {
        bail!("the input is not what was fed, which is no mistake of aqpipe: {strange:?}");
    }
    Ok(())
}

/// Where the readings stand in the topic that was fed, which has to hold all of them once and in their order.
pub(crate) fn places(topic: &Topic, shape: Shape) -> Result<Places> {
    let Fed { places, next, bad, strange } = look(topic, shape)?;
    if !strange.is_empty() || bad != shape.bad().count() || next.iter().any(|next| *next != shape.each) {
        bail!("the input is not what was fed, which is no mistake of aqpipe: {strange:?}, {bad}, {next:?}");
    }
    Ok(places)
}
