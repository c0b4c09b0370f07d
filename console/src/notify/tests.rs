use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use aqpipe_engine::metrics::Metrics;
use aqpipe_engine::monitor::{AlertChange, AlertKind, AlertListener as _, AlertState, AlertStatus, NotifySettings};
use serde_json::{Value, json};

use super::command;
use super::notification::Notification;
use super::notifier::Notifier;
use super::webhook::Webhook;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between attempts.
const SOON: Duration = Duration::from_millis(5);

fn settings(json: Value) -> NotifySettings {
    serde_json::from_value(json).expect("settings")
}

fn change(kind: AlertKind, state: AlertState) -> AlertChange {
    AlertChange {
        pipeline: "p".to_owned(),
        instance: Some("0".to_owned()),
        time: "2026-01-31T12:00:00.000Z".to_owned(),
        kind,
        state,
        alert: AlertStatus {
            alert: kind.key().to_owned(),
            subject: Some("a \"b\"\n\0".to_owned()),
            value: 0.6,
            limit: 0.7,
            text: "the mean score is 0.600".to_owned(),
            ..AlertStatus::default()
        },
    }
}

fn notification() -> Notification {
    Notification::from(&change(AlertKind::Quality, AlertState::Firing))
}

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Redirect,
    /// It closes the connection.
    Close,
    /// It says nothing.
    Hang,
}

/// A server on loopback with these answers, in order, and what it is sent: the head and the body of each request.
fn server(answers: Vec<Answer>) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let request = read(&stream, &sender);
            if !request {
                return;
            }
            let text = match answer {
                Answer::Status(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok"),
                Answer::Redirect => {
                    let to = "http://127.0.0.1:9/elsewhere";
                    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                }
                Answer::Close => String::new(),
                Answer::Hang => {
                    hanging.push(stream);
                    continue;
                }
            };
            let _ = stream.write_all(text.as_bytes());
        }
        // Connections that hang stay open until the test is over.
        let _ = listener.accept();
    });
    (format!("http://{address}/hook/geheim"), receiver)
}

fn read(stream: &TcpStream, requests: &Sender<(String, String)>) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).is_ok() && requests.send((head, String::from_utf8(body).expect("UTF-8"))).is_ok()
}

fn webhook(url: &str, timeout_secs: u64) -> Webhook {
    let headers = json!({ "Authorization": "Bearer geheim2" });
    let settings = settings(json!({ "webhook": url, "timeout_secs": timeout_secs, "headers": headers }));
    Webhook::of(&settings, SOON).expect("a web hook")
}

#[test]
fn a_web_hook_gets_the_alert_as_json_and_is_tried_again_where_it_is_broken() {
    let (url, requests) = server(vec![Answer::Status(500), Answer::Close, Answer::Status(429), Answer::Status(200)]);
    assert_eq!(webhook(&url, 30).post(&notification()), Ok(()));
    let requests: Vec<_> = requests.try_iter().collect();
    assert_eq!(requests.len(), 4);
    let (head, body) = &requests[3];
    assert!(head.starts_with("POST /hook/geheim HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(
        head.contains("content-type: application/json\r\n") && head.contains("authorization: bearer geheim2\r\n"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "pipeline": "p", "instance": "0", "time": "2026-01-31T12:00:00.000Z", "state": "firing", "alert": "quality",
            "subject": "a \"b\"\n\u{0}", "value": 0.6, "limit": 0.7, "text": "the mean score is 0.600",
        })
    );
}

#[test]
fn attempts_have_a_bound_and_no_message_shows_the_address() {
    let (url, requests) = server(vec![Answer::Status(503); 9]);
    assert_eq!(webhook(&url, 30).post(&notification()), Err("it answered 503, 5 times".to_owned()));
    assert_eq!(requests.try_iter().count(), 5);
    let (url, requests) = server(vec![Answer::Status(404); 9]);
    assert_eq!(webhook(&url, 30).post(&notification()), Err("it answered 404".to_owned()));
    assert_eq!(requests.try_iter().count(), 1, "once more would not help");
    let (url, requests) = server(vec![Answer::Redirect; 9]);
    let refused = webhook(&url, 30).post(&notification()).expect_err("a redirect");
    assert!(refused.starts_with("it answered 302, and redirects are not followed"), "{refused}");
    assert_eq!(requests.try_iter().count(), 1);
    let nobody = webhook("http://127.0.0.1:1/geheim", 30).post(&notification()).expect_err("nobody listens");
    let odd = webhook("http://ho st/geheim", 30).post(&notification()).expect_err("no address");
    for why in [refused, nobody, odd] {
        assert!(!why.contains("geheim"), "{why}");
    }
}

#[test]
fn a_web_hook_that_hangs_is_given_up() {
    let (url, _requests) = server(vec![Answer::Hang; 9]);
    let why = webhook(&url, 1).post(&notification()).expect_err("no answer");
    assert_eq!(why, "it did not answer in time (`timeout_secs` in [[monitor.notify]]), 5 times");
}

