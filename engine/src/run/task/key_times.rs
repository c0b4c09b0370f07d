//! The times of each key of a split: the last one, for the order of records, and the newest one.

use std::collections::HashMap;

/// How many keys a split remembers the times of.
const KEYS_MAX: usize = 100_000;

#[derive(Clone, Copy)]
struct Times {
    last: i64,
    newest: i64,
    /// Whether the newest one is among those that were not taken yet.
    is_changed: bool,
}

/// The times of keys, in microseconds since 1970.
#[derive(Default)]
pub(super) struct KeyTimes {
    times: HashMap<String, Times>,
    changed: Vec<String>,
}

impl KeyTimes {
    /// The time of the last record of a key.
    pub(super) fn last(&self, key: &str) -> Option<i64> {
        self.times.get(key).map(|times| times.last)
    }

    /// Takes the times of the next records of a key.
    pub(super) fn add(&mut self, key: &str, times: &[i64]) {
        let (Some(last), Some(newest)) = (times.last().copied(), times.iter().copied().max()) else { return };
        let is_full = self.times.len() >= KEYS_MAX;
        match self.times.get_mut(key) {
            Some(known) => {
                known.last = last;
                if newest > known.newest {
                    known.newest = newest;
                    if !std::mem::replace(&mut known.is_changed, true) {
                        self.changed.push(key.to_owned());
                    }
                }
            }
            None if !is_full => {
                self.times.insert(key.to_owned(), Times { last, newest, is_changed: true });
                self.changed.push(key.to_owned());
            }
            None => {}
        }
    }

    /// The keys with a newer time than when they were last taken, and that time.
    pub(super) fn take_changed(&mut self) -> Vec<(String, i64)> {
        let times = &mut self.times;
        let take = |key: String| {
            let known = times.get_mut(&key)?;
            known.is_changed = false;
            Some((key, known.newest))
        };
        std::mem::take(&mut self.changed).into_iter().filter_map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_with_newer_times_are_taken_again() {
        let mut times = KeyTimes::default();
        times.add("a", &[1, 5, 3]);
        times.add("b", &[2]);
        assert_eq!(times.take_changed(), [("a".to_owned(), 5), ("b".to_owned(), 2)]);
        times.add("a", &[4]);
        times.add("b", &[6, 7]);
        assert_eq!((times.last("a"), times.take_changed()), (Some(4), vec![("b".to_owned(), 7)]));
        assert_eq!(times.take_changed(), []);
    }
}
