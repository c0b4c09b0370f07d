//! Runs with more pipelines than the limit of open files has room for.

use crate::common::{Done, Kafka, TestDir};

const PIPELINES: usize = 40;

/// Runs pipelines into Kafka below a limit, all in one process.
fn run(limit: &str, brokers: &str, args: &[&str]) -> Done {
    let dir = TestDir::new();
    let names: Vec<String> = (0..PIPELINES).map(|number| format!("p{number}.toml")).collect();
    for (number, name) in names.iter().enumerate() {
        let sink = Kafka::at(brokers.to_owned()).sink(&format!("t{number}"), 1);
        let text = format!("name = \"p{number}\"\n\n[source]\ntype = \"sample\"\nrecords = 50\n{sink}");
        std::fs::write(dir.path(name), text).expect("written");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    dir.run_below(limit, &[&["run"], args, &names].concat())
}

#[test]
fn a_limit_of_open_files_that_is_exhausted_ends_the_run_with_its_name() {
    // Nobody answers there, so that the clients would try on for ever.
    let done = run("ulimit -n 150", "127.0.0.1:1", &[]).expect(1, &[]);
    let last = done.err.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("error: too many open files: the limit is 150; raise it with `ulimit -n`"),
        "{}",
        done.err
    );
}

#[test]
fn the_limit_that_a_shell_sets_by_default_is_raised_to_what_the_system_allows() {
    let done = run("ulimit -Sn 150", "localhost:9092", &["--embedded-broker"]).expect(0, &[]);
    let ended = done.err.lines().filter(|line| line.ends_with(": done")).count();
    assert_eq!(ended, PIPELINES, "{}", done.err);
}
