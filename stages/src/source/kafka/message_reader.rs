//! From a partition's messages to rows and dead letters.

use std::collections::VecDeque;
use std::sync::Arc;

use aqpipe_engine::monitor::CellProblem;
use aqpipe_engine::record::{Batch, Position};
use aqpipe_engine::stage::DeadLetter;
use aqpipe_engine::{Error, Result};

use super::dead_letter_decoder::NO_RECORD;
use super::field_presence::FieldPresence;
use super::message_decoder::{MessageDecoder, MessageParts};
use super::partition_state::{LastMessage, MessageIdentity, PartitionState};
use super::raw_schema::RawSchema;
use super::settings::Tombstones;
use crate::codec::json::{PassedOver, Pushed};
use crate::kafka::topic_partition::TopicPartition;
use crate::reading::{KindSample, SampleRules, StreamSample};

/// What a message that waits takes beside its bytes: messages without any are bounded too.
const MESSAGE_BYTES: usize = 100;

/// A message that waits: it belongs to the sample, or did not fit the batch before it.
struct Waiting {
    offset: u64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    time: Option<i64>,
}

/// The outcome of taking a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakeOutcome {
    /// It became a row or a dead letter; the position lies behind it.
    Taken,
    /// It waits: the rows before it have to be taken first.
    Full,
    /// It waits until the sample is decided.
    Held,
    /// It was read by an earlier run, and is the same.
    Known,
}

/// Makes rows and dead letters of the messages of one partition, and keeps its position.
pub(super) struct MessageReader {
    partition: TopicPartition,
    decoder: MessageDecoder,
    tombstones: Tombstones,
    /// Where the next message starts.
    pub(super) position: Position,
    /// Messages behind the position that were taken already. No more than a sample, or one.
    waiting: VecDeque<Waiting>,
    /// The end of the partition, where it was met while messages waited.
    end_behind: Option<u64>,
    /// The kinds of fields, until they are decided.
    kinds: Option<KindSample>,
    /// An empty batch of the last layout.
    empty: Option<Batch>,
    dead: Vec<DeadLetter>,
    /// Tombstones skipped since the last report.
    skipped: u64,
    /// Records without a key since the last report.
    keyless: u64,
    /// Bytes read since the last report.
    bytes: u64,
    /// Offsets and bytes read since the last report, where the embedded broker waits for such reports.
    read: Option<Vec<(u64, u64)>>,
    presence: FieldPresence,
    sample: StreamSample,
    rules: Arc<SampleRules>,
    /// Warnings, until they are logged.
    warnings: Vec<String>,
    /// The saved state, without that of the decoder.
    state: PartitionState,
    /// The message that was read last in this run.
    last: Option<LastMessage>,
    /// The last message of an earlier run, where it is still there: it comes first.
    expected: Option<MessageIdentity>,
}

impl MessageReader {
    /// A reader at the beginning of a partition; `wants_reports` says whether reads have to be reported to the broker.
    pub(super) fn new(
        partition: &TopicPartition,
        (decoder, tombstones): (MessageDecoder, Tombstones),
        presence: FieldPresence,
        rules: &Arc<SampleRules>,
        state: PartitionState,
        wants_reports: bool,
    ) -> MessageReader {
        let wants_sample = !state.is_sampled && decoder.wants_sample();
        MessageReader {
            partition: partition.clone(),
            decoder,
            tombstones,
            position: Position::default(),
            waiting: VecDeque::new(),
            end_behind: None,
            kinds: wants_sample.then(KindSample::default),
            empty: None,
            dead: Vec::new(),
            skipped: 0,
            keyless: 0,
            bytes: 0,
            read: wants_reports.then(Vec::new),
            presence,
            sample: StreamSample::new(rules, state.is_sampled),
            rules: Arc::clone(rules),
            warnings: Vec::new(),
            state,
            last: None,
            expected: None,
        }
    }

