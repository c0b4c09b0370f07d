//! Input, places and configuration that are not what a pipeline needs: a clear error, and nothing lost.

use std::fmt::Write as _;

use serde_json::json;

use crate::common::{SmallDisk, TestDir};

const STRICT: &str = r#"name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = { columns = ["time"] }
key = { name = "station", value = "s" }
fields = ["a", "b"]

[[transform]]
type = "range_check"
ranges = { a = { min = 0.0, max = 100.0 } }

[[transform]]
type = "score"

[sink]
type = "csv"
dir = "out"
batch_size = 10
"#;

const DEAD_LETTER: &str = "\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n";

/// A directory with `job.toml`, which keeps dead letters, `strict.toml`, which does not, and the input.
fn setup(input: impl AsRef<[u8]>) -> TestDir {
    let dir = TestDir::with(&[("job.toml", &format!("{STRICT}{DEAD_LETTER}")), ("strict.toml", STRICT)]);
    dir.write("in.csv", input);
    dir
}

fn row(hour: usize) -> String {
    format!("2024-01-{:02}T{:02}:00:00Z,1.5,2\n", 1 + hour / 24, hour % 24)
}

/// A file with good rows around the one given.
fn around(before: usize, bad: &[u8], after: usize) -> Vec<u8> {
    let mut text = b"time,a,b\n".to_vec();
    (0..before).for_each(|hour| text.extend(row(hour).bytes()));
    text.extend_from_slice(bad);
    text.push(b'\n');
    (before..before + after).for_each(|hour| text.extend(row(hour).bytes()));
    text
}

