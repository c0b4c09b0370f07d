//! The sink `csv`: CSV files, one for each checkpoint of a split.

mod description;
mod marks;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, OffsetRange, QcTests, SplitId};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    BuildContext, CheckpointPolicy, DeadLetter, Descriptor, Prepared, Problem, Rerun, Sink, SinkConfig, Writer,
};
use indexmap::IndexMap;
use serde::Deserialize;

use self::marks::MarksOption;
use crate::codec::csv::{BatchContext, CsvEncoder, Marks};
use crate::file_commit::{FileSink, OutputDir, TempFile};
use crate::warn_once::WarnOnce;

/// Writes records as CSV files into a directory.
///
/// A file holds what was read of one split (a Kafka partition, an input file) between two commits, and is called
/// `PREFIX_SPLIT_FROM-TO.csv` by the positions read, `TO` not included: `air_quality_batch_air-quality-data-2_…100-…200.csv`.
/// It appears as a whole or not at all, is never overwritten and never changed. Files of one split sort by name.
///
/// Columns: `timestamp` with the offset of its clock, the key, the fields in their order, the score where a stage gave
/// one, `qc_flags` (`q` and a QARTOD digit for each field, in the order of the columns), `fills` (`T=forward_fill(2);RH=median`) and
/// `tests` (`T=gross_range;RH=syntax`). A missing value is an empty cell. When a field appears that was not there before, a new file
/// begins. A field that comes with a record and has the name of another column (`fills`) is written as `fills_`. Beside the first
/// file a `datapackage.json` (Frictionless Data) says types, units and what the flags mean, for each set of columns by itself.
///
/// The directory belongs to one pipeline for each prefix; a hidden file in it says which. Running a completed pipeline
/// again is refused, for the files are there: `--fresh` removes them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CsvSinkConfig {
    /// The directory, relative to the working directory. It is created where it is not there.
    #[schemars(length(min = 1))]
    dir: String,
    /// How file names begin: letters, digits, `.`, `_` and `-`, not a point first.
    #[serde(default = "default_prefix")]
    #[schemars(
        regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"),
        extend("patternErrorMessage" = "must be of letters, digits, `.`, `_` and `-`, not a point first, such as \"hourly\""),
        length(min = 1, max = 80)
    )]
    prefix: String,
    /// How many records are read for a file. What is filtered out or held back makes a file smaller. Opening a file and
    /// making it durable costs about as much as 5,000 records: small files are slow.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    batch_size: u64,
    /// How long a file waits to be filled, in seconds, from its first record.
    #[serde(default = "default_batch_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    batch_timeout_secs: u64,
    /// The character between cells: one of ASCII.
    #[serde(default = "default_delimiter")]
    delimiter: char,
    /// Whether the quality of values is written: in the columns `qc_flags`, `fills` and `tests`, or not at all. `"columns"` gives each
    /// field a column for its flag, which is called after it with `_qc` behind, instead of `qc_flags`.
    #[serde(default = "default_marks")]
    marks: MarksOption,
    /// The units of fields, for the description: `{ "CO(GT)" = "mg/m3" }`.
    #[serde(default)]
    units: IndexMap<String, String>,
    /// Whether a `datapackage.json` beside the first file describes the files. Up to 100 sets of columns are described.
    #[serde(default = "yes")]
    datapackage: bool,
    /// Whether a column `partition` says which Kafka partition (or which input) a record was read from.
    #[serde(default)]
    partition: bool,
    /// Whether a column `offset` says where in its partition a record was read: a Kafka offset, or a byte of a file.
    #[serde(default)]
    offset: bool,
    /// Whether a column `processed_at` says when a record was written, in UTC. A record that is processed again after a
    /// crash gets another time.
    #[serde(default)]
    processed_at: bool,
    /// Whether `'` is put before texts that begin with `=`, `+`, `-`, `@`, a tab or a carriage return: a spreadsheet
    /// would take such a text for a formula and run it. Numbers and times stay as they are. It changes what other readers
    /// read, so it is for files that people open by hand.
    #[serde(default)]
    escape_formulas: bool,
}

fn default_prefix() -> String {
    "air_quality_batch".to_owned()
}

fn default_batch_size() -> u64 {
    10_000
}

fn default_batch_timeout() -> u64 {
    30
}

fn default_delimiter() -> char {
    ','
}

fn default_marks() -> MarksOption {
    MarksOption(Marks::Text)
}

fn yes() -> bool {
    true
}

impl CsvSinkConfig {
    fn encoder(&self) -> CsvEncoder {
        CsvEncoder {
            delimiter: u8::try_from(self.delimiter).unwrap_or(b','),
            marks: self.marks.0,
            partition: self.partition,
            offset: self.offset,
            processed_at: self.processed_at,
            escape_formulas: self.escape_formulas,
        }
    }
}

