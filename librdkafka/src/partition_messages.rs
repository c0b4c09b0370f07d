//! The messages of one partition, handed over many in a call.

use std::any::Any;
use std::ffi::{CString, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;

use crate::handle::Handle;
use crate::raw_message::RawMessage;

/// How many messages a call hands over: enough that the call costs nothing beside them, and few enough that what it takes out of
/// the queue meanwhile, which then does not count against the queue's bound, is little.
const CALL_MESSAGES: &str = "256";

/// The queue of a partition, read by one thread. Each message is handed over once, in the order of offsets.
///
/// As with [`BaseConsumer::split_partition_queue`], the consumer has to be polled for everything else, and an assignment ends the
/// split of its queues: a queue is made for each partition of each assignment.
pub struct PartitionMessages<C: ConsumerContext> {
    /// Given back before the queue, whose client it belongs to.
    topic: Handle<sys::rd_kafka_topic_t>,
    partition: i32,
    queue: Arc<PartitionQueue<C>>,
}

// SAFETY: the library's topics may be used and given back on any thread.
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

/// Sets what a consumer needs whose partitions are read so. Without it, a call would hand over all that the library holds.
pub fn configure(config: &mut ClientConfig) {
    config.set("consume.callback.max.messages", CALL_MESSAGES);
}

impl<C: ConsumerContext> PartitionMessages<C> {
    /// The queue of a partition, whose messages come through it alone from now on; `None` where there can be no such partition.
    /// The consumer's configuration went through [`configure`].
    pub fn split(consumer: &Arc<BaseConsumer<C>>, topic: &str, partition: i32) -> Option<PartitionMessages<C>> {
        let name = CString::new(topic).ok()?;
        let client: &Client<C> = consumer.client();
        // SAFETY: `consumer` keeps the client alive, and the name is alive during the call, which copies it.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(client.native_ptr(), name.as_ptr(), partition) };
        // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
        let queue = unsafe { Handle::own(queue, sys::rd_kafka_queue_destroy) }?;
        // SAFETY: the queue is alive; null stands for no other queue.
        unsafe { sys::rd_kafka_queue_forward(queue.as_ptr(), std::ptr::null_mut()) };
        // SAFETY: as above; null stands for the settings of the client.
        let topic = unsafe { sys::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
        let topic = unsafe { Handle::own(topic, sys::rd_kafka_topic_destroy) }?;
        let queue = Arc::new(PartitionQueue { queue, consumer: Arc::clone(consumer) });
        Some(PartitionMessages { topic, partition, queue })
    }

    /// The consumer that the partition belongs to.
    pub fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.queue.consumer
    }

    /// The queue itself, to end a wait from another thread.
    pub fn queue(&self) -> &Arc<PartitionQueue<C>> {
        &self.queue
    }

    /// Hands over what the library holds, some hundred messages at most, until it is told to stop; waits for the first where
    /// there is none. What was not handed over stays in the queue.
    ///
    /// # Panics
    /// Where `each` does.
    pub fn take(&mut self, timeout: Duration, mut each: impl FnMut(Polled<'_>) -> ControlFlow<()>) {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut taker = Taker { each: &mut each, panic: None, client: self.queue.consumer.client().native_ptr() };
        let opaque = (&raw mut taker).cast();
        // `rd_kafka_consume_batch_queue` would be simpler, but takes the end of a partition for a message when it sets the position:
        // after a pause, as in a rebalance, the library would go on one record too far. `rd_kafka_consume_callback_queue` has no
        // bound: all that the library holds would leave the queue at once, and be fetched again before it is read.
        // SAFETY: the topic is alive, and the taker is during the call, which uses it on this thread only.
        let count = unsafe {
            sys::rd_kafka_consume_callback(self.topic.as_ptr(), self.partition, millis, Some(hand_over), opaque)
        };
        if let Some(panic) = taker.panic {
            resume_unwind(panic);
        }
        // The library knows the partition no more, which its queue keeps it from.
        if count < 0 {
            let _ = each(Polled::Failed(KafkaError::MessageConsumption(Code::UnknownPartition)));
        }
    }
}

/// Who takes messages during a call.
struct Taker<'a> {
    each: &'a mut dyn FnMut(Polled<'_>) -> ControlFlow<()>,
    /// That of `each`: it must not go through the library.
    panic: Option<Box<dyn Any + Send>>,
    client: *mut sys::rd_kafka_t,
}

/// Takes a message from the library.
unsafe extern "C" fn hand_over(message: *mut sys::rd_kafka_message_t, opaque: *mut c_void) {
    // SAFETY: this is the taker that the call was given, which nobody else uses before the call returns.
    let taker = unsafe { &mut *opaque.cast::<Taker<'_>>() };
    // SAFETY: the message is alive until this function returns, has this layout, and nothing writes to it.
    let message = unsafe { &*message.cast_const().cast::<RawMessage>() };
    let flow = catch_unwind(AssertUnwindSafe(|| (taker.each)(Polled::of(message))));
    if !matches!(flow, Ok(ControlFlow::Continue(()))) {
        // SAFETY: the client is alive. The call then puts what is left back into the queue.
        unsafe { sys::rd_kafka_yield(taker.client) };
    }
    if let Err(panic) = flow {
        taker.panic = Some(panic);
    }
}

impl Polled<'_> {
    fn of(message: &RawMessage) -> Polled<'_> {
        match message.error() {
            None => Polled::Message(PartitionMessage { message }),
            Some(Code::PartitionEOF) => Polled::End(message.offset.max(0).cast_unsigned()),
            Some(code) => Polled::Failed(KafkaError::MessageConsumption(code)),
        }
    }
}

/// A message of a partition, for as long as it is handed over.
pub struct PartitionMessage<'a> {
    message: &'a RawMessage,
}

impl PartitionMessage<'_> {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.message.offset.max(0).cast_unsigned()
    }

    /// The bytes of its key; `None` where it has none.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        let message = self.message;
        // SAFETY: the library says where the key lies and how long it is, and it lives as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// The bytes of its value; `None` where it has none (a tombstone).
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        let message = self.message;
        // SAFETY: the library says where the value lies and how long it is, and it lives as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    /// Its time in milliseconds since 1970 (UTC), where it has one.
    #[must_use]
    pub fn timestamp_millis(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` is written to before the call returns.
        let millis = unsafe { sys::rd_kafka_message_timestamp(std::ptr::from_ref(self.message).cast(), &raw mut kind) };
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