#[test]
fn a_command_gets_the_alert_on_its_input_and_in_its_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("told").display().to_string();
    let script = "cat > \"$1\"; printf '%s|%s|%s|%s' \"$AQPIPE_ALERT\" \"$AQPIPE_STATE\" \"$AQPIPE_SUBJECT\" \"$AQPIPE_LIMIT\" >> \"$1\"";
    let command = ["sh", "-c", script, "sh", &file].map(str::to_owned);
    assert_eq!(command::run(&command, &notification(), PATIENCE), Ok(()));
    let told = std::fs::read_to_string(&file).expect("written");
    let (json, variables) = told.split_once('\n').expect("a line of JSON");
    assert_eq!(serde_json::from_str::<Value>(json).expect("JSON")["alert"], "quality");
    assert_eq!(variables, "quality|firing|a \"b\"\n\u{fffd}|0.7");
}

#[test]
fn a_command_that_fails_hangs_or_is_not_there_says_why() {
    let run = |words: &[&str], timeout| {
        let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        command::run(&command, &notification(), timeout).expect_err("fails")
    };
    assert_eq!(run(&["sh", "-c", "echo no such channel >&2; exit 3"], PATIENCE), "exit status: 3: no such channel");
    let talks = "i=0; while [ $i -lt 20000 ]; do echo many words to fill a pipe >&2; i=$((i+1)); done; exit 1";
    assert!(run(&["sh", "-c", talks], PATIENCE).len() < 400);
    let began = Instant::now();
    let hangs = run(&["sh", "-c", "sleep 600 & wait"], Duration::from_millis(300));
    assert!(hangs.starts_with("it was killed: it took longer than 0.3 s"), "{hangs}");
    assert!(began.elapsed() < PATIENCE);
    assert!(run(&["/no/such/program"], PATIENCE).starts_with("it does not start: "));
    assert_eq!(run(&[], PATIENCE), "no program is named");
}

#[test]
fn each_target_gets_what_it_asks_for_and_one_that_hangs_holds_nobody_up() {
    let (hanging, _first) = server(vec![Answer::Hang; 9]);
    let (working, requests) = server(vec![Answer::Status(200); 9]);
    let targets = [
        settings(json!({ "webhook": hanging, "timeout_secs": 300 })),
        settings(
            json!({ "webhook": working, "name": "named", "on": ["resolved"], "alerts": ["quality", "silent_after"] }),
        ),
    ];
    let metrics = Arc::<Metrics>::default();
    let notifier = Notifier::with_retry_delay("p", &targets, &metrics, SOON).expect("targets");
    let began = Instant::now();
    for _ in 0..200 {
        notifier.changed(&change(AlertKind::Throughput, AlertState::Resolved));
        notifier.changed(&change(AlertKind::Quality, AlertState::Firing));
    }
    notifier.changed(&change(AlertKind::Quality, AlertState::Resolved));
    let (_, body) = requests.recv_timeout(PATIENCE).expect("told");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&body["alert"], &body["state"]), (&json!("quality"), &json!("resolved")));
    notifier.finish(Instant::now() + Duration::from_millis(200));
    assert!(began.elapsed() < PATIENCE, "neither a full queue nor the end waits for it");
    assert_eq!(requests.try_iter().count(), 0);
    notifier.changed(&change(AlertKind::Quality, AlertState::Resolved));
    assert_eq!(requests.try_iter().count(), 0, "nothing after the end");
    let told = metrics.snapshot().notifications;
    let told: Vec<_> = told.iter().map(|hook| (&*hook.hook, hook.delivered, hook.failed)).collect();
    assert_eq!(told, [("1", 0, 0), ("named", 1, 0)]);
    assert_eq!(metrics.snapshot().notifications[0].dropped, 401, "what waited at the end is given up");
}

#[test]
fn what_is_left_at_the_end_is_delivered() {
    let (url, requests) = server(vec![Answer::Status(200); 50]);
    let targets = [settings(json!({ "webhook": url }))];
    let metrics = Arc::<Metrics>::default();
    let notifier: Arc<Notifier> = Notifier::with_retry_delay("p", &targets, &metrics, SOON).expect("a target");
    (0..20).for_each(|_| notifier.changed(&change(AlertKind::Quality, AlertState::Firing)));
    notifier.finish(Instant::now() + PATIENCE);
    assert_eq!(requests.try_iter().count(), 20);
    assert!(Notifier::start("p", &[], &metrics).is_none());
}

#[test]
fn long_texts_of_data_are_shortened() {
    let mut long = change(AlertKind::SilentAfter, AlertState::Firing);
    long.alert.subject = Some("ß".repeat(100_000));
    let told = Notification::from(&long);
    assert_eq!(told.subject.expect("a subject").chars().count(), 2_001);
}
