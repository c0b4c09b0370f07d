//! One way to end a run early: a stop that was asked for, and the instant at which waits are abandoned.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Given to all that waits in a run. Clones share their state.
///
/// [`stop`](Self::stop) asks for an orderly end: splits drain, their checkpoints are committed. All that still waits once the
/// grace is over, for a broker or for a disk, is abandoned: its wait ends with an error. Without a grace, as while a run starts
/// and has nothing to drain, a stop abandons all waits at once.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    observers: Mutex<Vec<Observer>>,
    parent: Option<Arc<Shared>>,
}

/// Told whether somebody asked for a stop.
type Observer = Box<dyn Fn(bool) + Send + Sync>;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    stopped: Option<Instant>,
    grace: Option<Duration>,
    abandon_at: Option<Instant>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.state)
    }
}

impl Shared {
    /// The state with that of the parents: the earliest instants, the nearest grace. `own` is this token's.
    fn with_parents(&self, own: State) -> State {
        let Some(parent) = &self.parent else { return own };
        let above = parent.with_parents(*parent.state.lock());
        let earliest = |one: Option<Instant>, other: Option<Instant>| one.into_iter().chain(other).min();
        State {
            stopped: earliest(own.stopped, above.stopped),
            grace: own.grace.or(above.grace),
            abandon_at: earliest(own.abandon_at, above.abandon_at),
        }
    }

    /// When waits are abandoned.
    fn abandon_at(&self, own: State) -> Option<Instant> {
        let state = self.with_parents(own);
        let after_stop = state.stopped.map(|stopped| stopped + state.grace.unwrap_or_default());
        state.abandon_at.into_iter().chain(after_stop).min()
    }

    fn notify(&self) {
        // Under the lock: nobody is then between a look at the state and the wait.
        let own = *self.state.lock();
        self.changed.notify_all();
        let is_stopped = self.with_parents(own).stopped.is_some();
        self.observers.lock().iter().for_each(|observer| observer(is_stopped));
    }
}

impl CancellationToken {
    /// A token of its own for a part of the run. A stop and an end of waits reach it from here, and none from there.
    #[must_use]
    pub fn child(&self) -> CancellationToken {
        let child = Arc::new(Shared { parent: Some(Arc::clone(&self.shared)), ..Shared::default() });
        let observed = Arc::downgrade(&child);
        self.on_change(move |_| {
            if let Some(child) = observed.upgrade() {
                child.notify();
            }
        });
        CancellationToken { shared: child }
    }

    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.change(|state| _ = state.stopped.get_or_insert_with(Instant::now));
    }

    /// Whether somebody asked for an orderly end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let own = *self.shared.state.lock();
        self.shared.with_parents(own).stopped.is_some()
    }

    /// How long after a stop waits go on.
    pub fn set_grace(&self, grace: Duration) {
        self.change(|state| state.grace = Some(grace));
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
        let own = *self.shared.state.lock();
        self.shared.abandon_at(own).is_some_and(|at| at <= Instant::now())
    }

    /// The time that is left for waits, where it is bounded.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let own = *self.shared.state.lock();
        Some(self.shared.abandon_at(own)?.saturating_duration_since(Instant::now()))
    }

    /// Sleeps for so long, or until waits are abandoned; returns whether they are.
    pub fn sleep(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut state = self.shared.state.lock();
        loop {
            let abandon_at = self.shared.abandon_at(*state);
            let now = Instant::now();
            if abandon_at.is_some_and(|at| at <= now) {
                return true;
            }
            if now >= until {
                return false;
            }
            let next = abandon_at.map_or(until, |at| at.min(until));
            let _ = self.shared.changed.wait_until(&mut state, next);
        }
    }

    /// Has a function called now, and at each stop and each change of the instant to abandon waits, with whether somebody asked
    /// for a stop: for whoever waits on something of its own.
    pub fn on_change(&self, observer: impl Fn(bool) + Send + Sync + 'static) {
        // Under the lock: a change comes before the call, or is told to the observer.
        let mut observers = self.shared.observers.lock();
        observer(self.is_stopped());
        observers.push(Box::new(observer));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock());
        self.shared.notify();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_stop_without_a_grace_abandons_all_waits_at_once() {
        for _ in 0..200 {
            let token = CancellationToken::default();
            let waiting = token.clone();
            let thread = std::thread::spawn(move || waiting.sleep(LONG));
            token.stop();
            assert!(thread.join().expect("ends"));
            assert!(token.is_stopped() && token.is_abandoned());
        }
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
    fn a_child_has_its_own_grace_and_its_childs_have_it_too() {
        let run = CancellationToken::default();
        let child = run.child();
        child.set_grace(LONG);
        let part = child.child();
        run.stop();
        assert!(run.is_abandoned() && child.is_stopped() && !child.is_abandoned() && !part.is_abandoned());
    }

    #[test]
    fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
        for _ in 0..200 {
            let parent = CancellationToken::default();
            let (one, other) = (parent.child(), parent.child().child());
            one.abandon();
            assert!(one.is_abandoned() && !parent.is_abandoned() && !other.is_abandoned());
            let thread = std::thread::spawn(move || other.sleep(LONG));
            parent.abandon();
            assert!(thread.join().expect("ends"));
        }
    }

    #[test]
    fn an_instant_abandons_waits_without_a_stop() {
        let token = CancellationToken::default();
        token.abandon_at(Instant::now() + Duration::from_millis(20));
        assert!(token.sleep(LONG));
        assert!(!token.is_stopped());
    }

    #[test]
    fn an_observer_sees_each_stop_of_its_token_and_of_the_parent() {
        let parent = CancellationToken::default();
        let child = parent.child();
        let stops = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&stops);
        child.on_change(move |is_stopped| _ = seen.fetch_add(usize::from(is_stopped), Ordering::SeqCst));
        parent.stop();
        assert_eq!(stops.load(Ordering::SeqCst), 1);
    }
}