/// A row that is no record becomes a dead letter with its bytes and its line, and the others go on; where there is no
/// place for dead letters, what came before is there, the place is said, and a mended file is gone on with.
#[track_caller]
fn is_set_aside(bad: &[u8], reasons: &[&str], set: &[&str]) {
    let dir = setup(around(14, bad, 5));
    dir.run(&[&["run", "job.toml"], set].concat())
        .expect(0, &["job: done\n", "job: read 20, written 19, dead letters 1, filtered 0, held 0; 3 files in "]);
    let rows = dir.rows("out");
    let expected: Vec<String> = (0..19).map(|hour| row(hour)[..20].to_owned()).collect();
    assert_eq!(rows.column("timestamp"), expected);
    let dead_letters = dir.dead_letters("dead");
    assert_eq!(dead_letters.len(), 1);
    let dead_letter = dead_letters[0].as_object().expect("an object");
    let reason = dead_letter["reason"].as_str().expect("a reason");
    for part in reasons {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    assert_eq!((&dead_letter["pipeline"], &dead_letter["stage"]), (&json!("job"), &json!("csv")));
    assert_eq!((&dead_letter["place"], &dead_letter["position"]), (&json!("in.csv:16"), &json!(9 + 14 * row(0).len())));
    match std::str::from_utf8(bad) {
        Ok(text) => assert_eq!(dead_letter["raw"], text),
        Err(_) => {
            assert!(dead_letter.contains_key("raw_base64") && !dead_letter.contains_key("raw"), "{dead_letter:?}");
        }
    }

    let dir = self::setup(around(14, bad, 5));
    let error = format!("error: job: csv: {reason} at in.csv:16\n");
    let help = "help: a [dead_letter] lets the pipeline set such records aside and go on\n";
    let first = "job: read 14, written 14, dead letters 0, filtered 0, held 0; 2 files in ";
    for message in [first, "job: read 0, written 0, "] {
        dir.run(&[&["run", "strict.toml"], set].concat()).expect(1, &[&error, help, message]);
        assert_eq!(dir.rows("out").column("timestamp"), expected[..14]);
        assert!(dir.temporary_files("out").is_empty());
    }
    // A mended file is gone on with.
    let mended = &b"2024-02-01T00:00:00Z,1,3"[..];
    let room = bad.len().saturating_sub(mended.len());
    let mended = [&mended[..21], &b"        "[..room], &mended[21..]].concat();
    dir.write("in.csv", around(14, &mended, 5));
    dir.run(&[&["run", "strict.toml"], set].concat()).expect(0, &["going on after 14 records of an earlier run"]);
    assert_eq!(dir.rows("out").len(), 20);
}

#[test]
fn a_file_that_became_shorter_while_a_run_was_interrupted_is_another_file() {
    let dir = setup(around(14, b"cut", 5));
    dir.run(&["run", "strict.toml"]).expect(1, &[]);
    dir.write("in.csv", around(14, b"", 4));
    let help = "or start from the beginning with `--fresh`, which forgets where the pipeline was\n";
    dir.run(&["run", "strict.toml"]).expect(1, &["the files are not those that were read before: in.csv has ", help]);
    dir.run(&["run", "strict.toml", "--fresh"]).expect(0, &["job: read 18, written 18,"]);
    assert_eq!(dir.rows("out").len(), 18);
}

#[test]
fn a_row_that_was_cut_in_the_middle_is_set_aside() {
    is_set_aside(b"2024-02-01T00:0", &["the row has 1 column and the header 3", "cut off"], &[]);
}

#[test]
fn a_row_with_more_columns_than_the_header_is_set_aside() {
    is_set_aside(b"2024-02-01T00:00:00Z,1,000,2", &["the row has 4 columns and the header 3"], &[]);
}

#[test]
fn a_row_with_unquoted_decimal_commas_is_set_aside_and_it_says_why() {
    is_set_aside(
        b"2024-02-01T00:00:00Z,1,5,2,5",
        &["the row has 5 columns and the header 3", "decimal commas"],
        &["--set", "source.decimal=,", "--set", "source.on_unreadable=warn"],
    );
}

#[test]
fn a_row_that_is_not_utf_8_is_set_aside() {
    is_set_aside(b"2024-02-01T00:00:00Z,\xff\xfe,2", &["column 2 is not UTF-8: `encoding` says what the file is"], &[]);
}

#[test]
fn a_row_whose_timestamp_does_not_parse_is_set_aside() {
    is_set_aside(
        b"2024-13-01T00:00:00Z,1,2",
        &["`time` is `2024-13-01T00:00:00Z`, which is not a time of ISO 8601", "there is no such date"],
        &[],
    );
}

#[test]
fn a_row_without_a_timestamp_is_set_aside() {
    let dir = setup("time,a,b\n,1,2\n2024-01-01T00:00:00Z,1,2\n");
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 2, written 1, dead letters 1,"]);
    let dead_letters = dir.dead_letters("dead");
    let reason = dead_letters[0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("`time` is ``, which is not a time"), "{reason}");
}

#[test]
fn a_whole_file_of_unquoted_decimal_commas_is_refused_row_by_row() {
    let mut text = "time,a,b\n".to_owned();
    (0..25).for_each(|hour| {
        let _ = writeln!(text, "2024-01-01T{hour:02}:00:00Z,1,5,2,5");
    });
    let dir = setup(text);
    dir.run(&["run", "job.toml", "--set", "source.decimal=,"])
        .expect(65, &["job: read 25, written 0, dead letters 25, filtered 0, held 0;"]);
    let places: Vec<String> = dir
        .dead_letters("dead")
        .iter()
        .map(|dead_letter| dead_letter["place"].as_str().expect("a place").to_owned())
        .collect();
    let lines: Vec<String> = (2..27).map(|line| format!("in.csv:{line}")).collect();
    assert_eq!(places, lines);
    assert!(dir.files("out").is_empty());
}

#[test]
fn numbers_out_of_range_and_words_that_are_no_numbers_fail_the_syntax_test() {
    let cells = ["1e999", "-1e999", "inf", "-Infinity", "1,5", "12abc", "0x10", "--1", "nan", "NaN"];
    let mut text = "time,a,b\n".to_owned();
    for (hour, cell) in cells.iter().enumerate() {
        let _ = writeln!(text, "2024-01-01T{hour:02}:00:00Z,\"{cell}\",1e308");
    }
    text.push_str("2024-01-01T20:00:00Z,1e-400,2\n");
    let dir = setup(text);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 11, written 11, dead letters 0, "]);
    let rows = dir.rows("out");
    assert_eq!(rows.column("a")[..10], [""; 10]);
    assert_eq!(rows.column("qc_flags")[..8], ["q42"; 8]);
    assert_eq!(rows.column("qc_flags")[8..10], ["q92"; 2], "words for no value");
    assert_eq!(rows.column("b")[..10], ["1e+308"; 10]);
    assert_eq!(rows.column("a")[10], "0.0", "too small to tell from nothing is nothing");
    // The tests are in the messages, which standard output has too.
    let stdout = STRICT.replace("type = \"csv\"\ndir = \"out\"\nbatch_size = 10", "type = \"stdout\"");
    dir.write("show.toml", stdout.replace("name = \"job\"", "name = \"show\""));
    let done = dir.run(&["run", "show.toml"]).expect(0, &[]);
    let records: Vec<serde_json::Value> =
        done.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 11);
    for record in &records[..8] {
        assert_eq!(record["a"], json!(null));
        assert_eq!(record["quality"]["tests"], json!({"a": ["syntax"]}), "{record}");
    }
}

