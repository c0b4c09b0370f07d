//! Scores of stations that have different sensors.

use std::fmt::Write as _;

use crate::common::{NDJSON_DEAD_LETTERS, TestDir};

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
