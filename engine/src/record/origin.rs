//! The records that a row was made of, where a stage makes several rows of one record or merges several into one.
//!
//! # How made and merged rows are kept exactly once
//!
//! * **A row has one source offset: that of the first record that it was made of.** Rows of one record share theirs. Nothing
//!   resumes by the offsets of rows: a position counts records that were read, and a checkpoint lies between two calls of a
//!   stage. So all rows that are made of a record in one call are in one checkpoint, and the records of a row that is not
//!   complete are held rows, saved with the position behind them. Offsets that are made up (a place within a record) would
//!   have to be unmade by every reader of a position.
//! * **The balance knows them.** A stage says how many rows it made and how many it merged
//!   ([`Output`](crate::stage::Output)), and the engine checks that they add up, call by call and checkpoint by checkpoint.
//! * **What was read travels in the bytes of the row**, as a list of [`Origin`]s: rows that are filtered, sliced, held and saved
//!   keep it, and a stage of a third party carries it without knowing of it. A column of its own would be lost by each stage
//!   that builds a batch, for the sake of rows that nearly always go on. It is there where bytes are kept at all: where
//!   a stage may reject rows.
//! * **A dead letter names them.** That of a merged row keeps all its records, so that a replay merges them once more; that of a
//!   made row keeps its record and names the part, and a replay sends that part alone: the other rows of the record
//!   were written long ago.

use serde::{Deserialize, Serialize};

use super::Batch;

/// Bytes that begin with these are a list of origins. The digit is the version of what follows.
const ENVELOPE_START: &[u8] = b"\0aqpipe origins 1\0";

/// A record that a row was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where the record starts in its split.
    pub source_offset: u64,
    /// The part of the record, where a stage made several rows of it: `H03`. Parts of parts are joined by `/`.
    pub part: Option<String>,
    /// The bytes of the record, where they are kept.
    pub raw: Option<Vec<u8>>,
}

impl Origin {
    /// The records that a row was made of.
    #[must_use]
    pub fn of(batch: &Batch, row: usize) -> Vec<Origin> {
        Origin::of_bytes(batch.source_offsets()[row], batch.raw(row))
    }

    /// The records that a row with this source offset and these bytes was made of.
    #[must_use]
    pub fn of_bytes(source_offset: u64, raw: Option<&[u8]>) -> Vec<Origin> {
        let one = || vec![Origin { source_offset, part: None, raw: raw.map(<[u8]>::to_vec) }];
        raw.and_then(Origin::decode).unwrap_or_else(one)
    }

    /// The same as a part of it.
    #[must_use]
    pub fn part(mut self, name: &str) -> Origin {
        self.part = Some(match self.part {
            Some(whole) => format!("{whole}/{name}"),
            None => name.to_owned(),
        });
        self
    }

    /// Whether a row of this record belongs to one of the parts that are asked for: it is one, or lies within one, or around one.
    pub(crate) fn is_within(&self, parts: &[(u64, String)]) -> bool {
        let Some(own) = &self.part else { return true };
        let begins = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/'));
        let mut asked = parts.iter().filter(|(offset, _)| *offset == self.source_offset).peekable();
        asked.peek().is_none() || asked.any(|(_, part)| own == part || begins(own, part) || begins(part, own))
    }

    /// The bytes of a row that was made of these records.
    #[must_use]
    pub fn encode(origins: &[Origin]) -> Vec<u8> {
        // Nothing in it can fail to be written: numbers, texts and bytes.
        postcard::to_extend(origins, ENVELOPE_START.to_vec()).unwrap_or_default()
    }

    /// The records in the bytes of a row; `None` where those are a record's own.
    #[must_use]
    pub fn decode(raw: &[u8]) -> Option<Vec<Origin>> {
        let origins: Vec<Origin> = postcard::from_bytes(raw.strip_prefix(ENVELOPE_START)?).ok()?;
        (!origins.is_empty()).then_some(origins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_a_row_come_back_and_other_bytes_are_none() {
        let origins = vec![
            Origin { source_offset: 3, part: Some("H01".into()), raw: Some(b"a;b".to_vec()) },
            Origin { source_offset: 9, part: None, raw: None },
        ];
        let bytes = Origin::encode(&origins);
        assert_eq!(Origin::decode(&bytes), Some(origins));
        for length in 0..bytes.len() {
            assert_eq!(Origin::decode(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Origin::decode(b"{\"a\":1}"), None);
    }

    #[test]
    fn a_part_is_asked_for_by_its_record_and_name() {
        let row = |part: &str| Origin { source_offset: 1, part: Some(part.into()), raw: None };
        let asked = [(1, "H03".to_owned()), (2, "H01".to_owned())];
        assert!(row("H03").is_within(&asked) && row("H03/x").is_within(&asked));
        assert!(!row("H01").is_within(&asked) && !row("H030").is_within(&asked));
        assert!(row("H03").is_within(&[(1, "H03/x".to_owned())]), "its part is made of it later");
        assert!(Origin { source_offset: 7, ..row("H09") }.is_within(&asked), "nothing is asked of this record");
        assert!(Origin { part: None, ..row("") }.is_within(&asked));
    }
}