#[test]
fn time_that_goes_back_or_repeats_is_carried_and_counted() {
    let hours = [0, 1, 1, 5, 3, 4, 4, 4, 6];
    let text: String = std::iter::once("time,a,b\n".to_owned()).chain(hours.iter().map(|hour| row(*hour))).collect();
    let dir = setup(text);
    dir.run(&["run", "job.toml"]).expect(
        0,
        &[
            "WARN job: in.csv:6: this record is older than the one before it",
            "job: read 9, written 9, dead letters 0, filtered 0, held 0; 1 file in out/ in ",
            "\n  records older than the one before them: 1; of the same time as it: 3\n",
        ],
    );
    let times: Vec<String> = hours.iter().map(|hour| row(*hour)[..20].to_owned()).collect();
    assert_eq!(dir.rows("out").column("timestamp"), times, "as they came");
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_directory_it_was_looked_for_in() {
    let dir = setup("");
    std::fs::remove_file(dir.path("in.csv")).expect("removed");
    let here = dir.path("").canonicalize().expect("there");
    let here =
        format!("(the working directory is {})\nhelp: paths are relative to the working directory; ", here.display());
    dir.run(&["run", "job.toml"]).expect(1, &[&format!("error: job: csv: there is no file in.csv {here}")]);
    let glob = ["run", "job.toml", "--set", "source.path=data/*.csv"];
    dir.run(&glob).expect(1, &[&format!("error: job: csv: no file matches data/*.csv {here}")]);
    assert!(dir.files("out").is_empty() && dir.files("dead").is_empty());
}

#[test]
fn another_delimiter_is_found_before_the_first_row_and_the_right_one_is_named() {
    let dir = setup("time;a;b\n2024-01-01T00:00:00Z;1;2\n");
    dir.run(&["run", "job.toml"]).expect(
        78,
        &[
            "error: job: csv: the columns are split by `,`, but the file seems to use `;` at in.csv:1\n",
            "help: set delimiter = \";\"\n",
        ],
    );
    dir.run(&["run", "job.toml", "--set", "source.delimiter=;"]).expect(0, &["read 1, written 1"]);
}

#[test]
fn a_header_without_a_named_column_is_found_before_the_first_row() {
    let dir = setup("time,a,B\n2024-01-01T00:00:00Z,1,2\n");
    let done = dir.run(&["run", "job.toml"]).expect(78, &["error: job: csv: there is no column `b` at in.csv:1\n"]);
    assert!(
        done.err.contains("help: did you mean `B` for `b`? the file's columns are `time`, `a`, `B`\n"),
        "{}",
        done.err
    );
    assert!(dir.files("out").is_empty());
    dir.write("in.csv", "Time,a,b\n2024-01-01T00:00:00Z,1,2\n");
    dir.run(&["run", "job.toml"]).expect(78, &["error: job: csv: there is no column `time` at in.csv:1\n"]);
}

#[test]
fn an_empty_file_is_an_error_and_only_a_header_is_a_file_without_records() {
    let dir = setup("");
    let empty = "error: job: csv: in.csv is empty: it has no line that names its columns\n";
    dir.run(&["run", "job.toml"]).expect(78, &[empty]);
    dir.write("in.csv", "time,a,b\n");
    dir.run(&["run", "job.toml"]).expect(0, &["job: done\n", "job: read 0, written 0, dead letters 0, "]);
    assert!(dir.files("out").is_empty());
}

#[test]
fn a_directory_in_place_of_a_file_is_an_error_that_names_the_way_out() {
    let dir = setup("");
    std::fs::create_dir(dir.path("data")).expect("created");
    dir.run(&["run", "job.toml", "--set", "source.path=data"]).expect(
        78,
        &[
            "error: job: csv: data is a directory, not a file\n",
            "help: name its files by a glob: path = \"data/*.csv\"\n",
        ],
    );
}

#[test]
fn a_file_in_place_of_a_directory_is_an_error_for_each_end() {
    let dir = setup(around(3, row(5).trim_end().as_bytes(), 1));
    dir.write("taken", "");
    for (set, end) in
        [("sink.dir=taken", "csv"), ("sink.dir=taken/below", "csv"), ("dead_letter.dir=taken", "dead_letter")]
    {
        let error = format!("error: job: {end}: `taken");
        let done = dir.run(&["run", "job.toml", "--set", set]).expect(78, &[&error, "is not a directory"]);
        assert!(done.err.contains("help: choose another `dir`\n"), "{}", done.err);
    }
    let done = dir.run(&["run", "job.toml", "--set", "state_dir=taken"]);
    let done = done.expect(1, &["error: job: the state directory taken/job/0 cannot be used: Not a directory"]);
    assert!(done.err.contains("help: `state_dir` says where a pipeline keeps its state\n"), "{}", done.err);
    dir.run(&["run", "job.toml"]).expect(0, &["read 5, written 5"]);
}

#[test]
#[ignore = "needs the right to mount a file system"]
fn a_full_disk_stops_the_pipeline_without_a_partial_file_and_it_goes_on_once_there_is_room() {
    let mut text = "time,a,b\n".to_owned();
    (0..720).for_each(|hour| text.push_str(&row(hour)));
    (0..720).for_each(|hour| text.push_str(&row(hour).replace("2024-01", "2024-03")));
    let dir = setup(text);
    let small = SmallDisk::mount(&dir);
    let set = ["run", "strict.toml", "--set", "sink.dir=small/out", "--set", "sink.batch_size=100"];
    let done = dir
        .run(&set)
        .expect(1, &["error: job: csv: cannot ", "No space left on device", "help: make room there, then run again\n"]);
    let files = dir.files("small/out").len();
    let rows = dir.rows("small/out");
    assert!((1..14).contains(&files), "{files} files\n{}", done.err);
    assert_eq!(rows.len(), 100 * files, "each visible file is whole");
    small.enlarge();
    dir.run(&set).expect(0, &["going on after ", "job: done\n"]);
    let rows = dir.rows("small/out");
    assert_eq!(rows.len(), 1440);
    assert!(dir.temporary_files("small/out").is_empty());
    dir.run(&["run", "strict.toml", "--set", "name=alone", "--set", "sink.batch_size=100"]).expect(0, &[]);
    assert_eq!(rows, dir.rows("out"), "as if there had been room");
}

#[test]
fn two_runs_of_one_name_on_one_directory_do_not_get_in_each_others_way() {
    let dir = setup(around(0, row(0).trim_end().as_bytes(), 200));
    let slow = ["run", "job.toml", "--set", "source.replay={ interval_secs = 0.05 }"];
    let mut first = dir.start(&slow);
    first.wait_until("its first file", |_| !dir.files("out").is_empty());
    dir.run(&["run", "job.toml"]).expect(
        1,
        &[
            "error: job: the pipeline `job` is running already (instance 0 in .aqpipe/job)\n",
            "help: give the other one another `name`, `instance` or `state_dir`, or wait for this one to end\n",
        ],
    );
    // Other state, the same directory: that of the output is locked too.
    dir.run(&["run", "job.toml", "--set", "state_dir=other"]).expect(
        1,
        &["error: job: csv: another run of the pipeline `job` writes to `out`\n", "help: wait for it, stop it, or"],
    );
    let other = ["run", "job.toml", "--set", "name=other", "--set", "dead_letter.dir=else"];
    dir.run(&other)
        .expect(78, &["error: other: csv: the files `air_quality_batch_*` in `out` belong to the pipeline `job`\n"]);
    first.terminate();
    first.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    dir.run(&["run", "job.toml"]).expect(0, &["going on after ", "job: done\n"]);
    assert_eq!(dir.rows("out").len(), 201);
}

const TO_KAFKA: &str = "[sink]\ntype = \"kafka\"\nbrokers = \"127.0.0.1:1\"\ntopic = \"t\"\n";
const FROM_KAFKA: &str =
    "name = \"job\"\n\n[source]\ntype = \"kafka\"\nbrokers = \"127.0.0.1:1\"\ntopics = [\"t\"]\nkey = \"station\"\n\n";

#[test]
fn without_a_broker_to_write_to_it_says_so_and_a_stop_ends_it() {
    let dir = setup(around(0, row(0).trim_end().as_bytes(), 9));
    let (start, _) = STRICT.split_once("[sink]").expect("there");
    dir.write("out.toml", format!("{start}{TO_KAFKA}"));
    let mut running = dir.start(&["run", "out.toml"]);
    running.wait_for_log("WARN job: no broker answers at 127.0.0.1:1 (connection refused); still trying, ");
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
}

#[test]
fn without_a_broker_to_read_from_it_says_so_and_a_stop_ends_it() {
    let dir = TestDir::new();
    let (_, end) = STRICT.split_once("[sink]").expect("there");
    dir.write("in.toml", format!("{FROM_KAFKA}[sink]{end}"));
    let mut running = dir.start(&["run", "in.toml"]);
    running.wait_for_log("WARN job: no broker answers at 127.0.0.1:1 (connection refused); still trying, ");
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    assert!(dir.files("out").is_empty());
    let done = dir.run(&["run", "in.toml", "--set", "source.connect_timeout_secs=2"]);
    let message = "no broker answers at 127.0.0.1:1 (connection refused) within 2 s\n";
    let done = done.expect(1, &[message, " s of 2 s (`connect_timeout_secs`)\n"]);
    assert!(!done.err.contains("librdkafka"), "the library's own words are for those who ask: {}", done.err);
}
