//! The Kafka client of this program: creates, deletes and reads topics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use pollster::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long an administrative request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an orphaned transaction may stay open: brokers abort it after its own timeout.
const OPEN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(120);
/// How long one poll of a consumer waits, and the pause between administrative requests.
const CONSUMER_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A message as a `read_committed` consumer sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// A topic on some brokers.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) brokers: String,
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

/// The configuration that all clients share.
pub(super) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("reconnect.backoff.max.ms", "500");
    // Brokers are killed on purpose: librdkafka need not report them.
    config.set("log_level", "2");
    config
}

impl Topic {
    /// Creates the topic.
    pub(crate) fn create(&self, replication: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.brokers).create().context("an admin client")?;
        let new = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(replication));
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT)).request_timeout(Some(ADMIN_TIMEOUT));
        for made in block_on(admin.create_topics([&new], &options))? {
            made.map_err(|(name, code)| anyhow::anyhow!("topic {name} cannot be created: {code}"))?;
        }
        Ok(())
    }

    /// Deletes the topic and waits until it is gone from the metadata.
    pub(crate) fn delete(&self) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.brokers).create().context("an admin client")?;
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT)).request_timeout(Some(ADMIN_TIMEOUT));
        for deleted in block_on(admin.delete_topics(&[&self.name], &options))? {
            deleted.map_err(|(name, code)| anyhow::anyhow!("topic {name} cannot be deleted: {code}"))?;
        }
        let until = Instant::now() + ADMIN_TIMEOUT;
        while admin.inner().fetch_metadata(None, ADMIN_TIMEOUT)?.topics().iter().any(|topic| topic.name() == self.name)
        {
            if Instant::now() > until {
                bail!("topic {} is still there", self.name);
            }
            std::thread::sleep(CONSUMER_POLL_INTERVAL);
        }
        Ok(())
    }

    fn consumer(&self, isolation: &str) -> Result<BaseConsumer> {
        let mut config = config(&self.brokers);
        config.set("group.id", "chaos-reader").set("enable.auto.commit", "false");
        config.set("isolation.level", isolation).set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "error").set("fetch.queue.backoff.ms", "10");
        config.create().context("a consumer")
    }

    fn assign(&self, consumer: &BaseConsumer) -> Result<()> {
        let mut all = TopicPartitionList::new();
        for partition in 0..self.partitions {
            all.add_partition_offset(&self.name, partition, Offset::Offset(0))?;
        }
        consumer.assign(&all).context("cannot assign")
    }

    /// Reads from the beginning until `stop`, through outages of brokers.
    ///
    /// # Errors
    /// Where committed records are gone.
    pub(crate) fn follow(&self, stop: &AtomicBool, mut take: impl FnMut(Message<'_>)) -> Result<()> {
        let consumer = self.consumer("read_committed")?;
        self.assign(&consumer)?;
        while !stop.load(Ordering::Acquire) {
            match consumer.poll(CONSUMER_POLL_INTERVAL) {
                Some(Err(error)) if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) => {
                    bail!("what was read of {} is not there any more: {error}", self.name);
                }
                // Brokers come back; where they do not, the trial ends elsewhere.
                None | Some(Err(_)) => {}
                Some(Ok(message)) => take(Message::of(&message)),
            }
        }
        Ok(())
    }

    /// Reads all records once nobody writes any more; returns the end offset of each partition.
    pub(crate) fn read(&self, mut take: impl FnMut(Message<'_>)) -> Result<BTreeMap<u32, u64>> {
        let consumer = self.consumer("read_committed")?;
        let ends = self.stable_ends(&consumer)?;
        self.assign(&consumer)?;
        let mut left: BTreeMap<i32, i64> = ends.clone();
        let until = Instant::now() + OPEN_TRANSACTION_TIMEOUT;
        while !left.is_empty() {
            if Instant::now() > until {
                bail!("{} cannot be read to its end: {left:?} is left", self.name);
            }
            match consumer.poll(CONSUMER_POLL_INTERVAL) {
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // The reported end may be older than `ends`.
                    let position = consumer.position()?;
                    let at = position.find_partition(&self.name, partition).map(|it| it.offset());
                    let end = left.get(&partition).copied().unwrap_or_default();
                    if end == 0 || matches!(at, Some(Offset::Offset(at)) if at >= end) {
                        left.remove(&partition);
                    }
                }
                None | Some(Err(_)) => {}
                Some(Ok(message)) => take(Message::of(&message)),
            }
        }
        Ok(ends.into_iter().map(|(partition, end)| (partition.unsigned_abs(), end.unsigned_abs())).collect())
    }

    /// The end offsets of the partitions, once no transaction is open in them.
    fn stable_ends(&self, committed: &BaseConsumer) -> Result<BTreeMap<i32, i64>> {
        let any = self.consumer("read_uncommitted")?;
        let until = Instant::now() + OPEN_TRANSACTION_TIMEOUT;
        let mut ends = BTreeMap::new();
        for partition in 0..self.partitions {
            loop {
                let end = |consumer: &BaseConsumer| consumer.fetch_watermarks(&self.name, partition, ADMIN_TIMEOUT);
                let (stable, high) = (end(committed), end(&any));
                match (&stable, &high) {
                    (Ok((_, stable)), Ok((_, high))) if stable == high => {
                        ends.insert(partition, *high);
                        break;
                    }
                    _ if Instant::now() < until => {
                        // A client caches metadata that it got while a broker was away.
                        for consumer in [committed, &any] {
                            let _ = consumer.fetch_metadata(Some(&self.name), ADMIN_TIMEOUT);
                        }
                        std::thread::sleep(CONSUMER_POLL_INTERVAL);
                    }
                    _ => bail!("{}/{partition} does not settle: stable {stable:?}, high {high:?}", self.name),
                }
            }
        }
        Ok(ends)
    }
}

impl<'a> Message<'a> {
    fn of(message: &'a rdkafka::message::BorrowedMessage<'_>) -> Message<'a> {
        Message {
            partition: message.partition().unsigned_abs(),
            offset: message.offset().unsigned_abs(),
            key: message.key(),
            value: message.payload(),
        }
    }

    /// The value as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.unwrap_or_default()).into_owned()
    }
}
