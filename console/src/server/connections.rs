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
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::bounds::{ACCEPT_PAUSE, BUFFER_BYTES, CONNECTION_TIMEOUT, GRACE, HEADER_TIMEOUT, STREAM_TIMEOUT};
use super::events::end_of;
use super::routes::Streaming;

/// Answers until it is stopped, then ends what is open within a moment.
pub(super) async fn serve(listener: TcpListener, app: Router, connections_max: usize, stopped: watch::Receiver<bool>) {
    let mut ended = stopped.clone();
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = end_of(&mut ended) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Where there is no place, the connection closes.
                    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        let (app, stopped) = (app.clone(), stopped.clone());
                        connections.spawn(async move {
                            answer(stream, app, stopped).await;
                            drop(place);
                        });
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
async fn answer(stream: TcpStream, app: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let streaming = Streaming::default();
    let is_streaming = streaming.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(streaming.clone());
        let answered = app.clone().oneshot(request);
        async move { answered.await.map_err(|never: Infallible| never) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = end_of(&mut stopped) => {}
        () = lifetime(&is_streaming) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}

async fn lifetime(streaming: &Streaming) {
    sleep(CONNECTION_TIMEOUT).await;
    if streaming.0.load(Ordering::Relaxed) {
        sleep(STREAM_TIMEOUT.saturating_sub(CONNECTION_TIMEOUT)).await;
    }
}
