//! From a partition's messages to rows and dead letters.

use aqpipe_engine::record::{Batch, Position};
use aqpipe_engine::stage::DeadLetter;
use aqpipe_engine::{Error, Result};

use super::carry::{Carry, Telling};
use super::census::Census;
use crate::codec::json::{Decoder, Pushed};

/// A message that did not fit the rows before it.
struct Pending {
    offset: u64,
    payload: Vec<u8>,
    bytes: u64,
}

/// What a message became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A row, or a dead letter: the position is behind it.
    Passed,
    /// Nothing yet: the rows that wait have to be taken first.
    Full,
    /// Nothing: it was read before, and is what it was.
    Known,
}

/// What is known of a partition while it is read.
pub(super) struct Reader {
    topic: String,
    partition: i32,
    decoder: Decoder,
    /// Where the next message starts.
    pub(super) position: Position,
    pending: Option<Pending>,
    /// An empty batch of the last layout.
    empty: Option<Batch>,
    dead: Vec<DeadLetter>,
    /// Bytes read since the last report.
    bytes: u64,
    /// Offsets and bytes read since the last report, where the embedded broker waits to hear of them.
    read: Option<Vec<(u64, u64)>>,
    census: Census,
    /// What the census has to say.
    remark: Option<String>,
    /// What is carried beside what the decoder knows.
    known: Carry,
    /// The message before the first one, if it is still there.
    expected: Option<Telling>,
}

impl Reader {
    pub(super) fn new(
        topic: &str,
        partition: i32,
        decoder: Decoder,
        position: Position,
        embedded: bool,
        census: Census,
        (known, expected): (Carry, Option<Telling>),
    ) -> Reader {
        Reader {
            topic: topic.to_owned(),
            partition,
            decoder,
            position,
            pending: None,
            empty: None,
            dead: Vec::new(),
            bytes: 0,
            read: embedded.then(Vec::new),
            census,
            remark: None,
            known,
            expected,
        }
    }

    /// `topic/partition`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// `topic/partition@offset` of the next message.
    pub(super) fn place(&self) -> String {
        self.place_of(self.position.offset)
    }

    fn place_of(&self, offset: u64) -> String {
        format!("{}@{offset}", self.name())
    }

    /// Whether a message waits that did not fit.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes the message that did not fit the rows that have been taken since.
    pub(super) fn take_pending(&mut self) -> Result<bool> {
        let Some(Pending { offset, payload, bytes }) = self.pending.take() else { return Ok(false) };
        match self.push(offset, Some(&payload), bytes) {
            Taken::Passed => Ok(true),
            _ => Err(Error::bug("a record fits no batch").at(self.place_of(offset))),
        }
    }

    /// Takes a message with its value; `bytes` is what key and value have together.
    pub(super) fn take(&mut self, offset: u64, payload: Option<&[u8]>, bytes: u64) -> Result<Taken> {
        let this = Telling::of(offset, payload);
        if let Some(expected) = self.expected.take()
            && offset < self.position.offset
        {
            return if this == expected { Ok(Taken::Known) } else { Err(self.another_topic(offset)) };
        }
        self.check_gap(offset)?;
        self.known.last = Some(this);
        Ok(self.push(offset, payload, bytes))
    }

    #[cold]
    fn another_topic(&self, offset: u64) -> Error {
        Error::new(format!(
            "the message at {offset} is not the one that was read there: it is not the same topic any more"
        ))
        .at(self.place_of(offset))
        .help("was it deleted and made anew, or are these other brokers? `--fresh` forgets positions and state")
    }

    fn push(&mut self, offset: u64, payload: Option<&[u8]>, bytes: u64) -> Taken {
        let reason = match payload {
            None => "the message has no value (a tombstone)".to_owned(),
            Some(payload) => match self.decoder.push(offset, payload) {
                Ok(Pushed::Row) => {
                    self.passed(offset, bytes);
                    return Taken::Passed;
                }
                Ok(Pushed::Full) => {
                    self.pending = Some(Pending { offset, payload: payload.to_vec(), bytes });
                    return Taken::Full;
                }
                Err(rejected) => rejected.reason,
            },
        };
        let mut letter = DeadLetter::new(offset, reason, payload.map(<[u8]>::to_vec));
        letter.place = Some(self.place_of(offset));
        self.dead.push(letter);
        self.passed(offset, bytes);
        Taken::Passed
    }

    fn passed(&mut self, offset: u64, bytes: u64) {
        self.position = Position { offset: offset + 1, records: self.position.records + 1 };
        self.bytes += bytes;
        if let Some(read) = &mut self.read {
            read.push((offset, bytes));
        }
    }

    /// The embedded broker drops what is old without a word; nothing else leaves gaps there.
    fn check_gap(&self, offset: u64) -> Result<()> {
        let expected = self.position.offset;
        if offset == expected || self.read.is_none() {
            return Ok(());
        }
        Err(Error::new(format!("the embedded broker has dropped the records from {expected} to {offset}"))
            .at(self.place())
            .help("it keeps 5 MB a partition: use a real broker (`aqpipe kafka up`) for this much data"))
    }

    /// The rows and dead letters taken since the last call.
    pub(super) fn rows(&mut self) -> Result<(Batch, Vec<DeadLetter>)> {
        let batch = match self.decoder.take()? {
            Some(batch) => {
                self.remark = self.census.look(&batch);
                self.empty = Some(batch.slice(0, 0));
                batch
            }
            // Of the last layout, for a change of layout is a cut.
            None => self.empty.clone().map_or_else(Batch::without_rows, Ok)?,
        };
        Ok((batch, std::mem::take(&mut self.dead)))
    }

    /// Something that the last rows gave rise to say.
    pub(super) fn take_remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// The bytes read since the last call.
    pub(super) fn take_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    /// The offsets and bytes read since the last call, where somebody waits to hear of them.
    pub(super) fn take_read(&mut self) -> Vec<(u64, u64)> {
        self.read.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Records whose marks could not be read back, since the last call.
    pub(super) fn marks_ignored(&mut self) -> u64 {
        self.decoder.quality_ignored()
    }

    pub(super) fn carry(&self) -> Result<Vec<u8>> {
        Carry { decoder: self.decoder.snapshot_state(), ..self.known.clone() }.to_bytes()
    }
}
