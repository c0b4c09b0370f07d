//! Scores of stations that have different sensors.

use std::fmt::Write as _;

use rdkafka::message::OwnedHeaders;

use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir};

const JOB: &str = r#"
name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = { columns = ["time"] }
key = { column = "station" }
fields = ["CO", "NOx", "T", "RH"]

[[transform]]
type = "score"
fields = ["CO", "NOx", "T", "RH"]
"#;

const END: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\n";

fn run(by_key: &str) -> (Vec<String>, String) {
    let dir = TestDir::with(&[("job.toml", &format!("{JOB}{by_key}{END}{NDJSON_DEAD_LETTERS}"))]);
    let mut text = "time,station,CO,NOx,T,RH\n".to_owned();
    for hour in 10..20 {
        let _ = writeln!(text, "2024-01-01T{hour}:00:00Z,full,1.5,2.5,3.5,{}", hour * 4);
        let _ = writeln!(text, "2024-01-01T{hour}:00:00Z,roof,,,3.5,");
    }
    dir.write("in.csv", text);
    let done = dir.run(&["run", "job.toml"]).expect(0, &["job: read 20, written 20,"]);
    let scores = dir.rows("out").column("quality_score").into_iter().map(str::to_owned).collect();
    (scores, done.report().join("\n"))
}

#[test]
fn a_station_without_listed_sensors_is_named_and_its_own_list_gives_it_its_score() {
    let (scores, report) = run("");
    assert_eq!(scores[..2], ["1.0", "0.25"]);
    let named = "keys that never had a listed field, which lowers their score (`fields_by_key` of `score` lists theirs):\n    \
                 roof: CO, NOx, RH";
    assert!(report.contains(named), "{report}");

    let (scores, report) = run("fields_by_key = { roof = [\"T\"] }\n");
    assert!(scores.iter().all(|score| score == "1.0"), "{scores:?}");
    assert!(!report.contains("never had"), "{report}");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_station_whose_messages_lack_listed_fields_is_named_too_and_fills_are_no_sensors() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("scores", 1);
    for hour in 10..20 {
        let time = format!("\"timestamp\":\"2024-01-01T{hour}:00:00Z\"");
        let full = format!("{{{time},\"station\":\"full\",\"CO\":1.5,\"NOx\":2.5,\"T\":3.5}}");
        let roof = format!(
            "{{{time},\"station\":\"roof\",\"CO\":1.5,\"T\":3.5,\"quality\":{{\"flags\":\"22\",\"fills\":{{\"CO\":\"median\"}}}}}}"
        );
        for text in [full, roof] {
            kafka.write(&topic, &[(None, Some(text.into_bytes()), OwnedHeaders::new())]);
        }
    }
    let fields = "fields = [\"CO\", \"NOx\", \"T\"]\n";
    let source = kafka.source(&topic, &format!("group = \"{topic}\"\nkey = \"station\"\n{fields}"));
    let dir = TestDir::new();
    let job = |by_key: &str| {
        let score = format!("[[transform]]\ntype = \"score\"\n{fields}{by_key}");
        dir.write("job.toml", format!("name = \"job\"\n\n{source}\n{score}{END}{NDJSON_DEAD_LETTERS}"));
        let done = dir.run(&["run", "job.toml", "--until-end", "--fresh"]).expect(0, &["job: read 20, written 20,"]);
        done.report().join("\n")
    };
    let report = job("");
    assert!(report.contains("\n    roof: CO, NOx\n"), "{report}");
    let report = job("fields_by_key = { roof = [\"T\"] }\n");
    assert!(!report.contains("never had"), "{report}");
    let rows = dir.rows("out");
    assert!(rows.column("quality_score").iter().all(|score| *score == "1.0"), "{rows:?}");
}
