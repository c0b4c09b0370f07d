//! The messages of one partition, taken from the library many at a time.

use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;

use crate::handle::Handle;
use crate::raw_message::RawMessage;

/// How many messages are taken at a time: enough that looking after the split costs nothing beside them.
const BATCH_MESSAGES: usize = 256;

/// The queue of a partition, read by one thread. Each message is taken once, in the order of offsets.
///
/// As with [`BaseConsumer::split_partition_queue`], the consumer has to be polled for everything else, and an assignment ends the
/// split of its queues: a queue is made for each partition of each assignment.
pub struct PartitionMessages<C: ConsumerContext> {
    /// Messages that were taken and not handed out yet, the next one last. They are given back before the consumer is.
    taken: Vec<Message>,
    queue: Arc<PartitionQueue<C>>,
}

// SAFETY: the library's messages may be used and given back on any thread.
unsafe impl<C: ConsumerContext> Send for PartitionMessages<C> {}

/// The queue of a partition in the library.
pub struct PartitionQueue<C: ConsumerContext> {
    queue: Handle<sys::rd_kafka_queue_t>,
    /// Keeps the client alive, of which the queue and its messages are parts. Dropped after the queue.
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: the library's queues may be used and given back on any thread.
unsafe impl<C: ConsumerContext> Send for PartitionQueue<C> {}
// SAFETY: the library locks a queue where it uses one.
unsafe impl<C: ConsumerContext> Sync for PartitionQueue<C> {}

impl<C: ConsumerContext> PartitionQueue<C> {
    /// Ends the wait for messages of this partition, or the next one.
    pub fn wake(&self) {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_yield(self.queue.as_ptr()) };
    }
}

/// What the queue of a partition holds.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A message.
    Message(PartitionMessage<'a>),
    /// The partition has nothing more for now; the offset is behind its last record and the markers of transactions there.
    End(u64),
    /// An error of the partition.
    Failed(KafkaError),
}

impl<C: ConsumerContext> PartitionMessages<C> {
    /// The queue of a partition, whose messages come through it alone from now on; `None` where there can be no such partition.
    pub fn split(consumer: &Arc<BaseConsumer<C>>, topic: &str, partition: i32) -> Option<PartitionMessages<C>> {
        let topic = CString::new(topic).ok()?;
        let client: &Client<C> = consumer.client();
        // SAFETY: `consumer` keeps the client alive, and the name is alive during the call, which copies it.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(client.native_ptr(), topic.as_ptr(), partition) };
        // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
        let queue = unsafe { Handle::own(queue, sys::rd_kafka_queue_destroy) }?;
        // SAFETY: the queue is alive; null stands for no other queue.
        unsafe { sys::rd_kafka_queue_forward(queue.as_ptr(), std::ptr::null_mut()) };
        let queue = Arc::new(PartitionQueue { queue, consumer: Arc::clone(consumer) });
        Some(PartitionMessages { taken: Vec::with_capacity(BATCH_MESSAGES), queue })
    }

    /// The consumer that the partition belongs to.
    pub fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.queue.consumer
    }

    /// The queue itself, to end a wait from another thread.
    pub fn queue(&self) -> &Arc<PartitionQueue<C>> {
        &self.queue
    }

    /// Whether messages were taken that [`next_taken`](Self::next_taken) has not handed out yet.
    pub fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Takes what the library holds, and waits for the first message where it holds none. Does nothing while there is something
    /// that [`next_taken`](Self::next_taken) has not handed out yet.
    pub fn take(&mut self, timeout: Duration) {
        if self.has_taken() {
            return;
        }
        let mut millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // `rd_kafka_consume_batch_queue` would be one call, but takes the end of a partition for a message when it sets the position:
        // after a pause, as in a rebalance, the library would go on one record too far.
        while self.taken.len() < BATCH_MESSAGES {
            // SAFETY: the queue is alive.
            let message = unsafe { sys::rd_kafka_consume_queue(self.queue.queue.as_ptr(), millis) };
            // SAFETY: the library hands each message over once, to be given back by this function.
            let message = unsafe { Handle::own(message, sys::rd_kafka_message_destroy) };
            let Some(message) = message else { break };
            self.taken.push(Message(message));
            millis = 0;
        }
        self.taken.reverse();
    }

    /// What comes next of what was taken.
    pub fn next_taken(&mut self) -> Option<Polled<'_>> {
        Some(self.taken.pop()?.into_polled())
    }
}

/// A message that this process owns.
struct Message(Handle<sys::rd_kafka_message_t>);

impl Message {
    fn get(&self) -> &RawMessage {
        let message: *const RawMessage = self.0.as_ptr().cast();
        // SAFETY: the message is alive, has this layout, and nothing writes to it.
        unsafe { &*message }
    }

    fn into_polled<'a>(self) -> Polled<'a> {
        match self.get().error() {
            None => Polled::Message(PartitionMessage { message: self, of: PhantomData }),
            Some(Code::PartitionEOF) => Polled::End(self.get().offset.max(0).cast_unsigned()),
            Some(code) => Polled::Failed(KafkaError::MessageConsumption(code)),
        }
    }
}

/// A message of a partition. It lives no longer than the borrow of its queue, which keeps the client alive.
pub struct PartitionMessage<'a> {
    message: Message,
    of: PhantomData<&'a ()>,
}

impl PartitionMessage<'_> {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.message.get().offset.max(0).cast_unsigned()
    }

    /// The bytes of its key; `None` where it has none.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        let message = self.message.get();
        // SAFETY: the library says where the key lies and how long it is, and it lives as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// The bytes of its value; `None` where it has none (a tombstone).
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        let message = self.message.get();
        // SAFETY: the library says where the value lies and how long it is, and it lives as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    /// Its time in milliseconds since 1970 (UTC), where it has one.
    #[must_use]
    pub fn timestamp_millis(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` is written to before the call returns.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.message.0.as_ptr(), &raw mut kind) };
        // A message without a time has this one.
        (millis != -1).then_some(millis)
    }
}

impl std::fmt::Debug for PartitionMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionMessage").field("offset", &self.offset()).finish_non_exhaustive()
    }
}

/// `length` bytes from `start`; `None` where it is null.
///
/// # Safety
/// `start` is null, or so many bytes from it are alive for `'a`, and nothing writes to them.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

#[cfg(test)]
#[path = "partition_messages_tests.rs"]
mod tests;
