//! From CSV files.

mod columns;
mod files;
mod lane;
mod number;
mod sentinels;
mod time;

pub(super) use self::time::{Clock, Zone};

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Field, Fields, Kind, LaneId};
use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::{BuildContext, Descriptor, Lane, Lanes, Problem, Source, SourceConfig, Start};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::columns::Header;
use self::files::Files;
use self::lane::{CsvLane, Layout};
use self::sentinels::Sentinels;

use super::replay::Replay;
use super::sample;

inventory::submit! { Descriptor::source::<CsvConfig>() }

/// Reads records from CSV files, one a row.
///
/// Understood are quotes, a byte order mark, either kind of line end, a last line without one, unnamed empty columns at
/// the end, and blank lines or lines of delimiters alone, which are no records. What is no number in a field of numbers
/// becomes missing, with the test `not_a_number`. A row of the wrong width, without a valid timestamp or not in UTF-8
/// becomes a dead letter with its line. A glob reads its files in the order of their names, as one series.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CsvConfig {
    /// The file, relative to the working directory, or a glob such as `data/*.csv`.
    #[schemars(length(min = 1))]
    path: String,
    /// What stands between columns: one ASCII character.
    #[serde(default = "comma")]
    #[schemars(length(min = 1, max = 2))]
    delimiter: String,
    /// What may stand around a value: one ASCII character. Twice within a value it is itself.
    #[serde(default = "quote")]
    #[schemars(length(min = 1, max = 1))]
    quote: String,
    /// The decimal mark: `.` or `,`.
    #[serde(default)]
    decimal: Decimal,
    /// The names of the columns, for files without a header line. Absent, the first line has them.
    columns: Option<Vec<String>>,
    /// What stands for a missing value, besides an empty cell and `NA`: numbers (by value) and words.
    #[serde(default)]
    missing: Sentinels,
    /// Where the timestamp stands and how it is written.
    timestamp: Timestamp,
    /// The clock of timestamps that do not name one: `UTC`, or an offset such as `+01:00`.
    #[serde(default = "utc")]
    timezone: String,
    /// What tells series apart, such as the station. Absent, all records are one series.
    key: Option<Key>,
    /// The fields to read, in this order. Absent, all columns that are neither timestamp nor key, in the file's order.
    fields: Option<Vec<String>>,
    /// Those of the fields that are text. Others are numbers where `fields` lists them, else what their first value is.
    #[serde(default)]
    text_fields: Vec<String>,
    /// New names for columns, by the name in the file.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Whether each file of a glob is a series of its own, read beside the others, at most one for each core.
    #[serde(default)]
    parallel: bool,
    /// Stop after so many records (of each series).
    #[schemars(range(min = 1))]
    max_records: Option<u64>,
    /// Whether a run after a completed one starts again from the beginning. `false` makes it do nothing.
    #[serde(default = "yes")]
    rerun: bool,
    /// Release records no faster than their timestamps, or a fixed interval, say.
    replay: Option<Replay>,
    /// Where the file is missing, go on with generated readings (see the source `sample`) and say so.
    #[serde(default)]
    sample_if_missing: bool,
}

/// The decimal mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Decimal {
    #[default]
    #[serde(rename = ".")]
    Point,
    #[serde(rename = ",")]
    Comma,
}

impl Decimal {
    const fn byte(self) -> u8 {
        match self {
            Decimal::Point => b'.',
            Decimal::Comma => b',',
        }
    }
}

/// Where the timestamp stands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Timestamp {
    /// The columns, joined by a space.
    #[schemars(length(min = 1))]
    columns: Vec<String>,
    /// How it is written, in strftime's directives: `%d/%m/%Y %H.%M.%S`. Absent, RFC 3339 or ISO 8601. The order of day
    /// and month is never guessed.
    format: Option<String>,
}

/// What tells series apart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Key {
    /// The column that holds it.
    column: Option<String>,
    /// Its name in records, for a constant; a column keeps its own name.
    name: Option<String>,
    /// The same key for all records.
    value: Option<String>,
}

fn comma() -> String {
    ",".to_owned()
}

fn quote() -> String {
    "\"".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn yes() -> bool {
    true
}

/// Where each row's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyOf {
    Nothing,
    Column(String),
    Constant { name: String, value: String },
}

