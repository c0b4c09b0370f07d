//! The dead-letter sink `ndjson`: files of JSON lines.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::SystemTime;

use aqpipe_engine::record::{Fields, OffsetRange, Origin, SplitId};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, DeadLetterId, DeadLetterReader, DeadLetterSink, DeadLetters, Descriptor, Prepared,
    Problem, SinkConfig, StoredDeadLetter, Writer,
};
use aqpipe_engine::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::text::write_timestamp;
use crate::file_commit::{FileSink, OutputDir, TempFile};

/// Keeps the records that could not be carried as files of JSON lines, one file for each commit that has any.
///
/// Each line is an object with `pipeline`, `split`, `position` (where the record starts in its split: a Kafka offset, or a
/// byte), `place` (the same for a person: `data.csv:17`, `topic/0@17`), `stage`, `reason`, `time` (when, in UTC) and the record's bytes: `raw` where
/// they are UTF-8, else `raw_base64`, neither where they are not known. Where bytes alone are not enough to decode the record
/// again (a row of a CSV file), `form` has the names of its columns and how cells are separated.
///
/// Of a row that a transform made of a part of a record, `part` names it (`H03`), and a replay sends that part alone. Of a row
/// that a transform merged of several records, `records` has all of them, each with `position` and its bytes.
///
/// Files are called `PREFIX_SPLIT_FROM-TO.ndjson` and treated as those of the `csv` sink: they appear as a whole, together
/// with what was committed, and are never overwritten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NdjsonConfig {
    /// The directory, relative to the working directory. It is created where it is not there.
    #[schemars(length(min = 1))]
    dir: String,
    /// How file names begin: letters, digits, `.`, `_` and `-`, not a point first. Absent, with the pipeline's name, so that
    /// several pipelines may have one directory.
    #[serde(default)]
    #[schemars(
        regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"),
        extend("patternErrorMessage" = "must be of letters, digits, `.`, `_` and `-`, not a point first, such as \"hourly\""),
        length(min = 1, max = 80)
    )]
    prefix: Option<String>,
}

/// Characters of a prefix: a file name has room for a split and two offsets behind it.
const PREFIX_BYTES_MAX: usize = 80;

impl NdjsonConfig {
    fn output_dir(&self, cx: &BuildContext) -> OutputDir {
        OutputDir::new(&self.dir, &self.prefix(cx.pipeline()), "ndjson", cx).of_dead_letters()
    }

    /// How file names begin: a long name of a pipeline is cut off, with a checksum that tells it from others.
    fn prefix(&self, pipeline: &str) -> String {
        match &self.prefix {
            Some(prefix) => prefix.clone(),
            None if pipeline.len() <= PREFIX_BYTES_MAX => pipeline.to_owned(),
            None => {
                let kept: String = pipeline.chars().take(PREFIX_BYTES_MAX - 9).collect();
                format!("{kept}-{:08x}", crc32fast::hash(pipeline.as_bytes()))
            }
        }
    }
}

impl SinkConfig<DeadLetters> for NdjsonConfig {
    fn check(&self, _input: &Fields) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn dead_letter_reader(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
        Ok(Some(Box::new(NdjsonReader(self.output_dir(cx)))))
    }

    fn files(&self, pipeline: &str) -> Option<(String, String)> {
        Some((self.dir.clone(), self.prefix(pipeline)))
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<DeadLetterSink>> {
        let pipeline = Arc::clone(cx.pipeline());
        let open = move |dir: &Arc<OutputDir>, split: &SplitId| -> Box<dyn Writer<DeadLetters>> {
            Box::new(NdjsonWriter {
                dir: Arc::clone(dir),
                pipeline: Arc::clone(&pipeline),
                split: Arc::clone(split),
                file: None,
                rows: 0,
            })
        };
        Ok(Arc::new(FileSink::new(self.output_dir(cx), open)))
    }
}

const EXAMPLE: &str = "dir = \"dead_letters\"\n";

aqpipe_engine::inventory::submit! { Descriptor::dead_letter::<NdjsonConfig>("ndjson", EXAMPLE) }

struct NdjsonWriter {
    dir: Arc<OutputDir>,
    pipeline: Arc<str>,
    split: SplitId,
    file: Option<TempFile>,
    rows: u64,
}

#[derive(Serialize)]
struct NdjsonLine<'a> {
    pipeline: &'a str,
    split: &'a str,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    stage: &'a str,
    reason: &'a str,
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<StoredRecord>,
}

