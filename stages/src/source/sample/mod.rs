//! Generated readings of the shape of the UCI Air Quality data set.

mod config;
mod dice;
mod gaps;
mod model;
mod raw;
mod split;
mod stand_in;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Field, Fields, SplitId};
use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::{
    Boundedness, BuildContext, Descriptor, Problem, Repeat, Source, SourceConfig, SourceContext, SplitReader,
};

use self::config::SampleSourceConfig;
use self::split::SampleSplitReader;
pub use self::stand_in::StandIn;
use crate::input::bounded;
use crate::input::replay::Replay;

const EXAMPLE: &str = "\
seed = 1
records = 9357
stations = [\"north\", \"south\"]
";

inventory::submit! { Descriptor::source::<SampleSourceConfig>("sample", EXAMPLE).beside_content(&["rerun", "replay"]) }

/// The fields of generated readings, in order: those of the data set, by its names.
pub(super) const FIELDS: [&str; 13] = [
    "CO(GT)",
    "PT08.S1(CO)",
    "NMHC(GT)",
    "C6H6(GT)",
    "PT08.S2(NMHC)",
    "NOx(GT)",
    "PT08.S3(NOx)",
    "NO2(GT)",
    "PT08.S4(NO2)",
    "PT08.S5(O3)",
    "T",
    "RH",
    "AH",
];
/// Records of the data set.
const RECORDS: u64 = 9357;
/// 2004-03-10 18:00 by the clock of the station, in seconds since 1970 by the same clock: where the data set begins.
const START: i64 = 1_078_941_600;

/// What to generate.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    /// How many records; `None` without end.
    pub(super) records: Option<u64>,
    /// Records to stop after.
    pub(super) limit: Option<u64>,
    /// The fields, as places in [`FIELDS`].
    pub(super) fields: Vec<usize>,
    pub(super) stations: Vec<Arc<str>>,
    /// What the key is called, where there is one.
    pub(super) key: Option<Arc<str>>,
    /// The first record's time by the station's clock, in seconds since 1970 by the same clock.
    pub(super) start: i64,
    /// Seconds from one record of a station to the next.
    pub(super) interval: i64,
    /// Minutes east of UTC of the station's clock.
    pub(super) zone: i16,
    pub(super) faults: Faults,
}

/// How many of the records have which fault, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) not_a_number: f64,
    pub(super) bad_timestamp: f64,
    pub(super) out_of_range: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            records: Some(RECORDS),
            limit: None,
            fields: (0..FIELDS.len()).collect(),
            stations: vec!["sample".into()],
            key: None,
            start: START,
            interval: 3600,
            zone: 0,
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// The layout of the records.
    fn layout(&self) -> Fields {
        Fields {
            list: self.fields.iter().map(|field| Field::number(FIELDS[*field])).collect(),
            key: self.key.clone(),
            score: None,
            open: false,
        }
    }
}

/// Generated readings.
pub(super) struct SampleSource {
    settings: Settings,
    keep_raw: bool,
    metrics: Arc<Metrics>,
}

impl SampleSource {
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> SampleSource {
        SampleSource { settings, keep_raw: cx.keeps_raw(), metrics: Arc::clone(&cx.metrics()) }
    }

    /// The one split, which never bears the name of a file that the readings stand in for.
    fn id() -> SplitId {
        "sample".into()
    }
}

impl Source for SampleSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some(self.settings.layout()))
    }

    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        let settings = Settings { limit: None, ..self.settings.clone() };
        Ok(vec![(Self::id(), Box::new(SampleSplitReader::new(&settings, self.keep_raw, 0, None)))])
    }

    fn run(self: Box<Self>, splits: Arc<dyn SourceContext>) -> Result<()> {
        let id = Self::id();
        let start = splits.split_states(std::slice::from_ref(&id))?.pop().flatten();
        let row = start.as_ref().map_or(0, |start| start.position.records);
        let split = SampleSplitReader::new(&self.settings, self.keep_raw, row, Some(&self.metrics));
        bounded::run(std::iter::once(Ok((id, Box::new(split) as Box<dyn SplitReader>, start))), &*splits)
    }
}

impl SourceConfig for SampleSourceConfig {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        Ok(self.settings()?.layout())
    }

    fn boundedness(&self) -> Boundedness {
        if self.endless { Boundedness::Unbounded } else { Boundedness::Bounded { rerun: self.rerun } }
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Replay::pace)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let settings = self.settings().map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.clone());
            aqpipe_engine::Error::config(first.unwrap_or_default())
        })?;
        Ok(Box::new(SampleSource::new(settings, cx)))
    }
}
