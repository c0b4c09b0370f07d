//! Generated readings.

mod lane;
mod readings;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{Field, Fields, LaneId};
use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::{BuildContext, Descriptor, Lane, Lanes, Problem, Source, SourceConfig, Start};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::lane::{Plan, SampleLane};
use self::readings::FIELDS;
use super::csv::{Clock, Zone};
use super::replay::Replay;

inventory::submit! { Descriptor::source::<SampleConfig>() }

/// Generates readings of the shape of the UCI Air Quality data set: the same 13 fields, daily and weekly traffic,
/// weather and seasons, gaps as the real stations have them, and now and then a spike.
///
/// The same options give the same readings on every machine. Records of several stations take turns, an hour after
/// the other. `faults` adds what no station should send, to see what a pipeline does with it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SampleConfig {
    /// Another number gives other readings.
    #[serde(default = "one")]
    seed: u64,
    /// How many records, of all stations together.
    #[serde(default = "records")]
    #[schemars(range(min = 1))]
    records: u64,
    /// Goes on without end; `records` then counts for nothing.
    #[serde(default)]
    endless: bool,
    /// The stations: the records' keys.
    #[serde(default = "stations")]
    #[schemars(length(min = 1))]
    stations: Vec<String>,
    /// The name of the key.
    #[serde(default = "key")]
    #[schemars(length(min = 1))]
    key: String,
    /// The first timestamp, RFC 3339 or ISO 8601.
    #[serde(default = "start")]
    start: String,
    /// Seconds between two readings of a station.
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 86_400))]
    interval_secs: u32,
    /// The stations' clock: `UTC`, or an offset such as `+01:00`.
    #[serde(default = "zone")]
    timezone: String,
    /// Whether a run after a completed one starts again from the beginning. `false` makes it do nothing.
    #[serde(default = "yes")]
    rerun: bool,
    /// Release records no faster than their timestamps, or a fixed interval, say.
    replay: Option<Replay>,
    /// Shares of cells or records that are faulty.
    #[serde(default)]
    faults: Faults,
}

/// Shares of cells or records that are faulty, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Faults {
    /// Cells that hold no number: they are missing, with the test `not_a_number`.
    #[schemars(range(min = 0.0, max = 1.0))]
    not_a_number: f64,
    /// Cells that are a thousand times too large.
    #[schemars(range(min = 0.0, max = 1.0))]
    out_of_range: f64,
    /// Records without a valid timestamp: they are dead letters.
    #[schemars(range(min = 0.0, max = 1.0))]
    bad_timestamp: f64,
}

const fn one() -> u64 {
    1
}

const fn records() -> u64 {
    9357
}

fn stations() -> Vec<String> {
    vec!["sample".to_owned()]
}

fn key() -> String {
    "station".to_owned()
}

fn start() -> String {
    "2004-03-10T18:00:00".to_owned()
}

const fn hour() -> u32 {
    3600
}

fn zone() -> String {
    "+01:00".to_owned()
}

const fn yes() -> bool {
    true
}

impl SampleConfig {
    fn fields(&self) -> Fields {
        let list = FIELDS.iter().map(|name| Field::number(name)).collect();
        Fields { list, key: Some(self.key.as_str().into()), score: None, open: false }
    }

    fn first(&self) -> Result<(i64, i16), Problem> {
        let zone = Zone::parse(&self.timezone)
            .map_err(|reason| Problem::new(["timezone"], reason).help("`UTC`, or an offset such as `+01:00`"))?;
        let clock = Clock::new(None, zone).map_err(|reason| Problem::new(["start"], reason))?;
        let wrong = |reason| Problem::new(["start"], format!("`{}` is no timestamp: {reason}", self.start));
        clock.read(self.start.as_bytes()).map_err(wrong)
    }
}

impl SourceConfig for SampleConfig {
    const NAME: &'static str = "sample";
    const EXAMPLE: &'static str = "\
seed = 1
records = 1000
stations = [\"north\", \"south\"]
";

    fn check(&self) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> = self.first().err().into_iter().collect();
        for (index, name) in self.stations.iter().enumerate() {
            if name.is_empty() || self.stations[..index].contains(name) {
                let what =
                    if name.is_empty() { "the name is empty".to_owned() } else { format!("`{name}` is named twice") };
                problems.push(Problem::new(["stations".to_owned(), index.to_string()], what));
            }
        }
        if FIELDS.contains(&self.key.as_str()) || self.key == aqpipe_engine::record::TIMESTAMP {
            problems.push(Problem::new(["key"], format!("`{}` is the name of another column", self.key)));
        }
        problems.extend(self.replay.as_ref().into_iter().flat_map(Replay::problems));
        if problems.is_empty() { Ok(self.fields()) } else { Err(problems) }
    }

