//! Messages that are no records: each is set aside with its bytes, and the others go on.

use rdkafka::message::{Header, OwnedHeaders};
use serde_json::json;

use crate::common::{Kafka, NDJSON_DEAD_LETTERS, OutgoingMessage, TestDir};

fn pipeline(kafka: &Kafka, topic: &str, dead_letter: &str) -> String {
    let options = format!(
        "group = \"{topic}\"\nsession_timeout_secs = 6\nkey = \"station\"\nfields = [\"a\", \"b\"]\n\
         tombstones = \"dead_letter\"\nlibrdkafka = {{ \"fetch.message.max.bytes\" = 15000000 }}\n"
    );
    let stages = "[[transform]]\ntype = \"score\"\n\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 100\n";
    format!("name = \"job\"\n\n{}{stages}{dead_letter}", kafka.source(topic, &options))
}

fn good(hour: usize) -> OutgoingMessage {
    let value = format!("{{\"timestamp\":\"2024-01-01T{hour:02}:00:00Z\",\"station\":\"s\",\"a\":{hour}.5,\"b\":1}}");
    (Some(b"s"), Some(value.into_bytes()), OwnedHeaders::new())
}

fn bare(value: impl Into<Vec<u8>>) -> OutgoingMessage {
    (Some(b"s"), Some(value.into()), OwnedHeaders::new())
}

/// Messages that are no records, with a part of the reason.
fn bad() -> Vec<(OutgoingMessage, &'static str)> {
    let mut large = b"{\"timestamp\":\"2024-01-01T00:00:00Z\",\"a\":\"".to_vec();
    large.resize(10 << 20, b'x');
    vec![
        (bare("hello"), "JSON"),
        (bare("{\"timestamp\":\"2024-01-01T00:00:00Z\",\"a\":1"), "JSON"),
        (bare("[1, 2, 3]"), "object"),
        (bare("42"), "object"),
        (bare(&b"{\"a\":\"\xff\"}"[..]), "UTF-8"),
        (bare("{\"station\":\"s\",\"a\":1}"), "timestamp"),
        (bare("{\"timestamp\":\"yesterday\",\"a\":1}"), "timestamp"),
        ((Some(b"s"), None, OwnedHeaders::new()), ""),
        (bare(large), ""),
    ]
}

/// Good messages around the bad ones, and two that are strange and still records.
fn messages() -> Vec<OutgoingMessage> {
    let mut all: Vec<OutgoingMessage> = Vec::new();
    for (hour, (message, _)) in bad().into_iter().enumerate() {
        all.push(good(hour));
        all.push(message);
    }
    all.push(bare("{\"timestamp\":\"2024-01-01T20:00:00Z\",\"station\":\"s\",\"a\":\"12.5\",\"b\":\"many\"}"));
    let odd = OwnedHeaders::new().insert(Header { key: "trace", value: Some(&b"\xff\xfe"[..]) });
    let (key, value, _) = good(21);
    all.push((key, value, odd));
    all
}

