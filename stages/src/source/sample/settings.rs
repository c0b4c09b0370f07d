//! What the source generates.

use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields};

/// The measurements of the UCI data set, by its names and in its order.
pub const UCI_FIELDS: [&str; 13] = [
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
pub(super) const DATA_SET_RECORDS: u64 = 9357;
/// Where the data set begins: 2004-03-10 18:00, in seconds since 1970, both by the station's clock.
const DATA_SET_START_SECS: i64 = 1_078_941_600;

/// What to generate.
#[derive(Clone, Debug)]
pub(crate) struct SampleSettings {
    pub(crate) seed: u64,
    /// How many records there are; `None` without end.
    pub(crate) records: Option<u64>,
    /// Records to stop after.
    pub(crate) limit: Option<u64>,
    /// The fields, as indices of [`UCI_FIELDS`].
    pub(crate) fields: Vec<usize>,
    pub(crate) stations: Vec<Arc<str>>,
    /// The name of the key, if records have one.
    pub(crate) key: Option<Arc<str>>,
    /// The first record's time, in seconds since 1970 by the station's clock.
    pub(crate) start: i64,
    /// Seconds from one record of a station to the next.
    pub(crate) interval: i64,
    /// Minutes east of UTC of the station's clock.
    pub(crate) zone: i16,
    pub(crate) faults: Faults,
}

/// The share of the records with each fault, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) not_a_number: f64,
    pub(crate) bad_timestamp: f64,
    pub(crate) out_of_range: f64,
}

impl Default for SampleSettings {
    fn default() -> Self {
        SampleSettings {
            seed: 1,
            records: Some(DATA_SET_RECORDS),
            limit: None,
            fields: (0..UCI_FIELDS.len()).collect(),
            stations: vec!["sample".into()],
            key: None,
            start: DATA_SET_START_SECS,
            interval: 3600,
            zone: 0,
            faults: Faults::default(),
        }
    }
}

impl SampleSettings {
    /// The layout of the records.
    pub(super) fn layout(&self) -> Fields {
        Fields {
            list: self.fields.iter().map(|field| Field::number(UCI_FIELDS[*field])).collect(),
            key: self.key.clone(),
            score: None,
            open: false,
        }
    }
}
