//! The source: its splits over the present files, or generated readings in their place.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Fields, SplitId};
use aqpipe_engine::stage::{BuildContext, RecordedSplit, Source, SourceContext, SplitReader};
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::dead_letter_decoder::RowDeadLetterDecoder;
use super::file_reading::FileReading;
use super::follow::{Follow, check_can_be_followed};
use super::growing_split::Growing;
use super::input_files::{self, InputFile};
use super::known_files;
use super::packing::Packing;
use super::raw_schema::RawSchema;
use super::resume::{self, PlannedSplit};
use super::row_decoder::RowDecoder;
use super::split::CsvSplitReader;
use crate::input::run_splits;
use crate::reading::time::Zone;
use crate::reading::{CellReport, KeyOptions, SOURCE_TEST};
use crate::source::sample::{SampleSettings, SampleSource, UCI_FIELDS};

/// The name of the generated readings' key where the source has no key.
const SAMPLE_KEY_NAME: &str = "station";

/// Readings from files.
pub(super) struct CsvSource {
    config: Arc<CsvSourceConfig>,
    /// The present files.
    files: Vec<InputFile>,
    numeric: Arc<BTreeSet<String>>,
    keep_raw: bool,
    /// Whether more is waited for at the end.
    follows: bool,
    /// The bit of the test `source`, where an option uses it.
    source_test: u8,
    metrics: Arc<Metrics>,
    cells: CellReport,
}

/// What all splits have in common.
struct Headers {
    reading: FileReading,
    /// The columns of the first file, and what is done with them.
    columns: Arc<[String]>,
    plan: ColumnPlan,
    /// What dead letters kept to decode their rows again, if the files are all of one kind.
    raw_schema: Option<RawSchema>,
}

impl CsvSource {
    pub(super) fn new(config: CsvSourceConfig, files: Vec<InputFile>, cx: &BuildContext) -> CsvSource {
        let source_test = if config.uses_source_test() { cx.qc_tests().bit(SOURCE_TEST) } else { 0 };
        let cells = CellReport::new(cx, config.numbers());
        CsvSource {
            follows: config.follow && !cx.until_end(),
            config: Arc::new(config),
            files,
            numeric: Arc::clone(cx.numeric_fields()),
            keep_raw: cx.keeps_raw(),
            source_test,
            metrics: Arc::clone(cx.metrics()),
            cells,
        }
    }

    /// Reads the headers of all files and plans their columns.
    fn read_headers(&self) -> Result<Headers> {
        let mut reading = FileReading::new(Arc::clone(&self.config), Arc::clone(&self.numeric));
        reading.rules.may_be_empty = self.files.len() > 1;
        let mut first: Option<(Arc<[String]>, ColumnPlan)> = None;
        let mut raw_schemas: Vec<RawSchema> = Vec::new();
        for span in &self.files {
            let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
            let file = Arc::new(File::open(&span.name).map_err(failed)?);
            let may_grow = self.config.grows() && span.form.packing == Packing::None;
            let Some(opened) = reading.open(&file, span, may_grow)? else { continue };
            reading.expect(span, &opened.head);
            if first.as_ref().is_none_or(|(columns, _)| *columns != opened.columns) {
                let plan = reading.plan_of(&opened, span)?;
                first.get_or_insert_with(|| (Arc::clone(&opened.columns), plan));
            }
            let raw_schema = reading.raw_schema(&opened.columns, span, opened.head.ends_with_delimiter);
            // Two are enough to know that they differ.
            if raw_schemas.len() < 2 && !raw_schemas.contains(&raw_schema) {
                raw_schemas.push(raw_schema);
            }
        }
        let (columns, plan) = match first {
            Some(first) => first,
            None if self.config.has_header() && !self.config.grows() && !self.files.is_empty() => {
                let message =
                    format!("all files of {} are empty: none has a line that names its columns", self.config.path);
                return Err(Error::config(message));
            }
            None if self.config.has_header() && !self.config.is_declared() => {
                let message = format!("no file of {} has a line yet that names its columns", self.config.path);
                return Err(Error::config(message).help("with `fields` it is known without, and files are waited for"));
            }
            None => (self.config.columns.as_slice().into(), reading.plan_without_files()?),
        };
        if raw_schemas.is_empty() && !self.config.has_header() {
            raw_schemas.push(RawSchema::of(&columns, &self.config, self.config.encoding()));
        }
        let raw_schema = if raw_schemas.len() == 1 { raw_schemas.pop() } else { None };
        Ok(Headers { reading, columns, plan, raw_schema })
    }

    /// A decoder of the rows of dead letters.
    pub(super) fn dead_letter_decoder(&self) -> Result<RowDeadLetterDecoder> {
        let is_known = !self.files.is_empty() || !self.config.has_header();
        let current = if is_known { self.read_headers()?.raw_schema } else { None };
        let has_files = !self.files.is_empty();
        Ok(RowDeadLetterDecoder::new(
            (Arc::clone(&self.config), Arc::clone(&self.numeric)),
            self.source_test,
            self.keep_raw,
            current,
            has_files,
        ))
    }

