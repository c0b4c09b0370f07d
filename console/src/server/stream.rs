//! The event stream of one client.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::bounds::KEEP_ALIVE_INTERVAL;
use super::events::Round;

/// How long a page waits before it opens a lost stream again.
const RETRY: &str = "retry: 3000\n\n";

struct Client {
    rounds: watch::Receiver<Arc<Round>>,
    /// What was told, by digests.
    told: Vec<u64>,
    /// The rest of the round that is being told.
    rest: VecDeque<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// The next bytes, once the client has taken those before. Rounds that came and went in between are passed over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.rest.pop_front() {
                return Some(event);
            }
            match timeout(KEEP_ALIVE_INTERVAL, self.rounds.changed()).await {
                Ok(Ok(())) => {
                    let round = Arc::clone(&self.rounds.borrow_and_update());
                    self.rest.extend(round.news(&mut self.told));
                }
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

/// The body of an event stream, which holds its place among all streams until it ends.
pub(super) fn events(rounds: watch::Receiver<Arc<Round>>, place: OwnedSemaphorePermit) -> Body {
    let rest = VecDeque::from([Bytes::from_static(RETRY.as_bytes())]);
    let client = Client { rounds, told: Vec::new(), rest, _place: place };
    Body::from_stream(unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok::<_, Infallible>(event), client))
    }))
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Poll, Waker};

    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn a_slow_client_gets_the_newest_round_and_none_of_those_before() {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        let round = |html: usize| Arc::new(Round::of(vec![("p-time", html.to_string())]));
        let (sender, mut rounds) = watch::channel(round(0));
        rounds.mark_changed();
        let mut client = Client { rounds, told: Vec::new(), rest: VecDeque::new(), _place: place };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut next = || runtime.block_on(client.next()).expect("an event");
        assert!(next().ends_with(b"{\"id\":\"p-time\",\"html\":\"0\"}\n\n"));
        (1..1_000).for_each(|html| drop(sender.send_replace(round(html))));
        assert!(next().ends_with(b"\"999\"}\n\n"));
        let _entered = runtime.enter();
        let waits = std::pin::pin!(client.next()).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(waits, Poll::Pending, "there is nothing else");
    }
}
