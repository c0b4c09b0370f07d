//! A producer that sends many records in one call, and reads their values from where they are.

use std::ffi::CString;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, TopicPartitionList};
use rdkafka_sys as sys;

use crate::event_thread::EventThread;
use crate::handle::Handle;
use crate::raw_message::RawMessage;

/// The number that stands for the partition that a record's key decides (`RD_KAFKA_PARTITION_UA`).
const PARTITION_BY_KEY: i32 = -1;

/// A producer that keeps the values of records for as long as the library may read them.
pub struct BatchProducer<C: ProducerContext + 'static> {
    // Fields are dropped in order: first the thread that shares the producer, then the producer, and nothing reads from `lent` once
    // that is gone.
    _events: EventThread,
    producer: Arc<BaseProducer<C>>,
    /// The values of records that may be under way. Locked while records are queued.
    lent: Mutex<Vec<Arc<Vec<u8>>>>,
}

/// A record of a batch.
#[derive(Clone, Debug)]
pub struct BatchRecord<'a> {
    /// Its key, which is copied.
    pub key: Option<&'a [u8]>,
    /// Where its value lies in the values of the batch; `None` for a record without one.
    pub value: Option<Range<usize>>,
}

/// Why a record was not queued, and the record.
pub type Refused<'a, T> = (KafkaError, BaseRecord<'a, [u8], [u8], T>);

/// Records of a batch that were not queued.
#[derive(Debug)]
pub struct Unsent {
    /// The place of the first one. Where the queue is full, none behind it was queued either.
    pub first: usize,
    /// Why that one was not.
    pub error: KafkaError,
}

impl<C: ProducerContext + 'static> BatchProducer<C> {
    /// Makes a producer, which connects in the background.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub fn new(config: &ClientConfig, context: C) -> KafkaResult<BatchProducer<C>> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        Ok(BatchProducer { _events: EventThread::start(&producer)?, producer, lent: Mutex::default() })
    }

    /// Queues one record, with a copy of its value.
    ///
    /// # Errors
    /// Where it is refused; the record comes back.
    #[expect(clippy::result_large_err, reason = "the result of rdkafka's own function")]
    pub fn send<'a>(
        &self,
        record: BaseRecord<'a, [u8], [u8], C::DeliveryOpaque>,
    ) -> Result<(), Refused<'a, C::DeliveryOpaque>> {
        self.producer.send(record)
    }

    /// Waits until nothing is under way, for so long at most; meanwhile the library sends without waiting for batches to fill.
    /// Returns whether nothing is. (rdkafka's `flush` asks for no time, and the threads that send seldom notice that.)
    pub fn flush_for(&self, at_most: Duration) -> bool {
        let millis = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the producer keeps the client alive.
        let flushed = unsafe { sys::rd_kafka_flush(self.client().native_ptr(), millis) };
        flushed == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Lets go of the values of records, where none is under way.
    pub fn release(&self) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted with the lock held, so that no record is queued in between. The library counts a record until it has freed it.
        if self.producer.in_flight_count() == 0 {
            lent.clear();
        }
    }
}

impl<C: ProducerContext<DeliveryOpaque = ()> + 'static> BatchProducer<C> {
    /// Queues records for a topic in their order, `partition` of it or else the one that the key decides. Their values are read
    /// where they lie: `values` is kept until [`release`](Self::release) finds nothing under way.
    ///
    /// # Errors
    /// Where a record was not queued.
    pub fn send_batch<'a>(
        &self,
        (topic, partition): (&str, Option<i32>),
        values: &Arc<Vec<u8>>,
        records: impl Iterator<Item = BatchRecord<'a>>,
    ) -> Result<(), Unsent> {
        let refused = |first, code| Unsent { first, error: KafkaError::MessageProduction(code) };
        // Keys live as long as `records` says, which is longer than the call.
        let mut batch = Vec::with_capacity(records.size_hint().0);
        for BatchRecord { key, value } in records {
            let value = value.map(|range| values.get(range).ok_or_else(|| refused(batch.len(), Code::InvalidArgument)));
            batch.push(raw_record(key, value.transpose()?));
        }
        let count = i32::try_from(batch.len()).map_err(|_| refused(0, Code::InvalidArgument))?;
        let name = CString::new(topic).map_err(|_| refused(0, Code::InvalidTopic))?;
        let client = self.client().native_ptr();
        // SAFETY: the producer keeps the client alive, the name is alive during the call, which copies it, and null stands for the
        // client's own configuration of topics.
        let topic = unsafe { sys::rd_kafka_topic_new(client, name.as_ptr(), null_mut()) };
        // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
        let topic = unsafe { Handle::own(topic, sys::rd_kafka_topic_destroy) };
        let topic = topic.ok_or_else(|| refused(0, Code::InvalidTopic))?;
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if !lent.last().is_some_and(|last| Arc::ptr_eq(last, values)) {
            lent.push(Arc::clone(values));
        }
        let partition = partition.unwrap_or(PARTITION_BY_KEY);
        let messages: *mut sys::rd_kafka_message_t = batch.as_mut_ptr().cast();
        // SAFETY: topic and messages are alive during the call; the messages have the library's layout. Keys are copied. Values are
        // not: `lent` keeps them, unchanged as long as there are two references, until the library counts no record any more or the
        // client is gone. What a report brings back of a record is null, which is what `()` is to rdkafka.
        let sent = unsafe { sys::rd_kafka_produce_batch(topic.as_ptr(), partition, 0, messages, count) };
        drop(lent);
        if sent == count {
            return Ok(());
        }
        let failed = batch.iter().enumerate().find_map(|(place, message)| Some((place, message.error()?)));
        let (first, code) = failed.unwrap_or((0, Code::Unknown));
        Err(refused(first, code))
    }
}

/// A record as the library takes it.
fn raw_record(key: Option<&[u8]>, value: Option<&[u8]>) -> RawMessage {
    let pointer = |bytes: Option<&[u8]>| bytes.map_or(null_mut(), |bytes| bytes.as_ptr().cast_mut().cast());
    RawMessage {
        err: 0,
        topic: null_mut(),
        partition: 0,
        payload: pointer(value),
        len: value.map_or(0, <[u8]>::len),
        key: pointer(key),
        key_len: key.map_or(0, <[u8]>::len),
        offset: 0,
        opaque: null_mut(),
    }
}

impl<C: ProducerContext + 'static> Producer<C> for BatchProducer<C> {
    fn client(&self) -> &Client<C> {
        self.producer.client()
    }

    fn in_flight_count(&self) -> i32 {
        self.producer.in_flight_count()
    }

    fn flush<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
        self.producer.flush(timeout)
    }

    fn purge(&self, flags: PurgeConfig) {
        self.producer.purge(flags);
    }

    fn init_transactions<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
        self.producer.init_transactions(timeout)
    }

    fn begin_transaction(&self) -> KafkaResult<()> {
        self.producer.begin_transaction()
    }

    fn send_offsets_to_transaction<T: Into<Timeout>>(
        &self,
        offsets: &TopicPartitionList,
        metadata: &ConsumerGroupMetadata,
        timeout: T,
    ) -> KafkaResult<()> {
        self.producer.send_offsets_to_transaction(offsets, metadata, timeout)
    }

    fn commit_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
        self.producer.commit_transaction(timeout)
    }

    fn abort_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
        self.producer.abort_transaction(timeout)
    }
}

#[cfg(test)]
#[path = "batch_producer_tests.rs"]
mod tests;
