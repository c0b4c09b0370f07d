//! How records are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::record::{Fields, QcTests};

use crate::reading::NumberReader;
use crate::reading::time::TimeReader;

/// How records are read.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// The properties that are the timestamp, joined by a blank; none where it is that of the message (see
    /// [`Decoder::set_message_time`](super::Decoder::set_message_time)).
    pub timestamp: Vec<String>,
    /// Reads the timestamps.
    pub times: TimeReader,
    /// The property that is the key.
    pub key: Option<String>,
    /// The fields that are known before the first record. Other properties are added behind them as they appear. Of the other
    /// members only `open` counts: batches have it.
    pub declared: Option<Fields>,
    /// Fields that hold numbers, whatever their first value is.
    pub numeric: Arc<BTreeSet<String>>,
    /// How the text of a measurement is read, and which numbers stand for "no value".
    pub numbers: NumberReader,
    /// The bits of tests.
    pub tests: Arc<QcTests>,
    /// Whether to keep the bytes of each record in the batch.
    pub keep_raw: bool,
}
