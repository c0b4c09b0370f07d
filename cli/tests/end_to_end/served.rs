//! A run that is looked at over HTTP: `--http`, `[monitor] http`, `aqpipe top`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rdkafka::message::OwnedHeaders;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::common::{Kafka, OutgoingMessage, Running, TestDir};

/// Paced, so that it runs until it is stopped.
const JOB: &str = r#"name = "job"

[source]
type = "sample"
records = 100000
replay = { speed = 100.0, interval_secs = 1.0 }

[[transform]]
type = "score"

[sink]
type = "null"
"#;

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn get(url: &str, token: Option<&str>) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
    let agent: ureq::Agent = config.build().into();
    let mut request = agent.get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut response = request.call().expect("an answer");
    (response.status().as_u16(), response.body_mut().read_to_string().expect("a body"))
}

/// Where a run says that it serves.
pub(crate) fn address(run: &mut Running) -> String {
    run.wait_for_log("/ shows this run");
    let err = run.err();
    let begin = err.find("http://").expect("an address");
    err[begin..].split("/ shows").next().expect("an address").to_owned()
}

pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "it never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_run_serves_all_its_pipelines_until_it_ends() {
    let other = JOB.replace("\"job\"", "\"other\"");
    let dir = TestDir::with(&[("job.toml", JOB), ("other.toml", &other)]);
    let mut run = dir.start(&["run", "job.toml", "other.toml", "--http", "127.0.0.1:0"]);
    let url = address(&mut run);
    let ready = until(|| Some(get(&format!("{url}/ready"), None)).filter(|(code, _)| *code == 200));
    assert!(ready.1.contains("\"job\"") && ready.1.contains("\"other\""), "{}", ready.1);
    assert_eq!(get(&format!("{url}/health"), None).0, 200);
    let metrics = until(|| {
        let (_, text) = get(&format!("{url}/metrics"), None);
        let read = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("aqpipe_read_records_total{{pipeline=\"{name}\"}}")));
            line.is_some_and(|line| !line.ends_with(" 0"))
        };
        (read("job") && read("other")).then_some(text)
    });
    assert!(metrics.contains("aqpipe_records_total{pipeline=\"job\",stage=\"score\",direction=\"in\"}"), "{metrics}");
    assert!(get(&url, None).1.contains("<title>"));

    let told = dir.run(&["top", &url]).expect(0, &[]).out;
    for part in ["job  running, ready", "other  running, ready", "sample -> score -> null", "stage ", "    score "] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    run.terminate();
    run.wait().expect(0, &["job: stopped"]);
    let gone = dir.run(&["top", &url, "--once"]).expect(1, &[&format!("error: nothing answers at {url}: ")]);
    assert!(gone.err.contains("help: is `http` set in [monitor]"), "{}", gone.err);
}

#[test]
fn a_token_of_the_environment_opens_and_is_never_shown() {
    let job = format!("{JOB}\n[monitor]\nhttp = \"127.0.0.1:0\"\nhttp_token_env = \"JOB_TOKEN\"\n");
    let dir = TestDir::with(&[("job.toml", &job)]);
    let missing = dir.run(&["run", "job.toml"]).expect(78, &["the environment variable `JOB_TOKEN`", "is not set"]);
    assert!(!missing.err.contains("done"), "{}", missing.err);
    for token in ["s3cr\u{e9}t", "s3cret\u{1}x", " "] {
        let refused = dir.run_with_env(&["run", "job.toml"], &[("JOB_TOKEN", token)]);
        let refused =
            refused.expect(78, &["the environment variable `JOB_TOKEN`, which `http_token_env` in [monitor] names,"]);
        assert!(
            refused.err.contains("visible characters of ASCII") && !refused.err.contains("s3cr"),
            "{}",
            refused.err
        );
        let top = dir.run_with_env(&["top", "127.0.0.1:1", "--token-env", "T"], &[("T", token)]);
        assert!(!top.expect(2, &["`T`, which `--token-env` names, "]).err.contains("s3cr"));
    }
    let mut run = dir.start_with_env(&["run", "job.toml"], &[("JOB_TOKEN", "s3cret-token")]);
    let url = address(&mut run);
    assert_eq!(get(&format!("{url}/metrics"), None).0, 401);
    let (code, text) = get(&format!("{url}/metrics"), Some("s3cret-token"));
    assert!(code == 200 && !text.contains("s3cret-token"));
    dir.run(&["top", &url]).expect(1, &["asks for a token", "--token-env VAR"]);
    dir.run(&["top", &url, "--token-env", "NONE"]).expect(2, &["`NONE`, which `--token-env` names, is not set"]);
    let token = [("MINE", "s3cret-token")];
    let told = dir.run_with_env(&["top", &url, "--token-env", "MINE"], &token).expect(0, &[]);
    assert!(told.out.contains("job  ") && !told.out.contains("s3cret-token"), "{}", told.out);
    assert!(!run.err().contains("s3cret-token"));
    run.terminate();
    run.wait().expect(0, &[]);
}

