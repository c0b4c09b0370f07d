//! The source: its splits over the files that are there, or generated readings in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Fields, SplitId};
use aqpipe_engine::stage::{BuildContext, RecordedSplit, Source, SourceContext, SplitReader};
use aqpipe_engine::{Error, Result};

use super::again::RowDeadLetterDecoder;
use super::config::{CsvSourceConfig, KeyColumn};
use super::decode::Decoder;
use super::dialect::Dialect;
use super::files::{self, FileSpan};
use super::form::Form;
use super::header;
use super::known::{self, Opening};
use super::plan::Plan;
use super::split::CsvSplitReader;
use crate::input::{bounded, zone};
use crate::source::sample::{FIELDS, SampleSource, Settings};

/// What the key of generated readings is called where the source has none: as it is called elsewhere.
const UNNAMED_KEY: &str = "station";

/// Readings from files.
pub(super) struct CsvSource {
    config: Arc<CsvSourceConfig>,
    /// The files that are there.
    files: Vec<FileSpan>,
    numeric: Arc<BTreeSet<String>>,
    keep_raw: bool,
    metrics: Arc<Metrics>,
}

/// What all splits go by.
struct Reading {
    plan: Plan,
    /// The names in the first line of each file, where it has such a line.
    header: Option<Arc<[String]>>,
    /// How the bytes of rows are to be read once more.
    form: Form,
}

impl CsvSource {
    pub(super) fn new(config: CsvSourceConfig, files: Vec<FileSpan>, cx: &BuildContext) -> CsvSource {
        CsvSource {
            config: Arc::new(config),
            files,
            numeric: Arc::clone(&cx.numeric_fields()),
            keep_raw: cx.keeps_raw(),
            metrics: Arc::clone(&cx.metrics()),
        }
    }

    fn dialect(&self) -> Dialect {
        // `check` let ASCII characters through alone.
        Dialect { delimiter: self.config.delimiter as u8, quote: self.config.quote.bytes().next() }
    }

    /// Reads the headers of all files, which must agree, and makes the plan for them.
    fn reading(&self) -> Result<Reading> {
        let mut known: Option<(&FileSpan, Vec<String>)> = None;
        if self.config.has_header() {
            for span in &self.files {
                let names = header::read(&mut header::open(span, self.dialect())?, span)?;
                match &known {
                    Some((first, expected)) => header::agrees(&names, expected, span, first)?,
                    None => known = Some((span, names)),
                }
            }
        }
        let plan = |columns: &[String]| Plan::new(columns, &self.config, &self.numeric);
        let Some((span, names)) = known else {
            let columns = &self.config.columns;
            return Ok(Reading { plan: plan(columns)?, header: None, form: Form::of(columns, &self.config) });
        };
        let place = format!("{}:1", span.name);
        let columns = if self.config.columns.is_empty() { &names } else { &self.config.columns };
        if columns.len() != names.len() {
            let (has, wants) = (names.len(), columns.len());
            return Err(Error::config(format!("the header has {has} columns and `columns` names {wants}")).at(place));
        }
        let plan = plan(columns).map_err(|error| error.at(place))?;
        Ok(Reading { plan, form: Form::of(columns, &self.config), header: Some(names.into()) })
    }

    /// What reads a row from its bytes alone.
    pub(super) fn again(&self) -> Result<RowDeadLetterDecoder> {
        let is_known = !self.files.is_empty() || !self.config.has_header();
        let today = is_known.then(|| self.reading().map(|reading| reading.form)).transpose()?;
        Ok(RowDeadLetterDecoder::new(Arc::clone(&self.config), Arc::clone(&self.numeric), self.keep_raw, today))
    }

    /// A split over some files, which tells of its way unless it only surveys.
    fn split(&self, reading: &Reading, id: &SplitId, files: Vec<FileSpan>, surveys: bool) -> Result<CsvSplitReader> {
        let decoder = Decoder::new(&self.config, reading.plan.clone(), self.keep_raw)?;
        let how = (self.dialect(), reading.header.clone());
        let (limit, metrics) =
            if surveys { (None, None) } else { (self.config.max_records, Some(Arc::clone(&self.metrics))) };
        Ok(CsvSplitReader::new(Arc::clone(id), files, decoder, how, limit, metrics)
            .with_form(Some(reading.form.text())))
    }
}

impl Source for CsvSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some(self.reading()?.plan.layout(&self.config)))
    }

    fn input_identity(&self) -> Result<String> {
        Ok(files::input(&self.config.path))
    }

    fn input_changes(&self, carried: &[RecordedSplit]) -> Result<Option<String>> {
        known::differs(carried, &self.files)
    }

    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        let reading = self.reading()?;
        let openings = known::go_on(Vec::new(), &self.files, &self.config.path, self.config.parallel)?;
        let split = |opening: Opening| {
            let split = self.split(&reading, &opening.id, opening.files, true)?;
            Ok((opening.id, Box::new(split) as Box<dyn SplitReader>))
        };
        openings.into_iter().map(split).collect()
    }

    fn run(self: Box<Self>, splits: Arc<dyn SourceContext>) -> Result<()> {
        let reading = self.reading()?;
        let openings = known::go_on(splits.recorded_splits()?, &self.files, &self.config.path, self.config.parallel)?;
        let ids: Vec<SplitId> = openings.iter().map(|opening| Arc::clone(&opening.id)).collect();
        let starts = splits.split_states(&ids)?;
        let opened = openings.into_iter().zip(starts).map(|(Opening { id, files, resumed }, start)| {
            let known = resumed.as_ref().map(|resumed| resumed.start.position);
            if known != start.as_ref().map(|start| start.position) {
                return Err(Error::bug(format!("`{id}` goes on elsewhere than it was noted")));
            }
            let mut split = self.split(&reading, &id, files, false)?;
            resumed.map_or(Ok(()), |resumed| split.resume(resumed))?;
            Ok((id, Box::new(split) as Box<dyn SplitReader>, start))
        });
        bounded::run(opened, &*splits)
    }
}

/// Generated readings in place of files that are not there, under a name of their own.
pub(super) fn sample_instead(config: &CsvSourceConfig, cx: &BuildContext) -> Result<Box<dyn Source>> {
    let mut fields = Vec::new();
    for name in config.declared() {
        match FIELDS.iter().position(|field| *field == name) {
            Some(field) if !config.is_text(name) => fields.push(field),
            _ => {
                let near = nearest(name, FIELDS).map(|near| format!("did you mean `{near}`? "));
                return Err(Error::config(format!("generated readings have no field `{name}`")).help(format!(
                    "{}there is no file {}, and the fields of generated readings are `{}`",
                    near.unwrap_or_default(),
                    config.path,
                    FIELDS.join("`, `")
                )));
            }
        }
    }
    if !config.is_declared() {
        fields = (0..FIELDS.len()).collect();
    }
    tracing::warn!("there is no file {}: the readings are GENERATED, not measured; their key is `sample`", config.path);
    // Without a key, nothing in a record would say that it is not measured.
    let key = config.key.as_ref().map_or(UNNAMED_KEY, KeyColumn::name);
    let settings = Settings {
        fields,
        zone: zone::parse(&config.timezone).unwrap_or(0),
        key: Some(key.into()),
        // Not the key that measured readings have: whoever reads the records is to see that they are none.
        stations: vec!["sample".into()],
        limit: config.max_records,
        ..Settings::default()
    };
    Ok(Box::new(SampleSource::new(settings, cx)))
}
