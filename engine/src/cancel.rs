//! One way to end a run early: a stop that was asked for, and the instant at which waits are abandoned.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How often a wait on a child looks at its parent.
const CHILD_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Given to all that waits in a run. Clones share their state.
///
/// [`stop`](Self::stop) asks for an orderly end: splits drain, their checkpoints are committed. All that still waits once the
/// grace is over, for a broker or for a disk, is abandoned: its wait ends with an error. While a run starts, there is
/// nothing to drain and the grace is zero.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    shared: Arc<Shared>,
    parent: Option<Arc<CancellationToken>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    observers: Mutex<Vec<Observer>>,
}

type Observer = Box<dyn Fn() + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.state)
    }
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
    /// A token of its own for a part of the run: what ends this one ends it too, and not the other way round.
    #[must_use]
    pub fn child(&self) -> CancellationToken {
        CancellationToken { shared: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.change(|state| _ = state.stopped.get_or_insert_with(Instant::now));
    }

    /// Whether somebody asked for an orderly end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.state.lock().stopped.is_some() || self.parent.as_ref().is_some_and(|parent| parent.is_stopped())
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
        self.abandoned_at().is_some_and(|at| at <= Instant::now())
    }

    /// The time that is left for waits, where it is bounded.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let at = self.abandoned_at()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn abandoned_at(&self) -> Option<Instant> {
        let own = self.shared.state.lock().abandon_at();
        own.into_iter().chain(self.parent.as_ref().and_then(|parent| parent.abandoned_at())).min()
    }

    /// Waits until `until`, or until the state changes: somebody asks for a stop, or the instant to abandon waits is
    /// another one or has come.
    pub fn wait_until(&self, until: Instant) {
        let now = Instant::now();
        let until = self.abandoned_at().filter(|at| *at > now).map_or(until, |at| at.min(until));
        // A parent wakes its own waits alone.
        let until = if self.parent.is_some() { until.min(now + CHILD_POLL_INTERVAL) } else { until };
        let _ = self.shared.changed.wait_until(&mut self.shared.state.lock(), until);
    }

    /// Sleeps for so long, or until waits are abandoned; returns whether they are.
    pub fn sleep(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while !self.is_abandoned() && Instant::now() < until {
            self.wait_until(until);
        }
        self.is_abandoned()
    }

    /// Has a function called at each stop and each change of the instant to abandon waits, and once now: for whoever waits
    /// on something of its own.
    pub fn on_change(&self, observer: impl Fn() + Send + Sync + 'static) {
        observer();
        self.shared.observers.lock().push(Box::new(observer));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock());
        self.shared.changed.notify_all();
        self.shared.observers.lock().iter().for_each(|observer| observer());
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
    fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
        let parent = CancellationToken::default();
        let (one, other) = (parent.child(), parent.child());
        one.abandon();
        assert!(one.is_abandoned() && !parent.is_abandoned() && !other.is_abandoned());
        let thread = std::thread::spawn(move || other.sleep(LONG));
        parent.abandon();
        assert!(thread.join().expect("ends"));
    }

    #[test]
    fn an_instant_abandons_waits_without_a_stop() {
        let token = CancellationToken::default();
        token.abandon_at(Instant::now() + Duration::from_millis(20));
        assert!(token.sleep(LONG));
        assert!(!token.is_stopped());
    }
}
