//! A bell that the library rings when there is something in one of its queues, so that nobody has to look now and then.

use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka_sys as sys;

use crate::handle::Handle;

/// The longest wait: more than anybody means, and an instant that every clock has.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A bell for one thread that waits. Rung while nobody waits, it lets the next wait end at once.
#[derive(Debug, Default)]
pub struct Bell {
    is_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    /// Ends the wait, or the next one.
    pub fn ring(&self) {
        *self.is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_all();
    }

    /// Waits for the bell, so long at most; returns whether it was rung.
    pub fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most.min(WAIT_MAX);
        let mut is_rung = self.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_rung {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            is_rung = self.rings.wait_timeout(is_rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *is_rung)
    }
}

/// Whether events of a consumer wait for a poll. A poll without a timeout takes one of them, and does not say whether it did.
pub fn has_events<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> bool {
    // SAFETY: the client is alive.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
    let queue = unsafe { Handle::own(queue, sys::rd_kafka_queue_destroy) };
    // SAFETY: the queue is alive.
    queue.is_some_and(|queue| unsafe { sys::rd_kafka_queue_length(queue.as_ptr()) > 0 })
}

/// The main queue of a producer, with a bell. It has to go before its client does.
pub(crate) struct MainQueue {
    queue: Handle<sys::rd_kafka_queue_t>,
    bell: Arc<Bell>,
}

// SAFETY: the library's queues may be used and given back on any thread.
unsafe impl Send for MainQueue {}

impl MainQueue {
    /// The queue of reports and errors of a client, rung for once already.
    ///
    /// # Safety
    /// The client outlives what is returned.
    pub(crate) unsafe fn of<C: ClientContext>(client: &Client<C>) -> Option<MainQueue> {
        // SAFETY: the client is alive.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.native_ptr()) };
        // SAFETY: the call made a reference for its caller, and this is the function that gives it back.
        let queue = unsafe { Handle::own(queue, sys::rd_kafka_queue_destroy) }?;
        let bell = Arc::<Bell>::default();
        let opaque = Arc::as_ptr(&bell).cast::<c_void>().cast_mut();
        // SAFETY: the bell lives until the call is taken back, when this is dropped.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(ring), opaque) };
        // For what came before.
        bell.ring();
        Some(MainQueue { queue, bell })
    }

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Whether nothing is in the queue.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_length(self.queue.as_ptr()) == 0 }
    }
}

impl Drop for MainQueue {
    fn drop(&mut self) {
        // SAFETY: the queue is alive. The library calls back with the queue locked, and takes the lock for this: nothing rings
        // afterwards.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, std::ptr::null_mut()) };
    }
}

/// Called by the library whenever an empty queue gets something.
unsafe extern "C" fn ring(_: *mut sys::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: it is the bell that was handed over with this function, which lives as long as it may be called.
    unsafe { &*bell.cast::<Bell>() }.ring();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_ends_one_wait_be_it_rung_before_or_meanwhile() {
        let bell = Bell::default();
        assert!(!bell.wait(Duration::ZERO) && !bell.wait(Duration::from_millis(5)));
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(600)));
        assert!(!bell.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| bell.wait(Duration::from_secs(600)));
            bell.ring();
            assert!(waiting.join().expect("no panic"));
        });
    }
}