impl CsvConfig {
    fn byte(key: &'static str, text: &str) -> Result<u8, Problem> {
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(*byte),
            b"\\t" => Ok(b'\t'),
            _ => Err(Problem::new([key], format!("`{text}` is not one ASCII character that is no letter or digit"))),
        }
    }

    fn key_of(&self) -> Result<KeyOf, Problem> {
        let Some(key) = &self.key else { return Ok(KeyOf::Nothing) };
        match (&key.column, &key.name, &key.value) {
            (Some(column), None, None) => Ok(KeyOf::Column(column.clone())),
            (None, Some(name), Some(value)) => Ok(KeyOf::Constant { name: name.clone(), value: value.clone() }),
            _ => Err(Problem::new(["key"], "a key is either `column`, or `name` and `value`")),
        }
    }

    fn key_name(&self) -> Option<Arc<str>> {
        match self.key_of().ok()? {
            KeyOf::Nothing => None,
            KeyOf::Column(name) | KeyOf::Constant { name, .. } => Some(name.into()),
        }
    }

    /// The fields as far as the configuration says, or with those of a header.
    fn declared(&self) -> Option<Vec<Field>> {
        let fields = self.fields.as_ref()?;
        let kind = |name: &String| if self.text_fields.contains(name) { Kind::Text } else { Kind::Number };
        Some(fields.iter().map(|name| Field { name: name.as_str().into(), kind: kind(name), derived: false }).collect())
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let delimiter = Self::byte("delimiter", &self.delimiter);
        let quote = Self::byte("quote", &self.quote);
        if let (Ok(delimiter), Ok(quote)) = (&delimiter, &quote)
            && delimiter == quote
        {
            problems.push(Problem::new(["quote"], "`quote` and `delimiter` are the same"));
        }
        problems.extend(delimiter.err());
        problems.extend(quote.err());
        problems.extend(self.key_of().err());
        if let Err(reason) = Zone::parse(&self.timezone) {
            problems.push(Problem::new(["timezone"], reason).help("`UTC`, or an offset such as `+01:00`"));
        }
        if let Some(format) = &self.timestamp.format
            && let Err(reason) = Clock::new(Some(format), Zone::UTC)
        {
            problems.push(Problem::new(["timestamp", "format"], reason));
        }
        problems.extend(self.missing.problems());
        problems.extend(self.replay.as_ref().into_iter().flat_map(Replay::problems));
        if let Err(error) = glob::Pattern::new(&self.path) {
            problems.push(Problem::new(["path"], format!("this is no glob: {}", error.msg)));
        }
        for (list, key) in [(self.fields.as_ref(), "fields"), (self.columns.as_ref(), "columns")] {
            for (index, name) in list.into_iter().flatten().enumerate() {
                if list.into_iter().flatten().take(index).any(|other| other == name) && !name.is_empty() {
                    problems
                        .push(Problem::new([key.to_owned(), index.to_string()], format!("`{name}` is named twice")));
                }
            }
        }
        if let Some(fields) = &self.fields {
            for (index, name) in self.text_fields.iter().enumerate().filter(|(_, name)| !fields.contains(name)) {
                let path = ["text_fields".to_owned(), index.to_string()];
                problems.push(Problem::new(path, format!("`{name}` is not among `fields`")));
            }
        }
        if let Some(columns) = &self.columns {
            let header = Header::new(columns.iter().cloned(), &self.rename);
            problems.extend(self.missing_columns(&header).into_iter().map(|missing| missing.problem()));
        }
        problems
    }

    /// The names that the configuration uses and a header lacks.
    fn missing_columns(&self, header: &Header) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut look = |path: Vec<String>, name: &str, found: bool| {
            if !found {
                let near = aqpipe_engine::config::nearest(name, header.names()).map(str::to_owned);
                missing.push(Missing { path, name: name.to_owned(), near });
            }
        };
        for (index, name) in self.timestamp.columns.iter().enumerate() {
            let path = vec!["timestamp".to_owned(), "columns".to_owned(), index.to_string()];
            look(path, name, header.original(name).is_some());
        }
        if let Some(column) = self.key.as_ref().and_then(|key| key.column.as_ref()) {
            look(vec!["key".to_owned(), "column".to_owned()], column, header.original(column).is_some());
        }
        for (index, name) in self.fields.iter().flatten().enumerate() {
            look(vec!["fields".to_owned(), index.to_string()], name, header.renamed(name).is_some());
        }
        for name in self.rename.keys() {
            look(vec!["rename".to_owned(), name.clone()], name, header.original(name).is_some());
        }
        missing
    }

    fn layout(&self, cx: &BuildContext) -> Result<Layout> {
        let refused = |problem: Problem| Error::config(problem.message);
        Ok(Layout {
            delimiter: Self::byte("delimiter", &self.delimiter).map_err(refused)?,
            quote: Self::byte("quote", &self.quote).map_err(refused)?,
            decimal: self.decimal.byte(),
            columns: self.columns.clone(),
            rename: self.rename.clone(),
            missing: self.missing.clone(),
            clock: Clock::new(self.timestamp.format.as_deref(), Zone::parse(&self.timezone).map_err(Error::config)?)
                .map_err(Error::config)?,
            time_columns: self.timestamp.columns.clone(),
            key: self.key_of().map_err(refused)?,
            declared: self.declared(),
            text_fields: self.text_fields.clone(),
            numeric: Arc::clone(&cx.numeric),
            keep_raw: cx.keep_raw,
            max_records: self.max_records,
            facts: Arc::clone(&cx.facts),
        })
    }
}

