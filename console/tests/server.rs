//! The listener, asked by clients that behave, by clients that do not, and by many.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqpipe_console::server::{Listener, Server, listeners, status_schema};
use aqpipe_engine::clock::Clock;
use aqpipe_engine::metrics::{Metrics, Phase};
use aqpipe_engine::monitor::{About, Monitor, MonitorSettings, Monitored, Status};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No answer takes as long.
const DEADLINE: Duration = Duration::from_secs(60);

fn monitor(name: &str, settings: MonitorSettings) -> (Monitor, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let about = About {
        name: name.to_owned(),
        topology: "csv -> kafka".to_owned(),
        delivery: "exactly_once".to_owned(),
        ..About::default()
    };
    let monitored = Monitored { about, settings, ..Monitored::default() };
    (Monitor::new(monitored, Arc::clone(&metrics), Clock::default(), None), metrics)
}

/// Nobody watches it: each look is at the facts of that moment.
fn unwatched(name: &str) -> (Monitor, Arc<Metrics>) {
    monitor(name, MonitorSettings { enabled: false, ..MonitorSettings::default() })
}

fn serving(monitors: Vec<Monitor>, token: Option<&str>) -> (Server, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server =
        Server::start(vec![Listener { address, token: token.map(str::to_owned), monitors }]).expect("a listener");
    let address = server.addresses()[0];
    (server, address)
}

struct Answer {
    code: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build().into();
    let mut request = agent.get(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().expect("an answer");
    let body = response.body_mut().read_to_string().expect("a body");
    Answer { code: response.status().as_u16(), headers: response.headers().clone(), body }
}

/// What comes back for these bytes until the connection ends.
fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// An event stream, after its first event.
fn listen(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = connect(address);
    stream.write_all(format!("GET /api/events HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).expect("a request");
    let mut stream = BufReader::new(stream);
    next_event(&mut stream);
    stream
}

fn next_event(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert!(stream.read_line(&mut line).expect("an event") > 0, "the stream ended");
    }
    line
}

#[test]
fn what_is_asked_for_is_answered() {
    let ((one, counted), (two, _)) = (unwatched("one"), unwatched("two"));
    counted.set_phase(Phase::Running);
    counted.progress.store(7, std::sync::atomic::Ordering::Relaxed);
    let (_server, address) = serving(vec![one, two], None);

    let metrics = ask(address, "/metrics", &[]);
    assert_eq!((metrics.code, metrics.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("\naqpipe_read_records_total{pipeline=\"one\"} 7\n"), "{}", metrics.body);
    assert!(metrics.body.contains("\naqpipe_read_records_total{pipeline=\"two\"} 0\n"));
    let open = ask(address, "/metrics", &[("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")]);
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.body.ends_with("# EOF\n"));

    let status = ask(address, "/api/status", &[]);
    assert_eq!((status.code, status.header("content-type")), (200, "application/json"));
    let told: Status = serde_json::from_str(&status.body).expect("a status");
    assert_eq!((&*told.pipelines[0].name, told.pipelines[0].read, told.pipelines.len()), ("one", 7, 2));
    assert!(told.memory_bytes.is_some_and(|bytes| bytes > 0));
    let schema = ask(address, "/api/status/schema", &[]).body;
    assert_eq!(schema, status_schema());
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).expect("JSON")).expect("a schema");
    let value = serde_json::from_str(&status.body).expect("JSON");
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");

