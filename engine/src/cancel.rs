//! One way to end a run early: a stop that was asked for, and the instant at which waits are abandoned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Given to all that waits in a run. Clones share their state.
///
/// [`stop`](Self::stop) asks for an orderly end: splits drain, their checkpoints are committed. All that still waits once the
/// grace is over, for a broker or for a disk, is abandoned: its wait ends with an error. While a run starts, there is
/// nothing to drain and the grace is zero.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: Option<Instant>,
    grace: Duration,
    abandon_at: Option<Instant>,
}

impl State {
    fn abandon_at(&self) -> Option<Instant> {
        let after_stop = self.stopped.map(|stopped| stopped + self.grace);
        self.abandon_at.into_iter().chain(after_stop).min()
    }
}

impl CancellationToken {
    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.change(|state| _ = state.stopped.get_or_insert_with(Instant::now));
    }

    /// Whether somebody asked for an orderly end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.state.lock().stopped.is_some()
    }

    /// How long after a stop waits go on.
    pub fn set_grace(&self, grace: Duration) {
        self.change(|state| state.grace = grace);
    }

    /// Abandons all waits at that instant, whether or not somebody asks for a stop.
    pub fn abandon_at(&self, at: Instant) {
        self.change(|state| state.abandon_at = Some(state.abandon_at.map_or(at, |earlier| earlier.min(at))));
    }

    /// Abandons all waits now.
    pub fn abandon(&self) {
        self.abandon_at(Instant::now());
    }

    /// Whether waits are abandoned.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.state.lock().abandon_at().is_some_and(|at| at <= Instant::now())
    }

    /// The time that is left for waits, where it is bounded.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let at = self.shared.state.lock().abandon_at()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Waits until `until`, or until the state changes: somebody asks for a stop, or the instant to abandon waits is
    /// another one or has come.
    pub fn wait_until(&self, until: Instant) {
        let mut state = self.shared.state.lock();
        let until = state.abandon_at().filter(|at| *at > Instant::now()).map_or(until, |at| at.min(until));
        let _ = self.shared.changed.wait_until(&mut state, until);
    }

    /// Sleeps for so long, or until waits are abandoned; returns whether they are.
    pub fn sleep(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while !self.is_abandoned() && Instant::now() < until {
            self.wait_until(until);
        }
        self.is_abandoned()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock());
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_stop_while_nothing_runs_abandons_all_waits_at_once() {
        let token = CancellationToken::default();
        let waiting = token.clone();
        let thread = std::thread::spawn(move || waiting.sleep(LONG));
        token.stop();
        assert!(thread.join().expect("ends"));
        assert!(token.is_stopped() && token.is_abandoned());
    }

    #[test]
    fn a_stop_leaves_waits_the_grace() {
        let token = CancellationToken::default();
        token.set_grace(LONG);
        token.stop();
        assert!(token.is_stopped() && !token.is_abandoned());
        assert!(token.remaining().is_some_and(|left| left > LONG / 2));
        token.abandon();
        assert!(token.is_abandoned());
    }

    #[test]
    fn an_instant_abandons_waits_without_a_stop() {
        let token = CancellationToken::default();
        token.abandon_at(Instant::now() + Duration::from_millis(20));
        assert!(token.sleep(LONG));
        assert!(!token.is_stopped());
    }
}
