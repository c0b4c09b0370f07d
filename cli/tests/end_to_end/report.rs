//! `aqpipe report` and `aqpipe capture` on what pipelines wrote.

use std::fmt::Write as _;

use rdkafka::message::OwnedHeaders;
use serde_json::Value;

use crate::common::{Kafka, TestDir, UCI_SOURCE, shipped, uci};

/// A pipeline of files over the first hundred days of the input, with fills, ranges and scores.
const JOB: &str = r#"
[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 2 }, { method = "median" }]
fields = ["CO(GT)", "T"]

[[transform]]
type = "derive"
features = ["hour"]

[[transform]]
type = "range_check"
[transform.ranges]
"NOx(GT)" = { min = 0.0, max = 1000.0, suspect_max = 300.0 }

[[transform]]
type = "score"
fields = ["CO(GT)", "NOx(GT)", "T"]
"#;

fn job(name: &str, sink: &str) -> String {
    format!("name = \"{name}\"\n{UCI_SOURCE}{JOB}\n[sink]\ntype = \"csv\"\ndir = \"out\"\n{sink}\n")
}

fn json(dir: &TestDir, args: &[&str]) -> Value {
    let done = dir.run(&[&["report", "--format", "json"], args].concat()).expect(0, &[]);
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}", done.out))
}

fn series<'a>(data: &'a Value, field: &str) -> &'a Value {
    let all = data["series"].as_array().expect("series");
    all.iter().find(|one| one["field"] == field).unwrap_or_else(|| panic!("no {field} in {all:?}"))
}

/// What the figures of the input are: `uci` makes gaps, and every hundredth `NOx(GT)` is 1200.
fn expect_figures(data: &Value, records: u64) {
    assert_eq!(data["records"], records);
    assert_eq!(data["stations"][0]["station"], "uci");
    assert_eq!(data["stations"][0]["step_seconds"], 3600.0);
    let fields: Vec<&str> =
        data["fields"].as_array().expect("fields").iter().filter_map(|one| one["field"].as_str()).collect();
    assert_eq!(fields, ["CO(GT)", "NOx(GT)", "T"], "computed fields are no measurements");
    let cells = |field: &str, what: &str| series(data, field)["cells"][what].as_u64().expect("a count");
    for field in ["CO(GT)", "T"] {
        assert_eq!((cells(field, "missing"), cells(field, "observed") + cells(field, "filled")), (0, records));
        assert!(cells(field, "filled") > 0);
        let fills = series(data, field)["fills"].as_object().expect("fills");
        assert_eq!(fills.values().filter_map(Value::as_u64).sum::<u64>(), cells(field, "filled"));
    }
    assert_eq!(cells("NOx(GT)", "filled"), 0);
    assert_eq!(cells("NOx(GT)", "observed") + cells("NOx(GT)", "missing"), records);
    assert_eq!(
        series(data, "NOx(GT)")["tests"]["gross_range"],
        cells("NOx(GT)", "failed") + cells("NOx(GT)", "suspect")
    );
    let whole = &series(data, "NOx(GT)")["capture"][0];
    assert_eq!((&whole["period"], &whole["expected"]), (&Value::from("whole"), &Value::from(records)));
    let valid = (cells("NOx(GT)", "observed") - cells("NOx(GT)", "failed")) as f64;
    assert_eq!(whole["capture"], valid / records as f64);
    assert_eq!(series(data, "NOx(GT)")["distribution"]["max"], 1200.0);
}