#[test]
fn what_cannot_be_served_is_said_before_anything_runs() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let remote =
        dir.run(&["run", "job.toml", "--http", "0.0.0.0:0"]).expect(2, &["error: --http: other machines reach"]);
    assert!(remote.err.contains("`--http-allow-remote`"), "{}", remote.err);
    dir.run(&["run", "job.toml", "--http", "9600"])
        .expect(2, &["is not an IP address with a port", "`127.0.0.1:9600`"]);
    dir.run(&["run", "job.toml", "--http", "127.0.0.1:0", "--no-monitoring"]).expect(2, &["cannot be used with"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let done = dir.run(&["run", "job.toml", "--http", &address]).expect(1, &[]);
    assert!(done.err.contains(&format!("error: {address} cannot be listened on, for `job`: ")), "{}", done.err);
    assert!(!dir.path(".aqpipe/job").exists(), "nothing has run");
}

#[test]
fn that_nothing_is_served_although_an_address_is_set_is_said() {
    let off = format!(
        "{JOB}\n[monitor]\nenabled = false\nhttp = \"127.0.0.1:0\"\n\n[[monitor.notify]]\ncommand = [\"true\"]\n"
    );
    let on = off.replace("enabled = false\n", "");
    let dir = TestDir::with(&[("off.toml", &off), ("on.toml", &on)]);
    let warning = "`http` in [monitor] serves nothing: `enabled = false`";
    dir.run(&["validate", "off.toml"])
        .expect(0, &[warning, "off.toml:16:8", "[[monitor.notify]] tells nobody", "off.toml:18:1"]);
    let validated = dir.run(&["validate", "on.toml"]).expect(0, &[]);
    assert!(!validated.err.contains("warning"), "{}", validated.err);
    let said = "INFO job: nothing is served at http://127.0.0.1:0/: monitoring is off";
    for (file, more) in [("off.toml", &[][..]), ("on.toml", &["--no-monitoring"])] {
        let mut run = dir.start(&[&["run", file, "--fresh"], more].concat());
        run.wait_for_log(said);
        run.wait_for_log("sample -> score -> null");
        assert_eq!(run.err().contains(warning), file == "off.toml", "{}", run.err());
        run.terminate();
        run.wait().expect(0, &[]);
    }
    let mut served = dir.start(&["run", "off.toml", "--fresh", "--http", "127.0.0.1:0"]);
    address(&mut served);
    assert!(!served.err().contains("nothing is served"), "{}", served.err());
    served.terminate();
    served.wait().expect(0, &[]);
}

/// A pseudo terminal: the side of the one who looks, and that of the program.
fn terminal() -> (File, OwnedFd) {
    let looking = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&looking).expect("granted");
    unlockpt(&looking).expect("unlocked");
    tcsetwinsize(&looking, Winsize { ws_row: 12, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let name = ptsname(&looking, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let of_program = File::options().read(true).write(true).open(name).expect("opens");
    (looking.into(), of_program.into())
}

#[test]
fn top_draws_on_a_terminal_and_gives_it_back() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let mut run = dir.start(&["run", "job.toml", "--http", "127.0.0.1:0"]);
    let url = address(&mut run);
    let (mut looking, of_program) = terminal();
    let before = tcgetattr(&of_program).expect("modes");
    let side = || of_program.try_clone().expect("a side");
    let mut command = dir.command(&["top", &url], &[]);
    command.env("TERM", "xterm-256color").stdin(side()).stdout(side()).stderr(side());
    let mut child = command.spawn().expect("starts");
    drop(command);
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while seen.matches("job  running").count() < 2 {
        let count = looking.read(&mut buffer).expect("something is drawn");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(seen.contains("\u{1b}[?1049h"), "it draws on a screen of its own");
    looking.write_all(b"q").expect("a key");
    while !seen.contains("\u{1b}[?1049l") {
        let count = looking.read(&mut buffer).expect("an end");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(child.wait().expect("an end").success());
    let after = tcgetattr(&of_program).expect("modes");
    assert_eq!(after.local_modes, before.local_modes);
    // Each picture begins at the corner.
    let widest = anstream::adapter::strip_str(&seen.replace("\u{1b}[1;1H", "\n")).to_string();
    assert!(widest.lines().all(|line| line.trim_end_matches('\r').chars().count() <= 50), "{widest}");
    run.terminate();
    run.wait().expect(0, &[]);
}

#[test]
fn top_ends_with_its_terminal_though_nobody_tells_it() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let mut run = dir.start(&["run", "job.toml", "--http", "127.0.0.1:0"]);
    let url = address(&mut run);
    let (mut looking, of_program) = terminal();
    let side = || of_program.try_clone().expect("a side");
    let mut top = dir.command_behind("trap '' HUP; exec", &["top", &url]);
    top.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side());
    let mut child = top.spawn().expect("starts");
    drop((top, of_program));
    let mut buffer = [0; 4096];
    assert!(looking.read(&mut buffer).expect("something is drawn") > 0);
    drop(looking);
    until(|| child.try_wait().expect("a child"));
    run.terminate();
    run.wait().expect(0, &[]);
}

#[test]
fn a_run_whose_terminal_was_closed_still_stops_and_commits() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let (mut looking, of_program) = terminal();
    let side = || of_program.try_clone().expect("a side");
    let mut run = dir.command(&["run", "job.toml"], &[]);
    run.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side());
    let mut child = run.spawn().expect("starts");
    drop((run, of_program));
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("sample -> score -> null") {
        let count = looking.read(&mut buffer).expect("something is drawn");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    drop(looking);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a child can be signalled");
    let ended = until(|| child.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(0), "{ended}");
}

fn status(url: &str) -> serde_json::Value {
    let (code, text) = get(&format!("{url}/api/status"), None);
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_consumer_tells_what_it_has_read_and_what_it_has_committed_and_its_lag_by_partition() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("watched", 2);
    let record = |n: usize| -> OutgoingMessage {
        let value = format!("{{\"timestamp\":\"2024-01-01T00:{n:02}:00Z\",\"station\":\"s\",\"n\":{n}}}");
        (None, Some(value.into_bytes()), OwnedHeaders::new())
    };
    kafka.write_to(&topic, 0, &(0..10).map(record).collect::<Vec<_>>());
    kafka.write_to(&topic, 1, &(0..5).map(record).collect::<Vec<_>>());
    let source = kafka.source(&topic, "key = \"station\"\nfields = [\"n\"]\n");
    let sink = "[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 1000\nbatch_timeout_secs = 3600\n";
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{source}{sink}"))]);
    let mut run = dir.start(&["run", "job.toml", "--http", "127.0.0.1:0"]);
    let url = address(&mut run);
    let job = || status(&url)["pipelines"][0].clone();
    let read = until(|| Some(job()).filter(|job| job["read"] == 15 && job["lag"] == 0));
    assert_eq!(read["committed"]["read"], 0, "no file is due");
    assert_eq!(read["instance"], "0");
    let splits: Vec<(String, u64, u64)> = read["splits"]
        .as_array()
        .expect("splits")
        .iter()
        .map(|split| {
            let number = |name: &str| split[name].as_u64().expect("a number");
            (split["split"].as_str().unwrap_or_default().to_owned(), number("read"), number("lag"))
        })
        .collect();
    assert_eq!(splits, [(format!("{topic}/0"), 10, 0), (format!("{topic}/1"), 5, 0)]);
    assert!(read["rebalances"].as_u64() >= Some(1), "{read}");
    // Stations are told once a second.
    let newest = "2024-01-01T00:09:00.000Z";
    until(|| Some(job()).filter(|job| job["stations"]["oldest"][0]["newest_reading"] == newest));
    let reported = until(|| Some(job()).filter(|job| !job["clients"].as_array().is_some_and(Vec::is_empty)));
    let client = &reported["clients"][0];
    assert!(client["client"] == "kafka consumer" && client["brokers_up"].as_u64() >= Some(1), "{client}");
    assert!(client["round_trip_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{client}");
    run.terminate();
    run.wait().expect(0, &["job: read 15, written 15,"]);
}
