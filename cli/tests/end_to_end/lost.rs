//! Memory that is lost, changed or elsewhere: positions of groups, output on another disk, another group.

use rdkafka::message::OwnedHeaders;

use crate::common::{Kafka, TestDir, UCI_SOURCE, uci};

const RECORDS: usize = 300;
const RUN: [&str; 3] = ["run", "job.toml", "--until-end"];

/// A topic of one partition with readings, and a pipeline that reads it; `more` stands before its stages.
fn setup(kafka: &Kafka, more: &str, sink: &str) -> (TestDir, String) {
    let topic = kafka.name("in");
    let dir = TestDir::new();
    dir.write("in.csv", uci(RECORDS));
    dir.write("fill.toml", format!("name = \"fill\"\n\n{UCI_SOURCE}{}", kafka.sink(&topic, 1)));
    dir.run(&["run", "fill.toml"]).expect(0, &[]);
    dir.write("job.toml", consumer(kafka, &topic, more, sink));
    (dir, topic)
}

/// A pipeline from a topic; `more` stands before its stages.
fn consumer(kafka: &Kafka, topic: &str, more: &str, sink: &str) -> String {
    let options = format!("group = \"{topic}\"\nsession_timeout_secs = 1\nkey = \"station\"\nfields = [\"T\"]\n");
    format!("name = \"job\"\n{more}\n{}\n{sink}", kafka.source(topic, &options))
}

const FILES: &str = "[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 100\n";

