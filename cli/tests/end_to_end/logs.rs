//! Log files: rotation, several writers, and the signals that are about them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::TestDir;

const JOB: &str = "name = \"job\"\n\n[source]\ntype = \"sample\"\nrecords = 50\n\n[sink]\ntype = \"null\"\n";

/// A pipeline that waits for a broker that is not there, as several instances can.
const WAITING: &str = r#"name = "job"

[source]
type = "kafka"
brokers = "127.0.0.1:1"
topics = ["t"]
key = "station"

[sink]
type = "csv"
dir = "out"

[log]
file = "job.log"
"#;

const NO_BROKER: &str = "no broker answers at 127.0.0.1:1 (connection refused); still trying, ";

/// Waits until a file holds a text.
fn wait_for(dir: &TestDir, name: &str, text: &str) -> String {
    let began = Instant::now();
    loop {
        let found = if dir.path(name).exists() { dir.read(name) } else { String::new() };
        if found.contains(text) {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "`{text}` does not come into {name}:\n{found}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_log_file_is_put_aside_at_its_size_and_no_line_of_any_run_is_lost() {
    // A long name makes long lines.
    let name = "n".repeat(200);
    let job = JOB.replace("\"job\"", &format!("\"{name}\""));
    let dir = TestDir::with(&[("job.toml", &format!("{job}\n[log]\nfile = \"job.log\"\nrotate = \"10kB\"\n"))]);
    let mut logged = Vec::new();
    for _ in 0..40 {
        let done = dir.run(&["run", "job.toml", "--rerun", "--log-level", "debug"]).expect(0, &[": done\n"]);
        let is_log = |line: &&str| line.contains("Z  INFO ") || line.contains("Z  WARN ") || line.contains("Z DEBUG ");
        logged.extend(done.err.lines().filter(is_log).map(str::to_owned));
    }
    let files: Vec<String> = dir.files("").into_iter().filter(|name| name.starts_with("job.log")).collect();
    assert!(files.len() >= 3 && files.contains(&"job.log.1".to_owned()), "{files:?}");
    for name in &files {
        assert!(dir.read(name).len() <= 10_000, "{name}");
    }
    // The oldest has the highest number, and the one that is written to has none.
    let number = |name: &String| name.strip_prefix("job.log.").map_or(0, |n| n.parse::<u32>().expect("a number"));
    let mut in_order = files;
    in_order.sort_by_key(|name| std::cmp::Reverse(number(name)));
    let text: String = in_order.iter().map(|name| dir.read(name)).collect();
    // Console and file have times of their own, and the file is one of several processes.
    let words = |line: &str| line.split_once(' ').expect("a time").1.to_owned();
    let found: Vec<String> = text.lines().map(|line| line.split_once("] ").expect("a process").1.to_owned()).collect();
    assert_eq!(found, logged.iter().map(|line| words(line)).collect::<Vec<_>>());
}

#[test]
fn what_is_wrong_with_a_rotation_is_said_before_anything_runs() {
    let log = |options: &str| format!("{JOB}\n[log]\nfile = \"job.log\"\n{options}\n");
    let dir = TestDir::new();
    for (options, message, place) in [
        ("rotate = \"hourly\"", "must be \"daily\" or a size, such as \"100MB\"", "job.toml:12:10"),
        ("rotate = \"9kB\"", "must be at least \"10kB\"", "job.toml:12:10"),
        ("rotate = 100", "expected a string, found an integer", "job.toml:12:10"),
        ("rotate = \"hourly\"\nkeep = 0", "must be \"daily\"", "job.toml:12:10"),
        ("rotate = \"hourly\"\nkeep = 0", "must be at least 1", "job.toml:13:8"),
        ("keep = 3", "missing key `rotate` in `log` of the pipeline", "job.toml:10:1"),
    ] {
        dir.write("job.toml", log(options));
        dir.run(&["validate", "job.toml"]).expect(78, &[message, place]);
    }
    dir.write("job.toml", log("rotate = \"daily\"\nkeep = 30"));
    dir.run(&["validate", "job.toml"]).expect(0, &[]);
}

#[test]
fn instances_that_share_a_log_file_are_named_in_its_lines_and_on_no_console() {
    let dir = TestDir::new();
    dir.write("job.toml", WAITING);
    let mut first = dir.start(&["run", "job.toml"]);
    first.wait_for_log(NO_BROKER);
    let mut second = dir.start(&["run", "job.toml"]);
    second.wait_for_log(NO_BROKER);
    let log = dir.read("job.log");
    for name in ["job/0", "job/1"] {
        assert!(log.contains(&format!(" WARN {name}: {NO_BROKER}")), "{log}");
    }
    for running in [first, second] {
        running.terminate();
        let done = running.wait().expect(0, &[" WARN job: "]);
        assert!(!done.err.contains("job/"), "{}", done.err);
    }
}

/// As `logrotate` does it.
#[test]
fn usr1_opens_the_log_file_anew_and_the_lines_go_on_there() {
    let dir = TestDir::new();
    dir.write("job.toml", WAITING);
    let mut running = dir.start(&["run", "job.toml"]);
    running.wait_for_log(NO_BROKER);
    std::fs::rename(dir.path("job.log"), dir.path("job.log.old")).expect("renamed");
    running.signal(Signal::USR1);
    running.wait_for_log("the log file is opened anew, as SIGUSR1 asks");
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    let (old, new) = (dir.read("job.log.old"), dir.read("job.log"));
    assert!(old.contains(NO_BROKER) && !old.contains("goes on from here"), "{old}");
    assert!(new.contains("job/0: stopped; the next start goes on from here"), "{new}");
}

#[test]
fn hup_stops_as_term_does_and_not_where_it_is_ignored() {
    let dir = TestDir::new();
    dir.write("job.toml", WAITING);
    // These tests may run where it is ignored.
    let mut running = dir.start_behind("exec env --default-signal=HUP", &["run", "job.toml"]);
    running.wait_for_log(NO_BROKER);
    running.signal(Signal::HUP);
    running.wait().expect(0, &["stopping: reading ends", "job: stopped; the next start goes on from here\n"]);

    let mut running = dir.start_behind("trap '' HUP; exec", &["run", "job.toml"]);
    running.wait_for_log(NO_BROKER);
    running.signal(Signal::HUP);
    running.signal(Signal::USR1);
    // Signals that come together are taken in an order of their own: the second one shows that the first was taken.
    running.wait_for_log("the log file is opened anew");
    assert!(running.is_running() && !running.err().contains("stopping"), "{}", running.err());
    running.terminate();
    running.wait().expect(0, &[]);
}

#[test]
fn a_log_that_cannot_be_rotated_says_so_once_and_goes_on() {
    let log = format!("{JOB}\n[log]\nfile = \"job.log\"\nrotate = \"10kB\"\nkeep = 1\n");
    let dir = TestDir::with(&[("job.toml", &log), ("job.log.1/in the way", ""), ("job.log", &"x\n".repeat(6_000))]);
    let done = dir.run(&["run", "job.toml"]).expect(0, &["job: done\n"]);
    let said = "WARN job: log file job.log: lines go on into it, for it cannot be rotated: ";
    assert_eq!(done.err.matches(said).count(), 1, "{}", done.err);
    let log = wait_for(&dir, "job.log", said);
    assert!(log.starts_with("x\n") && log.contains(" INFO job: done\n"), "{log}");
}
