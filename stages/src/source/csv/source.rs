//! The source: its lanes over the files that are there, or generated readings in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::monitor::Facts;
use aqpipe_engine::record::{Fields, LaneId};
use aqpipe_engine::stage::{BuildContext, Lane, Lanes, Source};
use aqpipe_engine::{Error, Result};

use super::again::AgainRows;
use super::config::CsvSourceConfig;
use super::decode::Decoder;
use super::dialect::Dialect;
use super::files::FileSpan;
use super::header;
use super::lane::CsvLane;
use super::plan::Plan;
use crate::input::{bounded, zone};
use crate::source::sample::{FIELDS, SampleSource, Settings};

/// Readings from files.
pub(super) struct CsvSource {
    config: Arc<CsvSourceConfig>,
    /// The lanes and their files; at least one of each.
    lanes: Vec<(LaneId, Vec<FileSpan>)>,
    numeric: Arc<BTreeSet<String>>,
    keep_raw: bool,
    facts: Arc<Facts>,
}

impl CsvSource {
    pub(super) fn new(config: CsvSourceConfig, files: Vec<FileSpan>, cx: &BuildContext) -> CsvSource {
        let lanes = if config.parallel {
            files.into_iter().map(|file| (file.name.as_str().into(), vec![file])).collect()
        } else {
            vec![(config.path.as_str().into(), files)]
        };
        CsvSource {
            config: Arc::new(config),
            lanes,
            numeric: Arc::clone(&cx.numeric),
            keep_raw: cx.keep_raw,
            facts: Arc::clone(&cx.facts),
        }
    }

    fn dialect(&self) -> Dialect {
        // `check` let ASCII characters through alone.
        Dialect { delimiter: self.config.delimiter as u8, quote: self.config.quote.bytes().next() }
    }

    /// Reads the headers of all files, which must agree, and makes the plan for them.
    fn plan(&self) -> Result<(Plan, Option<Arc<[String]>>)> {
        let mut known: Option<(&FileSpan, Vec<String>)> = None;
        if self.config.has_header() {
            for span in self.lanes.iter().flat_map(|(_, files)| files) {
                let names = header::read(&mut header::open(span, self.dialect())?, span)?;
                match &known {
                    Some((first, expected)) => header::agrees(&names, expected, span, first)?,
                    None => known = Some((span, names)),
                }
            }
        }
        let Some((span, names)) = known else {
            return Ok((Plan::new(&self.config.columns, &self.config, &self.numeric)?, None));
        };
        let place = format!("{}:1", span.name);
        let columns = if self.config.columns.is_empty() { &names } else { &self.config.columns };
        if columns.len() != names.len() {
            let (has, wants) = (names.len(), columns.len());
            return Err(Error::config(format!("the header has {has} columns and `columns` names {wants}")).at(place));
        }
        let plan = Plan::new(columns, &self.config, &self.numeric).map_err(|error| error.at(place))?;
        Ok((plan, Some(names.into())))
    }

    /// What reads a row of these files from its bytes alone.
    pub(super) fn again(&self) -> Result<AgainRows> {
        let decoder = Decoder::new(&self.config, self.plan()?.0, self.keep_raw)?;
        Ok(AgainRows { decoder, dialect: self.dialect() })
    }

    fn open(&self, limit: Option<u64>, facts: Option<&Arc<Facts>>) -> Result<Vec<(LaneId, CsvLane)>> {
        let (plan, header) = self.plan()?;
        let lane = |(id, files): &(LaneId, Vec<FileSpan>)| {
            let decoder = Decoder::new(&self.config, plan.clone(), self.keep_raw)?;
            let how = (self.dialect(), header.clone());
            let lane = CsvLane::new(Arc::clone(id), files.clone(), decoder, how, limit, facts.cloned());
            Ok((Arc::clone(id), lane))
        };
        self.lanes.iter().map(lane).collect()
    }
}

impl Source for CsvSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some(self.plan()?.0.layout(&self.config)))
    }

    fn survey(&self) -> Result<Vec<(LaneId, Box<dyn Lane>)>> {
        let lanes = self.open(None, None)?;
        Ok(lanes.into_iter().map(|(id, lane)| (id, Box::new(lane) as Box<dyn Lane>)).collect())
    }

    fn run(self: Box<Self>, lanes: Arc<dyn Lanes>) -> Result<()> {
        let opened = self.open(self.config.max_records, Some(&self.facts))?;
        let ids: Vec<LaneId> = opened.iter().map(|(id, _)| Arc::clone(id)).collect();
        let starts = lanes.starts(&ids)?;
        let opened = opened.into_iter().zip(starts).map(|((id, mut lane), start)| {
            if let Some(start) = &start {
                lane.resume(start)?;
            }
            Ok((id, Box::new(lane) as Box<dyn Lane>, start))
        });
        bounded::run(opened, &*lanes)
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
    tracing::warn!(
        "there is no file {}: the readings are GENERATED, not measured (sample_if_missing = true)",
        config.path
    );
    let key = config.key.as_ref();
    let settings = Settings {
        fields,
        zone: zone::parse(&config.timezone).unwrap_or(0),
        key: key.map(|key| key.name().into()),
        stations: vec![key.and_then(|key| key.value.as_deref()).unwrap_or("sample").into()],
        limit: config.max_records,
        ..Settings::default()
    };
    Ok(Box::new(SampleSource::new(settings, cx)))
}
