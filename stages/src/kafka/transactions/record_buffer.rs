//! Records that wait in memory for the transaction that decides their checkpoint.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rdkafka::message::OwnedHeaders;

/// A split ends its checkpoint once its buffer has so many bytes. One commit takes all buffers that wait.
const BUFFER_FULL_BYTES: usize = 8 << 20;
/// No split begins a new buffer while so many bytes wait in others, those that are being sent among them: enough that a
/// commit costs little beside its records, and that splits go on while one is decided.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Allocations that are kept for later buffers: about as many as there are buffers at a time.
const SPARE_BUFFERS_MAX: usize = 4;
/// An allocation that grew beyond this is not kept.
const SPARE_BUFFER_BYTES_MAX: usize = 2 * BUFFER_FULL_BYTES;
/// How often a wait for memory checks for cancellation; a freed buffer wakes it earlier.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Bounds the bytes in all buffers of a pipeline.
#[derive(Default)]
pub(crate) struct MemoryBudget {
    waiting: Mutex<usize>,
    freed: Condvar,
    /// Allocations of buffers that are gone. New ones would be new pages each time, which cost more than filling them.
    available: Mutex<Vec<Vec<u8>>>,
}

impl MemoryBudget {
    /// Waits until a new buffer may be begun.
    fn wait(&self, cancellation: &CancellationToken) -> Result<()> {
        let mut waiting = self.waiting.lock();
        while *waiting >= WAITING_BYTES_MAX {
            if cancellation.is_abandoned() {
                return Err(Error::new("gave up waiting for the brokers to commit"));
            }
            self.freed.wait_for(&mut waiting, CANCEL_CHECK_INTERVAL);
        }
        Ok(())
    }
}

/// The bounds of a record in a [`RecordBuffer`].
struct RecordBounds {
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
    headers: Option<OwnedHeaders>,
}

/// A record of a [`RecordBuffer`].
pub(super) struct BufferedRecord<'a> {
    pub(super) key: Option<&'a [u8]>,
    /// Where its value lies in the values of the buffer.
    pub(super) value: Option<Range<usize>>,
    pub(super) headers: Option<&'a OwnedHeaders>,
}

/// The records that one checkpoint sends to one topic. They stay until the checkpoint is decided, so that an aborted
/// transaction can be repeated.
pub(crate) struct RecordBuffer {
    pub(super) topic: Arc<str>,
    /// The values, one after the other. The producer shares them while they are under way.
    values: Arc<Vec<u8>>,
    keys: Vec<u8>,
    records: Vec<RecordBounds>,
    budget: Arc<MemoryBudget>,
    counted: usize,
}

impl RecordBuffer {
    /// An empty buffer, once the budget has room for one.
    pub(crate) fn begin(
        topic: &Arc<str>,
        budget: &Arc<MemoryBudget>,
        cancellation: &CancellationToken,
    ) -> Result<RecordBuffer> {
        budget.wait(cancellation)?;
        let values = budget.available.lock().pop().unwrap_or_default();
        let mut buffer = RecordBuffer::unbudgeted(topic, budget);
        buffer.values = Arc::new(values);
        Ok(buffer)
    }

    /// An empty buffer that does not wait for the budget.
    pub(crate) fn unbudgeted(topic: &Arc<str>, budget: &Arc<MemoryBudget>) -> RecordBuffer {
        RecordBuffer {
            topic: Arc::clone(topic),
            values: Arc::default(),
            keys: Vec::new(),
            records: Vec::new(),
            budget: Arc::clone(budget),
            counted: 0,
        }
    }

    /// The values, one after the other.
    pub(crate) fn values(&self) -> &Arc<Vec<u8>> {
        &self.values
    }

    /// The same to append to; [`add`](Self::add) then says where each value lies.
    pub(crate) fn values_mut(&mut self) -> &mut Vec<u8> {
        // Not shared before the buffer is sent, so that nothing is copied.
        Arc::make_mut(&mut self.values)
    }

    /// Adds a record whose value lies in `values` from the first to the second index.
    pub(crate) fn add(&mut self, key: Option<&[u8]>, value: Option<(usize, usize)>, headers: Option<OwnedHeaders>) {
        let key = key.map(|key| {
            let from = self.keys.len();
            self.keys.extend_from_slice(key);
            (from, self.keys.len())
        });
        self.records.push(RecordBounds { key, value, headers });
    }

