//! The options of the source.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::stage::Problem;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::settings::{DATA_SET_RECORDS, Faults, SampleSettings, UCI_FIELDS};
use crate::input::playback::Playback;
use crate::reading::time::fixed_offset;
use aqpipe_engine::stage::Repeat;

/// Stations that a number may ask for: each one has its own state.
const STATION_COUNT_MAX: u64 = 100_000;

/// Generates readings of the shape of the UCI Air Quality data set: its 13 measurements, hourly, with the rush hours of a
/// city, week-ends, seasons, weather, episodes with NOx above 1000, and gaps where the data set has them. They are made up.
///
/// Gaps have no value and the flag `missing`: all sensors of a station together now and then; NMHC for good after the first
/// seven weeks; NOx and NO2 in most nights at three, CO in half of them at four; and some stretches of days. One seed gives
/// the same readings on every machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleSourceConfig {
    /// Another number makes other readings.
    #[serde(default = "one")]
    seed: u64,
    /// Records in all. Absent: 9357, as the data set has.
    #[serde(default)]
    #[schemars(range(min = 1))]
    records: Option<u64>,
    /// Generates records without end.
    #[serde(default)]
    pub(super) endless: bool,
    /// The stations: their names, or how many ("station-1", …). Their records come in turns, by time.
    #[serde(default)]
    stations: Stations,
    /// The name of the key, which holds the station.
    #[serde(default = "station")]
    #[schemars(length(min = 1))]
    key: String,
    /// The fields, in order. Absent: all 13.
    #[serde(default)]
    fields: Vec<String>,
    /// The time of the first record, by the clock of `timezone`.
    #[serde(default = "start")]
    start: String,
    /// Seconds from one record of a station to the next.
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 31_536_000))]
    interval: u32,
    /// The clock: "UTC" or a fixed offset such as "+01:00".
    #[serde(default = "utc")]
    timezone: String,
    /// Faults to try a pipeline with.
    #[serde(default)]
    faults: FaultRates,
    /// When a completed run is repeated from the beginning: "changed" (an option that decides what comes out was changed
    /// since), "always" or "never". `aqpipe run --rerun` repeats it once.
    #[serde(default)]
    pub(super) rerun: Repeat,
    /// Releases the records in event time. Absent, as fast as they are taken.
    #[serde(default)]
    pub(super) replay: Option<Playback>,
}

/// Faults to try a pipeline with: how many of the records have each, from 0 to 1.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct FaultRates {
    /// A field holds a word.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    not_a_number: f64,
    /// The timestamp is none: a dead letter.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    bad_timestamp: f64,
    /// A field holds a number that cannot be.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    out_of_range: f64,
}

/// Names, or how many.
#[derive(Clone, Debug, PartialEq)]
enum Stations {
    Count(u64),
    Named(Vec<String>),
}

impl Default for Stations {
    fn default() -> Self {
        Stations::Count(1)
    }
}

impl<'de> Deserialize<'de> for Stations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StationsVisitor;
        impl<'de> Visitor<'de> for StationsVisitor {
            type Value = Stations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of stations or a list of their names")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Stations, E> {
                Ok(Stations::Count(count))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Stations, E> {
                u64::try_from(count).map(Stations::Count).map_err(|_| E::custom("a number of stations is at least 1"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Stations, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Stations::Named(names))
            }
        }
        deserializer.deserialize_any(StationsVisitor)
    }
}

impl Serialize for Stations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Stations::Count(count) => serializer.serialize_u64(*count),
            Stations::Named(names) => names.serialize(serializer),
        }
    }
}

impl JsonSchema for Stations {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Stations".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": STATION_COUNT_MAX },
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
            ]
        })
    }
}

