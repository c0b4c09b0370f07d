//! The state that a split saves beside its position.

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

/// How many bytes of a message its checksum covers.
const IDENTITY_BYTES: usize = 256;
/// The format version of the state, the one before, which did not say whether the sample is decided, and the first one, which
/// had no topic id.
const STATE_FORMAT_VERSION: u8 = 3;
const STATE_FORMAT_V2: u8 = 2;
const STATE_FORMAT_V1: u8 = 1;

/// The state that a split saves beside its position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionState {
    /// The state of the decoder: fields and their kinds.
    pub(super) decoder: Vec<u8>,
    /// The message that was read last: it identifies the topic where brokers give no ids.
    pub(super) last: Option<MessageIdentity>,
    /// The id of the topic, where the brokers gave it one.
    pub(super) topic: Option<u128>,
    /// The end of each partition, by number, when a group with `start = "latest"` first met the topic. A partition that no
    /// member has started begins there. Absent once all are started, and with `start = "earliest"`.
    pub(super) first_ends: Option<Vec<u64>>,
    /// Whether the sample of the first records is decided.
    pub(super) is_sampled: bool,
}

/// The state in format version 2.
#[derive(Serialize, Deserialize)]
struct PartitionStateV2 {
    decoder: Vec<u8>,
    last: Option<MessageIdentity>,
    topic: Option<u128>,
    first_ends: Option<Vec<u64>>,
}

/// The state in format version 1.
#[derive(Serialize, Deserialize)]
struct PartitionStateV1 {
    decoder: Vec<u8>,
    last: Option<MessageIdentity>,
}

impl PartitionState {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<PartitionState> {
        let unreadable = |error| Error::new("what the split saved cannot be read back").because(error);
        match bytes.split_first() {
            Some((&STATE_FORMAT_VERSION, bytes)) => postcard::from_bytes(bytes).map_err(unreadable),
            Some((&STATE_FORMAT_V2, bytes)) => {
                let PartitionStateV2 { decoder, last, topic, first_ends } =
                    postcard::from_bytes(bytes).map_err(unreadable)?;
                Ok(PartitionState { decoder, last, topic, first_ends, is_sampled: last.is_some() })
            }
            Some((&STATE_FORMAT_V1, bytes)) => {
                let PartitionStateV1 { decoder, last } = postcard::from_bytes(bytes).map_err(unreadable)?;
                Ok(PartitionState { decoder, last, is_sampled: last.is_some(), ..PartitionState::default() })
            }
            _ => Err(Error::new("what the split saved is of another version of the program")
                .help("`--fresh` forgets positions and state, and begins as `start` says")),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![STATE_FORMAT_VERSION])
            .map_err(|e| Error::bug("a split that cannot be saved").because(e))
    }
}

/// Identifies a message by its offset and a checksum of its beginning: another topic of the same name has another message
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageIdentity {
    pub(super) offset: u64,
    checksum: u32,
}

impl MessageIdentity {
    pub(super) fn of(offset: u64, payload: Option<&[u8]>) -> MessageIdentity {
        let payload = payload.unwrap_or_default();
        MessageIdentity::of_beginning(offset, &payload[..payload.len().min(IDENTITY_BYTES)], payload.len())
    }

    fn of_beginning(offset: u64, beginning: &[u8], length: usize) -> MessageIdentity {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(beginning);
        hasher.update(&length.to_le_bytes());
        MessageIdentity { offset, checksum: hasher.finalize() }
    }
}

/// The message that was read last. Its beginning is kept, for a copy costs less than a checksum of every message, of which only the
/// last one's is saved.
#[derive(Clone, Debug, Default)]
pub(super) struct LastMessage {
    offset: u64,
    length: usize,
    beginning: Vec<u8>,
}

impl LastMessage {
    pub(super) fn set(&mut self, offset: u64, payload: Option<&[u8]>) {
        let payload = payload.unwrap_or_default();
        (self.offset, self.length) = (offset, payload.len());
        self.beginning.clear();
        self.beginning.extend_from_slice(&payload[..payload.len().min(IDENTITY_BYTES)]);
    }

    pub(super) fn identity(&self) -> MessageIdentity {
        MessageIdentity::of_beginning(self.offset, &self.beginning, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_read_back_and_so_is_that_of_the_version_before() {
        let last = Some(MessageIdentity::of(7, Some(b"message")));
        let state = PartitionState {
            decoder: vec![1, 2],
            last,
            topic: Some(u128::MAX),
            first_ends: Some(vec![0, 300]),
            is_sampled: true,
        };
        assert_eq!(PartitionState::from_bytes(&state.to_bytes().expect("bytes")).expect("reads"), state);
        let old = PartitionStateV1 { decoder: vec![1, 2], last };
        let old = postcard::to_extend(&old, vec![STATE_FORMAT_V1]).expect("bytes");
        assert_eq!(
            PartitionState::from_bytes(&old).expect("reads"),
            PartitionState { topic: None, first_ends: None, ..state }
        );
        let error = PartitionState::from_bytes(&[9, 9]).expect_err("of no version that is known");
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    }

    #[test]
    fn the_last_message_is_identified_as_any_is() {
        let mut last = LastMessage::default();
        for (offset, payload) in [(1, Some(&[7; 1_000][..])), (2, Some(&b"short"[..])), (3, None), (4, Some(&[7; 256]))]
        {
            last.set(offset, payload);
            assert_eq!(last.identity(), MessageIdentity::of(offset, payload));
        }
    }
}