    /// Adds a record with a copy of its value.
    pub(crate) fn add_value(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: Option<OwnedHeaders>) {
        let value = value.map(|value| {
            let values = self.values_mut();
            let from = values.len();
            values.extend_from_slice(value);
            (from, values.len())
        });
        self.add(key, value, headers);
    }

    /// Counts the bytes added since the last call against the budget, and returns how many they are.
    pub(crate) fn count(&mut self) -> usize {
        let bytes = self.values.len() + self.keys.len();
        let added = bytes - std::mem::replace(&mut self.counted, bytes);
        *self.budget.waiting.lock() += added;
        added
    }

    /// Whether this buffer, or all of them together, are large enough for a commit.
    pub(crate) fn is_full(&self) -> bool {
        self.counted >= BUFFER_FULL_BYTES || *self.budget.waiting.lock() >= WAITING_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether a record has headers.
    pub(super) fn has_headers(&self) -> bool {
        self.records.iter().any(|record| record.headers.is_some())
    }

    pub(super) fn records(&self) -> impl ExactSizeIterator<Item = BufferedRecord<'_>> {
        self.records_from(0)
    }

    /// The records behind the first ones, over which it does not go.
    pub(super) fn records_from(&self, first: usize) -> impl ExactSizeIterator<Item = BufferedRecord<'_>> {
        self.records.get(first..).unwrap_or_default().iter().map(|it| BufferedRecord {
            key: it.key.map(|(from, to)| &self.keys[from..to]),
            value: it.value.map(|(from, to)| from..to),
            headers: it.headers.as_ref(),
        })
    }
}

impl Drop for RecordBuffer {
    fn drop(&mut self) {
        let mut available = self.budget.available.lock();
        // Where a producer still has them, it frees them.
        if (1..=SPARE_BUFFER_BYTES_MAX).contains(&self.values.capacity())
            && available.len() < SPARE_BUFFERS_MAX
            && let Ok(mut values) = Arc::try_unwrap(std::mem::take(&mut self.values))
        {
            values.clear();
            available.push(values);
        }
        drop(available);
        *self.budget.waiting.lock() -= self.counted;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_gives_back_what_was_added_in_order() {
        let (budget, never) = (Arc::new(MemoryBudget::default()), CancellationToken::default());
        let mut buffer = RecordBuffer::begin(&"t".into(), &budget, &never).expect("room");
        buffer.values_mut().extend_from_slice(b"onetwo");
        buffer.add(Some(b"k"), Some((0, 3)), None);
        buffer.add(None, Some((3, 6)), None);
        buffer.add_value(None, Some(b"three"), None);
        buffer.add_value(None, None, None);
        buffer.count();
        let value = |range: Range<usize>| &buffer.values()[range];
        let records: Vec<_> = buffer.records().map(|record| (record.key, record.value.map(value))).collect();
        let text = |bytes: &'static [u8]| Some(bytes);
        assert_eq!(records, [(text(b"k"), text(b"one")), (None, text(b"two")), (None, text(b"three")), (None, None)]);
        assert_eq!(*budget.waiting.lock(), 12);
        drop(buffer);
        assert_eq!(*budget.waiting.lock(), 0);
    }

    #[test]
    fn a_new_buffer_waits_while_others_hold_too_much_and_gives_up_when_it_is_told_to() {
        let (budget, cancellation) = (Arc::new(MemoryBudget::default()), CancellationToken::default());
        let mut first = RecordBuffer::begin(&"t".into(), &budget, &cancellation).expect("room");
        first.values_mut().resize(WAITING_BYTES_MAX, 0);
        first.count();
        assert!(first.is_full());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| RecordBuffer::begin(&"t".into(), &budget, &cancellation).map(drop));
            drop(first);
            assert!(second.join().expect("no panic").is_ok());
        });
        let mut first = RecordBuffer::begin(&"t".into(), &budget, &cancellation).expect("room");
        first.values_mut().resize(WAITING_BYTES_MAX, 0);
        first.count();
        cancellation.abandon();
        assert!(RecordBuffer::begin(&"t".into(), &budget, &cancellation).is_err());
    }
}