/// One of the records of a merged row, as it is written and read.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct StoredRecord {
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
}

impl StoredRecord {
    fn of(record: &Origin) -> StoredRecord {
        let raw = record.raw.as_deref();
        let text = raw.and_then(|raw| std::str::from_utf8(raw).ok()).map(str::to_owned);
        let raw_base64 = raw.filter(|_| text.is_none()).map(|raw| STANDARD.encode(raw));
        StoredRecord { position: record.source_offset, part: record.part.clone(), raw: text, raw_base64 }
    }

    fn into_origin(self) -> Result<Origin, base64::DecodeError> {
        let decoded = self.raw_base64.map(|text| STANDARD.decode(text)).transpose()?;
        let raw = self.raw.map(String::into_bytes).or(decoded);
        Ok(Origin { source_offset: self.position, part: self.part, raw })
    }
}

/// A raw schema as JSON, if it is JSON, so that people can read it in the file.
fn raw_schema_as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl Writer<DeadLetters> for NdjsonWriter {
    fn write(&mut self, letters: DeadLetters, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let opened = match self.file.take() {
            Some(file) => file,
            None => self.dir.create(&self.split)?,
        };
        let file = self.file.insert(opened);
        let mut time = Vec::new();
        write_timestamp(&mut time, SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as i64, 0);
        let time = String::from_utf8_lossy(&time);
        let (mut schema_text, mut schema): (Option<&str>, _) = (None, None);
        for letter in &letters {
            if letter.raw_schema.as_deref() != schema_text {
                schema_text = letter.raw_schema.as_deref();
                schema = schema_text.map(raw_schema_as_json);
            }
            let text = letter.raw.as_deref().map(std::str::from_utf8);
            let line = NdjsonLine {
                pipeline: &self.pipeline,
                split: &self.split,
                position: letter.source_offset,
                place: letter.place.as_deref(),
                stage: &letter.stage,
                reason: &letter.reason,
                time: &time,
                raw: text.and_then(Result::ok),
                raw_base64: letter
                    .raw
                    .as_ref()
                    .filter(|_| text.is_some_and(|text| text.is_err()))
                    .map(|raw| STANDARD.encode(raw)),
                form: schema.as_ref(),
                part: letter.part.as_deref(),
                records: letter.records.iter().map(StoredRecord::of).collect(),
            };
            let appended = serde_json::to_writer(file.buffer(), &line);
            appended.map_err(|error| Error::bug("a dead letter is no JSON").because(error))?;
            file.buffer().push(b'\n');
            file.flush_if_large()?;
        }
        self.rows += letters.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared> {
        let rows = std::mem::take(&mut self.rows);
        self.dir.prepare(&self.split, self.file.take().map(|file| (file, rows)).into_iter().collect(), range)
    }
}

/// Reads the dead letters of the visible files.
struct NdjsonReader(OutputDir);

/// A line as it is read back. Other programs may have written it, so that every key may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StoredLine {
    pipeline: String,
    split: String,
    position: u64,
    place: String,
    stage: String,
    reason: String,
    time: Option<String>,
    raw: Option<String>,
    raw_base64: Option<String>,
    form: Option<Value>,
    part: Option<String>,
    records: Vec<StoredRecord>,
}

