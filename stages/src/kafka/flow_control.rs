//! Holds writers of the embedded broker back, so that it drops no record before it was read.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The most unread bytes of a topic. The embedded broker keeps about 5 MB a partition, and all of a topic's
/// records may have one key and so one partition.
const UNREAD_BYTES_MAX: u64 = 2_000_000;
/// The bytes of a record in the broker beyond its key and value.
const RECORD_OVERHEAD_BYTES: u64 = 70;
/// How often a wait checks for cancellation; a read wakes it earlier.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Counts the bytes that are written to topics and read from them.
#[derive(Debug, Default)]
pub(crate) struct FlowControl {
    topics: Mutex<HashMap<String, Topic>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Topic {
    sent: u64,
    readers: HashMap<String, ReaderGroup>,
}

#[derive(Debug, Default)]
struct ReaderGroup {
    /// Sources that read as this group.
    members: usize,
    read: u64,
    /// By partition, the offset before which everything was counted.
    counted: HashMap<i32, u64>,
}

impl Topic {
    fn unread(&self) -> u64 {
        self.readers.values().map(|reader| self.sent.saturating_sub(reader.read)).max().unwrap_or(0)
    }
}

impl FlowControl {
    /// A group reads a topic from now on: writers wait for it.
    pub(crate) fn register_reader(&self, topic: &str, group: &str) {
        let mut topics = self.topics.lock();
        let topic = topics.entry(topic.to_owned()).or_default();
        let sent = topic.sent;
        let reader = topic
            .readers
            .entry(group.to_owned())
            .or_insert_with(|| ReaderGroup { read: sent, ..ReaderGroup::default() });
        reader.members += 1;
    }

    /// A source of the group has stopped reading the topic; writers no longer wait for it.
    pub(crate) fn forget_reader(&self, topic: &str, group: &str) {
        let mut topics = self.topics.lock();
        let Some(topic) = topics.get_mut(topic) else { return };
        if let Some(reader) = topic.readers.get_mut(group) {
            reader.members = reader.members.saturating_sub(1);
            if reader.members == 0 {
                topic.readers.remove(group);
            }
        }
        self.changed.notify_all();
    }

    /// Waits until there is room for a record of so many bytes. Returns false where `cancelled` came first.
    pub(crate) fn send(&self, topic: &str, bytes: u64, cancelled: &dyn Fn() -> bool) -> bool {
        let bytes = bytes + RECORD_OVERHEAD_BYTES;
        let mut topics = self.topics.lock();
        loop {
            let Some(known) = topics.get_mut(topic) else { return true };
            let unread = known.unread();
            // A record larger than the budget passes alone.
            if unread == 0 || unread + bytes <= UNREAD_BYTES_MAX {
                known.sent += bytes;
                return true;
            }
            if cancelled() {
                return false;
            }
            self.changed.wait_for(&mut topics, CANCEL_CHECK_INTERVAL);
        }
    }

    /// Counts records that were read from a partition, each by offset and bytes. A record that a group reads twice counts
    /// once.
    pub(crate) fn read(&self, topic: &str, group: &str, partition: i32, records: &[(u64, u64)]) {
        let mut topics = self.topics.lock();
        let Some(reader) = topics.get_mut(topic).and_then(|topic| topic.readers.get_mut(group)) else { return };
        let counted = reader.counted.entry(partition).or_default();
        for (offset, bytes) in records {
            if *offset >= *counted {
                *counted = offset + 1;
                reader.read += bytes + RECORD_OVERHEAD_BYTES;
            }
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_nobody_of_the_run_reads_is_not_held_back() {
        let flow = FlowControl::default();
        assert!((0..100).all(|_| flow.send("t", 1_000_000, &|| true)));
    }

    #[test]
    fn the_slowest_reader_holds_the_writer_back_and_reading_twice_counts_once() {
        let flow = FlowControl::default();
        flow.register_reader("t", "fast");
        flow.register_reader("t", "slow");
        assert!(flow.send("t", 1_500_000, &|| true));
        flow.read("t", "fast", 0, &[(0, 1_500_000)]);
        assert!(!flow.send("t", 600_000, &|| true), "the slow reader has read nothing");
        flow.read("t", "slow", 0, &[(0, 1_500_000)]);
        flow.read("t", "slow", 0, &[(0, 1_500_000)]);
        assert!(flow.send("t", 1_900_000, &|| true));
        assert!(!flow.send("t", 600_000, &|| true), "what was read twice must not make room twice");
    }

    #[test]
    fn a_record_larger_than_the_budget_passes_once_all_is_read() {
        let flow = FlowControl::default();
        flow.register_reader("t", "g");
        assert!(flow.send("t", 10_000_000, &|| true));
        assert!(!flow.send("t", 1, &|| true));
        flow.forget_reader("t", "g");
        assert!(flow.send("t", 1, &|| true), "nobody waits for a reader that left");
    }
}