    fn bounded(&self) -> bool {
        !self.endless
    }

    fn rerun(&self) -> Option<bool> {
        Some(self.rerun)
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Replay::pace)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let (first, offset) = self.first().map_err(|problem| Error::config(problem.message))?;
        let plan = Plan {
            seed: self.seed,
            records: if self.endless { u64::MAX } else { self.records },
            stations: self.stations.clone(),
            layout: Arc::new(self.fields()),
            columns: (0..FIELDS.len()).collect(),
            first,
            offset,
            interval: i64::from(self.interval_secs) * 1_000_000,
            faults: self.faults,
            keep_raw: cx.keep_raw,
        };
        Ok(Box::new(SampleSource::new(plan, "sample", cx)))
    }
}

/// Generated readings in place of a file that is missing, with the fields and the key that it would have had.
pub(super) fn instead_of(
    declared: Option<Vec<Field>>,
    key: Option<(Arc<str>, Option<String>)>,
    timezone: &str,
    max_records: Option<u64>,
    cx: &BuildContext,
) -> Result<Box<dyn Source>> {
    let config = SampleConfig { timezone: timezone.to_owned(), ..SampleConfig::default() };
    let mut fields = config.fields();
    let mut columns: Vec<usize> = (0..FIELDS.len()).collect();
    if let Some(declared) = declared {
        let find = |field: &Field| {
            FIELDS.iter().position(|name| *name == &*field.name).ok_or_else(|| {
                Error::config(format!("generated readings have no field `{}`", field.name))
                    .help("`sample_if_missing = false` waits for the real file")
            })
        };
        columns = declared.iter().map(find).collect::<Result<_>>()?;
        fields.list = columns.iter().map(|column| Field::number(FIELDS[*column])).collect();
    }
    let (name, station) = key.map_or((None, None), |(name, station)| (Some(name), station));
    fields.key = name;
    let (first, offset) = config.first().map_err(|problem| Error::config(problem.message))?;
    let plan = Plan {
        seed: config.seed,
        records: max_records.unwrap_or(config.records).min(config.records),
        stations: station.map_or(config.stations, |station| vec![station]),
        layout: Arc::new(fields),
        columns,
        first,
        offset,
        interval: i64::from(config.interval_secs) * 1_000_000,
        faults: Faults::default(),
        keep_raw: cx.keep_raw,
    };
    Ok(Box::new(SampleSource::new(plan, "generated", cx)))
}

impl Default for SampleConfig {
    fn default() -> Self {
        SampleConfig {
            seed: one(),
            records: records(),
            endless: false,
            stations: stations(),
            key: key(),
            start: start(),
            interval_secs: hour(),
            timezone: zone(),
            rerun: yes(),
            replay: None,
            faults: Faults::default(),
        }
    }
}

struct SampleSource {
    plan: Arc<Plan>,
    lane: LaneId,
}

impl SampleSource {
    fn new(plan: Plan, lane: &str, cx: &BuildContext) -> SampleSource {
        if plan.records < u64::MAX {
            cx.facts.expected.store(plan.records, Ordering::Relaxed);
        }
        SampleSource { plan: Arc::new(plan), lane: lane.into() }
    }

    fn open(&self, start: Option<&Start>) -> Box<dyn Lane> {
        let position = start.map(|start| start.position).unwrap_or_default();
        Box::new(SampleLane { plan: Arc::clone(&self.plan), position })
    }
}

impl Source for SampleSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some((*self.plan.layout).clone()))
    }

    fn survey(&self) -> Result<Vec<(LaneId, Box<dyn Lane>)>> {
        Ok(vec![(Arc::clone(&self.lane), self.open(None))])
    }

    fn run(self: Box<Self>, lanes: Arc<dyn Lanes>) -> Result<()> {
        let start = lanes.starts(std::slice::from_ref(&self.lane))?.pop().flatten();
        lanes.open(Arc::clone(&self.lane), self.open(start.as_ref()), start)?;
        while !lanes.running().is_empty() && !lanes.stopping() {
            lanes.wait(Instant::now() + Duration::from_secs(1));
        }
        Ok(())
    }
}