    /// A split over some files: of the run, or for a fit.
    fn split(&self, headers: &Headers, id: &SplitId, files: Vec<InputFile>, for_fit: bool) -> Result<CsvSplitReader> {
        let decoder = RowDecoder::new(&self.config, headers.plan.clone(), self.source_test, self.keep_raw)?;
        let reading = (headers.reading.clone(), Arc::clone(&headers.columns));
        let (limit, metrics) = if for_fit {
            (None, None)
        } else {
            (self.config.max_records, Some((Arc::clone(&self.metrics), self.cells.clone())))
        };
        Ok(CsvSplitReader::new(Arc::clone(id), files, decoder, reading, limit, metrics))
    }
}

impl Source for CsvSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some(self.read_headers()?.plan.layout(&self.config)))
    }

    fn input_identity(&self) -> Result<String> {
        Ok(input_files::canonical(&self.config.path))
    }

    fn input_changes(&self, completed: &[RecordedSplit]) -> Result<Option<String>> {
        match self.config.grows() {
            true => known_files::new_input(completed, &self.files),
            false => resume::input_changes(completed, &self.files),
        }
    }

    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        let headers = self.read_headers()?;
        let planned = resume::plan_splits(Vec::new(), &self.files, &self.config.path, self.config.parallel)?;
        let split = |planned: PlannedSplit| {
            let reader = self.split(&headers, &planned.id, planned.files, true)?;
            Ok((planned.id, Box::new(reader) as Box<dyn SplitReader>))
        };
        planned.into_iter().map(split).collect()
    }

    fn run(self: Box<Self>, context: Arc<dyn SourceContext>) -> Result<()> {
        let headers = self.read_headers()?;
        let recorded = context.recorded_splits()?;
        let planned = match self.config.grows() {
            true => vec![known_files::plan_growing(recorded, &self.files, &self.config.path)?],
            false => resume::plan_splits(recorded, &self.files, &self.config.path, self.config.parallel)?,
        };
        if self.config.follow {
            planned.iter().flat_map(|split| &split.files).try_for_each(check_can_be_followed)?;
        }
        let ids: Vec<SplitId> = planned.iter().map(|split| Arc::clone(&split.id)).collect();
        let states = context.split_states(&ids)?;
        let to_open = planned.into_iter().zip(states).map(|(PlannedSplit { id, files, resumed }, state)| {
            let known = resumed.as_ref().map(|resumed| resumed.state.position);
            if known != state.as_ref().map(|state| state.position) {
                return Err(Error::bug(format!("`{id}` resumes elsewhere than its state says")));
            }
            let mut reader = self.split(&headers, &id, files, false)?;
            if self.config.grows() {
                let follow = self.follows.then(|| Follow::new(&self.config.path, self.config.encoding(), &self.files));
                reader = reader.over_growing_files(Growing { known: Vec::new(), follow });
            }
            resumed.map_or(Ok(()), |resumed| reader.resume(resumed))?;
            Ok((id, Box::new(reader) as Box<dyn SplitReader>, state))
        });
        run_splits::run_splits(to_open, &*context)
    }
}

/// Generated readings in place of files that are not there, under a name of their own.
pub(super) fn sample_instead(config: &CsvSourceConfig, cx: &BuildContext) -> Result<Box<dyn Source>> {
    let mut fields = Vec::new();
    for name in config.declared() {
        match UCI_FIELDS.iter().position(|field| *field == name) {
            Some(field) if !config.is_text(name) => fields.push(field),
            _ => {
                let near = nearest(name, UCI_FIELDS).map(|near| format!("did you mean `{near}`? "));
                return Err(Error::config(format!("generated readings have no field `{name}`")).help(format!(
                    "{}there is no file {}, and the fields of generated readings are `{}`",
                    near.unwrap_or_default(),
                    config.path,
                    UCI_FIELDS.join("`, `")
                )));
            }
        }
    }
    if !config.is_declared() {
        fields = (0..UCI_FIELDS.len()).collect();
    }
    tracing::warn!("there is no file {}: the readings are GENERATED, not measured; their key is `sample`", config.path);
    // Without a key, nothing in a record would tell that it is not measured.
    let key = config.key.as_ref().map_or(SAMPLE_KEY_NAME.into(), KeyOptions::name);
    let defaults = SampleSettings::default();
    let settings = SampleSettings {
        fields,
        // Their clock never changes.
        zone: Zone::parse(&config.timezone).unwrap_or_default().offset_at(defaults.start.saturating_mul(1_000_000)),
        key: Some(key.as_ref().into()),
        // Not the key of measured readings: a reader of the records must see the difference.
        stations: vec!["sample".into()],
        limit: config.max_records,
        ..defaults
    };
    Ok(Box::new(SampleSource::new(settings, cx)))
}
