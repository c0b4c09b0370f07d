//! A server of the page that a test can change, cut off and ask.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use aqpipe_console::page::{ASSETS, CONTENT_SECURITY_POLICY, Choice, Model, index, panels};
use parking_lot::Mutex;

use crate::driver::PATIENCE;

/// Between two rounds of the stream.
const ROUND: Duration = Duration::from_millis(200);

struct State {
    model: Mutex<Model>,
    answers: AtomicBool,
    last_page: Mutex<String>,
}

/// It runs until its process ends.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    pub(crate) fn start(model: Model) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(State { model: Mutex::new(model), answers: AtomicBool::new(true), last_page: Mutex::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A browser that goes away is no failure.
                thread::spawn(move || answer(&stream, &state));
            }
        });
        Server { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The next round is of a changed model.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Model)) {
        change(&mut self.state.model.lock());
    }

    /// Whether it answers; otherwise connections end at once.
    pub(crate) fn answers(&self, answers: bool) {
        self.state.answers.store(answers, Ordering::SeqCst);
    }

    /// Waits until a page was asked for by such a path and query.
    pub(crate) fn wait_for_page(&self, holds: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !holds(&self.state.last_page.lock()) {
            assert!(start.elapsed() < PATIENCE, "the last one was {}", self.state.last_page.lock());
            sleep(ROUND);
        }
    }
}

fn answer(mut stream: &TcpStream, state: &State) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    if !state.answers.load(Ordering::SeqCst) {
        return Ok(());
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    if path == "/api/events" {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
        let mut told: HashMap<&str, String> = HashMap::new();
        while state.answers.load(Ordering::SeqCst) {
            let round = panels(&state.model.lock(), &Choice::default());
            for (id, html) in round {
                // Only news are sent, but for the time: it stands still here.
                if id == "p-time" || told.get(id) != Some(&html) {
                    let data = serde_json::json!({ "id": id, "html": html });
                    write!(stream, "event: panel\ndata: {data}\n\n")?;
                }
                told.insert(id, html);
            }
            sleep(ROUND);
        }
        return Ok(());
    }
    let file = ASSETS.iter().find(|asset| asset.path == path);
    let (content_type, text) = match file {
        Some(asset) => (asset.content_type, asset.text.to_owned()),
        None => {
            *state.last_page.lock() = target.to_owned();
            ("text/html; charset=utf-8", index(&state.model.lock(), &Choice::default()).into_string())
        }
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Security-Policy: {CONTENT_SECURITY_POLICY}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}
