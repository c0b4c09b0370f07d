//! Decodes the messages of dead letters when they are replayed.

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::DeadLetterDecoder;
use aqpipe_engine::{Error, Result};

use super::raw_schema;
use crate::codec::json::{Decoder, Pushed};

/// Decodes one message at a time.
pub(super) struct MessageDeadLetterDecoder(pub(super) Decoder);

impl DeadLetterDecoder for MessageDeadLetterDecoder {
    fn decode(&mut self, origin: u64, raw: &[u8], raw_schema: Option<&str>) -> Result<Result<Batch, String>> {
        self.0.times().set_known(raw_schema::time(raw_schema));
        match self.0.push(origin, raw) {
            Ok(Pushed::Row) => match self.0.take()? {
                Some(batch) => Ok(Ok(batch)),
                None => Err(Error::bug("a row that is none")),
            },
            Ok(Pushed::Full) => Err(Error::bug("a record fits no batch")),
            Err(rejected) => Ok(Err(rejected.reason)),
        }
    }
}
