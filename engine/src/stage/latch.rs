//! A latch: it opens once, and others wait for it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A latch: it opens once, and others wait for it.
#[derive(Debug, Default)]
pub struct Latch {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    /// A latch that is open already.
    #[must_use]
    pub fn opened() -> Latch {
        Latch { open: Mutex::new(true), changed: Condvar::new() }
    }

    /// Opens it, for good.
    pub fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.open.lock()
    }

    /// Waits for it, at most so long; returns whether it is open.
    pub fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut open = self.open.lock();
        while !*open && !self.changed.wait_until(&mut open, until).timed_out() {}
        *open
    }
}