impl SampleSourceConfig {
    /// What to generate, or all problems of the options.
    pub(super) fn settings(&self) -> Result<SampleSettings, Vec<Problem>> {
        let mut problems: Vec<Problem> = self.replay.iter().flat_map(Playback::check).collect();
        if self.records == Some(0) {
            problems.push(
                Problem::new(["records"], "at least 1 record must be generated")
                    .help("`endless = true` generates records without end"),
            );
        }
        if self.endless && self.records.is_some() {
            problems.push(Problem::new(["records"], "`endless` has no number of records").at_key());
        }
        if self.rerun == Repeat::New {
            problems.push(Problem::new(["rerun"], "nothing is added to generated records"));
        }
        if self.interval == 0 {
            problems.push(Problem::new(["interval"], "the interval must be at least 1 second"));
        }
        if self.key.is_empty()
            || self.key == aqpipe_engine::record::TIMESTAMP
            || UCI_FIELDS.contains(&self.key.as_str())
        {
            problems.push(Problem::new(["key"], "the key needs a name that nothing else has"));
        }
        let stations = self.stations(&mut problems);
        let fields = self.fields(&mut problems);
        let zone = fixed_offset(&self.timezone);
        if zone.is_none() {
            problems.push(
                Problem::new(["timezone"], format!("`{}` is neither UTC nor a fixed offset", self.timezone))
                    .help("a clock is \"UTC\" or a fixed offset such as \"+01:00\""),
            );
        }
        let start = self.start.parse::<DateTime>().ok().and_then(|time| Offset::UTC.to_timestamp(time).ok());
        if start.is_none() {
            problems.push(
                Problem::new(["start"], format!("`{}` is no time by a clock", self.start))
                    .help("write it as 2004-03-10T18:00:00, without an offset: `timezone` has that"),
            );
        }
        let FaultRates { not_a_number, bad_timestamp, out_of_range } = self.faults;
        let rates = [("not_a_number", not_a_number), ("bad_timestamp", bad_timestamp), ("out_of_range", out_of_range)];
        for (name, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                problems.push(Problem::new(["faults", name], "a rate is from 0 to 1"));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(SampleSettings {
            seed: self.seed,
            records: (!self.endless).then(|| self.records.unwrap_or(DATA_SET_RECORDS)),
            limit: None,
            fields,
            stations,
            key: Some(self.key.as_str().into()),
            start: start.map_or(0, |start| start.as_second()),
            interval: i64::from(self.interval),
            zone: zone.unwrap_or(0),
            faults: Faults { not_a_number, bad_timestamp, out_of_range },
        })
    }

    fn stations(&self, problems: &mut Vec<Problem>) -> Vec<Arc<str>> {
        match &self.stations {
            Stations::Count(count) if (1..=STATION_COUNT_MAX).contains(count) => {
                (1..=*count).map(|number| format!("station-{number}").into()).collect()
            }
            Stations::Count(_) => {
                problems.push(Problem::new(["stations"], format!("there are 1 to {STATION_COUNT_MAX} stations")));
                Vec::new()
            }
            Stations::Named(names) => {
                if names.is_empty() {
                    problems.push(Problem::new(["stations"], "no station is named"));
                }
                for (index, name) in names.iter().enumerate() {
                    if name.is_empty() || names[..index].contains(name) {
                        let why = if name.is_empty() { "a station has no name" } else { "two stations have one name" };
                        problems.push(Problem::new(["stations", &index.to_string()], why));
                    }
                }
                names.iter().map(|name| name.as_str().into()).collect()
            }
        }
    }

    fn fields(&self, problems: &mut Vec<Problem>) -> Vec<usize> {
        if self.fields.is_empty() {
            return (0..UCI_FIELDS.len()).collect();
        }
        let mut fields = Vec::new();
        for (index, name) in self.fields.iter().enumerate() {
            let path = ["fields", &index.to_string()];
            match UCI_FIELDS.iter().position(|field| field == name) {
                Some(field) if fields.contains(&field) => {
                    problems.push(Problem::new(path, format!("`{name}` is named twice")));
                }
                Some(field) => fields.push(field),
                None => {
                    let problem = Problem::new(path, format!("there is no field `{name}`"));
                    problems.push(match nearest(name, UCI_FIELDS) {
                        Some(near) => problem.label(format!("did you mean `{near}`?")),
                        None => problem.help(format!("the fields are `{}`", UCI_FIELDS.join("`, `"))),
                    });
                }
            }
        }
        fields
    }
}

const fn one() -> u64 {
    1
}

const fn hour() -> u32 {
    3600
}

fn utc() -> String {
    "UTC".to_owned()
}

fn station() -> String {
    "station".to_owned()
}

fn start() -> String {
    "2004-03-10T18:00:00".to_owned()
}
