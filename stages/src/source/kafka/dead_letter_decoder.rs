//! Decodes the messages of dead letters when they are replayed.

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::DeadLetterDecoder;
use aqpipe_engine::{Error, Result};

use super::message_decoder::{MessageDecoder, MessageParts};
use super::raw_schema::RawSchema;
use crate::codec::json::Pushed;

/// Decodes one message at a time.
pub(super) struct MessageDeadLetterDecoder(pub(super) MessageDecoder);

impl DeadLetterDecoder for MessageDeadLetterDecoder {
    fn decode(&mut self, origin: u64, raw: &[u8], raw_schema: Option<&str>) -> Result<Result<Batch, String>> {
        let RawSchema { key, time } = RawSchema::parse(raw_schema);
        self.0.times().set_known(time);
        match self.0.push(origin, raw, MessageParts { key: key.as_deref(), time: None }) {
            Ok(Pushed::Row) => match self.0.take()? {
                Some(batch) => Ok(Ok(batch)),
                None => Err(Error::bug("a row that is none")),
            },
            Ok(Pushed::Full) => Err(Error::bug("a record fits no batch")),
            Ok(Pushed::Null) => Ok(Err(NO_RECORD.to_owned())),
            Err(rejected) => Ok(Err(rejected.reason)),
        }
    }
}

/// The reason of a message that says that it has no record.
pub(super) const NO_RECORD: &str = "its record is null (a tombstone)";
