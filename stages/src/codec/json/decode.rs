//! From JSON to columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, Tests};

/// How records are read.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// The property that is the timestamp.
    pub timestamp: String,
    /// The property that is the key.
    pub key: Option<String>,
    /// The fields that are known before the first record. Others are added as they appear, behind these.
    pub declared: Option<Fields>,
    /// Fields that hold numbers, whatever their first value looks like.
    pub numeric: Arc<BTreeSet<String>>,
    /// The names of tests.
    pub tests: Arc<Tests>,
    /// Whether to keep the bytes of each record in the batch.
    pub keep_raw: bool,
}

/// What became of a record that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is a row of the next batch.
    Row,
    /// It does not fit the rows that wait, for it has other fields (or they are many bytes already): [`Decoder::take`]
    /// those first, then push it again.
    Full,
}

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason, for the dead letter.
    pub reason: String,
}

/// Reads records.
pub struct Decoder {
    _options: DecoderOptions,
}

impl Decoder {
    /// A decoder with no rows.
    #[must_use]
    pub fn new(options: DecoderOptions) -> Decoder {
        Decoder { _options: options }
    }

    /// Reads one record that starts at `origin` of its lane.
    ///
    /// # Errors
    /// Why it is not a record. Nothing of it stays behind.
    pub fn push(&mut self, _origin: u64, _payload: &[u8]) -> Result<Pushed, Rejected> {
        Ok(Pushed::Row)
    }

    /// The rows read since the last call, as a batch; `None` where there are none.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn take(&mut self) -> Result<Option<Batch>> {
        Ok(None)
    }

    /// How many rows wait to be taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        0
    }

    /// How many records had marks that could not be read back, since the last call.
    pub fn marks_ignored(&mut self) -> u64 {
        0
    }

    /// The known fields and their kinds, for [`restore`](Self::restore).
    #[must_use]
    pub fn carry(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Knows the fields again that [`carry`](Self::carry) saved. To be called before the first record.
    ///
    /// # Errors
    /// Where the bytes are not what this version saves.
    pub fn restore(&mut self, _carried: &[u8]) -> Result<()> {
        Ok(())
    }
}
