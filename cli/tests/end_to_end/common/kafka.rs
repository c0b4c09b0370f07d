//! The Apache Kafka of the tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pollster::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A broker, with unique names for topics and groups.
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    unique: String,
}

/// A message to write: its key, value and headers.
pub(crate) type OutgoingMessage = (Option<&'static [u8]>, Option<Vec<u8>>, OwnedHeaders);

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Message {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.value.clone().expect("a value")).expect("UTF-8")
    }
}

impl Kafka {
    /// The broker of `AQPIPE_TEST_BROKERS`.
    pub(crate) fn from_env() -> Kafka {
        Kafka::at(std::env::var("AQPIPE_TEST_BROKERS").expect("AQPIPE_TEST_BROKERS names a broker"))
    }

    pub(crate) fn at(brokers: String) -> Kafka {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Kafka { brokers, unique: format!("{now}-{}-{count}", std::process::id()) }
    }

    /// A name for a topic or a group of this test alone.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("aqpipe-e2e-{what}-{}", self.unique)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("message.max.bytes", "20000000");
        config
    }

    /// Creates a topic that takes messages of 15 MB.
    pub(crate) fn topic(&self, what: &str, partitions: i32) -> String {
        let topic = self.name(what);
        self.create_topic(&topic, partitions, &[("max.message.bytes", "15000000")]);
        topic
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a client")
    }

    /// Creates a topic with this name.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, set: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = set.iter().fold(new, |new, (name, value)| new.set(name, value));
        let made = block_on(self.admin().create_topics([&new], &AdminOptions::new())).expect("an answer");
        made[0].as_ref().expect("a topic");
    }

    /// Deletes a topic and creates it again.
    pub(crate) fn recreate_topic(&self, topic: &str, partitions: i32) {
        self.delete(topic);
        let began = Instant::now();
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        while block_on(self.admin().create_topics([&new], &AdminOptions::new())).expect("an answer")[0].is_err() {
            assert!(began.elapsed() < REQUEST_TIMEOUT, "{topic} cannot be created again");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Grows a topic to so many partitions.
    pub(crate) fn add_partitions(&self, topic: &str, partitions: usize) {
        let more = NewPartitions::new(topic, partitions);
        let grown = block_on(self.admin().create_partitions([&more], &AdminOptions::new())).expect("an answer");
        grown[0].as_ref().expect("more partitions");
    }

    /// Deletes all records of partition 0, as retention does. Returns the new first offset.
    pub(crate) fn delete_records(&self, topic: &str) -> i64 {
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, 0, Offset::End).expect("an offset");
        block_on(self.admin().delete_records(&all, &AdminOptions::new())).expect("an answer");
        let consumer: BaseConsumer = self.client().set("group.id", "counter").create().expect("a consumer");
        let (low, high) = consumer.fetch_watermarks(topic, 0, REQUEST_TIMEOUT).expect("offsets");
        assert_eq!(low, high, "nothing is left");
        low
    }

    /// Writes messages to partition 0, in order.
    pub(crate) fn write(&self, topic: &str, messages: &[OutgoingMessage]) {
        self.write_to(topic, 0, messages);
    }

    /// Writes messages to a partition, in order.
    pub(crate) fn write_to(&self, topic: &str, partition: i32, messages: &[OutgoingMessage]) {
        let mut config = self.client();
        config.set("enable.idempotence", "true");
        let producer: BaseProducer = config.create().expect("a producer");
        for (key, value, headers) in messages {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).headers(headers.clone());
            record.key = *key;
            record.payload = value.as_deref();
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(REQUEST_TIMEOUT).expect("acknowledged");
    }

    /// Writes messages with key, value and timestamp to partition 0; without a timestamp they have the present one.
    pub(crate) fn write_at(&self, topic: &str, messages: &[(Option<&str>, Option<&str>, Option<i64>)]) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("a producer");
        for (key, value, time) in messages {
            let mut record = BaseRecord::<str, str>::to(topic).partition(0);
            (record.key, record.payload, record.timestamp) = (*key, *value, *time);
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(REQUEST_TIMEOUT).expect("acknowledged");
    }

    /// Sets the offset of a group without members, in partition 0.
    pub(crate) fn move_group(&self, group: &str, topic: &str, offset: i64) {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().expect("a consumer");
        let mut to = TopicPartitionList::new();
        to.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
        let began = Instant::now();
        // A member that has just left may still be known.
        while let Err(error) = consumer.commit(&to, rdkafka::consumer::CommitMode::Sync) {
            assert!(began.elapsed() < REQUEST_TIMEOUT, "the group's offset cannot be moved: {error}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Deletes a topic.
    pub(crate) fn delete(&self, topic: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let gone = block_on(admin.delete_topics(&[topic], &AdminOptions::new())).expect("an answer");
        gone[0].as_ref().expect("deleted");
    }

    /// The last stable offset of partition 0, which counts transaction markers too; 0 where the broker does not answer.
    pub(crate) fn count(&self, topic: &str) -> i64 {
        let mut config = self.client();
        config.set("group.id", "counter");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.fetch_watermarks(topic, 0, Duration::from_secs(2)).map_or(0, |(_, high)| high)
    }

    /// All messages of a topic, partition by partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<Message> {
        let mut config = self.client();
        config.set("group.id", "reader").set("enable.auto.commit", "false").set("fetch.message.max.bytes", "15000000");
        // Transaction markers may follow the last record.
        config.set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT).expect("metadata");
        let mut ends = BTreeMap::new();
        let mut from = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), REQUEST_TIMEOUT).expect("offsets");
            if high > low {
                ends.insert(partition.id(), high);
                from.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
            }
        }
        consumer.assign(&from).expect("assigned");
        let mut found: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
        let began = Instant::now();
        while !ends.is_empty() {
            assert!(began.elapsed() < REQUEST_TIMEOUT, "{topic} cannot be read to its end: {ends:?} is left");
            let message = match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                    continue;
                }
                _ => continue,
            };
            let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            let headers = headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
            let read = Message { value: message.payload().map(<[u8]>::to_vec), headers };
            found.entry(message.partition()).or_default().push(read);
        }
        found.into_values().flatten().collect()
    }
}
