//! Connections that last too long, and more of them than there is room for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Extension;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// No answer takes as long.
const DEADLINE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(300);
const LASTING: Lifetimes = Lifetimes { head: LONG, connection: LONG, stream: LONG };
const BODY: &str = "as it was asked for";

/// An event every few milliseconds, for ever.
async fn stream(Extension(streaming): Extension<Streaming>) -> Response {
    streaming.0.store(true, Ordering::Relaxed);
    let event = |()| async {
        sleep(SHORT / 50).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"data: x\n\n")), ()))
    };
    Body::from_stream(unfold((), event)).into_response()
}

/// Runs a test against a listener with these bounds.
fn serving(connections_max: usize, lifetimes: Lifetimes, test: impl AsyncFnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let slow = || async {
            sleep(2 * SHORT).await;
            BODY
        };
        let quick = || async { BODY };
        let app = Router::new().route("/", get(quick)).route("/slow", get(slow)).route("/stream", get(stream));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve(listener, app, connections_max, lifetimes, stopped));
        timeout(DEADLINE, test(address)).await.expect("all of it ends");
        stop.send_replace(true);
        served.await.expect("it ends");
    });
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// An event stream, after its first bytes.
async fn streaming_from(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    assert!(stream.read(&mut [0; 1024]).await.expect("a head") > 0);
    stream
}

/// What comes until the connection ends, however it does.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks, and takes one answer of which the connection stays.
async fn ask(stream: &mut TcpStream, path: &str) -> io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(BODY.as_bytes()) {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_client_that_does_not_ask_is_closed_whether_it_asked_before_or_began_to() {
    serving(10, Lifetimes { head: SHORT, ..LASTING }, async |address| {
        assert_eq!(rest(&mut connect(address).await).await, "", "it asked nothing");
        let mut half = connect(address).await;
        half.write_all(b"GET / HT").await.expect("sent");
        rest(&mut half).await;
        let mut once = connect(address).await;
        ask(&mut once, "/").await.expect("an answer");
        assert_eq!(rest(&mut once).await, "", "it asked nothing more");
    });
}

#[test]
fn a_connection_ends_after_its_time_however_often_its_client_asks_and_after_an_answer() {
    serving(10, Lifetimes { connection: SHORT, ..LASTING }, async |address| {
        assert_eq!(rest(&mut connect(address).await).await, "", "though heads have an hour");
        let mut often = connect(address).await;
        let mut answers = 0;
        // What is asked when it ends may find it closed; what was begun was whole.
        while ask(&mut often, "/").await.is_ok() {
            answers += 1;
            sleep(SHORT / 20).await;
        }
        assert!(answers > 1, "{answers}");
        let mut slow = connect(address).await;
        assert!(ask(&mut slow, "/slow").await.expect("a whole answer").ends_with(BODY), "it took longer than that");
        assert_eq!(rest(&mut slow).await, "", "and nothing came after it");
    });
}

#[test]
fn an_event_stream_lasts_longer_than_other_connections_and_not_for_ever() {
    serving(10, Lifetimes { connection: SHORT, stream: 10 * SHORT, ..LASTING }, async |address| {
        let mut stream = streaming_from(address).await;
        rest(&mut connect(address).await).await;
        // What came while the other connection lasted.
        while stream.try_read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
        assert!(stream.read(&mut [0; 1024]).await.expect("an event") > 0, "it lasts longer than one that came later");
        rest(&mut stream).await;
    });
}

#[test]
fn whoever_holds_all_places_and_asks_nothing_keeps_nobody_out() {
    serving(20, LASTING, async |address| {
        for sent in ["", "GET /metr"] {
            let mut hanging = Vec::new();
            for _ in 0..60 {
                let mut stream = connect(address).await;
                let _ = stream.write_all(sent.as_bytes()).await;
                hanging.push(stream);
            }
            for _ in 0..5 {
                assert!(ask(&mut connect(address).await, "/").await.expect("an answer").starts_with("HTTP/1.1 200"));
            }
        }
    });
}

#[test]
fn no_request_is_cut_off_for_another_connection_and_no_stream() {
    serving(4, LASTING, async |address| {
        let mut stream = streaming_from(address).await;
        let mut slow = connect(address).await;
        slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("sent");
        // They are under way once an answer to somebody who came later is there.
        ask(&mut connect(address).await, "/").await.expect("an answer");
        let mut kept = Vec::new();
        for _ in 0..20 {
            let mut other = connect(address).await;
            ask(&mut other, "/").await.expect("an answer");
            kept.push(other);
        }
        assert!(rest(&mut slow).await.ends_with(BODY));
        assert!(ask(&mut kept[19], "/").await.is_ok(), "the newest one is the last to go");
        assert_eq!(rest(&mut kept[0]).await, "", "one that waited for a request went");
        let mut some = [0; 64];
        for _ in 0..10 {
            assert!(stream.read(&mut some).await.expect("events") > 0, "the stream goes on");
        }
    });
}

#[test]
fn where_all_places_answer_somebody_the_next_connection_is_closed() {
    serving(2, LASTING, async |address| {
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(streaming_from(address).await);
        }
        assert_eq!(rest(&mut connect(address).await).await, "");
        streams.pop();
        while ask(&mut connect(address).await, "/").await.is_err() {
            sleep(SHORT / 20).await;
        }
    });
}
