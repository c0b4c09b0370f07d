//! A split's share of the Kafka sink.

use std::borrow::Cow;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::arrow_array::{Array, StringArray};
use aqpipe_engine::record::{Batch, Column, Numbers, OffsetRange, QcTests};
use aqpipe_engine::stage::{DeadLetter, Prepared, Writer};

use crate::codec::json::Encoder;
use crate::kafka::outbox::{Mailbox, Posted};
use crate::kafka::transactions::{Parcel, Transactor};

/// Sends records as they come, and waits at the barrier until they are acknowledged.
pub(super) struct SendingWriter {
    mailbox: Mailbox,
    key: Option<String>,
    encoder: Encoder,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl SendingWriter {
    pub(super) fn new(mailbox: Mailbox, key: Option<String>, tests: &Arc<QcTests>) -> SendingWriter {
        SendingWriter { mailbox, key, encoder: Encoder::new(Arc::clone(tests)), bytes: Vec::new(), ends: Vec::new() }
    }
}

/// The message keys of a batch.
enum Keys<'a> {
    /// Records have none: they are spread over the partitions.
    None,
    Text(&'a StringArray),
    /// The first record with the field had a number there: it is the key as a text.
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

fn too_large(origin: u64, payload: &[u8], most: usize) -> DeadLetter {
    let reason = format!("the record has {} bytes, and the topic takes at most {most}", payload.len());
    DeadLetter::new(origin, reason, Some(payload.to_vec()))
}

impl Writer for SendingWriter {
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        self.encoder.encode(&batch, &mut self.bytes, &mut self.ends)?;
        let keys = Keys::of(&batch, self.key.as_deref());
        let mut from = 0;
        for (row, &to) in self.ends.iter().enumerate() {
            let payload = &self.bytes[from..to];
            if self.mailbox.post(keys.of_row(row).as_deref(), Some(payload), None)? == Posted::TooLarge {
                dead.push(too_large(batch.source_offsets()[row], payload, self.mailbox.outbox().largest()));
            }
            from = to;
        }
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        self.mailbox.drain()?;
        Ok(Prepared::Nothing)
    }
}

/// Keeps records for the transaction that decides their checkpoint.
pub(super) struct KeepingWriter {
    transactor: Arc<Transactor>,
    topic: Arc<str>,
    /// The most bytes of a record.
    most: usize,
    key: Option<String>,
    encoder: Encoder,
    ends: Vec<usize>,
    parcel: Option<Parcel>,
}

impl KeepingWriter {
    pub(super) fn new(
        transactor: &Arc<Transactor>,
        (topic, most): (&str, usize),
        key: Option<String>,
        tests: &Arc<QcTests>,
    ) -> KeepingWriter {
        KeepingWriter {
            transactor: Arc::clone(transactor),
            topic: topic.into(),
            most,
            key,
            encoder: Encoder::new(Arc::clone(tests)),
            ends: Vec::new(),
            parcel: None,
        }
    }
}

impl Writer for KeepingWriter {
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()> {
        let keys = Keys::of(&batch, self.key.as_deref());
        let parcel = match &mut self.parcel {
            Some(parcel) => parcel,
            empty => {
                let transactor = &self.transactor;
                empty.insert(Parcel::begin(&self.topic, &transactor.budget, transactor.given_up())?)
            }
        };
        self.ends.clear();
        let mut from = parcel.values.len();
        self.encoder.encode(&batch, &mut parcel.values, &mut self.ends)?;
        for (row, &to) in self.ends.iter().enumerate() {
            let key = keys.of_row(row);
            let key = key.as_deref();
            if to - from + key.map_or(0, <[u8]>::len) > self.most {
                dead.push(too_large(batch.source_offsets()[row], &parcel.values[from..to], self.most));
            } else {
                parcel.add(key, Some((from, to)), None);
            }
            from = to;
        }
        parcel.count();
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        Ok(match self.parcel.take() {
            Some(parcel) if !parcel.is_empty() => Prepared::Transactional(Box::new(parcel)),
            _ => Prepared::Nothing,
        })
    }

    fn is_full(&self) -> bool {
        self.parcel.as_ref().is_some_and(Parcel::is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batch, keyed};

    #[test]
    fn whatever_a_record_has_where_its_key_is_looked_for_ends_nothing() {
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