    /// The same at a position. `expected` is the last message before it, where that is read once more.
    pub(super) fn starting(self, position: Position, expected: Option<MessageIdentity>) -> MessageReader {
        MessageReader { position, expected, ..self }
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// `topic/partition@offset` of the next message.
    pub(super) fn place(&self) -> String {
        self.place_of(self.position.offset)
    }

    fn place_of(&self, offset: u64) -> String {
        format!("{}@{offset}", self.partition)
    }

    /// Whether messages wait that were taken already.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The offset behind the last message that was taken.
    pub(super) fn taken_to(&self) -> u64 {
        self.waiting.back().map_or(self.position.offset, |last| last.offset + 1)
    }

    /// Whether the first messages are held until the kinds of fields are decided by them.
    pub(super) fn is_sampling(&self) -> bool {
        self.kinds.is_some()
    }

    /// Whether the sample is as large as it may be.
    pub(super) fn is_sample_full(&self) -> bool {
        self.kinds.as_ref().is_some_and(KindSample::is_full)
    }

    /// Decides the kinds of fields by the messages that are held, and lets go of them.
    pub(super) fn decide_kinds(&mut self) {
        if let Some(sample) = self.kinds.take() {
            let said = self.decoder.decide_kinds(sample);
            if self.rules.asked.is_none() {
                said.iter().for_each(|(field, said)| self.rules.report.tell(field, said));
            }
        }
    }

    /// Takes up to `max` of the messages that wait; returns how many.
    pub(super) fn take_waiting(&mut self, max: usize) -> Result<usize> {
        let mut taken = 0;
        while taken < max
            && let Some(next) = self.waiting.pop_front()
        {
            let parts = MessageParts { key: next.key.as_deref(), time: next.time };
            match self.push(next.offset, next.payload.as_deref(), parts) {
                TakeOutcome::Taken => taken += 1,
                _ if taken == 0 => return Err(Error::bug("a record fits no batch").at(self.place_of(next.offset))),
                _ => {
                    self.waiting.push_front(next);
                    break;
                }
            }
        }
        if self.waiting.is_empty()
            && let Some(end) = self.end_behind.take()
        {
            self.reached(end);
        }
        Ok(taken)
    }

    /// The partition ends here for now. Behind the last record may lie markers of transactions, which are passed as well.
    pub(super) fn reached(&mut self, end: u64) {
        if self.waiting.is_empty() {
            self.position.offset = end.max(self.position.offset);
        } else {
            self.end_behind = Some(end);
        }
    }

    /// Takes a message by its offset and value, with what it has beside it.
    pub(super) fn take(&mut self, offset: u64, payload: Option<&[u8]>, parts: MessageParts<'_>) -> Result<TakeOutcome> {
        if let Some(expected) = self.expected.take()
            && offset < self.position.offset
        {
            return if MessageIdentity::of(offset, payload) == expected {
                Ok(TakeOutcome::Known)
            } else {
                Err(self.another_topic(offset))
            };
        }
        self.check_gap(offset)?;
        let outcome =
            if self.is_sampling() { self.hold(offset, payload, parts) } else { self.push(offset, payload, parts) };
        if outcome == TakeOutcome::Full {
            self.wait(offset, payload, parts);
        }
        Ok(outcome)
    }

    fn hold(&mut self, offset: u64, payload: Option<&[u8]>, parts: MessageParts<'_>) -> TakeOutcome {
        let place = self.place_of(offset);
        if let Some(sample) = &mut self.kinds {
            let bytes = parts.key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
            sample.count(u64::from(payload.is_some()), bytes + MESSAGE_BYTES);
            self.decoder.sample(payload.unwrap_or_default(), &place, sample);
        }
        self.wait(offset, payload, parts);
        TakeOutcome::Held
    }

    fn wait(&mut self, offset: u64, payload: Option<&[u8]>, MessageParts { key, time }: MessageParts<'_>) {
        let payload = payload.map(<[u8]>::to_vec);
        self.waiting.push_back(Waiting { offset, key: key.map(<[u8]>::to_vec), payload, time });
    }

    #[cold]
    fn another_topic(&self, offset: u64) -> Error {
        Error::new(format!(
            "the message at {offset} is not the one that was read there: it is not the same topic any more"
        ))
        .at(self.place_of(offset))
        .help("was it deleted and made anew, or are these other brokers? `--fresh` forgets positions and state")
    }

    fn push(&mut self, offset: u64, payload: Option<&[u8]>, parts: MessageParts<'_>) -> TakeOutcome {
        let bytes = (parts.key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len)) as u64;
        let pushed = match payload {
            None => Ok(Pushed::Null),
            Some(payload) => self.decoder.push(offset, payload, parts),
        };
        let reason = match (pushed, payload) {
            (Ok(Pushed::Row), _) => {
                self.advance(offset, payload, bytes, 1);
                return TakeOutcome::Taken;
            }
            (Ok(Pushed::Full), _) => return TakeOutcome::Full,
            (Ok(Pushed::Null), _) if self.tombstones == Tombstones::Skip => {
                self.skipped += 1;
                self.advance(offset, payload, bytes, 0);
                return TakeOutcome::Taken;
            }
            (Ok(Pushed::Null), None) => "the message has no value (a tombstone)".to_owned(),
            (Ok(Pushed::Null), Some(_)) => NO_RECORD.to_owned(),
            (Err(rejected), _) => rejected.reason,
        };
        let mut dead_letter = DeadLetter::new(offset, reason, payload.map(<[u8]>::to_vec));
        dead_letter.place = Some(self.place_of(offset));
        dead_letter.key = parts.key.map(Into::into);
        dead_letter.time = payload.and_then(|_| self.decoder.time_of_message());
        self.dead.push(dead_letter);
        self.advance(offset, payload, bytes, 1);
        TakeOutcome::Taken
    }

