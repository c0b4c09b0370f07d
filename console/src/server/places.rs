//! The places that a listener has for connections. Where none is left, the connection that has waited longest for a request of its
//! client gives up its own: whoever opens many connections and asks nothing keeps nobody out, and no request is cut off for another.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::bounds::GIVE_UP_TIMEOUT;

/// The places of a listener.
pub(super) struct Places {
    free: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

/// The connections whose clients have nothing under way, by when that began.
#[derive(Default)]
struct Queue {
    turns: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl Places {
    pub(super) fn new(connections_max: usize) -> Arc<Places> {
        Arc::new(Places { free: Arc::new(Semaphore::new(connections_max)), queue: Mutex::default() })
    }

    /// A place, for which another connection may have to go; `None` where all of them answer somebody.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Place> {
        let free = || Arc::clone(&self.free);
        loop {
            if let Ok(permit) = free().try_acquire_owned() {
                return Some(Place::new(self, permit));
            }
            let (_, oldest) = self.queue.lock().waiting.pop_first()?;
            oldest.notify_one();
            // One whose client asked in that very moment keeps its place, and the next one is asked to go.
            if let Ok(Ok(permit)) = timeout(GIVE_UP_TIMEOUT, free().acquire_owned()).await {
                return Some(Place::new(self, permit));
            }
        }
    }
}

/// The place of one connection.
pub(super) struct Place {
    places: Arc<Places>,
    told_to_go: Arc<Notify>,
    state: Mutex<PlaceState>,
    has_asked: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct PlaceState {
    /// Requests that are being answered.
    under_way: u32,
    /// Its turn among those that wait.
    turn: u64,
}

impl Place {
    fn new(places: &Arc<Places>, permit: OwnedSemaphorePermit) -> Place {
        let place = Place {
            places: Arc::clone(places),
            told_to_go: Arc::default(),
            state: Mutex::default(),
            has_asked: AtomicBool::new(false),
            _permit: permit,
        };
        place.wait(&mut place.state.lock());
        place
    }

    fn wait(&self, state: &mut PlaceState) {
        let mut queue = self.places.queue.lock();
        queue.turns += 1;
        state.turn = queue.turns;
        queue.waiting.insert(state.turn, Arc::clone(&self.told_to_go));
    }

    /// A request is being answered until the returned guard is dropped.
    pub(super) fn begin(place: &Arc<Place>) -> UnderWay {
        place.has_asked.store(true, Ordering::Relaxed);
        let mut state = place.state.lock();
        state.under_way += 1;
        place.places.queue.lock().waiting.remove(&state.turn);
        UnderWay(Arc::clone(place))
    }

    /// Waits until the place is wanted by another connection.
    pub(super) async fn told_to_go(&self) {
        self.told_to_go.notified().await;
    }

    /// Whether a request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.state.lock().under_way > 0
    }

    /// Whether the client has asked for anything so far.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let turn = self.state.get_mut().turn;
        self.places.queue.lock().waiting.remove(&turn);
    }
}

/// A request that is being answered.
pub(super) struct UnderWay(Arc<Place>);

impl UnderWay {
    /// A body with which this ends.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        Body::new(BodyUnderWay { body, _under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        if state.under_way == 0 {
            self.0.wait(&mut state);
        }
    }
}

struct BodyUnderWay {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for BodyUnderWay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
