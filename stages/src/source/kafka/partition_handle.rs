//! A partition that is assigned to this member.

use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

/// A partition, as its split and the group see it.
#[derive(Debug)]
pub(super) struct PartitionHandle {
    /// The end of the partition as far as it is known, for the lag.
    pub(super) end: AtomicU64,
    /// How many records the split has read.
    pub(super) read: AtomicU64,
    /// Whether the partition was taken away; locked by the split while it takes a message. The library gives the next split
    /// of a partition the same queue, and a message that an earlier split takes is missing there.
    is_abandoned: Mutex<bool>,
}

impl PartitionHandle {
    pub(super) fn new(end: u64) -> PartitionHandle {
        PartitionHandle { end: AtomicU64::new(end), read: AtomicU64::new(0), is_abandoned: Mutex::new(false) }
    }

    /// Takes a message, unless the partition was taken away.
    pub(super) fn take<T>(&self, poll: impl FnOnce() -> T) -> Option<T> {
        let is_abandoned = self.is_abandoned.lock();
        if *is_abandoned { None } else { Some(poll()) }
    }

    /// Keeps the split from taking more messages; waits for the one that it is taking.
    pub(super) fn abandon(&self) {
        *self.is_abandoned.lock() = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_split_without_its_partition_takes_nothing_and_abandoning_waits_for_the_message_that_is_just_taken() {
        let handle = PartitionHandle::new(0);
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
}
