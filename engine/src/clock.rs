//! The source of wall time for a run and its transforms. A test holds its hands.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

/// How often a wait looks whether somebody moved a manual clock.
const MANUAL_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The time of a run. Clones share their time.
///
/// Transforms, checkpoints, playback and all recorded times read it, so that a test can move them by hand. A wait for another
/// thread or process (a broker, a disk, a lock) keeps the system's time, for nobody moves these by hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

#[derive(Debug)]
struct Manual {
    start: Instant,
    unix_start: Duration,
    passed: Mutex<Duration>,
    moved: Condvar,
}

impl Clock {
    /// A clock that only [`advance`](Self::advance) moves. It starts now; `unix_start` is that moment since 1970.
    #[must_use]
    pub fn manual(unix_start: Duration) -> Clock {
        let manual =
            Manual { start: Instant::now(), unix_start, passed: Mutex::new(Duration::ZERO), moved: Condvar::new() };
        Clock { manual: Some(Arc::new(manual)) }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.manual.as_ref().map_or_else(Instant::now, |manual| manual.start + *manual.passed.lock())
    }

    /// Now, since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn since_epoch(&self) -> Duration {
        match &self.manual {
            Some(manual) => manual.unix_start + *manual.passed.lock(),
            None => SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
        }
    }

    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.since_epoch().as_millis()).unwrap_or(u64::MAX)
    }

    /// The system's instant at which to look again for an instant of this clock. A manual clock is looked at often.
    #[must_use]
    pub fn deadline(&self, until: Instant) -> Instant {
        match &self.manual {
            None => until,
            Some(_) => Instant::now() + until.saturating_duration_since(self.now()).min(MANUAL_POLL_INTERVAL),
        }
    }

    /// Waits until an instant of this clock.
    pub fn sleep_until(&self, until: Instant) {
        match &self.manual {
            None => std::thread::sleep(until.saturating_duration_since(Instant::now())),
            Some(manual) => {
                let mut passed = manual.passed.lock();
                while manual.start + *passed < until {
                    manual.moved.wait(&mut passed);
                }
            }
        }
    }

    /// Moves a manual clock on.
    ///
    /// # Panics
    /// Where the clock is the system's.
    pub fn advance(&self, by: Duration) {
        let manual = self.manual.as_ref().expect("only a manual clock is moved by hand");
        *manual.passed.lock() += by;
        manual.moved.notify_all();
    }
}

/// The processor time of this thread so far: waits take none.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Milliseconds since 1970 as RFC 3339 in UTC, with milliseconds; as a number where the calendar ends before.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(unix_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{unix_ms} ms since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_078_941_600_000), "2004-03-10T18:00:00.000Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854775807 ms since 1970");
    }

    #[test]
    fn a_manual_clock_stands_until_it_is_moved() {
        let clock = Clock::manual(Duration::from_secs(5));
        let start = clock.now();
        assert_eq!((clock.now(), clock.unix_ms()), (start, 5_000));
        let waiting = clock.clone();
        let thread = std::thread::spawn(move || waiting.sleep_until(start + Duration::from_secs(3)));
        clock.advance(Duration::from_secs(3));
        thread.join().expect("ends");
        assert_eq!((clock.now(), clock.unix_ms()), (start + Duration::from_secs(3), 8_000));
    }
}
