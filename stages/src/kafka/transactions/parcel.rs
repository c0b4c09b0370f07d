//! Messages that wait for the transaction that decides their checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rdkafka::message::OwnedHeaders;

/// A split's parcel is handed over once it has so many bytes. One commit takes all that wait.
const FULL: usize = 8 << 20;
/// No split begins a new parcel while so many bytes wait in others, those that are being sent among them: enough that a
/// commit costs little beside what it carries, and that splits go on meanwhile.
const WAITING_MOST: usize = 32 << 20;
/// Buffers that are kept: about as many as there are parcels at a time.
const SPARE_MOST: usize = 4;
/// A buffer that grew beyond this is not kept.
const LARGE: usize = 2 * FULL;
/// How often whoever waits for room looks whether it is to give up; most waits are woken.
const LOOK: Duration = Duration::from_millis(50);

/// The bytes of all parcels of a pipeline.
#[derive(Default)]
pub(crate) struct Budget {
    waiting: Mutex<usize>,
    freed: Condvar,
    /// The buffers of parcels that are gone: new ones would be new pages each time, which cost more than what is done
    /// with them.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Budget {
    /// Waits until a new parcel may be begun.
    fn wait(&self, given_up: &AtomicBool) -> Result<()> {
        let mut waiting = self.waiting.lock();
        while *waiting >= WAITING_MOST {
            if given_up.load(Ordering::SeqCst) {
                return Err(Error::new("gave up waiting for the brokers to commit"));
            }
            self.freed.wait_for(&mut waiting, LOOK);
        }
        Ok(())
    }
}

/// A message of a [`Parcel`]: where its parts end.
struct Entry {
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
    headers: Option<OwnedHeaders>,
}

/// A message to be sent.
pub(super) struct Post<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Option<&'a OwnedHeaders>,
}

/// What one checkpoint sends to one topic. It stays whole until the checkpoint is decided, so that a transaction can be made again.
pub(crate) struct Parcel {
    pub(super) topic: Arc<str>,
    /// Values one after the other; an encoder appends to it.
    pub(crate) values: Vec<u8>,
    keys: Vec<u8>,
    entries: Vec<Entry>,
    budget: Arc<Budget>,
    counted: usize,
}

impl Parcel {
    /// An empty parcel, once there is room for another one.
    pub(crate) fn begin(topic: &Arc<str>, budget: &Arc<Budget>, given_up: &AtomicBool) -> Result<Parcel> {
        budget.wait(given_up)?;
        let values = budget.spare.lock().pop().unwrap_or_default();
        let mut parcel = Parcel::beside(topic, budget);
        parcel.values = values;
        Ok(parcel)
    }

    /// An empty parcel that waits for no room.
    pub(crate) fn beside(topic: &Arc<str>, budget: &Arc<Budget>) -> Parcel {
        Parcel {
            topic: Arc::clone(topic),
            values: Vec::new(),
            keys: Vec::new(),
            entries: Vec::new(),
            budget: Arc::clone(budget),
            counted: 0,
        }
    }

    /// Adds a message whose value is that stretch of `values`.
    pub(crate) fn add(&mut self, key: Option<&[u8]>, value: Option<(usize, usize)>, headers: Option<OwnedHeaders>) {
        let key = key.map(|key| {
            let from = self.keys.len();
            self.keys.extend_from_slice(key);
            (from, self.keys.len())
        });
        self.entries.push(Entry { key, value, headers });
    }

    /// Adds a message with a value of its own.
    pub(crate) fn add_value(&mut self, value: Option<&[u8]>, headers: Option<OwnedHeaders>) {
        let value = value.map(|value| {
            let from = self.values.len();
            self.values.extend_from_slice(value);
            (from, self.values.len())
        });
        self.add(None, value, headers);
    }

    /// Tells the budget what was added.
    pub(crate) fn count(&mut self) {
        let bytes = self.values.len() + self.keys.len();
        *self.budget.waiting.lock() += bytes - self.counted;
        self.counted = bytes;
    }

    /// Whether it is large enough, or all of them together are.
    pub(crate) fn is_full(&self) -> bool {
        self.counted >= FULL || *self.budget.waiting.lock() >= WAITING_MOST
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn posts(&self) -> impl Iterator<Item = Post<'_>> {
        self.entries.iter().map(|entry| Post {
            key: entry.key.map(|(from, to)| &self.keys[from..to]),
            value: entry.value.map(|(from, to)| &self.values[from..to]),
            headers: entry.headers.as_ref(),
        })
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let mut spare = self.budget.spare.lock();
        if (1..=LARGE).contains(&self.values.capacity()) && spare.len() < SPARE_MOST {
            let mut values = std::mem::take(&mut self.values);
            values.clear();
            spare.push(values);
        }
        drop(spare);
        *self.budget.waiting.lock() -= self.counted;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_gives_back_what_was_added_in_order() {
        let (budget, never) = (Arc::new(Budget::default()), AtomicBool::new(false));
        let mut parcel = Parcel::begin(&"t".into(), &budget, &never).expect("room");
        parcel.values.extend_from_slice(b"onetwo");
        parcel.add(Some(b"k"), Some((0, 3)), None);
        parcel.add(None, Some((3, 6)), None);
        parcel.add_value(Some(b"three"), None);
        parcel.add_value(None, None);
        parcel.count();
        let posts: Vec<_> = parcel.posts().map(|post| (post.key, post.value)).collect();
        let text = |bytes: &'static [u8]| Some(bytes);
        assert_eq!(posts, [(text(b"k"), text(b"one")), (None, text(b"two")), (None, text(b"three")), (None, None)]);
        assert_eq!(*budget.waiting.lock(), 12);
        drop(parcel);
        assert_eq!(*budget.waiting.lock(), 0);
    }

    #[test]
    fn a_new_parcel_waits_while_others_hold_too_much_and_gives_up_when_it_is_told_to() {
        let (budget, given_up) = (Arc::new(Budget::default()), AtomicBool::new(false));
        let mut first = Parcel::begin(&"t".into(), &budget, &given_up).expect("room");
        first.values.resize(WAITING_MOST, 0);
        first.count();
        assert!(first.is_full());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Parcel::begin(&"t".into(), &budget, &given_up).map(drop));
            drop(first);
            assert!(second.join().expect("no panic").is_ok());
        });
        let mut first = Parcel::begin(&"t".into(), &budget, &given_up).expect("room");
        first.values.resize(WAITING_MOST, 0);
        first.count();
        given_up.store(true, Ordering::SeqCst);
        assert!(Parcel::begin(&"t".into(), &budget, &given_up).is_err());
    }
}
