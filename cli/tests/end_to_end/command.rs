//! The command itself: exit codes, what it says of the shipped pipelines and of stages, and its logs.

use std::path::Path;

use crate::common::{TestDir, shipped};

const JOB: &str = r#"name = "job"

[source]
type = "sample"
records = 50

[sink]
type = "null"
"#;

#[test]
fn what_is_no_command_is_an_error_of_usage() {
    let dir = TestDir::new();
    dir.run(&["rnu"]).expect(2, &["unrecognized subcommand 'rnu'"]);
    dir.run(&[]).expect(2, &["Usage: aqpipe"]);
    dir.run(&["run"]).expect(2, &["<FILE>"]);
    dir.run(&["run", "job.toml", "--forever"]).expect(2, &["unexpected argument '--forever'"]);
    let done = dir.run(&["--help"]).expect(0, &[]);
    assert!(
        done.out.contains("Exit codes: 0 done, 1 a pipeline failed, 2 the command line is wrong, 78 "),
        "{}",
        done.out
    );
    let done = dir.run(&["--version"]).expect(0, &[]);
    assert_eq!(done.out, format!("aqpipe {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn exit_codes_tell_done_from_failed_from_misconfigured() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    dir.run(&["run", "job.toml"]).expect(0, &["job: done\n", "job: read 50, written 50, dead letters 0,"]);
    let wrong = ["run", "job.toml", "--set", "source.recrods=1"];
    dir.run(&wrong).expect(78, &["error: unknown key `recrods` in source `sample`\n", "did you mean `records`?"]);
    dir.run(&["run", "none.toml"]).expect(78, &["error: there is no file `none.toml`\n"]);
    let failed = ["run", "job.toml", "--set", "state_dir=job.toml"];
    dir.run(&failed).expect(1, &["error: job: the state directory job.toml/job/0 cannot be used"]);
}

#[test]
fn set_changes_what_the_file_says_for_one_pipeline_or_for_all() {
    let dir =
        TestDir::with(&[("a.toml", &JOB.replace("\"job\"", "\"a\"")), ("b.toml", &JOB.replace("\"job\"", "\"b\""))]);
    let both = ["run", "a.toml", "b.toml"];
    dir.run(&[&both[..], &["--set", "source.records=7"]].concat())
        .expect(0, &["a: read 7, written 7,", "b: read 7, written 7,"]);
    dir.run(&[&both[..], &["--set", "b:source.records=9"]].concat())
        .expect(0, &["a: read 50, written 50,", "b: read 9, written 9,"]);
    dir.run(&[&both[..], &["--set", "c:source.records=9"]].concat()).expect(78, &["no pipeline given is called `c`"]);
}

#[test]
fn set_takes_another_type_with_its_table_and_a_quoted_value_as_toml_does() {
    let dir = TestDir::with(&[("job.toml", &JOB.replace("\"null\"", "\"csv\"\ndir = \"out\"\nbatch_size = 10"))]);
    for null in ["sink.type=null", "sink.type=\"null\""] {
        dir.run(&["run", "job.toml", "--set", null]).expect(
            78,
            &[
                "the sink `null` has no key `dir`, `batch_size`, and the file gives it",
                "`--set 'sink={ type = \"null\" }'`",
            ],
        );
    }
    let done = dir.run(&["run", "job.toml", "--set", "sink={ type = \"null\" }"]).expect(0, &["written 50,"]);
    assert!(!dir.path("out").exists(), "{}", done.err);
    let no_null = ["run", "job.toml", "--set", "sink.batch_size=null"];
    dir.run(&no_null).expect(78, &["expected an integer, found a string", "TOML has no null"]);
    dir.run(&["run", "job.toml", "--set", "name=one", "--set", "sink.dir=\"quoted\""])
        .expect(0, &["5 files in quoted/ in "]);
    dir.run(&["run", "job.toml", "--set", "name=other", "--set", "sink.dir=a \"b\" c"])
        .expect(0, &["5 files in a \"b\" c/ in "]);
}

#[test]
fn one_pipeline_that_fails_does_not_stop_another_and_is_what_the_exit_code_says() {
    let failing = JOB.replace("\"job\"", "\"bad\"").replace(
        "type = \"sample\"\nrecords = 50",
        "type = \"csv\"\npath = \"none.csv\"\ntimestamp = { columns = [\"time\"] }",
    );
    let dir = TestDir::with(&[("job.toml", JOB), ("bad.toml", &failing)]);
    dir.run(&["run", "bad.toml", "job.toml"])
        .expect(1, &["job: read 50, written 50,", "error: bad: csv: there is no file none.csv"]);
}

#[test]
fn the_shipped_pipelines_are_valid_and_a_likely_mistake_in_them_is_pointed_at() {
    let dir =
        TestDir::with(&[("producer.toml", &shipped("producer.toml")), ("consumer.toml", &shipped("consumer.toml"))]);
    let done = dir.run(&["validate", "producer.toml", "consumer.toml"]).expect(0, &[]);
    assert_eq!(done.err, "");
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", done.out);
    assert!(
        lines[0].starts_with("producer.toml: ok: producer, csv -> impute -> derive -> range_check -> score -> kafka,")
    );
    assert!(lines[1].starts_with("consumer.toml: ok: consumer, kafka -> range_check -> score -> csv, delivery "));

    dir.write("producer.toml", shipped("producer.toml").replacen("\"CO(GT)\" = { min", "\"CO\" = { min", 1));
    let done = dir.run(&["validate", "producer.toml"]).expect(78, &["`CO`", "did you mean `CO(GT)`?"]);
    assert!(done.err.contains("--> producer.toml:"), "{}", done.err);
    assert!(dir.files("").iter().all(|name| name.ends_with(".toml")), "validate makes nothing");
}

#[test]
fn every_stage_has_its_options_and_an_example_that_is_accepted() {
    let dir = TestDir::new();
    let list = dir.run(&["stages"]).expect(0, &[]).out;
    let stages: Vec<(&str, &str)> = list
        .lines()
        .filter_map(|line| {
            let (kind, rest) = line.split_once("  ")?;
            ["source", "transform", "sink", "dead letter"]
                .contains(&kind)
                .then_some((kind, rest.trim().split(' ').next()?))
        })
        .collect();
    for stage in [
        ("source", "csv"),
        ("source", "kafka"),
        ("source", "sample"),
        ("transform", "pivot"),
        ("transform", "unpivot"),
        ("transform", "impute"),
        ("transform", "derive"),
        ("transform", "range_check"),
        ("transform", "score"),
        ("sink", "csv"),
        ("sink", "kafka"),
        ("sink", "null"),
        ("sink", "stdout"),
        ("dead letter", "ndjson"),
        ("dead letter", "kafka"),
    ] {
        assert!(stages.contains(&stage), "{stage:?} is not in\n{list}");
    }
    for (kind, name) in stages {
        let shown = dir.run(&["stages", name]).expect(0, &[]).out;
        assert!(shown.contains(&format!("{kind} `{name}`\n")), "{shown}");
        let examples = examples(&shown);
        assert!(!examples.is_empty(), "{shown}");
        for example in examples {
            let missing = |head: &str, text: &str| if example.contains(head) { String::new() } else { text.to_owned() };
            // Readings of the sample have a column for each measurement: neither a name in a field nor a column for each hour.
            let of_other_files = ["pivot", "unpivot"].contains(&name);
            let fields = if of_other_files { "csv\"\npath = \"in.csv" } else { "sample" };
            let source = missing("[source]", &format!("[source]\ntype = \"{fields}\"\n\n"));
            let sink = missing("[sink]", "\n[sink]\ntype = \"null\"\n");
            dir.write("job.toml", format!("name = \"job\"\n\n{source}{example}{sink}"));
            let done = dir.run(&["validate", "job.toml"]);
            assert_eq!(done.code, Some(0), "{kind} {name}\n{}\n{}", dir.read("job.toml"), done.err);
        }
    }
}

/// The TOML in what `stages NAME` shows: from the line with a stage's header to the next blank line with none behind it.
fn examples(shown: &str) -> Vec<String> {
    let heads = ["[source]", "[[transform]]", "[sink]", "[dead_letter]"];
    let mut found: Vec<String> = Vec::new();
    let mut within = false;
    for line in shown.lines() {
        if heads.contains(&line.trim()) {
            found.push(String::new());
            within = true;
        } else if line.trim().ends_with('`') && !line.contains('=') {
            within = false;
        }
        if within && let Some(example) = found.last_mut() {
            example.push_str(line.trim());
            example.push('\n');
        }
    }
    found
}

#[test]
fn the_schema_that_ships_is_up_to_date() {
    let ships = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    TestDir::new().run(&["schema", "--check", "--dir", ships.to_str().expect("UTF-8")]).expect(0, &[]);
}

#[test]
fn logs_go_to_the_file_that_the_command_line_names_instead_of_those_of_the_pipelines() {
    let logged = format!("{JOB}\n[log]\nfile = \"job.log\"\n");
    let dir = TestDir::with(&[("job.toml", &logged)]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    assert!(dir.read("job.log").contains(" INFO job: done\n"));
    let before = dir.read("job.log");
    dir.run(&["run", "job.toml", "--rerun", "--log-file", "all.log"]).expect(0, &[]);
    assert_eq!(dir.read("job.log"), before);
    assert!(dir.read("all.log").contains(" INFO job: done\n"));
    dir.run(&["run", "job.toml", "--log-file", "no/such/place.log"]).expect(1, &["no/such/place.log"]);
}

#[test]
fn logs_as_json_name_the_pipeline_in_every_line() {
    let dir =
        TestDir::with(&[("a.toml", &JOB.replace("\"job\"", "\"a\"")), ("b.toml", &JOB.replace("\"job\"", "\"b\""))]);
    dir.run(&["run", "a.toml", "b.toml", "--log-json", "--log-file", "all.log"]).expect(0, &[]);
    let (mut a, mut b) = (0, 0);
    for line in dir.read("all.log").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        match line["pipeline"].as_str() {
            Some("a") => a += 1,
            Some("b") => b += 1,
            _ => panic!("whose is {line}?"),
        }
        assert!(line["level"].is_string() && line["timestamp"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(a >= 2 && b >= 2, "{a} lines of one, {b} of the other");
}

#[test]
fn a_reader_that_leaves_ends_the_run_without_an_error() {
    let stdout = JOB.replace("type = \"null\"", "type = \"stdout\"").replace("records = 50", "records = 100000");
    let dir = TestDir::with(&[("job.toml", &stdout)]);
    let mut running = dir.start_unread(&["run", "job.toml"]);
    running.wait_for_log("INFO job: sample -> stdout");
    running.stop_reading();
    let done = running.wait().expect(0, &[]);
    assert!(!done.err.contains("error:") && !done.err.contains("ERROR"), "{}", done.err);
}
