//! What the tool itself asks of Kafka: topics, and reading them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long anything may take that brokers do at once when all is well.
const WAIT: Duration = Duration::from_secs(60);
/// How long a transaction may stay open after everybody has gone: the brokers end it after its own time limit.
const SETTLE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// A message, as a reader of committed records sees it.
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

/// What all clients of the tool have in common.
pub(super) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("reconnect.backoff.max.ms", "500");
    // The brokers that are killed are expected to be away: nobody has to be told.
    config.set("log_level", "2");
    config
}

impl Topic {
    /// Makes the topic.
    pub(crate) fn create(&self, replication: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.brokers).create().context("an admin client")?;
        let new = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(replication));
        let options = AdminOptions::new().operation_timeout(Some(WAIT)).request_timeout(Some(WAIT));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let made = runtime.block_on(admin.create_topics([&new], &options))?;
        for made in made {
            made.map_err(|(name, code)| anyhow::anyhow!("topic {name} cannot be made: {code}"))?;
        }
        Ok(())
    }

    /// Deletes the topic, and waits until brokers have forgotten it.
    pub(crate) fn delete(&self) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.brokers).create().context("an admin client")?;
        let options = AdminOptions::new().operation_timeout(Some(WAIT)).request_timeout(Some(WAIT));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for deleted in runtime.block_on(admin.delete_topics(&[&self.name], &options))? {
            deleted.map_err(|(name, code)| anyhow::anyhow!("topic {name} cannot be deleted: {code}"))?;
        }
        let until = Instant::now() + WAIT;
        while admin.inner().fetch_metadata(None, WAIT)?.topics().iter().any(|topic| topic.name() == self.name) {
            if Instant::now() > until {
                bail!("topic {} is still there", self.name);
            }
            std::thread::sleep(POLL);
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

    /// Reads from the beginning on, whatever the brokers do meanwhile, until `stop`.
    ///
    /// # Errors
    /// Where records that were there are not any more.
    pub(crate) fn follow(&self, stop: &AtomicBool, mut take: impl FnMut(Message<'_>)) -> Result<()> {
        let consumer = self.consumer("read_committed")?;
        self.assign(&consumer)?;
        while !stop.load(Ordering::Acquire) {
            match consumer.poll(POLL) {
                Some(Err(error)) if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) => {
                    bail!("what was read of {} is not there any more: {error}", self.name);
                }
                // Brokers that are away come back; where they do not, everything else stops as well.
                None | Some(Err(_)) => {}
                Some(Ok(message)) => take(Message::of(&message)),
            }
        }
        Ok(())
    }

    /// Reads everything there is once nobody writes any more; returns where each partition ends.
    pub(crate) fn read(&self, mut take: impl FnMut(Message<'_>)) -> Result<BTreeMap<u32, u64>> {
        let consumer = self.consumer("read_committed")?;
        let ends = self.settled(&consumer)?;
        self.assign(&consumer)?;
        let mut left: BTreeMap<i32, i64> = ends.clone();
        let until = Instant::now() + SETTLE;
        while !left.is_empty() {
            if Instant::now() > until {
                bail!("{} cannot be read to its end: {left:?} is left", self.name);
            }
            match consumer.poll(POLL) {
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // The end of a partition may be of a moment ago.
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

    /// Where the partitions end, once no transaction is open in them.
    fn settled(&self, committed: &BaseConsumer) -> Result<BTreeMap<i32, i64>> {
        let any = self.consumer("read_uncommitted")?;
        let until = Instant::now() + SETTLE;
        let mut ends = BTreeMap::new();
        for partition in 0..self.partitions {
            loop {
                let end = |consumer: &BaseConsumer| consumer.fetch_watermarks(&self.name, partition, WAIT);
                let (stable, high) = (end(committed), end(&any));
                match (&stable, &high) {
                    (Ok((_, stable)), Ok((_, high))) if stable == high => {
                        ends.insert(partition, *high);
                        break;
                    }
                    _ if Instant::now() < until => {
                        // A client keeps an answer that it got while a broker was away.
                        for consumer in [committed, &any] {
                            let _ = consumer.fetch_metadata(Some(&self.name), WAIT);
                        }
                        std::thread::sleep(POLL);
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