    fn advance(&mut self, offset: u64, payload: Option<&[u8]>, bytes: u64, records: u64) {
        self.last.get_or_insert_default().set(offset, payload);
        self.position = Position { offset: offset + 1, records: self.position.records + records };
        self.bytes += bytes;
        if let Some(read) = &mut self.read {
            read.push((offset, bytes));
        }
    }

    /// Checks for a gap. The embedded broker drops old records silently, and nothing else leaves gaps there.
    fn check_gap(&self, offset: u64) -> Result<()> {
        let expected = self.taken_to();
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
                self.presence.observe(&batch);
                if self.presence.is_due() {
                    self.judge_presence(&batch);
                }
                let (keyless, warning) = self.presence.keyless(&batch, self.decoder.key_properties());
                self.keyless += keyless;
                self.warnings.extend(warning);
                self.warnings.extend(self.decoder.absent_codes(&batch));
                self.judge(&batch)?;
                self.empty = Some(batch.slice(0, 0));
                batch
            }
            // Of the last layout: a change of layout ends a checkpoint.
            None => self.empty.clone().map_or_else(Batch::without_rows, Ok)?,
        };
        self.warnings.extend(self.decoder.times().take_warnings());
        Ok((batch, std::mem::take(&mut self.dead)))
    }

    /// Warns of fields that no record has had.
    fn judge_presence(&mut self, batch: &Batch) {
        let fields = Arc::clone(batch.fields());
        let names: Vec<&str> = fields.names().chain(self.decoder.ignored_names()).collect();
        self.warnings.extend(self.presence.judge(&names));
    }

    /// The end of a partition that has one: what the first records have to say is said now.
    pub(super) fn end(&mut self) {
        if let Some(batch) = self.empty.clone() {
            self.judge_presence(&batch);
        }
    }

    /// Judges the cells that could not be read, and reports them.
    fn judge(&mut self, batch: &Batch) -> Result<()> {
        let partition = &self.partition;
        let place = |offset: u64| Some(format!("{partition}@{offset}"));
        let texts = self.decoder.numbers_as_text();
        let (unreadable, unlisted) = self.decoder.problem_cells();
        self.sample.add(batch, unreadable, place)?;
        let fields = batch.fields();
        let name = |index: usize| fields.list.get(index).map_or_else(String::new, |field| field.name.to_string());
        for (index, cells) in texts {
            let (name, at) = (name(index), place(cells.first).unwrap_or_default());
            let text = cells.texts.first().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
            let warning = format!(
                "`{name}` is carried as text, and `{text}` at {at} spells a number: list it in `fields` where it is a \
                 measurement, or in `text_fields`"
            );
            self.rules.report.warn(&name, &warning);
        }
        self.rules.report.take(CellProblem::Unreadable, unreadable, name, place);
        self.rules.report.take(CellProblem::UnlistedCode, unlisted, name, place);
        Ok(())
    }

    /// The warnings that the last rows gave rise to.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// What a decoder needs beside the bytes of a message.
    pub(super) fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        let key = letter.key.as_ref().filter(|_| self.decoder.has_message_key()).map(|key| key.to_vec());
        let time = letter.time.filter(|time| self.decoder.needs_time(time.0));
        RawSchema { key, time }.text().map(Into::into)
    }

    /// The bytes read since the last call.
    pub(super) fn take_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    /// The offsets and bytes read since the last call, where the embedded broker waits for such reports.
    pub(super) fn take_read(&mut self) -> Vec<(u64, u64)> {
        self.read.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Records whose marks could not be read back, since the last call.
    pub(super) fn marks_ignored(&mut self) -> u64 {
        self.decoder.marks_ignored()
    }

    /// Records without a key since the last call.
    pub(super) fn take_keyless(&mut self) -> u64 {
        std::mem::take(&mut self.keyless)
    }

    /// What was passed over since the last call, and how many tombstones were skipped.
    pub(super) fn take_skipped(&mut self) -> (PassedOver, u64) {
        (self.decoder.passed_over(), std::mem::take(&mut self.skipped))
    }

    pub(super) fn snapshot_state(&self) -> Result<Vec<u8>> {
        self.sample.decide()?;
        let (decoder, is_sampled) = (self.decoder.snapshot_state()?, self.sample.is_decided());
        let last = self.last.as_ref().map(LastMessage::identity).or(self.state.last);
        PartitionState { decoder, last, is_sampled, ..self.state.clone() }.to_bytes()
    }
}
