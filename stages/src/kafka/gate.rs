//! Holds writers back so that nothing in the embedded broker is dropped before it was read.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How many bytes of a topic may be unread. The embedded broker keeps about 5 MB a partition, and all of a topic's
/// records may have one key and so one partition.
const UNREAD: u64 = 2_000_000;
/// What a record costs besides its key and value.
const OVERHEAD: u64 = 70;

/// What is written to topics and read from them.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    topics: Mutex<HashMap<String, Topic>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Topic {
    sent: u64,
    readers: HashMap<String, Reader>,
}

#[derive(Debug, Default)]
struct Reader {
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

impl Gates {
    /// A group reads a topic from now on: what is sent to it waits for that group.
    pub(crate) fn enter(&self, topic: &str, group: &str) {
        let mut topics = self.topics.lock();
        let topic = topics.entry(topic.to_owned()).or_default();
        let sent = topic.sent;
        let reader =
            topic.readers.entry(group.to_owned()).or_insert_with(|| Reader { read: sent, ..Reader::default() });
        reader.members += 1;
    }

    /// A source of the group reads the topic no more; nobody waits for it.
    pub(crate) fn leave(&self, topic: &str, group: &str) {
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

    /// A record of so many bytes is to be sent: waits until there is room, `cancelled` for as long as it takes.
    /// Returns whether there is.
    pub(crate) fn send(&self, topic: &str, bytes: u64, cancelled: &dyn Fn() -> bool) -> bool {
        let bytes = bytes + OVERHEAD;
        let mut topics = self.topics.lock();
        loop {
            let Some(known) = topics.get_mut(topic) else { return true };
            let unread = known.unread();
            // A record larger than the budget passes alone.
            if unread == 0 || unread + bytes <= UNREAD {
                known.sent += bytes;
                return true;
            }
            if cancelled() {
                return false;
            }
            self.changed.wait_for(&mut topics, Duration::from_millis(50));
        }
    }

    /// Records were read from a partition: each as its offset and its bytes. What a group reads again is not counted
    /// again.
    pub(crate) fn read(&self, topic: &str, group: &str, partition: i32, records: &[(u64, u64)]) {
        let mut topics = self.topics.lock();
        let Some(reader) = topics.get_mut(topic).and_then(|topic| topic.readers.get_mut(group)) else { return };
        let counted = reader.counted.entry(partition).or_default();
        for (offset, bytes) in records {
            if *offset >= *counted {
                *counted = offset + 1;
                reader.read += bytes + OVERHEAD;
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
        let gates = Gates::default();
        assert!((0..100).all(|_| gates.send("t", 1_000_000, &|| true)));
    }

    #[test]
    fn the_slowest_reader_holds_the_writer_back_and_reading_twice_counts_once() {
        let gates = Gates::default();
        gates.enter("t", "fast");
        gates.enter("t", "slow");
        assert!(gates.send("t", 1_500_000, &|| true));
        gates.read("t", "fast", 0, &[(0, 1_500_000)]);
        assert!(!gates.send("t", 600_000, &|| true), "the slow reader has read nothing");
        gates.read("t", "slow", 0, &[(0, 1_500_000)]);
        gates.read("t", "slow", 0, &[(0, 1_500_000)]);
        assert!(gates.send("t", 1_900_000, &|| true));
        assert!(!gates.send("t", 600_000, &|| true), "what was read twice must not make room twice");
    }

    #[test]
    fn a_record_larger_than_the_budget_passes_once_all_is_read() {
        let gates = Gates::default();
        gates.enter("t", "g");
        assert!(gates.send("t", 10_000_000, &|| true));
        assert!(!gates.send("t", 1, &|| true));
        gates.leave("t", "g");
        assert!(gates.send("t", 1, &|| true), "nobody waits for a reader that left");
    }
}