#[test]
#[ignore = "needs Apache Kafka"]
fn messages_that_are_no_records_become_lines_of_dead_letters_and_the_rest_goes_on() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("bad", 1);
    kafka.write(&topic, &messages());
    let dir = TestDir::with(&[("job.toml", &pipeline(&kafka, &topic, NDJSON_DEAD_LETTERS))]);
    dir.run(&["run", "job.toml", "--until-end"])
        .expect(0, &["job: read 20, written 11, dead letters 9, filtered 0, held 0;"]);
    let rows = dir.rows("out");
    let hours: Vec<String> = (0..9).chain([20, 21]).map(|hour| format!("2024-01-01T{hour:02}:00:00Z")).collect();
    assert_eq!(rows.column("timestamp"), hours);
    assert_eq!(rows.column("b")[9], "", "a word is no number");
    assert_eq!(rows.column("qc_flags")[9].as_bytes()[2], b'4', "and no gap");
    assert_eq!(rows.column("a")[10], "21.5");

    let dead_letters = dir.dead_letters("dead");
    assert_eq!(dead_letters.len(), 9);
    for (index, (dead_letter, ((_, value, _), reason))) in dead_letters.iter().zip(bad()).enumerate() {
        let offset = 2 * index + 1;
        assert_eq!(
            (&dead_letter["position"], &dead_letter["stage"]),
            (&json!(offset), &json!("kafka")),
            "{dead_letter}"
        );
        assert_eq!(dead_letter["place"], format!("{topic}/0@{offset}"));
        assert!(
            dead_letter["reason"].as_str().is_some_and(|message| message.contains(reason)),
            "{reason} is not in {}",
            dead_letter["reason"]
        );
        match value.map(String::from_utf8) {
            None => {
                assert!(dead_letter.get("raw").is_none() && dead_letter.get("raw_base64").is_none(), "{dead_letter}");
            }
            Some(Ok(text)) => assert!(dead_letter["raw"] == *text, "the bytes of {offset}"),
            Some(Err(_)) => assert!(dead_letter["raw_base64"].is_string(), "{dead_letter}"),
        }
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn messages_that_are_no_records_go_to_a_topic_of_dead_letters() {
    let kafka = Kafka::from_env();
    let (topic, dead) = (kafka.topic("bad", 1), kafka.topic("dead", 1));
    kafka.write(&topic, &messages());
    let dir = TestDir::with(&[("job.toml", &pipeline(&kafka, &topic, &kafka.dead_letters(&dead)))]);
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: read 20, written 11, dead letters 9,"]);
    assert_eq!(dir.rows("out").len(), 11);
    let dead_letters = kafka.read(&dead);
    assert_eq!(dead_letters.len(), 9);
    for (index, (dead_letter, ((_, value, _), reason))) in dead_letters.iter().zip(bad()).enumerate() {
        let header = |name: &str| dead_letter.headers.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!(header("aqpipe.position"), (2 * index + 1).to_string());
        assert_eq!((header("aqpipe.pipeline"), header("aqpipe.stage")), (&*dir.name("job"), "kafka"));
        assert!(header("aqpipe.reason").contains(reason), "{reason} is not in {:?}", dead_letter.headers);
        assert!(dead_letter.value == value, "the bytes of {index} are as they were");
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn without_dead_letters_a_message_that_is_no_record_stops_the_pipeline_after_what_came_before() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("bad", 1);
    kafka.write(&topic, &[good(0), good(1), bare("hello"), good(2)]);
    let dir = TestDir::with(&[("job.toml", &pipeline(&kafka, &topic, ""))]);
    for round in 0..2 {
        let done = dir.run(&["run", "job.toml", "--until-end"]).expect(
            1,
            &[
                &format!(" at {topic}/0@2\n"),
                "help: a [dead_letter] lets the pipeline set such records aside and go on\n",
            ],
        );
        assert_eq!(dir.rows("out").column("a"), ["0.5", "1.5"], "{round}: {}", done.err);
    }
    dir.write("job.toml", pipeline(&kafka, &topic, NDJSON_DEAD_LETTERS));
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: read 2, written 1, dead letters 1,"]);
    assert_eq!(dir.rows("out").column("a"), ["0.5", "1.5", "2.5"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_is_not_there_is_an_error_that_names_the_ways_out() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("none");
    let sink = format!("[sink]\ntype = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\n", kafka.brokers);
    let dir = TestDir::with(&[
        ("in.toml", &pipeline(&kafka, &topic, "")),
        ("out.toml", &format!("name = \"out\"\n\n[source]\ntype = \"sample\"\nrecords = 5\n\n{sink}")),
    ]);
    let missing = format!("there is no topic `{topic}`");
    let help = format!("create it: `aqpipe kafka up --topic {topic}` on a broker");
    let others = format!("error: job: kafka: {missing}: the brokers have topics `");
    dir.run(&["run", "in.toml", "--until-end"]).expect(78, &[&others, &help]);
    let way_out = "`create_topic = { partitions = 3, replication = 1 }`";
    dir.run(&["run", "out.toml"]).expect(78, &[&format!("error: out: kafka: {missing}"), &help, way_out]);
    dir.run(&["run", "out.toml", "--set", "sink.create_topic={ partitions = 1, replication = 1 }"])
        .expect(0, &["created topic `", "out: read 5, written 5,"]);
    assert_eq!(kafka.read(&topic).len(), 5);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn members_share_the_partitions_and_when_one_dies_the_other_reads_all() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("shared");
    let dir = TestDir::with(&[("job.toml", &pipeline(&kafka, &topic, ""))]);
    let sink = kafka.sink(&topic, 4);
    // So slow that one member dies while records still come.
    let source = "[source]\ntype = \"sample\"\nrecords = 3000\nstations = 20\n\
                  replay = { interval_secs = 0.1, records_per_step = 20 }\n";
    dir.write("fill.toml", format!("name = \"fill\"\ncommit_interval_ms = 100\n\n{source}{sink}"));
    let mut fill = dir.start(&["run", "fill.toml"]);
    fill.wait_for_log("created topic");
    let options = ["run", "job.toml", "--set", "sink.batch_timeout_secs=1"];
    let (mut one, mut two) = (dir.start(&options), dir.start(&options));
    let files_of = |partition: usize| {
        let part = format!("_{topic}-{partition}_");
        dir.files("out").iter().filter(|name| name.contains(&part)).count()
    };
    // Both have assigned, and every partition has been written.
    for running in [&mut one, &mut two] {
        running.wait_for_log("assigned: ");
    }
    two.wait_until("files of all partitions", |_| (0..4).all(|partition| files_of(partition) > 0));
    two.kill();
    assert_eq!(two.wait().code, None);
    fill.wait().expect(0, &["fill: read 3000, written 3000,"]);
    one.wait_until("all records", |_| dir.rows("out").len() >= 3_000);
    one.terminate();
    let done = one.wait().expect(0, &[]);
    let rows = dir.rows("out").sorted();
    let stamps: std::collections::BTreeSet<(&str, &str)> =
        rows.column("timestamp").into_iter().zip(rows.column("station")).collect();
    assert_eq!((stamps.len(), rows.len()), (3_000, 3_000), "all, and once: {}", done.err);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_property_called_as_a_column_or_a_feature_ends_no_pipeline_and_is_kept() {
    let kafka = Kafka::from_env();
    let (topic, brokers) = (kafka.topic("in", 1), &kafka.brokers);
    let message = |more: &str| {
        let text = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","T":1.5{more}}}"#);
        (None, Some(text.into_bytes()), OwnedHeaders::new())
    };
    kafka.write(&topic, &[message(""), message(r#","qc_flags":"mine","hour":99,"quality_score":7"#)]);
    let job = format!(
        "name = \"job\"\n\n[source]\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n\n\
         [[transform]]\ntype = \"derive\"\nfeatures = [\"hour\"]\n\n[[transform]]\ntype = \"score\"\n\n\
         [sink]\ntype = \"csv\"\ndir = \"out\"\n"
    );
    let dir = TestDir::with(&[("job.toml", &job)]);
    dir.run(&["run", "job.toml", "--until-end"]).expect(
        0,
        &[
            "job: read 2, written 2, dead letters 0,",
            "records have a field `qc_flags`, which is another column's name here: it is written as `qc_flags_`\n",
            "`hour` is a field of the records as they come and a feature of `derive`: the field is kept",
            "the score of such records is called `quality_score_`",
        ],
    );
    let texts: Vec<String> = dir.files("out").iter().map(|name| dir.read(&format!("out/{name}"))).collect();
    assert!(texts[0].starts_with("timestamp,T,hour,quality_score,qc_flags,fills,tests\n"), "{texts:?}");
    assert!(
        texts[1].starts_with("timestamp,T,qc_flags_,hour,quality_score,quality_score_,qc_flags,fills,tests\n"),
        "{texts:?}"
    );
    assert!(texts[1].contains(",1.5,mine,99.0,7.0,1.0,"), "{texts:?}");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_letter_is_replayed_with_the_key_of_its_message_and_its_bytes_as_they_were() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("keyed", 1);
    let message = |key: &'static [u8], value: &str| {
        let value = format!(r#"{{"v":{{"pm25":{value},"note":NaN}},"timestamp":"2024-01-01T00:00:00Z"}}"#);
        (Some(key), Some(value.into_bytes()), OwnedHeaders::new())
    };
    let messages =
        [message(b"EastCity", "5"), message(b"WestCity", "5000"), message(b"\xff", "7"), message(b"s", "[]")];
    kafka.write(&topic, &messages);
    let options = format!(
        "group = \"{topic}\"\nkey = {{ name = \"station\", from = \"message\" }}\nfields = [\"v.pm25\"]\n\
         others = \"ignore\"\nuntil_end = true\n"
    );
    let check =
        "[[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges = { \"v.pm25\" = { max = 1000.0 } }\n";
    let job = format!(
        "name = \"job\"\n\n{}{check}\n[sink]\ntype = \"csv\"\ndir = \"out\"\n{NDJSON_DEAD_LETTERS}",
        kafka.source(&topic, &options)
    );
    let dir = TestDir::with(&[("job.toml", &job)]);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 4, written 1, dead letters 3,"]);
    let letters = dir.dead_letters("dead");
    for (_, value, _) in &messages[1..] {
        let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok()).expect("a text");
        assert!(letters.iter().any(|letter| letter["raw"] == *text), "{text} in {letters:?}");
    }
    let wider = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.ranges.\"v.pm25\".max=9999.0"];
    dir.run(&wider).expect(0, &["job: read 3, written 1, dead letters 2,"]);
    let rows = dir.rows("out").sorted();
    assert_eq!((rows.column("station"), rows.column("v.pm25")), (vec!["EastCity", "WestCity"], vec!["5.0", "5000.0"]));
    // What is still set aside has kept its key, and may be replayed once it can be read.
    dir.run(&[&wider[..], &["--set", "source.key={ name = \"station\", value = \"x\" }"]].concat())
        .expect(0, &["job: read 2, written 1, dead letters 1,"]);
}
