//! The source: its splits over the present files, or generated readings in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Fields, SplitId};
use aqpipe_engine::stage::{BuildContext, RecordedSplit, Source, SourceContext, SplitReader};
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::dead_letter_decoder::RowDeadLetterDecoder;
use super::dialect::Dialect;
use super::header;
use super::input_files::{self, InputFile};
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
    /// The bit of the test `source`, where an option uses it.
    source_test: u8,
    metrics: Arc<Metrics>,
    cells: CellReport,
}

/// What all splits have in common.
struct HeaderPlan {
    plan: ColumnPlan,
    /// The names in the first line of each file, if files have such a line.
    header: Option<Arc<[String]>>,
    /// What dead letters keep to decode their rows again.
    raw_schema: RawSchema,
}

impl CsvSource {
    pub(super) fn new(config: CsvSourceConfig, files: Vec<InputFile>, cx: &BuildContext) -> CsvSource {
        let source_test = if config.uses_source_test() { cx.qc_tests().bit(SOURCE_TEST) } else { 0 };
        CsvSource {
            config: Arc::new(config),
            files,
            numeric: Arc::clone(cx.numeric_fields()),
            keep_raw: cx.keeps_raw(),
            source_test,
            metrics: Arc::clone(cx.metrics()),
            cells: CellReport::new(cx),
        }
    }

    fn dialect(&self) -> Dialect {
        // `check` has accepted only ASCII characters.
        Dialect { delimiter: self.config.delimiter as u8, quote: self.config.quote.bytes().next() }
    }

    /// Reads the headers of all files, which must be the same, and plans their columns.
    fn read_headers(&self) -> Result<HeaderPlan> {
        let mut known: Option<(&InputFile, Vec<String>)> = None;
        if self.config.has_header() {
            for span in &self.files {
                let names = header::read(&mut header::open(span, self.dialect())?, span)?;
                match &known {
                    Some((first, expected)) => header::check_same(&names, expected, span, first)?,
                    None => known = Some((span, names)),
                }
            }
        }
        let plan = |columns: &[String]| ColumnPlan::new(columns, &self.config, &self.numeric);
        let Some((span, names)) = known else {
            let columns = &self.config.columns;
            return Ok(HeaderPlan {
                plan: plan(columns)?,
                header: None,
                raw_schema: RawSchema::of(columns, &self.config),
            });
        };
        let place = format!("{}:1", span.name);
        let columns = if self.config.columns.is_empty() { &names } else { &self.config.columns };
        if columns.len() != names.len() {
            let (has, wants) = (names.len(), columns.len());
            return Err(Error::config(format!("the header has {has} columns and `columns` names {wants}")).at(place));
        }
        let plan = plan(columns).map_err(|error| error.at(place))?;
        Ok(HeaderPlan { plan, raw_schema: RawSchema::of(columns, &self.config), header: Some(names.into()) })
    }

    /// A decoder of the rows of dead letters.
    pub(super) fn dead_letter_decoder(&self) -> Result<RowDeadLetterDecoder> {
        let is_known = !self.files.is_empty() || !self.config.has_header();
        let current = is_known.then(|| self.read_headers().map(|headers| headers.raw_schema)).transpose()?;
        Ok(RowDeadLetterDecoder::new(
            Arc::clone(&self.config),
            Arc::clone(&self.numeric),
            self.source_test,
            self.keep_raw,
            current,
        ))
    }

    /// A split over some files: of the run, or for a fit.
    fn split(
        &self,
        headers: &HeaderPlan,
        id: &SplitId,
        files: Vec<InputFile>,
        for_fit: bool,
    ) -> Result<CsvSplitReader> {
        let decoder = RowDecoder::new(&self.config, headers.plan.clone(), self.source_test, self.keep_raw)?;
        let reading = (self.dialect(), headers.header.clone());
        let (limit, metrics) = if for_fit {
            (None, None)
        } else {
            (self.config.max_records, Some((Arc::clone(&self.metrics), self.cells.clone())))
        };
        Ok(CsvSplitReader::new(Arc::clone(id), files, decoder, reading, limit, metrics)
            .with_raw_schema(&headers.raw_schema))
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
        resume::input_changes(completed, &self.files)
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
        let planned =
            resume::plan_splits(context.recorded_splits()?, &self.files, &self.config.path, self.config.parallel)?;
        let ids: Vec<SplitId> = planned.iter().map(|split| Arc::clone(&split.id)).collect();
        let states = context.split_states(&ids)?;
        let to_open = planned.into_iter().zip(states).map(|(PlannedSplit { id, files, resumed }, state)| {
            let known = resumed.as_ref().map(|resumed| resumed.state.position);
            if known != state.as_ref().map(|state| state.position) {
                return Err(Error::bug(format!("`{id}` resumes elsewhere than its state says")));
            }
            let mut reader = self.split(&headers, &id, files, false)?;
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
