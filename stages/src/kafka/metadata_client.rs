//! Clients that read metadata and single partitions, and are members of no group.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::connection_monitor::ConnectionMonitor;
use super::error_class::is_leaderless;
use super::topic_partition::TopicPartition;

/// How long one look takes whether a consumer is closed.
const CLOSE_POLL_TIMEOUT: Duration = Duration::from_millis(2);
/// How long that may take in all. What the group does not hear by then it finds out by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that reads metadata and single partitions.
pub(crate) struct MetadataClient(BaseConsumer<MetadataContext>);

impl Deref for MetadataClient {
    type Target = BaseConsumer<MetadataContext>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for MetadataClient {
    fn drop(&mut self) {
        close(&self.0);
    }
}

/// Closes a consumer that names a group. Its drop would do so too, and would take a tenth of a second at least.
fn close<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    let until = Instant::now() + CLOSE_TIMEOUT;
    // Where it names none, or is closed already, nothing is to be waited for.
    if consumer.close_queue().is_ok() {
        while !consumer.closed() && Instant::now() < until {
            let _ = consumer.poll(CLOSE_POLL_TIMEOUT);
        }
    }
}

/// Passes logs and errors of a [`MetadataClient`] to a monitor.
pub(crate) struct MetadataContext(Arc<ConnectionMonitor>);

impl ClientContext for MetadataContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.client_error(&error, reason);
    }
}

impl ConsumerContext for MetadataContext {}

/// Closes a consumer that several use, once none of them does any more.
pub(crate) struct CloseOnDrop<C: ConsumerContext>(pub(crate) Arc<BaseConsumer<C>>);

impl<C: ConsumerContext> Drop for CloseOnDrop<C> {
    fn drop(&mut self) {
        close(&self.0);
    }
}

/// A client that reads metadata and single partitions.
pub(crate) fn metadata_client(config: &ClientConfig, monitor: &Arc<ConnectionMonitor>) -> Result<MetadataClient> {
    config
        .create_with_context(MetadataContext(Arc::clone(monitor)))
        .map(MetadataClient)
        .map_err(|error| Error::config("cannot create a Kafka client").because(error))
}

/// The first offset of a partition and the one behind its last record.
///
/// After an error that may come from what the client last heard of the topic it asks for news, for the next try: by itself
/// it keeps an answer in which a partition was missing or had no leader, and gives the same error for minutes. So it takes
/// up to twice the time.
pub(crate) fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    consumer.fetch_watermarks(topic, partition, timeout).inspect_err(|error| {
        if is_leaderless(error) {
            // Where this fails too, the next try does.
            let _ = consumer.fetch_metadata(Some(topic), timeout);
        }
    })
}

/// The offsets at one end of partitions: at their first records (`Offset::Beginning`) or behind their last ones (`Offset::End`). Each
/// broker is asked once for all of its partitions: an answer waits for the fetch before it, so that a request for each partition
/// would take as many of these waits. After an error it asks for news of the topics, as [`watermarks`] does.
pub(crate) fn list_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    end: Offset,
    timeout: Duration,
) -> KafkaResult<Vec<u64>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let ask = || -> KafkaResult<Vec<u64>> {
        let mut wanted = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            wanted.add_partition_offset(partition.topic(), partition.partition(), end)?;
        }
        let found = consumer.offsets_for_times(wanted, timeout)?;
        let offset = |partition: &TopicPartition| {
            let found = found.find_partition(partition.topic(), partition.partition());
            let found = found.ok_or(KafkaError::OffsetFetch(Code::UnknownPartition))?;
            found.error()?;
            match found.offset() {
                Offset::Offset(offset) => Ok(offset.max(0) as u64),
                _ => Err(KafkaError::OffsetFetch(Code::OffsetNotAvailable)),
            }
        };
        partitions.iter().map(offset).collect()
    };
    ask().inspect_err(|error| {
        let topics: BTreeSet<&str> = partitions.iter().map(TopicPartition::topic).collect();
        for topic in topics.into_iter().filter(|_| is_leaderless(error)) {
            let _ = consumer.fetch_metadata(Some(topic), timeout);
        }
    })
}