#[test]
fn a_report_tells_observed_from_filled_from_flagged_and_its_page_needs_nothing_beside_it() {
    let dir = TestDir::with(&[("job.toml", &job("job", "batch_size = 500")), ("in.csv", &uci(2_400))]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let report = json(&dir, &["out", "--pipeline", "job.toml"]);
    let data = &report["data"][0];
    expect_figures(data, 2_400);
    assert_eq!((&data["origin"]["pipeline"], &data["inputs"]), (&Value::from("job"), &Value::from(5)));
    let nox = series(data, "NOx(GT)");
    assert_eq!(nox["exceedances"]["above"], nox["cells"]["failed"]);
    assert_eq!(nox["exceedances"]["suspect"], nox["cells"]["suspect"]);
    assert_eq!(nox["exceedances"]["worst"][0]["value"], 1200.0);
    assert_eq!(data["origin"]["made_by"]["thresholds"][0]["suspect_max"], 300.0);
    let digest = data["origin"]["made_by"]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(data["origin"]["written_by"][0]["digest"], digest.as_str(), "the files say which pipeline made them");
    assert_eq!(
        json(&dir, &["--pipeline", "job.toml"])["data"],
        report["data"],
        "the pipeline says where its output is"
    );

    let done = dir
        .run(&["report", "out", "--pipeline", "job.toml", "-o", "page.html"])
        .expect(0, &["job: 2400 records", "page.html: "]);
    assert_eq!(done.out, "");
    let page = dir.read("page.html");
    assert!(page.len() <= 1_000_000, "{} bytes", page.len());
    assert!(page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    for absent in ["http://", "https://", "<script", "src=", "url("] {
        assert!(!addresses.contains(absent), "{absent}");
    }
    let pictures = page.matches("<svg").count();
    assert!(pictures > 10, "{pictures}");
    assert_eq!(page.matches("role=\"img\"").count(), pictures, "each picture is one for readers of screens");
    for part in ["Data capture by month", "Longest gaps", "Worst days", "Ranges in force", &digest, "Distributions"] {
        assert!(page.contains(part), "{part}");
    }
    // Limits are lines in the course of their field, with their text.
    let course =
        page.split("<h3>NOx(GT) at uci</h3>").nth(1).and_then(|rest| rest.split("</svg>").next()).expect("a course");
    for text in ["s-limit", ">suspect above 300</text>", "fail above 1000"] {
        assert!(course.contains(text), "{text} in {course}");
    }
    assert!(page.contains("The limits shown are those of job.toml, which has this digest."));
    // Without the pipeline's file, the ranges are those that the files name.
    let own = json(&dir, &["out"]);
    assert_eq!(series(&own["data"][0], "NOx(GT)")["exceedances"], nox["exceedances"]);
    assert!(dir.run(&["report", "out", "-o", "-"]).expect(0, &[]).out.contains("as the data package says them"));
    // A file that was changed since says so, and whose limits are shown.
    dir.write("job.toml", job("job", "batch_size = 500").replace("max = 1000.0", "max = 1100.0"));
    let changed = json(&dir, &["out", "--pipeline", "job.toml"]);
    let note = changed["notes"][0].as_str().expect("a note");
    assert!(
        note.contains(&format!("made by the pipeline with the digest {digest}; job.toml has the digest")),
        "{note}"
    );
    // Without a name the page is report.html, and by its name JSON is.
    dir.run(&["report", "out"]).expect(0, &["report.html: "]);
    dir.run(&["report", "out", "-o", "r.json"]).expect(0, &[]);
    assert!(dir.read("r.json").starts_with("{\"format\":1,"));
}

#[test]
fn output_of_any_form_reads_back_alike_but_for_marks_that_are_not_there() {
    for sink in [
        "datapackage = false",
        "marks = \"columns\"",
        "marks = \"columns\"\ndatapackage = false",
        "delimiter = \";\"\npartition = true\noffset = true\nprocessed_at = true",
        "delimiter = \"\\t\"\ndatapackage = false\noffset = true",
    ] {
        let dir = TestDir::with(&[("job.toml", &job("job", sink)), ("in.csv", &uci(600))]);
        dir.run(&["run", "job.toml"]).expect(0, &[]);
        // What is computed is told by the description, or by the pipeline.
        let report = json(&dir, &["out", "--pipeline", "job.toml"]);
        assert_eq!(report["notes"], Value::Array(Vec::new()), "{sink}");
        expect_figures(&report["data"][0], 600);
        assert!(report["data"][0]["score"]["mean"].as_f64().is_some_and(|mean| mean < 1.0), "{sink}");
    }
    let dir = TestDir::with(&[("job.toml", &job("job", "marks = false")), ("in.csv", &uci(600))]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let report = json(&dir, &["out"]);
    assert_eq!(series(&report["data"][0], "T")["cells"]["observed"], 600);
    let note = report["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("job: the records do not say of what quality their values are"), "{note}");
}

#[test]
fn files_of_two_pipelines_are_told_apart_whatever_their_stations_are_called() {
    let second = job("second", "prefix = \"other\"").replace("limit = 2", "limit = 1");
    let dir = TestDir::with(&[("first.toml", &job("first", "")), ("second.toml", &second), ("in.csv", &uci(300))]);
    dir.run(&["run", "first.toml", "second.toml"]).expect(0, &[]);
    let report = json(&dir, &["out", "--pipeline", "second.toml"]);
    let data = report["data"].as_array().expect("data");
    let named: Vec<&Value> = data.iter().map(|data| &data["origin"]["pipeline"]).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.contains(&&Value::from("first")) && named.contains(&&Value::from("second")), "{named:?}");
    data.iter().for_each(|data| expect_figures(data, 300));
    for data in data {
        assert_eq!(data["origin"]["made_by"].is_null(), data["origin"]["pipeline"] == "first");
    }
    dir.write("third.toml", job("third", "").replace("dir = \"out\"", "dir = \"elsewhere\""));
    let report = json(&dir, &["out", "--pipeline", "third.toml"]);
    assert!(
        report["notes"][0]
            .as_str()
            .is_some_and(|note| note.starts_with("None of these records are of the pipeline `third`"))
    );
    let page = dir.run(&["report", "out", "-o", "-"]).expect(0, &["first: 300 records", "second: 300 records"]).out;
    assert!(page.contains("<h2 class=\"data\">first</h2>") && page.contains("<h2 class=\"data\">second</h2>"));
}

#[test]
fn a_directory_without_records_has_a_report_that_says_so_and_what_is_not_there_is_an_error() {
    let dir = TestDir::with(&[("empty/notes.txt", ""), ("other/in.csv", "Date;CO\n1;2\n")]);
    dir.run(&["report", "empty", "-o", "page.html"])
        .expect(0, &["note: There is no CSV file in `empty`.", "warning: there are no records: the report is empty"]);
    assert!(dir.read("page.html").contains("There are no records."));
    dir.run(&["capture", "empty"]).expect(0, &["warning: there are no records"]);
    dir.run(&["report", "other"]).expect(0, &["note: Left out: other/in.csv is no file that aqpipe wrote"]);
    dir.run(&["report", "other/in.csv"])
        .expect(1, &["error: other/in.csv is no file that aqpipe wrote: its first column is"]);
    dir.run(&["report", "no/such.csv"]).expect(1, &["error: there is no file or directory no/such.csv"]);
    dir.run(&["report", "a-topic"])
        .expect(1, &["`a-topic`, and for a topic the brokers are missing", "--brokers HOST:PORT"]);
    dir.run(&["report"]).expect(2, &["<DIR|FILE|TOPIC>"]);
    dir.run(&["report", "no-topic"]).expect(1, &["there are here: `empty`, `other`"]);
    dir.run(&["report", "empty", "-o", "no/page.html"]).expect(1, &["error: cannot write no/page.html: No such file"]);
    dir.run(&["report", "empty", "--from", "2024-13-01"])
        .expect(2, &["\"2024-13-01\" is no date; write it as 2024-12-31"]);
    dir.run(&["report", "empty", "--step", "soon"]).expect(2, &["a duration is written as `1h`"]);
}

#[test]
fn real_files_stand_before_those_of_the_embedded_broker() {
    let dir = TestDir::with(&[("job.toml", &job("job", "")), ("in.csv", &uci(48))]);
    dir.run(&["run", "job.toml", "--embedded-broker"]).expect(0, &[]);
    assert_eq!(json(&dir, &["out"])["data"][0]["records"], 48);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let report = json(&dir, &["out"]);
    assert_eq!(report["data"][0]["records"], 48);
    assert!(report["notes"][0].as_str().is_some_and(|note| note.starts_with("out/embedded is left out")), "{report}");
}

#[test]
fn capture_is_of_the_days_that_are_asked_for_and_of_the_step_that_is_given() {
    let mut text = "timestamp,station,NO2,qc_flags,fills,tests\n".to_owned();
    for hour in 0..24 {
        let (flag, fill) = if hour < 6 { ("q2", "NO2=median") } else { ("q1", "") };
        let _ = writeln!(text, "2024-01-01T{hour:02}:00:00Z,a,{hour}.5,{flag},{fill},");
    }
    let dir = TestDir::with(&[("in.csv", &text)]);
    let table = |args: &[&str]| -> Vec<String> {
        let done = dir.run(&[&["capture", "in.csv"], args].concat()).expect(0, &[]);
        done.out.lines().map(str::to_owned).collect()
    };
    assert_eq!(table(&[])[2..4], ["station  field   whole  2024-01", "a        NO2    75.0 %  75.0 %*"]);
    let csv = table(&["--format", "csv", "--by", "year", "--from", "2024-01-01", "--to", "2024-12-31"]);
    assert_eq!(
        csv[0],
        "pipeline,station,field,kind,period,partial,expected,valid,failed,filled,unreadable,emptied,missing,capture"
    );
    assert_eq!(csv[1], "files here,a,NO2,year,2024,false,8784,18,0,6,0,0,0,0.002049");
    let halves = dir.run(&["capture", "in.csv", "--step", "30min", "--format", "json", "--by", "month"]).expect(0, &[]);
    let halves: Value = serde_json::from_str(&halves.out).expect("JSON");
    assert_eq!((&halves[0]["expected"], &halves[0]["capture"]), (&Value::from(47), &Value::from(18.0 / 47.0)));
    dir.run(&["capture", "in.csv", "--from", "2024-02-01", "--to", "2024-01-01"])
        .expect(1, &["lies behind the last one"]);
    let none = json(&dir, &["in.csv", "--from", "2025-01-01"]);
    assert_eq!(none["notes"][0], "24 records are of other days and left out.");
}

#[test]
fn a_month_in_which_clocks_are_put_forward_is_complete_whatever_the_order_of_its_records() {
    let job = "name = \"job\"\n[source]\ntype = \"csv\"\npath = \"in.csv\"\ntimestamp = \"timestamp\"\ntimezone = \"Europe/Rome\"\n\
               key = { column = \"station\" }\nfields = [\"NO2\"]\n[sink]\ntype = \"csv\"\ndir = \"out\"\n";
    let hours = (1..=31).flat_map(|day| (0..24).map(move |hour| (day, hour))).filter(|time| *time != (31, 2));
    let mut lines: Vec<String> =
        hours.map(|(day, hour)| format!("2024-03-{day:02} {hour:02}:00:00,a,{hour}.5\n")).collect();
    lines.reverse();
    lines.extend_from_within(..10);
    let dir = TestDir::with(&[("job.toml", job), ("in.csv", &format!("timestamp,station,NO2\n{}", lines.concat()))]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let report = json(&dir, &["out"]);
    let one = series(&report["data"][0], "NO2");
    let month = one["capture"].as_array().expect("periods").iter().find(|one| one["period"] == "2024-03");
    let month = month.expect("March");
    assert_eq!((&month["expected"], &month["capture"], &month["partial"]), (&743.into(), &1.0.into(), &false.into()));
    assert_eq!(
        (&one["gaps"], &one["doubled"], &one["longest_gaps"]),
        (&0.into(), &10.into(), &Value::Array(Vec::new()))
    );
    assert_eq!(report["data"][0]["stations"][0]["step_seconds"], 3600.0);
    let note = report["notes"][0].as_str().expect("a note");
    assert!(
        note.starts_with("job: 10 readings stand at a time that another one of the same station and field has"),
        "{note}"
    );
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_is_read_to_its_end_by_its_brokers_or_by_a_pipeline() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("report", 3);
    let sink = kafka.sink(&topic, 3);
    let dir =
        TestDir::with(&[("job.toml", &format!("name = \"job\"\n{UCI_SOURCE}{JOB}{sink}")), ("in.csv", &uci(600))]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    kafka.write(&topic, &[(None, Some(b"no JSON".to_vec()), OwnedHeaders::new())]);
    for args in
        [&[&*topic, "--brokers", &kafka.brokers][..], &[&*topic, "--pipeline", "job.toml"], &["--pipeline", "job.toml"]]
    {
        let report = json(&dir, args);
        let data = &report["data"][0];
        expect_figures(data, 600);
        assert_eq!((&data["origin"]["place"], &data["unreadable_records"]), (&Value::from(&*topic), &Value::from(1)));
        let example = data["unreadable_examples"][0].as_str().expect("a reason");
        assert!(example.starts_with(&topic), "{example}");
    }
}

/// Figures of the data set that anybody can count, of a field: its missing readings, the least, the greatest and the median value, and
/// the fills forward, backward and by the median.
type Figures = (&'static str, u64, f64, f64, f64, [u64; 3]);

const UCI_FIGURES: [Figures; 5] = [
    ("CO(GT)", 1_683, 0.1, 11.9, 1.8, [262, 88, 1_333]),
    ("NMHC(GT)", 8_443, 7.0, 1_189.0, 150.0, [16, 12, 8_415]),
    ("C6H6(GT)", 366, 0.1, 63.7, 8.2, [42, 33, 291]),
    ("NOx(GT)", 1_639, 2.0, 1_479.0, 180.0, [388, 63, 1_188]),
    ("NO2(GT)", 1_642, 2.0, 340.0, 109.0, [389, 63, 1_190]),
];

#[test]
#[ignore = "needs the authentic data set"]
fn the_data_set_is_read_into_a_report_with_its_figures() {
    let data = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV names the data set");
    let dir =
        TestDir::with(&[("producer.toml", &shipped("producer.toml")), ("consumer.toml", &shipped("consumer.toml"))]);
    dir.write("data/AirQualityUCI.csv", std::fs::read(data).expect("readable"));
    dir.run(&["run", "--embedded-broker", "producer.toml", "consumer.toml"]).expect(0, &[]);
    let report = json(&dir, &["--pipeline", "consumer.toml"]);
    let data = &report["data"][0];
    assert_eq!(data["period"], serde_json::json!(["2004-03-10T18:00:00", "2005-04-04T14:00:00"]));
    for (field, missing, min, max, median, [forward, backward, by_median]) in UCI_FIGURES {
        let one = series(data, field);
        assert_eq!((&one["cells"]["filled"], &one["cells"]["observed"]), (&missing.into(), &(9_357 - missing).into()));
        assert_eq!(one["capture"][0]["expected"], 9_357);
        let found = &one["distribution"];
        assert_eq!(
            (&found["min"], &found["max"], &found["median"]),
            (&min.into(), &max.into(), &median.into()),
            "{field}"
        );
        let fills = ["forward_fill", "backward_fill", "median"].map(|fill| one["fills"][fill].as_u64());
        assert_eq!(fills, [Some(forward), Some(backward), Some(by_median)], "{field}");
    }
    for other in ["PT08.S1(CO)", "PT08.S5(O3)", "T", "RH", "AH"] {
        assert_eq!(series(data, other)["cells"]["filled"], 366, "{other}");
    }
    let filled: u64 =
        data["fields"].as_array().expect("fields").iter().filter_map(|one| one["cells"]["filled"].as_u64()).sum();
    assert_eq!((filled, data["series"].as_array().map(Vec::len)), (16_701, Some(13)));
    assert_eq!(series(data, "NOx(GT)")["exceedances"]["above"], 78);
    assert_eq!(series(data, "NOx(GT)")["tests"], serde_json::json!({ "gross_range": 78 }));
    let score = &data["score"];
    assert!((score["mean"].as_f64().expect("a mean") - 0.899_985).abs() < 5e-7, "{score}");
    assert_eq!((&score["min"], &score["perfect"]), (&0.2.into(), &827.into()));
}
