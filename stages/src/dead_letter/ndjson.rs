//! Dead letters as files of JSON lines.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::SystemTime;

use aqpipe_engine::record::{LaneId, Span};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    BuildContext, DeadEnd, DeadLetter, DeadLetterConfig, DeadWriter, Descriptor, LetterId, Letters, Prepared, Problem,
    StoredLetter,
};
use aqpipe_engine::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::codec::text::write_timestamp;
use crate::files::{Store, Temporary, ends_in_a_store};

/// Keeps the records that could not be carried as files of JSON lines, one file for each commit that has any.
///
/// Each line is an object with `pipeline`, `lane`, `position` (where the record starts in its lane: a Kafka offset, or a
/// byte), `place` (`data.csv:17`, where that says more), `stage`, `reason`, `time` (when, in UTC) and the record's bytes: `raw` where
/// they are UTF-8, else `raw_base64`, neither where they are not known.
///
/// Files are called `PREFIX_LANE_FROM-TO.ndjson` and treated as those of the `csv` sink: they appear as a whole, together
/// with what was committed, and are never overwritten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NdjsonConfig {
    /// The directory, relative to the working directory. It is created where it is not there.
    #[schemars(length(min = 1))]
    dir: String,
    /// How file names begin: letters, digits, `.`, `_` and `-`, not a point first.
    #[serde(default = "default_prefix")]
    #[schemars(regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"), length(min = 1, max = 80))]
    prefix: String,
}

fn default_prefix() -> String {
    "dead_letters".to_owned()
}

impl DeadLetterConfig for NdjsonConfig {
    const NAME: &'static str = "ndjson";
    const EXAMPLE: &'static str = "type = \"ndjson\"\ndir = \"dead_letters\"\n";

    fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn letters(&self, cx: &BuildContext) -> Result<Option<Box<dyn Letters>>> {
        Ok(Some(Box::new(Lines(Store::new(&self.dir, &self.prefix, "ndjson", cx)))))
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn DeadEnd>> {
        let store = Arc::new(Store::new(&self.dir, &self.prefix, "ndjson", cx));
        Ok(Arc::new(Ndjson { store, pipeline: Arc::clone(&cx.pipeline) }))
    }
}

aqpipe_engine::inventory::submit! { Descriptor::dead_letter::<NdjsonConfig>() }

struct Ndjson {
    store: Arc<Store>,
    pipeline: Arc<str>,
}

ends_in_a_store!(Ndjson);

impl DeadEnd for Ndjson {
    fn open(&self, lane: &LaneId, _epoch: u64) -> Result<Box<dyn DeadWriter>> {
        Ok(Box::new(NdjsonWriter {
            store: Arc::clone(&self.store),
            pipeline: Arc::clone(&self.pipeline),
            lane: Arc::clone(lane),
            file: None,
            letters: 0,
        }))
    }
}

struct NdjsonWriter {
    store: Arc<Store>,
    pipeline: Arc<str>,
    lane: LaneId,
    file: Option<Temporary>,
    letters: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    pipeline: &'a str,
    lane: &'a str,
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
}

impl DeadWriter for NdjsonWriter {
    fn write(&mut self, letters: Vec<DeadLetter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let opened = match self.file.take() {
            Some(file) => file,
            None => self.store.create(&self.lane)?,
        };
        let file = self.file.insert(opened);
        let mut time = Vec::new();
        write_timestamp(&mut time, SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as i64, 0);
        let time = String::from_utf8_lossy(&time);
        for letter in &letters {
            let text = letter.raw.as_deref().map(std::str::from_utf8);
            let line = Line {
                pipeline: &self.pipeline,
                lane: &self.lane,
                position: letter.origin,
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
            };
            let appended = serde_json::to_writer(file.buffer(), &line);
            appended.map_err(|error| Error::bug("a dead letter is no JSON").because(error))?;
            file.buffer().push(b'\n');
            file.write_much()?;
        }
        self.letters += letters.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, span: Span) -> Result<Prepared> {
        let letters = std::mem::take(&mut self.letters);
        match self.file.take() {
            Some(file) => self.store.prepare(&self.lane, file, span, letters).map(Prepared::from),
            None => Ok(Prepared::Nothing),
        }
    }
}

/// The letters in the files that are there.
struct Lines(Store);

/// A line as it is read back: what others wrote into it does no harm.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadLine {
    pipeline: String,
    lane: String,
    position: u64,
    place: String,
    stage: String,
    reason: String,
    time: Option<String>,
    raw: Option<String>,
    raw_base64: Option<String>,
}

impl Letters for Lines {
    fn each(&mut self, take: &mut dyn FnMut(StoredLetter) -> Result<()>) -> Result<()> {
        for path in self.0.visible()? {
            let container = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let failed = |error| Error::new(format!("cannot read {}", path.display())).because(error);
            let file = BufReader::new(File::open(&path).map_err(failed)?);
            for (index, line) in (1..).zip(file.lines()) {
                let line = line.map_err(failed)?;
                let place = || format!("{}:{index}", path.display());
                let read: ReadLine = serde_json::from_str(&line)
                    .map_err(|error| Error::new("a line is no dead letter").at(place()).because(error))?;
                let decoded = read.raw_base64.map(|text| STANDARD.decode(text)).transpose();
                let decoded =
                    decoded.map_err(|error| Error::new("bytes are not base 64").at(place()).because(error))?;
                take(StoredLetter {
                    id: LetterId { container: container.clone(), index, mark: ':' },
                    container_id: None,
                    pipeline: read.pipeline,
                    lane: read.lane,
                    position: read.position.to_string(),
                    place: read.place,
                    stage: read.stage,
                    reason: read.reason,
                    time: read.time,
                    raw: read.raw.map(String::into_bytes).or(decoded),
                    whole: true,
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
        let config = NdjsonConfig { dir: dir.path().to_string_lossy().into_owned(), prefix: default_prefix() };
        let end = config.build(&BuildContext::for_tests()).expect("builds");
        end.claim().expect("free");
        let mut writer = end.open(&"topic/1".into(), 0).expect("opens");
        assert!(writer.prepare(Span::default()).expect("nothing").apart().is_empty(), "no letters, no file");
        let mut letters = vec![
            DeadLetter::new(7, "not JSON", Some(b"{\"a\"\n".to_vec())),
            DeadLetter::new(8, "not UTF-8", Some(vec![0xff, 0])),
            DeadLetter::new(9, "a tombstone", None),
        ];
        letters[0].place = Some("topic/1@7".into());
        letters[0].stage = "kafka".into();
        writer.write(letters).expect("writes");
        let to = Position { at: 10, row: 10 };
        let prepared = writer.prepare(Span { to, ..Span::default() }).expect("prepares");
        end.finish(prepared.apart()).expect("finishes");
        let name = "dead_letters_topic-1_00000000000000000000-00000000000000000010.ndjson";
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
                serde_json::json!({"pipeline": "test", "lane": "topic/1", "position": 7, "place": "topic/1@7",
                    "stage": "kafka", "reason": "not JSON", "raw": "{\"a\"\n"}),
                serde_json::json!({"pipeline": "test", "lane": "topic/1", "position": 8, "stage": "",
                    "reason": "not UTF-8", "raw_base64": "/wA="}),
                serde_json::json!({"pipeline": "test", "lane": "topic/1", "position": 9, "stage": "",
                    "reason": "a tombstone"}),
            ]
        );
    }
}
