//! Which of a pipeline's clients tells that no broker answers: all of them notice it within moments, and one line is enough.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::outage::OUTAGE_FORGOTTEN_AFTER;

/// The clients of a pipeline that tell, by the brokers that they connect to: one entry for each stage at most.
#[derive(Default)]
pub(super) struct OutageTellers(Mutex<State>);

#[derive(Default)]
struct State {
    clients: u64,
    telling: Vec<Telling>,
}

struct Telling {
    brokers: String,
    client: u64,
    /// When it noticed last that no broker answers.
    noticed: Instant,
}

/// A client that may tell.
pub(super) struct OutageTeller {
    tellers: Arc<OutageTellers>,
    brokers: String,
    client: u64,
}

impl OutageTeller {
    pub(super) fn new(tellers: &Arc<OutageTellers>, brokers: &str) -> OutageTeller {
        let mut state = tellers.0.lock();
        state.clients += 1;
        OutageTeller { tellers: Arc::clone(tellers), brokers: brokers.to_owned(), client: state.clients }
    }

    /// Notices that no broker answers, which `is_due` to be told or not. Returns whether this client tells it: no other one
    /// does, or that one noticed nothing for long.
    pub(super) fn tells(&self, is_due: bool, now: Instant) -> bool {
        let mut state = self.tellers.0.lock();
        let Some(telling) = state.telling.iter_mut().find(|telling| telling.brokers == self.brokers) else {
            if is_due {
                state.telling.push(Telling { brokers: self.brokers.clone(), client: self.client, noticed: now });
            }
            return is_due;
        };
        let is_free = now.saturating_duration_since(telling.noticed) > OUTAGE_FORGOTTEN_AFTER;
        if telling.client == self.client || (is_due && is_free) {
            (telling.client, telling.noticed) = (self.client, now);
            return is_due;
        }
        false
    }

    /// Brokers answer this client. Returns whether it told that they did not.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.tellers.0.lock();
        let before = state.telling.len();
        state.telling.retain(|telling| telling.client != self.client);
        state.telling.len() < before
    }
}

impl Drop for OutageTeller {
    fn drop(&mut self) {
        self.is_over();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_client_of_a_pipeline_tells_of_the_same_brokers_and_another_goes_on_where_it_ends() {
        let (tellers, now) = (Arc::default(), Instant::now());
        let [a, b, other] = ["x:1", "x:1", "y:1"].map(|brokers| OutageTeller::new(&tellers, brokers));
        assert!(!b.tells(false, now), "nothing is due");
        assert_eq!([&a, &b, &other, &a].map(|client| client.tells(true, now)), [true, false, true, true]);
        assert_eq!([b.is_over(), a.is_over(), a.is_over()], [false, true, false]);
        assert!(b.tells(true, now) && !a.tells(true, now));
        drop(b);
        assert!(a.tells(true, now));
        let later = now + OUTAGE_FORGOTTEN_AFTER + Duration::from_secs(1);
        let c = OutageTeller::new(&tellers, "x:1");
        assert!(c.tells(true, later) && !a.tells(true, later), "what `a` noticed is long ago");
    }
}
