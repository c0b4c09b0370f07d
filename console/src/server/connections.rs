//! Accepts connections and answers on them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::bounds::{ACCEPT_PAUSE, BUFFER_BYTES, GIVE_UP_TIMEOUT, GRACE, Lifetimes};
use super::events::end_of;
use super::places::{Place, Places};
use super::routes::Streaming;

/// Answers until it is stopped, then ends what is open within a moment.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    connections_max: usize,
    lifetimes: Lifetimes,
    stopped: watch::Receiver<bool>,
) {
    let mut ended = stopped.clone();
    let places = Places::new(connections_max);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = end_of(&mut ended) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Where there is no place, the connection closes.
                    if let Some(place) = places.take().await {
                        connections.spawn(answer(stream, app.clone(), Arc::new(place), lifetimes, stopped.clone()));
                    }
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers the requests of a connection for as long as it may last.
async fn answer(
    stream: TcpStream,
    app: Router,
    place: Arc<Place>,
    lifetimes: Lifetimes,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let streaming = Streaming::default();
    let (is_streaming, asked) = (streaming.clone(), Arc::clone(&place));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let under_way = Place::begin(&asked);
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(streaming.clone());
        let answered = app.clone().oneshot(request);
        async move {
            let answer = answered.await.unwrap_or_else(|never: Infallible| match never {});
            Ok::<_, Infallible>(answer.map(|body| under_way.until_end_of(body)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(lifetimes.head).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut end_of_life = pin!(lifetime(&is_streaming, lifetimes));
    let grace = loop {
        tokio::select! {
            // Looked at first: a request that has come is answered, whoever wants the place.
            biased;
            _ = connection.as_mut() => return,
            () = end_of(&mut stopped) => break GRACE,
            () = end_of_life.as_mut() => break GRACE,
            () = place.told_to_go() => match (place.is_answering(), place.has_asked()) {
                (true, _) => {}
                (false, true) => break GIVE_UP_TIMEOUT,
                (false, false) => return,
            },
        }
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(grace, connection).await;
}

async fn lifetime(streaming: &Streaming, lifetimes: Lifetimes) {
    sleep(lifetimes.connection).await;
    if streaming.0.load(Ordering::Relaxed) {
        sleep(lifetimes.stream.saturating_sub(lifetimes.connection)).await;
    }
}

#[cfg(test)]
mod tests;
