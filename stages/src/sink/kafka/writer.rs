//! The writers of the Kafka sink, one a split.

use std::borrow::Cow;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::arrow_array::{Array, StringArray};
use aqpipe_engine::record::{Batch, Column, Numbers, OffsetRange, QcTests, SplitId};
use aqpipe_engine::stage::{DeadLetter, Prepared, Writer};

use crate::codec::json::Encoder;
use crate::kafka::producer::{SendOutcome, SplitProducer};
use crate::kafka::target::{RecordFormat, TransactionalTopic};
use crate::kafka::transactions::{ParticipantKind, RecordBuffer};

/// Records as JSON objects.
pub(super) struct JsonRecords {
    /// The field that is the message key, where it is not the record's key.
    pub(super) key: Option<String>,
    pub(super) qc_tests: Arc<QcTests>,
}

impl RecordFormat for JsonRecords {
    type Rows = Batch;
    const KIND: ParticipantKind = ParticipantKind::Sink;

    fn transactional_writer(&self, _: &SplitId, topic: TransactionalTopic) -> Box<dyn Writer> {
        let encoder = Encoder::new(Arc::clone(&self.qc_tests));
        Box::new(TransactionalWriter { topic, key: self.key.clone(), encoder, ends: Vec::new(), buffer: None })
    }

    fn at_least_once_writer(&self, _: &SplitId, producer: SplitProducer) -> Box<dyn Writer> {
        let encoder = Encoder::new(Arc::clone(&self.qc_tests));
        Box::new(AtLeastOnceWriter { producer, key: self.key.clone(), encoder, bytes: Vec::new(), ends: Vec::new() })
    }
}

/// Sends records at once, and waits at the barrier until they are acknowledged.
struct AtLeastOnceWriter {
    producer: SplitProducer,
    key: Option<String>,
    encoder: Encoder,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The message keys of a batch.
enum Keys<'a> {
    /// Records without keys are spread over the partitions.
    None,
    Text(&'a StringArray),
    /// The key is a number in its text form: the first record with that field had a number.
    Number(&'a Numbers),
}

impl<'a> Keys<'a> {
    fn of(batch: &'a Batch, name: Option<&str>) -> Keys<'a> {
        let Some(name) = name.filter(|name| batch.fields().key.as_deref() != Some(name)) else {
            return batch.key().map_or(Keys::None, Keys::Text);
        };
        match batch.fields().index(name).map(|index| batch.column(index)) {
            Some(Column::Text(text)) => Keys::Text(text),
            Some(Column::Number(numbers)) => Keys::Number(numbers),
            None => Keys::None,
        }
    }

    fn of_row(&self, row: usize) -> Option<Cow<'a, [u8]>> {
        match self {
            Keys::None => None,
            Keys::Text(keys) => keys.is_valid(row).then(|| Cow::Borrowed(keys.value(row).as_bytes())),
            Keys::Number(keys) => keys.get(row).map(|key| Cow::Owned(key.to_string().into_bytes())),
        }
    }
}

fn too_large(offset: u64, payload: &[u8], most: usize) -> DeadLetter {
    let reason = format!("the record has {} bytes, and the topic takes at most {most}", payload.len());
    DeadLetter::new(offset, reason, Some(payload.to_vec()))
}

impl Writer for AtLeastOnceWriter {
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        self.encoder.encode(&batch, &mut self.bytes, &mut self.ends)?;
        let keys = Keys::of(&batch, self.key.as_deref());
        let mut from = 0;
        for (row, &to) in self.ends.iter().enumerate() {
            let payload = &self.bytes[from..to];
            if self.producer.send(keys.of_row(row).as_deref(), Some(payload), None)? == SendOutcome::TooLarge {
                dead.push(too_large(batch.source_offsets()[row], payload, self.producer.record_bytes_max()));
            }
            from = to;
        }
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        self.producer.drain()?;
        Ok(Prepared::Nothing)
    }
}

/// Buffers records for the transaction that decides their checkpoint.
struct TransactionalWriter {
    topic: TransactionalTopic,
    key: Option<String>,
    encoder: Encoder,
    ends: Vec<usize>,
    buffer: Option<RecordBuffer>,
}

impl Writer for TransactionalWriter {
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()> {
        let keys = Keys::of(&batch, self.key.as_deref());
        let buffer = match &mut self.buffer {
            Some(buffer) => buffer,
            empty => empty.insert(self.topic.buffer()?),
        };
        self.ends.clear();
        let mut from = buffer.values().len();
        self.encoder.encode(&batch, buffer.values_mut(), &mut self.ends)?;
        for (row, &to) in self.ends.iter().enumerate() {
            let key = keys.of_row(row);
            let key = key.as_deref();
            if to - from + key.map_or(0, <[u8]>::len) > self.topic.record_bytes_max {
                dead.push(too_large(
                    batch.source_offsets()[row],
                    &buffer.values()[from..to],
                    self.topic.record_bytes_max,
                ));
            } else {
                buffer.add(key, Some((from, to)), None);
            }
            from = to;
        }
        self.topic.count_written(buffer.count());
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        Ok(match self.buffer.take() {
            Some(buffer) if !buffer.is_empty() => Prepared::Transactional(Box::new(buffer)),
            _ => Prepared::Nothing,
        })
    }

    fn is_full(&self) -> bool {
        self.buffer.as_ref().is_some_and(RecordBuffer::is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batch, keyed};

    #[test]
    fn a_key_is_found_in_a_record_whatever_kind_of_value_it_is() {
        let key = |batch: &Batch, name: Option<&str>, row: usize| {
            Keys::of(batch, name).of_row(row).map(|key| String::from_utf8_lossy(&key).into_owned())
        };
        let rows = keyed(Some(&["s1", "s2"]), &[("sensor", &[Some(17.0), None])]);
        assert_eq!(key(&rows, None, 1).as_deref(), Some("s2"));
        assert_eq!(key(&rows, Some("station"), 0).as_deref(), Some("s1"));
        assert_eq!(key(&rows, Some("sensor"), 0).as_deref(), Some("17"), "a number is a key as a text");
        assert_eq!(key(&rows, Some("sensor"), 1), None);
        assert_eq!(key(&rows, Some("elsewhere"), 0), None, "a field that no record has had so far");
        assert_eq!(key(&batch(&[("T", &[Some(1.0)])]), None, 0), None);
    }
}
