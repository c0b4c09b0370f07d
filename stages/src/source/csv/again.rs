//! Rows of dead letters, read once more.

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::Again;
use aqpipe_engine::{Error, Result};

use super::decode::{Decoded, Decoder};
use super::dialect::Dialect;
use super::records::{Found, Records};

/// Reads one row at a time, with the columns of the files that are there.
pub(super) struct AgainRows {
    pub(super) decoder: Decoder,
    pub(super) dialect: Dialect,
}

impl Again for AgainRows {
    fn decode(&mut self, origin: u64, raw: &[u8]) -> Result<Result<Batch, String>> {
        let failed = |error| Error::bug("bytes in memory cannot be read").because(error);
        let mut records = Records::new(raw, self.dialect, 0, raw.len() as u64, 1);
        let next = |records: &mut Records<&[u8]>| loop {
            match records.next() {
                Ok(Found::Read) => {}
                other => return other.map_err(failed),
            }
        };
        match next(&mut records)? {
            Found::Record => {}
            _ => return Ok(Err("its bytes are no whole row".to_owned())),
        }
        let mut rows = self.decoder.rows(1);
        let mut decoded = self.decoder.decode(&records, origin, &mut rows);
        if matches!(decoded, Decoded::Changes) {
            // A field whose kind this row decides.
            rows = self.decoder.rows(1);
            decoded = self.decoder.decode(&records, origin, &mut rows);
        }
        match decoded {
            Decoded::Row => {}
            Decoded::Dead(reason) | Decoded::Broken(reason) => return Ok(Err(reason)),
            Decoded::Changes => return Err(Error::bug("a row that changes the fields twice")),
        }
        match next(&mut records)? {
            Found::End => self.decoder.batch(rows).map(Ok),
            _ => Ok(Err("its bytes are more than one row".to_owned())),
        }
    }
}