/// The first offset of each partition and the one behind its last record.
pub(crate) fn offset_ranges<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<Vec<(u64, u64)>> {
    let low = list_offsets(consumer, partitions, Offset::Beginning, timeout)?;
    let high = list_offsets(consumer, partitions, Offset::End, timeout)?;
    Ok(low.into_iter().zip(high).collect())
}

/// The offsets that the consumer's group has committed; `None` of a partition that it has not begun with.
pub(crate) fn committed_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<Vec<Option<u64>>> {
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        wanted.add_partition(partition.topic(), partition.partition());
    }
    let committed = consumer.committed_offsets(wanted, timeout)?;
    committed.elements().iter().try_for_each(|one| one.error())?;
    let offset = |it: &TopicPartition| match committed.find_partition(it.topic(), it.partition())?.offset() {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        _ => None,
    };
    Ok(partitions.iter().map(offset).collect())
}

/// The partitions of a topic.
pub(crate) fn partitions_of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Vec<TopicPartition>> {
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let mut numbers: Vec<i32> = found.map_or(&[][..], |one| one.partitions()).iter().map(|one| one.id()).collect();
    numbers.sort_unstable();
    Ok(numbers.into_iter().map(|number| TopicPartition::new(topic, number)).collect())
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::stage::BuildContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    #[test]
    fn a_partition_that_had_no_leader_is_found_once_it_has_one() {
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        cluster.partition_leader("t", 0, None).expect("no leader");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        let monitor = Arc::new(ConnectionMonitor::new(&BuildContext::for_tests(), &cluster.bootstrap_servers()));
        let consumer = metadata_client(&config, &monitor).expect("a consumer");
        let short = Duration::from_secs(2);
        let error = watermarks(&consumer, "t", 0, short).expect_err("nobody leads it");
        assert!(is_leaderless(&error), "{error}");
        cluster.partition_leader("t", 0, Some(1)).expect("a leader");
        // One try may still go by the old answer; it asks for a new one.
        let found = watermarks(&consumer, "t", 0, short).or_else(|_| watermarks(&consumer, "t", 0, short));
        assert_eq!(found.expect("found"), (0, 0));
    }

    #[test]
    fn brokers_are_asked_once_for_the_ends_of_all_their_partitions() {
        let cluster = MockCluster::new(3).expect("a cluster");
        cluster.create_topic("t", 30, 1).expect("a topic");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().expect("a producer");
        for record in 0..7 {
            let to = BaseRecord::<str, str>::to("t").partition(3 * (record % 2)).payload("x");
            producer.send(to).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(Duration::from_secs(10)).expect("acknowledged");
        let monitor = Arc::new(ConnectionMonitor::new(&BuildContext::for_tests(), &cluster.bootstrap_servers()));
        let consumer = metadata_client(&config, &monitor).expect("a consumer");
        let partitions: Vec<TopicPartition> = (0..30).map(|number| TopicPartition::new("t", number)).collect();
        let of = |end| list_offsets(&consumer, &partitions, end, Duration::from_secs(10)).expect("an answer");
        let mut ends = [0; 30];
        (ends[0], ends[3]) = (4, 3);
        assert_eq!((of(Offset::Beginning), of(Offset::End)), (vec![0; 30], ends.to_vec()));
        assert_eq!(partitions_of(&consumer, "t", Duration::from_secs(10)).expect("an answer"), partitions);
        // Each request takes a while: one for each partition would take 30 times as long as one.
        for broker in 1..=3 {
            cluster.broker_round_trip_time(broker, Duration::from_millis(100)).expect("a delay");
        }
        let took = |partitions: &[TopicPartition]| {
            let began = Instant::now();
            list_offsets(&consumer, partitions, Offset::End, Duration::from_secs(10)).expect("an answer");
            began.elapsed()
        };
        let (one, all) = (took(&partitions[..1]), took(&partitions));
        assert!(all < 10 * one, "{one:?} for one, {all:?} for all");
        assert!(list_offsets(&consumer, &[], Offset::End, Duration::ZERO).expect("nothing is asked").is_empty());
        let elsewhere = [partitions[0].clone(), TopicPartition::new("t", 30)];
        let error = list_offsets(&consumer, &elsewhere, Offset::End, Duration::from_secs(1));
        assert!(is_leaderless(&error.expect_err("there is no such partition")));
    }
}