#[test]
#[ignore = "needs Apache Kafka"]
fn output_that_was_decided_and_is_not_there_stops_the_run_with_its_range_until_it_is_there() {
    let kafka = Kafka::from_env();
    let (dir, topic) = setup(&kafka, "", FILES);
    let died = dir.run_with_fault(&RUN, "finish.rename=crash");
    assert_eq!(died.code, None, "{}", died.err);
    assert!(dir.files("out").is_empty() && !dir.temporary_files("out").is_empty(), "decided, and not visible");
    // Another machine: neither the state directory nor the disk of the output.
    std::fs::remove_dir_all(dir.path(".aqpipe")).expect("lost");
    std::fs::rename(dir.path("out"), dir.path("away")).expect("moved");
    for _ in 0..2 {
        let done =
            dir.run(&RUN).expect(1, &[&format!("the output of {topic}/0 from 0 to "), "and is not here: neither"]);
        assert!(done.err.contains("start that process again where its disk is"), "{}", done.err);
        assert!(dir.files("out").is_empty(), "it never goes on");
        std::fs::remove_dir_all(dir.path("out")).expect("removed");
    }
    std::fs::rename(dir.path("away"), dir.path("out")).expect("moved back");
    dir.run(&RUN).expect(0, &[]);
    assert_eq!(dir.rows("out").len(), RECORDS);
    assert!(dir.temporary_files("out").is_empty());
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_member_that_runs_takes_nothing_over_from_one_that_died_before_its_output_was_there() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("in", 2);
    let dir = TestDir::new();
    let sink = "[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_timeout_secs = 1\n";
    dir.write("job.toml", consumer(&kafka, &topic, "", sink));
    // Each has a disk of its own, for its state and its output.
    let of = |name: &str| [format!("state_dir={name}"), format!("sink.dir={name}-out")];
    let (dies, lives) = (of("dies"), of("lives"));
    let args = |of: &[String; 2]| ["run", "job.toml", "--set", &of[0], "--set", &of[1]].map(str::to_owned);
    let (dies, lives) = (args(&dies), args(&lives));
    fn refs(args: &[String; 6]) -> Vec<&str> {
        args.iter().map(String::as_str).collect()
    }
    let mut first = dir.start_with_fault(&refs(&dies), "finish.rename=crash");
    first.wait_for_log("assigned: ");
    let mut second = dir.start(&refs(&lives));
    second.wait_for_log("assigned: ");
    let message = |n: usize| {
        let text = format!("{{\"timestamp\":\"2024-01-01T{n:02}:00:00Z\",\"station\":\"s\",\"T\":{n}.0}}");
        (None, Some(text.into_bytes()), OwnedHeaders::new())
    };
    let messages: Vec<_> = (0..5).map(message).collect();
    (0..2).for_each(|partition| kafka.write_to(&topic, partition, &messages));
    assert_eq!(first.wait().code, None, "it dies");
    // Out of the reach of the other one, which finds the path otherwise.
    std::fs::rename(dir.path("dies-out"), dir.path("away")).expect("moved");
    let done = second.wait();
    done.expect(1, &["was committed by the process", "and is not here: neither the hidden file nor the visible one"]);
    // The one that died is started again where its disk is, and the other one takes its share.
    let until_end = |args: &[String; 6]| dir.run(&[&refs(args)[..], &["--until-end"]].concat()).expect(0, &[]);
    std::fs::rename(dir.path("away"), dir.path("dies-out")).expect("moved back");
    until_end(&dies);
    until_end(&lives);
    let rows = dir.rows("dies-out").len() + dir.rows("lives-out").len();
    assert_eq!(rows, 10, "each once");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn after_a_stop_nobody_looks_for_output_that_was_visible_and_may_be_moved_away() {
    let kafka = Kafka::from_env();
    let (dir, _) = setup(&kafka, "", FILES);
    let mut running = dir.start(&["run", "job.toml"]);
    running.wait_until("all files", |_| dir.rows("out").len() == RECORDS);
    running.terminate();
    running.wait().expect(0, &[]);
    for lost in [".aqpipe", "out"] {
        std::fs::remove_dir_all(dir.path(lost)).expect("removed");
    }
    dir.run(&RUN).expect(0, &["read 0, written 0,"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn at_least_once_a_partition_of_which_the_group_was_not_told_is_not_taken_for_one_that_was_moved_back() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("in", 2);
    let dir = TestDir::new();
    dir.write("job.toml", consumer(&kafka, &topic, "delivery = \"at_least_once\"", FILES));
    let messages = |hours: std::ops::Range<usize>| {
        let text =
            |n| format!("{{\"timestamp\":\"2024-01-01T{n:02}:00:00Z\",\"station\":\"s\",\"T\":{n}.0}}").into_bytes();
        hours.map(|n| (None, Some(text(n)), OwnedHeaders::new())).collect::<Vec<_>>()
    };
    (0..2).for_each(|partition| kafka.write_to(&topic, partition, &messages(0..5)));
    dir.run(&RUN).expect(0, &["read 10, written 10,"]);
    kafka.write_to(&topic, 0, &messages(5..10));
    // Decided and visible, and the group is not told of it.
    let died = dir.run_with_fault(&RUN, "finish.done=crash");
    assert_eq!(died.code, None, "{}", died.err);
    kafka.write_to(&topic, 1, &messages(5..10));
    dir.run(&RUN).expect(0, &["read 5, written 5,"]);
    let done = dir.run(&RUN).expect(0, &["read 0, written 0,"]);
    assert!(!done.err.contains("moved back"), "{}", done.err);
    assert_eq!(dir.rows("out").len(), 20);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_state_directory_and_output_that_were_removed_are_told() {
    let kafka = Kafka::from_env();
    let (dir, _) = setup(&kafka, "", FILES);
    dir.run(&RUN).expect(0, &["read 300, written 300,"]);
    std::fs::remove_dir_all(dir.path(".aqpipe")).expect("removed");
    let done = dir
        .run(&RUN)
        .expect(0, &["is new: what earlier processes of this pipeline committed is known from", "read 0,"]);
    assert!(!done.err.contains("that earlier runs wrote:"), "{}", done.err);
    std::fs::remove_dir_all(dir.path("out")).expect("removed");
    let message = "that earlier runs wrote: 300 records were removed, or are on another machine";
    let done = dir.run(&RUN).expect(0, &[message, "read 0,"]);
    assert!(!done.err.contains("is new: what earlier"), "{}", done.err);
    dir.run(&[&RUN[..], &["--fresh"]].concat()).expect(0, &["read 300, written 300,"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn at_least_once_a_group_offset_that_was_moved_back_is_followed_into_a_topic_and_refused_over_files() {
    let kafka = Kafka::from_env();
    let again = kafka.name("out");
    let (dir, topic) = setup(&kafka, "delivery = \"at_least_once\"", &kafka.sink(&again, 1));
    dir.run(&RUN).expect(0, &["read 300, written 300,"]);
    dir.run(&RUN).expect(0, &["read 0, written 0,"]);
    kafka.move_group(&topic, &topic, 100);
    dir.run(&RUN).expect(0, &["the group's offset was moved back from ", " to 100: going on there", "read 200,"]);
    assert_eq!(kafka.read(&again).len(), 500);

    let kafka = Kafka::from_env();
    let (dir, topic) = self::setup(&kafka, "delivery = \"at_least_once\"", FILES);
    dir.run(&RUN).expect(0, &["read 300, written 300,"]);
    kafka.move_group(&topic, &topic, 100);
    let files = dir.files("out");
    let done = dir
        .run(&RUN)
        .expect(78, &["the group's offset was moved back to 100, and there are files of the records up to"]);
    assert!(done.err.contains("or start from the beginning with `--fresh`, which removes these files"), "{}", done.err);
    assert_eq!(dir.files("out"), files);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn another_group_over_the_same_files_is_refused_with_its_name_and_into_a_topic_it_reads_all_again() {
    for delivery in ["at_least_once", "exactly_once"] {
        let kafka = Kafka::from_env();
        let more = format!("delivery = \"{delivery}\"");
        let (dir, topic) = setup(&kafka, &more, FILES);
        dir.run(&RUN).expect(0, &["read 300, written 300,"]);
        let files = dir.files("out");
        let other = kafka.name("other");
        let set = format!("source.group={other}");
        let renamed = [&RUN[..], &["--set", &set]].concat();
        let done = dir.run(&renamed).expect(
            78,
            &[&format!(
                "was read as the group `{topic}`, and the group is `{other}` now: it would read and write all of it"
            )],
        );
        assert!(done.err.contains(&format!("put `group = \"{topic}\"` back")), "{}", done.err);
        assert_eq!(dir.files("out"), files);
        dir.run(&RUN).expect(0, &["read 0, written 0,"]);

        let kafka = Kafka::from_env();
        let out = kafka.name("out");
        let (dir, topic) = self::setup(&kafka, &more, &kafka.sink(&out, 1));
        dir.run(&RUN).expect(0, &["read 300, written 300,"]);
        dir.run(&renamed)
            .expect(0, &[&format!("the group was `{topic}` and is `{other}` now"), "read 300, written 300,"]);
        assert_eq!(kafka.read(&out).len(), 600);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_mode_of_delivery_that_changes_is_told_without_a_proposal_to_delete() {
    let kafka = Kafka::from_env();
    let out = kafka.name("out");
    let (dir, _) = setup(&kafka, "", &kafka.sink(&out, 1));
    dir.run(&RUN).expect(0, &["read 300, written 300,"]);
    let done =
        dir.run(&[&RUN[..], &["--set", "delivery=at_least_once"]].concat()).expect(78, &["were decided by trans"]);
    assert!(done.err.contains("run it with `delivery = \"exactly_once\"` as before"), "{}", done.err);
    assert!(!done.err.contains("--fresh"), "{}", done.err);
    dir.run(&RUN).expect(0, &["read 0, written 0,"]);
    assert_eq!(kafka.read(&out).len(), 300);
}
