//! The thread that takes what a producer reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::queue_bell::{Bell, MainQueue};

/// How long the thread waits at most, should the library not ring where it has to.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Serves the events of a producer as they come. Unlike that of rdkafka's `ThreadedProducer`, it does not look ten times a second,
/// and its end is not waited for.
pub(crate) struct EventThread {
    bell: Arc<Bell>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EventThread {
    /// Starts the thread, which shares the producer until it is dropped.
    ///
    /// # Errors
    /// Where there is no thread.
    pub(crate) fn start<C: ProducerContext + 'static>(producer: &Arc<BaseProducer<C>>) -> KafkaResult<EventThread> {
        let failed = |why: &dyn ToString| KafkaError::ClientCreation(why.to_string());
        // SAFETY: the thread drops the queue before its share of the producer, which keeps the client.
        let queue = unsafe { MainQueue::of(producer.client()) }.ok_or_else(|| failed(&"a client without a queue"))?;
        let (bell, is_stopped) = (Arc::clone(queue.bell()), Arc::<AtomicBool>::default());
        let (shared, stop) = (Arc::clone(producer), Arc::clone(&is_stopped));
        let serve = move || {
            let (producer, queue) = (shared, queue);
            while !stop.load(Ordering::Acquire) {
                queue.bell().wait(WAIT_MAX);
                while !queue.is_empty() && !stop.load(Ordering::Acquire) {
                    producer.poll(Duration::ZERO);
                }
            }
            drop(queue);
            drop(producer);
        };
        let thread = std::thread::Builder::new().name("kafka events".to_owned()).spawn(serve);
        Ok(EventThread { bell, is_stopped, thread: Some(thread.map_err(|error| failed(&error))?) })
    }
}

impl Drop for EventThread {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic of a callback was reported when it came.
            let _ = thread.join();
        }
    }
}
