//! How records are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aqpipe_engine::record::{Fields, QcTests, TIMESTAMP};

use crate::reading::time::TimeReader;
use crate::reading::{FlagOptions, Key, NumberReader};

/// How records are read.
///
/// A name (of the timestamp, of the key, of a declared field) is that of a property. Where a record has no such property, a
/// name with dots is a path into objects: `fields.pm25`. A JSON Pointer, `/fields/pm25`, always is one.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// The properties that are the timestamp, joined by a blank; none where it is that of the message (see
    /// [`Decoder::set_message_time`](super::Decoder::set_message_time)).
    pub timestamp: Vec<String>,
    /// Reads the timestamps.
    pub times: TimeReader,
    /// The key.
    pub key: Option<Key>,
    /// Other names for properties: the property's = the name that is meant in these options and in batches.
    pub rename: BTreeMap<String, String>,
    /// The property whose value is the record. `None`: the message is.
    pub record: Option<String>,
    /// The fields that are known before the first record. Of the other members only `open` counts: batches have it.
    pub declared: Option<Fields>,
    /// What is done with properties that nobody asked for.
    pub others: Others,
    /// Fields that hold numbers, whatever their first value is.
    pub numeric: Arc<BTreeSet<String>>,
    /// How the text of a measurement is read, and which numbers stand for "no value".
    pub numbers: NumberReader,
    /// The publisher's codes of fields, from properties: those that are numbered are left alone.
    pub flags: BTreeMap<String, FlagOptions>,
    /// The bit of the test that the source's own verdict is, where it gives one.
    pub source_test: u8,
    /// The bits of tests.
    pub tests: Arc<QcTests>,
    /// Whether to keep the bytes of each record in the batch.
    pub keep_raw: bool,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        DecoderOptions {
            timestamp: vec![TIMESTAMP.to_owned()],
            times: TimeReader::default(),
            key: None,
            rename: BTreeMap::new(),
            record: None,
            declared: None,
            others: Others::default(),
            numeric: Arc::default(),
            numbers: NumberReader::default(),
            flags: BTreeMap::new(),
            source_test: 0,
            tests: Arc::default(),
            keep_raw: false,
        }
    }
}

/// What is done with properties that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They are fields, added behind the declared ones as they appear. One that cannot be a field fails its record.
    #[default]
    Asked,
    /// They are fields if they can be. What cannot be one, above all an object or an array, is passed over.
    Welcome,
    /// They are no fields.
    Ignored,
}