    let page = ask(address, "/", &[]);
    assert_eq!((page.code, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!((page.header("x-content-type-options"), page.header("cache-control")), ("nosniff", "no-store"));

    let missing = ask(address, "/etc/passwd", &[]);
    assert_eq!((missing.code, missing.header("content-type")), (404, "text/plain; charset=utf-8"));
    let posted =
        send(address, format!("POST /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
}

#[test]
fn probes_say_whether_a_pipeline_failed_and_whether_it_is_ready() {
    let ((one, counted), (two, other)) = (unwatched("one"), unwatched("two"));
    let (_server, address) = serving(vec![one, two], None);
    let starts = ask(address, "/ready", &[]);
    assert_eq!((starts.code, ask(address, "/health", &[]).code), (503, 200));
    assert!(starts.body.contains("it starts"), "{}", starts.body);
    let opened = ["a", "b"].map(|split| split.into());
    for (metrics, split) in [(&counted, &opened[0]), (&other, &opened[1])] {
        metrics.set_phase(Phase::Running);
        metrics.open_split(split);
    }
    until(|| ask(address, "/ready", &[]).code == 200);
    counted.failed("the disk is full".to_owned());
    until(|| ask(address, "/health", &[]).code == 503);
    let failed: serde_json::Value = serde_json::from_str(&ask(address, "/health", &[]).body).expect("JSON");
    assert_eq!(failed["pipelines"][0]["alive"], false);
    assert!(
        failed["pipelines"][0]["reasons"][0].as_str().is_some_and(|why| why.contains("the disk is full")),
        "{failed}"
    );
    assert_eq!(failed["pipelines"][1]["alive"], true);
    assert!(ask(address, "/metrics", &[]).body.contains("\naqpipe_up{pipeline=\"one\"} 0\n"));
}

/// Answers may be a moment old.
fn until(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it never held");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn events_come_round_after_round_and_end_with_the_listener() {
    let (server, address) = serving(vec![unwatched("one").0], None);
    let mut stream = listen(address);
    let event = next_event(&mut stream);
    let data: serde_json::Value = serde_json::from_str(event.trim_start_matches("data: ")).expect("JSON");
    assert!(data["id"].is_string() && data["html"].is_string(), "{data}");
    (0..3).for_each(|_| drop(next_event(&mut stream)));
    drop(server);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn without_the_token_only_probes_are_answered_and_learn_no_more_than_the_code() {
    let (_server, address) = serving(vec![unwatched("secret-name").0], Some("s3cret"));
    for path in ["/", "/metrics", "/api/status", "/api/status/schema", "/api/events", "/nothing"] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")]] {
            let refused = ask(address, path, headers);
            assert_eq!(refused.code, 401, "{path}");
            assert!(refused.header("www-authenticate").contains("Bearer"));
            assert!(!refused.body.contains("secret-name") && !refused.body.contains("s3cret"));
        }
    }
    let bearer = ("authorization", "Bearer s3cret");
    for path in ["/health", "/ready"] {
        let probed = ask(address, path, &[]);
        assert!(probed.code == 200 || probed.code == 503, "{path}");
        assert!(!probed.body.contains("secret-name"), "{}", probed.body);
        assert!(ask(address, path, &[bearer]).body.contains("secret-name"));
    }
    let metrics = ask(address, "/metrics", &[bearer]);
    assert!(metrics.code == 200 && !metrics.body.contains("s3cret"));
    assert_eq!(ask(address, "/", &[("authorization", "Basic YW55b25lOnMzY3JldA==")]).code, 200, "anyone:s3cret");
}

#[test]
fn a_name_that_is_not_of_this_machine_is_not_answered() {
    let (_server, address) = serving(vec![unwatched("one").0], None);
    for host in ["evil.example", "127.0.0.1.evil.example:9600"] {
        assert_eq!(ask(address, "/api/status", &[("host", host)]).code, 421, "{host}");
    }
    assert_eq!(ask(address, "/api/status", &[("host", "localhost:9600")]).code, 200);
}

#[test]
fn bad_requests_harm_nobody() {
    let (_server, address) = serving(vec![unwatched("one").0], None);
    let long = "x".repeat(100_000);
    for request in [
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {address}\r\n{}\r\n", "A: b\r\n".repeat(200)),
        format!(
            "POST /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\nx"
        ),
        format!("GET /?station=%ff%00%0d HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        format!("GET /../../etc/passwd HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    ] {
        let answer = send(address, request.as_bytes());
        let begin: String = request.chars().take(60).collect();
        let code = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(
            matches!(code, "400" | "404" | "405" | "414" | "421" | "431" | "200" | "closed"),
            "{begin:?}: {answer}"
        );
        assert!(!answer.contains("root:"), "{begin:?}");
    }
    assert_eq!(ask(address, "/api/status", &[]).code, 200);
}

#[test]
fn five_hundred_streams_that_nobody_reads_leave_memory_and_answers_as_they_are() {
    let _alone = many_connections();
    let (_server, address) = serving(vec![unwatched("one").0], None);
    let memory = || memory_stats::memory_stats().map_or(0, |memory| memory.physical_mem);
    let mut reader = listen(address);
    let before = memory();
    let hanging: Vec<TcpStream> = (0..500).map(|_| listen(address).into_inner()).collect();
    let opened = memory();
    (0..10).for_each(|_| drop(next_event(&mut reader)));
    let later = memory();
    assert!(later < before + 32 * 1024 * 1024, "{before} -> {opened} -> {later}");
    for path in ["/metrics", "/api/status"] {
        assert_eq!(ask(address, path, &[]).code, 200, "{path}");
    }
    drop(hanging);
}

#[test]
fn streams_and_connections_have_bounds_and_probes_their_places() {
    let _alone = many_connections();
    let (_server, address) = serving(vec![unwatched("one").0], None);
    let answers = |stream: &mut TcpStream, path: &str| {
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
        let mut head = [0; 12];
        stream.read_exact(&mut head).is_ok().then(|| String::from_utf8_lossy(&head).into_owned())
    };
    let mut open = Vec::new();
    let refused = loop {
        let mut stream = connect(address);
        let answer = answers(&mut stream, "/api/events").expect("an answer");
        open.push(stream);
        if answer != "HTTP/1.1 200" {
            break answer;
        }
        assert!(open.len() <= 1_000, "streams are bounded");
    };
    assert_eq!(refused, "HTTP/1.1 503");
    assert_eq!(ask(address, "/health", &[]).code, 200, "there is room for others");
    let streams = open.len() - 1;
    let mut asked = Vec::new();
    for _ in streams..1_100 {
        let mut stream = connect(address);
        assert!(answers(&mut stream, "/health").is_some(), "one that asks nothing more goes instead");
        asked.push(stream);
    }
    let mut rest = Vec::new();
    let _ = asked[0].read_to_end(&mut rest);
    // All of them could not be open at once: what was asked first had its answer and went.
    assert!(String::from_utf8_lossy(&rest).ends_with("}\n"), "connections are bounded");
    for stream in &mut open[..streams] {
        assert!(stream.read(&mut [0; 1]).is_ok_and(|count| count > 0), "no stream went");
    }
    drop((open, asked));
    until(|| answers(&mut connect(address), "/health").is_some());
}

#[test]
fn a_thousand_connections_that_ask_nothing_keep_no_probe_away() {
    let _alone = many_connections();
    let (_server, address) = serving(vec![unwatched("one").0], None);
    let mut hanging = Vec::new();
    for n in 0..1_200 {
        let mut stream = connect(address);
        // Some begin a request and never end it.
        let _ = if n % 3 == 0 { stream.write_all(b"GET /metr") } else { Ok(()) };
        hanging.push(stream);
        if n % 100 == 0 {
            assert_eq!(ask(address, "/health", &[]).code, 200, "while {n} hang");
        }
    }
    for path in ["/health", "/ready", "/metrics", "/api/status", "/health"] {
        assert!(matches!(ask(address, path, &[]).code, 200 | 503), "{path}");
    }
    let mut page = listen(address);
    next_event(&mut page);
}

/// Raises the limit of open files, as the command does at its start. One test at a time opens many, for one of them measures memory.
fn many_connections() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_client_that_never_ends_its_request_is_cut_off_and_others_are_answered() {
    let (_server, address) = serving(vec![unwatched("one").0], None);
    let mut slow = connect(address);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").expect("a part of a request");
    assert_eq!(ask(address, "/api/status", &[]).code, 200);
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
}

#[test]
fn a_port_in_use_is_named_with_the_pipeline() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let listener = Listener { address, token: None, monitors: vec![unwatched("consumer").0] };
    let problem = Server::start(vec![listener]).expect_err("in use");
    let begin = format!("{address} cannot be listened on, for `consumer`: ");
    assert!(problem.message.starts_with(&begin), "{}", problem.message);
    assert!(problem.help.contains("another process listens there"), "{}", problem.help);
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let listener = Listener { address: elsewhere, token: None, monitors: vec![unwatched("consumer").0] };
    let problem = Server::start(vec![listener]).expect_err("an address of no machine");
    assert!(problem.help.contains("no network interface of this machine"), "{}", problem.help);
}

fn settings(http: &str, token: Option<&str>) -> MonitorSettings {
    let http_token_env = token.map(str::to_owned);
    MonitorSettings { http: Some(http.to_owned()), http_token_env, ..MonitorSettings::default() }
}

#[test]
fn pipelines_with_one_address_share_a_listener() {
    let of = |name: &str, settings| monitor(name, settings).0;
    let monitors = [
        of("one", settings("127.0.0.1:9600", None)),
        of("two", settings("127.0.0.1:9601", None)),
        of("three", settings("127.0.0.1:9600", None)),
        of("none", MonitorSettings::default()),
        of("off", MonitorSettings { enabled: false, ..settings("127.0.0.1:9602", None) }),
    ];
    let shared = listeners(&monitors, None, |_| None).expect("listeners");
    let served: Vec<(u16, usize)> = shared.iter().map(|one| (one.address.port(), one.monitors.len())).collect();
    assert_eq!(served, [(9600, 2), (9601, 1)]);
    let all = listeners(&monitors, Some(SocketAddr::from(([127, 0, 0, 1], 9700))), |_| None).expect("listeners");
    assert_eq!((all.len(), all[0].monitors.len()), (1, 5));
}

#[test]
fn tokens_are_of_the_environment_and_agree() {
    let of = |name: &str, settings| monitor(name, settings).0;
    let one = of("one", settings("127.0.0.1:9600", Some("TOKEN")));
    let other = of("other", settings("127.0.0.1:9600", None));
    let set = |name: &str| (name == "TOKEN").then(|| " s3cret\n".to_owned());
    let found = listeners(std::slice::from_ref(&one), None, set).expect("a listener");
    assert_eq!(found[0].token.as_deref(), Some("s3cret"));
    assert!(!format!("{found:?}").contains("s3cret"), "it is not shown");
    let missing = listeners(std::slice::from_ref(&one), None, |_| Some(" ".to_owned())).expect_err("no token");
    assert!(missing.message.contains("`TOKEN`") && missing.message.ends_with(" is empty"), "{}", missing.message);
    for secret in ["s3crét", "s3\ncret", "s3cret\u{0}", &"s3cret".repeat(1_000)] {
        let refused = listeners(std::slice::from_ref(&one), None, |_| Some(secret.to_owned())).expect_err("no token");
        assert!(refused.message.contains("`TOKEN`") && refused.help.contains("ASCII"), "{refused:?}");
        assert!(!format!("{refused:?}").contains("s3"), "{refused:?}");
    }
    let differ = listeners(&[one, other], None, set).expect_err("two tokens");
    assert!(differ.message.contains("`one` and `other`"), "{}", differ.message);
}