impl DeadLetterReader for NdjsonReader {
    fn each(&mut self, take: &mut dyn FnMut(StoredDeadLetter) -> Result<()>) -> Result<()> {
        for path in self.0.visible_files()? {
            let container = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let failed = |error| Error::new(format!("cannot read {}", path.display())).because(error);
            let file = BufReader::new(File::open(&path).map_err(failed)?);
            for (index, line) in (1..).zip(file.lines()) {
                let line = line.map_err(failed)?;
                let place = || format!("{}:{index}", path.display());
                let read: StoredLine = serde_json::from_str(&line)
                    .map_err(|error| Error::new("this line is not a dead letter").at(place()).because(error))?;
                let decoded = read.raw_base64.map(|text| STANDARD.decode(text)).transpose();
                let decoded =
                    decoded.map_err(|error| Error::new("bytes are not base 64").at(place()).because(error))?;
                let records = read.records.into_iter().map(StoredRecord::into_origin).collect::<Result<_, _>>();
                let records =
                    records.map_err(|error| Error::new("bytes are not base 64").at(place()).because(error))?;
                take(StoredDeadLetter {
                    part: read.part,
                    records,
                    id: DeadLetterId { container: container.clone(), index, separator: ':' },
                    container_id: None,
                    pipeline: read.pipeline,
                    split: read.split,
                    position: read.position.to_string(),
                    place: read.place,
                    stage: read.stage,
                    reason: read.reason,
                    time: read.time,
                    raw: read.raw.map(String::into_bytes).or(decoded),
                    whole: true,
                    raw_schema: read.form.map(|form| match form {
                        Value::String(text) => text,
                        other => other.to_string(),
                    }),
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::Position;

    use super::*;

    #[test]
    fn a_letter_says_what_where_and_why_with_its_bytes() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = NdjsonConfig { dir: dir.path().to_string_lossy().into_owned(), prefix: None };
        let end = config.build(&BuildContext::for_tests()).expect("builds");
        end.acquire().expect("files").acquire().expect("free");
        let mut writer = end.open(&"topic/1".into(), 0).expect("opens");
        assert!(writer.prepare(OffsetRange::default()).expect("nothing").staged().is_empty(), "no letters, no file");
        let mut letters = vec![
            DeadLetter::new(7, "not JSON", Some(b"{\"a\"\n".to_vec())),
            DeadLetter::new(8, "not UTF-8", Some(vec![0xff, 0])),
            DeadLetter::new(9, "a tombstone", None),
        ];
        letters[0].place = Some("topic/1@7".into());
        letters[0].stage = "kafka".into();
        letters[1].raw_schema = Some(r#"{"columns":["a","b"]}"#.into());
        writer.write(letters, &mut Vec::new()).expect("writes");
        let to = Position { offset: 10, records: 10 };
        let prepared = writer.prepare(OffsetRange { to, ..OffsetRange::default() }).expect("prepares");
        end.two_phase_commit().expect("files").commit(prepared.staged()).expect("finishes");
        let name = "test_topic-1_00000000000000000000-00000000000000000010.ndjson";
        let text = std::fs::read_to_string(dir.path().join(name)).expect("visible");
        let mut lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in &mut lines {
            let time = line.as_object_mut().and_then(|line| line.remove("time")).expect("a time");
            assert!(time.as_str().is_some_and(|time| time.ends_with('Z')));
        }
        assert_eq!(
            lines,
            [
                serde_json::json!({"pipeline": "test", "split": "topic/1", "position": 7, "place": "topic/1@7",
                    "stage": "kafka", "reason": "not JSON", "raw": "{\"a\"\n"}),
                serde_json::json!({"pipeline": "test", "split": "topic/1", "position": 8, "stage": "",
                    "reason": "not UTF-8", "raw_base64": "/wA=", "form": {"columns": ["a", "b"]}}),
                serde_json::json!({"pipeline": "test", "split": "topic/1", "position": 9, "stage": "",
                    "reason": "a tombstone"}),
            ]
        );
        let mut read = Vec::new();
        let mut stored = config.dead_letter_reader(&BuildContext::for_tests()).expect("readable").expect("files");
        let mut take = |letter| {
            read.push(letter);
            Ok(())
        };
        stored.each(&mut take).expect("reads");
        let forms: Vec<Option<&str>> = read.iter().map(|letter| letter.raw_schema.as_deref()).collect();
        assert_eq!(forms, [None, Some(r#"{"columns":["a","b"]}"#), None], "what it needs to be decoded again");
    }

    #[test]
    fn files_are_called_after_the_pipeline_unless_they_have_a_prefix() {
        let config = NdjsonConfig { dir: "d".into(), prefix: None };
        assert_eq!(config.files("producer"), Some(("d".into(), "producer".into())));
        let long = config.prefix(&"x".repeat(100));
        assert!(long.len() <= PREFIX_BYTES_MAX && long != config.prefix(&"x".repeat(99)), "{long}");
        assert_eq!(NdjsonConfig { prefix: Some("dead".into()), ..config }.prefix("producer"), "dead");
    }
}
