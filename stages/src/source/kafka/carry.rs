//! What a split needs besides its position to go on, and by what its topic is known again.

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

/// Bytes of a message that tell it from others.
const TELLING: usize = 256;
/// The version of what a split carries, and the one before, which knew no topic's id.
const VERSION: u8 = 2;
const WITHOUT_ID: u8 = 1;

/// What a split needs besides its position to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carry {
    /// The fields that the decoder knows.
    pub(super) decoder: Vec<u8>,
    /// The message that was read last, by which the topic is known again where brokers give no ids.
    pub(super) last: Option<Telling>,
    /// The id of the topic, where the brokers gave it one.
    pub(super) topic: Option<u128>,
    /// Where each partition ended when the group began with the topic, by its number: those are where partitions begin
    /// that nobody has begun with. Absent where all were begun with, or where the group begins with what is oldest.
    pub(super) first_ends: Option<Vec<u64>>,
}

/// What version 1 carried.
#[derive(Serialize, Deserialize)]
struct CarryWithoutId {
    decoder: Vec<u8>,
    last: Option<Telling>,
}

impl Carry {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Carry> {
        let unreadable = |error| Error::new("what the split saved cannot be read back").because(error);
        match bytes.split_first() {
            Some((&VERSION, bytes)) => postcard::from_bytes(bytes).map_err(unreadable),
            Some((&WITHOUT_ID, bytes)) => {
                let CarryWithoutId { decoder, last } = postcard::from_bytes(bytes).map_err(unreadable)?;
                Ok(Carry { decoder, last, ..Carry::default() })
            }
            _ => Err(Error::new("what the split saved is of another version of the program")
                .help("`--fresh` forgets positions and state, and begins as `start` says")),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).map_err(|e| Error::bug("a split that cannot be saved").because(e))
    }
}

/// A message, by its offset and a checksum of its beginning: another topic of the same name has another one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Telling {
    pub(super) offset: u64,
    checksum: u32,
}

impl Telling {
    pub(super) fn of(offset: u64, payload: Option<&[u8]>) -> Telling {
        let payload = payload.unwrap_or_default();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&payload[..payload.len().min(TELLING)]);
        hasher.update(&payload.len().to_le_bytes());
        Telling { offset, checksum: hasher.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_comes_back_and_so_does_what_an_older_version_carried() {
        let last = Some(Telling::of(7, Some(b"message")));
        let carry = Carry { decoder: vec![1, 2], last, topic: Some(u128::MAX), first_ends: Some(vec![0, 300]) };
        assert_eq!(Carry::from_bytes(&carry.to_bytes().expect("bytes")).expect("reads"), carry);
        let old = CarryWithoutId { decoder: vec![1, 2], last };
        let old = postcard::to_extend(&old, vec![WITHOUT_ID]).expect("bytes");
        assert_eq!(Carry::from_bytes(&old).expect("reads"), Carry { topic: None, first_ends: None, ..carry });
        let error = Carry::from_bytes(&[9, 9]).expect_err("of no version that is known");
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    }
}
