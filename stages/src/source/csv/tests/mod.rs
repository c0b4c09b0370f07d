//! The source as a whole: from files to rows.

mod changing;
mod dead_letters;
mod engine;
mod errors;
mod forms;
mod fuzz;
mod growing;
mod headers_again;
mod heads;
mod matching;
mod messages;
mod options;
mod properties;
mod reading;
mod real;
mod resuming;
mod running;
mod times;

use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Column};
use aqpipe_engine::stage::SourceConfig as _;
use aqpipe_engine::stage::{BuildContext, DeadLetter, Poll, Problem, Source, SplitReader};
use arrow_array::Array;
use serde_json::{Value, json};

use super::cell_text;
use super::config::CsvSourceConfig;

/// A directory of files that goes with the test.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Files {
        let dir = Files(tempfile::tempdir().expect("a directory"));
        for (name, bytes) in files {
            std::fs::write(dir.path(name), bytes).expect("writes");
            // Nobody writes to them, and nobody need wait for the end of their last line.
            dir.changed(name, SystemTime::now() - Duration::from_secs(3600));
        }
        dir
    }

    /// Says when a file was changed last.
    fn changed(&self, name: &str, when: SystemTime) {
        let file = File::options().write(true).open(self.path(name)).expect("opens");
        file.set_times(FileTimes::new().set_modified(when)).expect("sets");
    }

    fn one(bytes: &[u8]) -> Files {
        Files::new(&[("a.csv", bytes)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Options that read a file of the directory.
    fn options(&self, name: &str, more: Value) -> Value {
        with(json!({ "path": self.path(name) }), more)
    }

    /// A message without the directory, which has another name each time.
    fn plain(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn config(options: Value) -> CsvSourceConfig {
    serde_json::from_value(options).expect("fits its type")
}

/// What `check` says, as `path: message (label or help)` lines.
fn problems(options: Value) -> Vec<String> {
    let line = |problem: &Problem| format!("{}: {}", problem.path.join("."), problem.message);
    config(options).check().err().unwrap_or_default().iter().map(line).collect()
}

fn built(options: Value, cx: &BuildContext) -> Result<Box<dyn Source>> {
    let config = config(options);
    config.check().unwrap_or_else(|problems| panic!("{problems:?}"));
    config.build(cx)
}

/// The one split of a source, from the beginning.
fn split(options: Value, cx: &BuildContext) -> Result<Box<dyn SplitReader>> {
    let mut splits = built(options, cx)?.fit_readers()?;
    assert_eq!(splits.len(), 1, "one split");
    Ok(splits.remove(0).1)
}

/// What a split yields, one line for each row: `origin offset time [key] name=value …`, in which an absent value is its
/// quality.
#[derive(Debug, Default, PartialEq)]
struct Read {
    rows: Vec<String>,
    dead: Vec<DeadLetter>,
    raw: Vec<(u64, Vec<u8>)>,
}

impl Read {
    /// The rows without their origins and times.
    fn values(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.splitn(4, ' ').nth(3).unwrap_or_default()).collect()
    }

    fn reasons(&self) -> Vec<&str> {
        self.dead.iter().map(|letter| letter.reason.as_str()).collect()
    }
}

fn read_all(split: &mut dyn SplitReader, max: usize) -> Result<Read> {
    let mut read = Read::default();
    while let Some((batch, dead)) = next(split, max)? {
        take(&mut read, &batch, dead);
    }
    Ok(read)
}

fn next(split: &mut dyn SplitReader, max: usize) -> Result<Option<(Batch, Vec<DeadLetter>)>> {
    loop {
        match split.next(max, Instant::now() + Duration::from_secs(60))? {
            Poll::Rows(batch, dead) => return Ok(Some((batch, dead))),
            Poll::Idle => {}
            Poll::End => return Ok(None),
        }
    }
}

fn take(read: &mut Read, batch: &Batch, dead: Vec<DeadLetter>) {
    for row in 0..batch.rows() {
        let mut line =
            format!("{} {:+} {}", batch.source_offsets()[row], batch.utc_offset()[row], batch.time()[row] / 1_000_000);
        if let Some(key) = batch.key() {
            line.push_str(if key.is_null(row) { " [-]" } else { " [" });
            if !key.is_null(row) {
                line.push_str(key.value(row));
                line.push(']');
            }
        }
        for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
            let value = match column {
                Column::Number(numbers) => match numbers.get(row) {
                    Some(value) => format!("{value}"),
                    None => format!("({:?})", numbers.quality_at(row)),
                },
                Column::Text(text) if text.is_null(row) => "(no text)".to_owned(),
                Column::Text(text) => format!("{:?}", text.value(row)),
            };
            line.push_str(&format!(" {}={value}", field.name));
        }
        read.rows.push(line);
        read.raw.extend(batch.raw(row).map(|raw| (batch.source_offsets()[row], raw.to_vec())));
    }
    read.dead.extend(dead);
}

/// Everything in a file, read at once.
fn read(bytes: &[u8], more: Value) -> Read {
    let files = Files::one(bytes);
    let cx = BuildContext::for_tests().with_raw();
    let mut split = split(files.options("a.csv", more), &cx).expect("opens");
    let mut read = read_all(&mut *split, 1000).expect("reads");
    for letter in &mut read.dead {
        letter.place = letter.place.as_ref().map(|place| files.plain(place));
    }
    read
}

/// The error of a file that cannot be read, and what to do about it.
fn error(files: &Files, name: &str, more: Value) -> (String, String) {
    let options = files.options(name, more);
    let failed = built(options, &BuildContext::for_tests()).and_then(|source| source.fields().map(|_| ()));
    let error = failed.expect_err("fails");
    (files.plain(&error.to_string()), files.plain(error.help_text().unwrap_or_default()))
}

/// The options of the data set.
fn uci() -> Value {
    json!({
        "delimiter": ";", "decimal": ",", "missing": [-200], "timezone": "+01:00",
        "timestamp": { "columns": ["Date", "Time"], "format": "%d/%m/%Y %H.%M.%S" },
        "key": { "name": "station", "value": "uci" },
    })
}

/// Options, and others in their place or beside them.
fn with(mut options: Value, more: Value) -> Value {
    if let (Some(all), Value::Object(more)) = (options.as_object_mut(), more) {
        all.extend(more);
    }
    options
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("packs");
    encoder.finish().expect("packs")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("packs")
}

#[test]
fn cells_are_read_as_every_source_reads_them() {
    crate::reading::testing::check_cells(|cell| {
        let files = Files::one(format!("timestamp,v\n2004-03-10,\"{cell}\"\n").as_bytes());
        let options = files.options("a.csv", json!({ "fields": ["v"], "on_unreadable": "warn" }));
        let mut split = split(options, &BuildContext::for_tests()).expect("opens");
        let (batch, _) = next(&mut *split, 1).expect("reads").expect("a row");
        let numbers = batch.numbers(0).expect("numbers");
        (numbers.get(0), numbers.quality_at(0))
    });
}
