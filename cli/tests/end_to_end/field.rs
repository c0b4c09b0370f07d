//! Files and topics as people have them: a folder each in `tests/field`, with the pipeline that reads it and the rows that are
//! known to be right.
//!
//! `expected.csv` has the right rows; columns that it does not name do not matter. `expect.json` says the exit code (`null`: any), the
//! number of dead letters (`dead`), words that the command must say (`says`), and how often it is run (`runs`). A file `X.append` is added to `X`
//! between the first run and the second. `messages.jsonl` is a topic: a message a line, with key, value and timestamp.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::common::{Kafka, Rows, TestDir, names};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    exit: Option<i32>,
    dead: Option<usize>,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default = "once")]
    runs: usize,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
struct Message {
    key: Option<String>,
    value: Option<String>,
    /// In milliseconds since 1970.
    ts: Option<i64>,
}

fn cases(of_kafka: bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    let all = names(&root).into_iter().map(|name| root.join(name));
    all.filter(|case| case.join("messages.jsonl").exists() == of_kafka).collect()
}

/// A cell by its meaning: numbers compare by value, and `Z` is an offset like any other.
fn meaning(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => cell.strip_suffix('Z').map_or_else(|| cell.to_owned(), |time| format!("{time}+00:00")),
    }
}

fn rows(rows: &Rows, columns: &[String]) -> Result<Vec<Vec<String>>, String> {
    let place = |column: &String| {
        let place = rows.header.iter().position(|name| name == column);
        place.ok_or_else(|| format!("no column `{column}` among {:?}", rows.header))
    };
    let places: Vec<usize> = columns.iter().map(place).collect::<Result<_, _>>()?;
    let mut found: Vec<Vec<String>> =
        rows.rows.iter().map(|row| places.iter().map(|place| meaning(&row[*place])).collect()).collect();
    found.sort();
    Ok(found)
}

/// The rows of all files of a directory: each has its own header, for records may bring other fields.
fn found_rows(dir: &Path, columns: &[String]) -> Result<Vec<Vec<String>>, String> {
    let mut found = Vec::new();
    for name in names(dir).iter().filter(|name| !name.starts_with('.') && name.ends_with(".csv")) {
        let mut reader = csv::Reader::from_path(dir.join(name)).map_err(|error| error.to_string())?;
        let header = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
        let all = reader.records().map(|row| row.map(|row| row.iter().map(str::to_owned).collect()));
        let all: Vec<Vec<String>> = all.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        found.extend(rows(&Rows { header, rows: all }, columns)?);
    }
    found.sort();
    Ok(found)
}

/// Runs a case; the error says what is not as it is expected.
pub(crate) fn run(case: &Path, kafka: Option<&Kafka>) -> Result<(), String> {
    let expect = std::fs::read_to_string(case.join("expect.json")).map_err(|error| error.to_string())?;
    let expect: Expect = serde_json::from_str(&expect).map_err(|error| format!("expect.json: {error}"))?;
    let dir = TestDir::new();
    for name in names(case).iter().filter(|name| !name.starts_with("expect")) {
        dir.write(name, std::fs::read(case.join(name)).map_err(|error| error.to_string())?);
    }
    let mut args = vec!["run".to_owned(), "pipeline.toml".to_owned()];
    if let Some(kafka) = kafka {
        let name = case.file_name().and_then(|name| name.to_str()).ok_or("no name")?.trim_start_matches('.');
        let topic = kafka.topic(name, 1);
        let messages = std::fs::read_to_string(case.join("messages.jsonl")).map_err(|error| error.to_string())?;
        let messages: Vec<Message> =
            messages.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let messages: Vec<_> =
            messages.iter().map(|message| (message.key.as_deref(), message.value.as_deref(), message.ts)).collect();
        kafka.write_at(&topic, &messages);
        args.extend(["--set".to_owned(), format!("source.topics=[\"{topic}\"]")]);
        args.extend(["--set".to_owned(), "source.until_end=true".to_owned()]);
        args.extend(["--set".to_owned(), format!("source.group=\"{topic}\"")]);
        args.extend(["--set".to_owned(), format!("source.brokers=\"{}\"", kafka.brokers)]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut said = String::new();
    for round in 0..expect.runs {
        let done = dir.run(&args);
        said.push_str(&done.out);
        said.push_str(&done.err);
        if expect.exit.is_some_and(|code| done.code != Some(code)) {
            return Err(format!("exit {:?}:\n{said}", done.code));
        }
        for name in names(case).iter().filter(|name| name.ends_with(".append") && round == 0) {
            let grown = name.trim_end_matches(".append");
            let more = std::fs::read(case.join(name)).map_err(|error| error.to_string())?;
            // It may be a file that comes.
            let before = std::fs::read(dir.path(grown)).unwrap_or_default();
            dir.write(grown, [before, more].concat());
        }
    }
    if let Some(missing) = expect.says.iter().find(|words| !said.contains(*words)) {
        return Err(format!("does not say `{missing}`:\n{said}"));
    }
    if expect.dead.is_some_and(|dead| dir.dead_letters("dead").len() != dead) {
        return Err(format!("dead letters: {:?}\n{said}", dir.dead_letters("dead")));
    }
    if case.join("expected.csv").exists() {
        let right = case.join("expected.csv");
        let mut right = csv::Reader::from_path(right).map_err(|error| error.to_string())?;
        let header: Vec<String> =
            right.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
        let all = right.records().map(|row| row.map(|row| row.iter().map(str::to_owned).collect()));
        let all: Vec<Vec<String>> = all.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let right = rows(&Rows { header: header.clone(), rows: all }, &header)?;
        let found = found_rows(&dir.path("out"), &header)?;
        if found != right {
            return Err(format!("{header:?}\nfound {found:#?}\nright {right:#?}\n{said}"));
        }
    }
    Ok(())
}

#[track_caller]
fn run_all(cases: &[PathBuf], kafka: Option<&Kafka>) {
    assert!(!cases.is_empty(), "there are no cases");
    let wrong = cases.iter().filter_map(|case| Some(format!("{}: {}", case.display(), run(case, kafka).err()?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn files_as_people_have_them_come_out_right() {
    run_all(&cases(false), None);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn topics_as_people_have_them_come_out_right() {
    run_all(&cases(true), Some(&Kafka::from_env()));
}
