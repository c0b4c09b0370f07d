//! A partition that is assigned to this member.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aqpipe_engine::metrics::LagMeter;
use parking_lot::Mutex;

/// A partition, as its split and the group see it.
pub(super) struct PartitionHandle {
    /// The end of the partition as far as it is known, for the lag.
    pub(super) end: AtomicU64,
    /// Whether that is the answer to the last question: of an older one nobody knows how many records came since.
    is_end_current: AtomicBool,
    /// How many records the split has read.
    pub(super) read: AtomicU64,
    /// Whether the partition was taken away; locked by the split while it takes messages. The library gives the next split
    /// of a partition the same queue, and a message that an earlier split takes is missing there.
    is_abandoned: Mutex<bool>,
    /// Whether it is about to be: the split then begins no other wait, which would hold the lock once more.
    is_leaving: AtomicBool,
    /// Ends the wait of the split for messages.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for PartitionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionHandle({})", self.end.load(Ordering::Relaxed))
    }
}

impl PartitionHandle {
    pub(super) fn new(end: u64, wake: impl Fn() + Send + Sync + 'static) -> PartitionHandle {
        PartitionHandle {
            end: AtomicU64::new(end),
            is_end_current: AtomicBool::new(true),
            read: AtomicU64::new(0),
            is_abandoned: Mutex::new(false),
            is_leaving: AtomicBool::new(false),
            wake: Box::new(wake),
        }
    }

    /// Ends the wait of the split for messages, or its next one.
    pub(super) fn wake(&self) {
        (self.wake)();
    }

    /// Takes the answer to the question for the end; `None` where there was none.
    pub(super) fn end_answered(&self, end: Option<u64>) {
        if let Some(end) = end {
            self.end.store(end, Ordering::Relaxed);
        }
        self.is_end_current.store(end.is_some(), Ordering::Relaxed);
    }

    /// Takes messages, unless the partition was taken away.
    pub(super) fn take<T>(&self, poll: impl FnOnce() -> T) -> Option<T> {
        if self.is_leaving.load(Ordering::Acquire) {
            return None;
        }
        let is_abandoned = self.is_abandoned.lock();
        if *is_abandoned { None } else { Some(poll()) }
    }

    /// Keeps the split from taking more messages; waits for those that it is taking.
    pub(super) fn abandon(&self) {
        self.is_leaving.store(true, Ordering::Release);
        // The split may wait with the lock held.
        self.wake();
        *self.is_abandoned.lock() = true;
    }
}

impl LagMeter for PartitionHandle {
    fn lag_from(&self, offset: u64) -> Option<u64> {
        let is_known = self.is_end_current.load(Ordering::Relaxed);
        is_known.then(|| self.end.load(Ordering::Relaxed).saturating_sub(offset))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock, Weak, mpsc};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lag_that_nobody_knows_is_not_zero() {
        let handle = PartitionHandle::new(7, || {});
        assert_eq!((handle.lag_from(3), handle.lag_from(9)), (Some(4), Some(0)));
        handle.end_answered(None);
        assert_eq!(handle.lag_from(7), None);
        handle.end_answered(Some(10));
        assert_eq!(handle.lag_from(7), Some(3));
    }

    #[test]
    fn a_split_without_its_partition_takes_nothing_and_abandoning_waits_for_the_message_that_is_just_taken() {
        let handle = PartitionHandle::new(0, || {});
        assert_eq!(handle.take(|| 7), Some(7));
        let (taking, is_taking) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            let handle = &handle;
            let split = scope.spawn(move || {
                handle.take(|| {
                    taking.send(()).expect("heard");
                    goes_on.recv().expect("told to");
                })
            });
            is_taking.recv().expect("it takes");
            let left = scope.spawn(|| handle.abandon());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!left.is_finished(), "it waits for what is taken");
            go_on.send(()).expect("heard");
            assert_eq!(split.join().expect("a thread"), Some(()));
            left.join().expect("a thread");
        });
        assert_eq!(handle.take(|| panic!("it has left")), None::<()>);
    }

    #[test]
    fn a_split_that_is_woken_because_its_partition_goes_begins_no_other_wait() {
        let known: Arc<OnceLock<Weak<PartitionHandle>>> = Arc::default();
        let (woken, taken) = (Arc::clone(&known), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&taken);
        let wake = move || {
            let handle = woken.get().and_then(Weak::upgrade).expect("a handle");
            // What the split does as soon as it is awake.
            if handle.take(|| ()).is_some() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let handle = Arc::new(PartitionHandle::new(0, wake));
        known.set(Arc::downgrade(&handle)).expect("set once");
        handle.abandon();
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}