/// A name that a header lacks.
struct Missing {
    path: Vec<String>,
    name: String,
    near: Option<String>,
}

impl Missing {
    fn problem(self) -> Problem {
        let problem = Problem::new(self.path, format!("there is no column `{}`", self.name));
        match self.near {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        }
    }
}

impl SourceConfig for CsvConfig {
    const NAME: &'static str = "csv";
    const EXAMPLE: &'static str = "\
path = \"data/AirQualityUCI.csv\"
delimiter = \";\"
decimal = \",\"
missing = [-200]
timestamp = { columns = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H.%M.%S\" }
timezone = \"+01:00\"
key = { name = \"station\", value = \"uci\" }
fields = [\"CO(GT)\", \"T\", \"RH\"]
";

    fn check(&self) -> Result<Fields, Vec<Problem>> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let (key, declared) = (self.key_name(), self.declared());
        let open = declared.is_none();
        Ok(Fields { list: declared.unwrap_or_default(), key, score: None, open })
    }

    fn bounded(&self) -> bool {
        true
    }

    fn rerun(&self) -> Option<bool> {
        Some(self.rerun)
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Replay::pace)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let files = Files::find(&self.path)?;
        if files.is_none() && self.sample_if_missing {
            tracing::warn!(
                "{} is not there: THESE READINGS ARE GENERATED, not measured (`sample_if_missing = true`)",
                self.path
            );
            return sample::instead_of(self.declared(), self.key_of_sample(), &self.timezone, self.max_records, cx);
        }
        let Some(files) = files else {
            let here = std::env::current_dir().map_or_else(|_| "?".to_owned(), |dir| dir.display().to_string());
            return Err(Error::config(format!("{} is not there", self.path))
                .help(format!("`path` is relative to the working directory, {here}")));
        };
        Ok(Box::new(CsvSource {
            lane: self.path.as_str().into(),
            layout: Arc::new(self.layout(cx)?),
            config: self.clone(),
            files,
        }))
    }
}

impl CsvConfig {
    fn key_of_sample(&self) -> Option<(Arc<str>, Option<String>)> {
        match self.key_of().ok()? {
            KeyOf::Nothing => None,
            KeyOf::Column(name) => Some((name.into(), None)),
            KeyOf::Constant { name, value } => Some((name.into(), Some(value))),
        }
    }
}

struct CsvSource {
    lane: LaneId,
    layout: Arc<Layout>,
    config: CsvConfig,
    files: Files,
}

impl CsvSource {
    /// The lanes that there are: all files one after the other, or each by itself.
    fn lanes(&self) -> Vec<(LaneId, Files)> {
        if self.config.parallel {
            return self.files.each().map(|files| (files.name().into(), files)).collect();
        }
        vec![(Arc::clone(&self.lane), self.files.clone())]
    }

    fn open(&self, files: Files, start: Option<&Start>) -> Result<Box<dyn Lane>> {
        Ok(Box::new(CsvLane::open(Arc::clone(&self.layout), files, start)?))
    }
}

impl Source for CsvSource {
    fn fields(&self) -> Result<Option<Fields>> {
        let (first, header) = lane::header(&self.layout, &self.files)?;
        let missing = self.config.missing_columns(&header);
        if !missing.is_empty() {
            return Err(columns::lacks(&first, &header, self.layout.delimiter, &missing));
        }
        let list = header.fields(&self.layout).into_iter().map(|(_, field)| field).collect();
        Ok(Some(Fields { list, key: self.config.key_name(), score: None, open: false }))
    }

    fn survey(&self) -> Result<Vec<(LaneId, Box<dyn Lane>)>> {
        let whole = Arc::new(Layout { max_records: None, facts: Arc::default(), ..(*self.layout).clone() });
        self.lanes()
            .into_iter()
            .map(|(id, files)| Ok((id, Box::new(CsvLane::open(Arc::clone(&whole), files, None)?) as Box<dyn Lane>)))
            .collect()
    }

    fn run(self: Box<Self>, lanes: Arc<dyn Lanes>) -> Result<()> {
        let together = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let todo = self.lanes();
        let ids: Vec<LaneId> = todo.iter().map(|(id, _)| Arc::clone(id)).collect();
        let starts = lanes.starts(&ids)?;
        for ((id, files), start) in todo.into_iter().zip(starts) {
            while lanes.running().len() >= together && !lanes.stopping() {
                lanes.wait(Instant::now() + WAIT);
            }
            if lanes.stopping() {
                return Ok(());
            }
            lanes.open(id, self.open(files, start.as_ref())?, start)?;
        }
        while !lanes.running().is_empty() && !lanes.stopping() {
            lanes.wait(Instant::now() + WAIT);
        }
        Ok(())
    }
}

/// How long the source waits for a change at a time: changes wake it, this is only a bound.
const WAIT: Duration = Duration::from_secs(1);

impl Layout {
    fn read(&self, bytes: u64) {
        self.facts.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }
}