impl SinkConfig for CsvSinkConfig {
    fn check(&self, input: &Fields) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if !matches!(self.delimiter, '\t' | ' '..='~') || matches!(self.delimiter, '"' | '0'..='9' | '.' | '-') {
            problems.push(
                Problem::new(["delimiter"], "this character cannot stand between cells")
                    .help("choose `,`, `;`, `|` or a tab"),
            );
        }
        if let Some(name) = self.encoder().reserved_name(input) {
            let key = if ["partition", "offset", "processed_at"].contains(&name) { name } else { "marks" };
            let path: &[&str] = if name == "timestamp" { &[] } else { &[key] };
            problems.push(
                Problem::new(path.iter().copied(), format!("a field is called `{name}`, as another column is"))
                    .help("rename the field in the source, or leave that column out"),
            );
        }
        let unknown = |name: &String| Problem::unknown_field(["units", name], name, input);
        problems.extend(self.units.keys().filter_map(unknown).map(|problem| problem.at_key().warning()));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn checkpoint_policy(&self) -> CheckpointPolicy {
        CheckpointPolicy::Records {
            records_max: self.batch_size,
            timeout: Duration::from_secs(self.batch_timeout_secs),
        }
    }

    fn rerun(&self) -> Rerun {
        Rerun::Refuse
    }

    fn files(&self, _: &str) -> Option<(String, String)> {
        Some((self.dir.clone(), self.prefix.clone()))
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        let (encoder, warned) = (self.encoder(), Arc::<WarnOnce>::default());
        let (tests, units) = (Arc::clone(cx.qc_tests()), Arc::new(self.units.clone()));
        let open = move |dir: &Arc<OutputDir>, split: &SplitId| -> Box<dyn Writer> {
            Box::new(CsvWriter {
                dir: Arc::clone(dir),
                encoder: encoder.clone(),
                warned: Arc::clone(&warned),
                tests: Arc::clone(&tests),
                units: Arc::clone(&units),
                split: Arc::clone(split),
                files: Vec::new(),
            })
        };
        let dir = OutputDir::new(&self.dir, &self.prefix, "csv", cx);
        Ok(Arc::new(FileSink::new(if self.datapackage { dir.described() } else { dir }, open)))
    }
}

const EXAMPLE: &str = r#"dir = "processed_data"
prefix = "air_quality_batch"
batch_size = 10000
batch_timeout_secs = 30
"#;

/// Options that change no record of the output.
const BESIDE_CONTENT: &[&str] = &["dir", "prefix", "batch_size", "batch_timeout_secs", "units", "datapackage"];

aqpipe_engine::inventory::submit! {
    Descriptor::sink::<CsvSinkConfig>("csv", EXAMPLE).beside_content(BESIDE_CONTENT)
}

struct CsvWriter {
    dir: Arc<OutputDir>,
    encoder: CsvEncoder,
    warned: Arc<WarnOnce>,
    tests: Arc<QcTests>,
    units: Arc<IndexMap<String, String>>,
    split: SplitId,
    /// The files of this checkpoint, one for each set of columns: rows that were held over a change of fields are written
    /// beside those that caused it.
    files: Vec<CsvFile>,
}

struct CsvFile {
    file: TempFile,
    fields: Arc<Fields>,
    rows: u64,
}

impl CsvWriter {
    fn open_file(&self, fields: &Arc<Fields>) -> Result<CsvFile> {
        let columns = self.encoder.column_names(fields);
        self.warned.warn_renamed(&columns.names, &columns.written);
        let mut file = self.dir.create(&self.split)?;
        self.encoder.write_header(fields, file.buffer());
        Ok(CsvFile { file, fields: Arc::clone(fields), rows: 0 })
    }
}

impl Writer for CsvWriter {
    fn write(&mut self, batch: Batch, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let known = self.files.iter().position(|file| file.fields == *batch.fields());
        let at = match known {
            Some(at) => at,
            None => {
                self.files.push(self.open_file(batch.fields())?);
                self.files.len() - 1
            }
        };
        // The partition of a Kafka split, or the whole id of any other.
        let partition = self.split.rsplit_once('/').map(|(_, last)| last);
        let partition = partition.filter(|last| last.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(&self.split);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as i64;
        let CsvFile { file, rows, .. } = &mut self.files[at];
        let common = BatchContext { partition, processed_at: now, tests: &self.tests.names() };
        self.encoder.write_rows(&batch, common, file.buffer());
        *rows += batch.rows() as u64;
        file.flush_if_large()
    }

    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared> {
        let files = std::mem::take(&mut self.files);
        for CsvFile { file, fields, .. } in &files {
            self.dir.describe(file, fields, || description::resource(&self.encoder, fields, &self.units));
        }
        self.dir.prepare(&self.split, files.into_iter().map(|file| (file.file, file.rows)).collect(), range)
    }
}

#[cfg(test)]
mod tests;
