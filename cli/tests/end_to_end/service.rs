//! What a service manager is told (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::common::TestDir;

/// Paced, so that it runs for some seconds.
const JOB: &str = r#"name = "job"

[source]
type = "sample"
records = 100000
replay = { speed = 100.0, interval_secs = 1.0 }

[sink]
type = "null"
"#;

/// The messages that come to a socket until `is_last`.
fn messages(socket: &UnixDatagram, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut all: Vec<String> = Vec::new();
    let mut buffer = [0; 4096];
    let began = Instant::now();
    loop {
        let count = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {all:?}"));
        let text = String::from_utf8_lossy(&buffer[..count]).trim_end().to_owned();
        all.push(text);
        if all.last().is_some_and(|last| is_last(last)) {
            return all;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "it does not come: {all:?}");
    }
}

#[test]
fn a_service_manager_is_told_that_the_pipeline_runs_how_it_does_that_it_lives_and_that_it_stops() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let path = dir.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let path = path.to_str().expect("UTF-8");
    let running = dir.start_with_env(&["run", "job.toml"], &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "1000000")]);
    let before = messages(&socket, |last| last == "READY=1");
    assert!(before.iter().all(|one| !one.starts_with("STOPPING")), "{before:?}");
    messages(&socket, |last| last == "WATCHDOG=1");
    let is_status = |one: &str| one.starts_with("STATUS=job: ") && one.contains(" records/s read, ");
    messages(&socket, is_status);
    running.terminate();
    let after = messages(&socket, |last| last == "STOPPING=1");
    assert!(!after.contains(&"READY=1".to_owned()), "once is enough: {after:?}");
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
}

#[test]
fn a_service_with_nothing_to_do_was_ready_and_one_that_fails_at_its_start_never_was() {
    let short = JOB.replace("100000", "10").replace("replay", "# replay");
    let dir = TestDir::with(&[("job.toml", &short)]);
    let path = dir.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let env = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))];
    for _ in 0..2 {
        dir.run_with_env(&["run", "job.toml"], &env).expect(0, &[]);
        let told = messages(&socket, |last| last == "STOPPING=1");
        assert!(told.contains(&"READY=1".to_owned()), "{told:?}");
        // The status behind it.
        messages(&socket, |last| last.starts_with("STATUS="));
    }
    dir.run_with_env(&["run", "job.toml", "--set", "state_dir=job.toml"], &env).expect(1, &[]);
    let told = messages(&socket, |last| last == "STOPPING=1");
    assert!(!told.contains(&"READY=1".to_owned()), "{told:?}");
    let nowhere = [("NOTIFY_SOCKET", "/nowhere/at/all")];
    let done = dir.run_with_env(&["run", "job.toml", "--rerun"], &nowhere).expect(0, &["job: done\n"]);
    assert_eq!(done.err.matches("NOTIFY_SOCKET cannot be told").count(), 1, "{}", done.err);
}
