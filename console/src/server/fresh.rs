//! A value that is made anew when it is asked for and old.

use std::time::Instant;

use parking_lot::Mutex;

use super::bounds::FRESH_FOR;

/// A value that all who ask at about the same time share.
#[derive(Debug)]
pub(super) struct Fresh<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Fresh(Mutex::new(None))
    }
}

impl<T: Clone> Fresh<T> {
    /// The value, made now where the last one is too old.
    pub(super) fn get(&self, make: impl FnOnce() -> T) -> T {
        let mut last = self.0.lock();
        if let Some((at, value)) = &*last
            && at.elapsed() < FRESH_FOR
        {
            return value.clone();
        }
        let value = make();
        *last = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_ask_at_once_share_a_value() {
        let (fresh, mut made) = (Fresh::default(), 0);
        let begin = Instant::now();
        for _ in 0..1_000 {
            fresh.get(|| made += 1);
        }
        let longest = begin.elapsed().as_millis() / FRESH_FOR.as_millis() + 1;
        assert!(made <= longest, "{made} were made");
    }
}
