//! A lane's share of the Kafka sink.

use std::sync::Arc;

use aqpipe_engine::arrow_array::{Array, StringArray};
use aqpipe_engine::record::{Batch, Column, Span, Tests};
use aqpipe_engine::stage::{DeadLetter, Prepared, Writer};
use aqpipe_engine::{Error, Result};

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
    pub(super) fn new(mailbox: Mailbox, key: Option<String>, tests: &Arc<Tests>) -> SendingWriter {
        SendingWriter { mailbox, key, encoder: Encoder::new(Arc::clone(tests)), bytes: Vec::new(), ends: Vec::new() }
    }
}

/// The message keys of a batch.
fn keys<'a>(batch: &'a Batch, name: Option<&str>) -> Result<Option<&'a StringArray>> {
    let Some(name) = name.filter(|name| batch.fields().key.as_deref() != Some(name)) else { return Ok(batch.key()) };
    match batch.fields().index(name).map(|index| batch.column(index)) {
        Some(Column::Text(text)) => Ok(Some(text)),
        Some(Column::Number(_)) => {
            Err(Error::config(format!("the field `{name}` holds numbers and cannot be the key"))
                .help("name a text field in `key`, or leave `key` out"))
        }
        None => Err(Error::config(format!("there is no field `{name}` for the key"))),
    }
}

fn key_of(keys: Option<&StringArray>, row: usize) -> Option<&[u8]> {
    keys.filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row).as_bytes())
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
        let keys = keys(&batch, self.key.as_deref())?;
        let mut from = 0;
        for (row, &to) in self.ends.iter().enumerate() {
            let payload = &self.bytes[from..to];
            if self.mailbox.post(key_of(keys, row), Some(payload), None)? == Posted::TooLarge {
                dead.push(too_large(batch.origin()[row], payload, self.mailbox.outbox().largest()));
            }
            from = to;
        }
        Ok(())
    }

    fn prepare(&mut self, _: Span) -> Result<Prepared> {
        self.mailbox.drain()?;
        Ok(Prepared::Nothing)
    }
}

/// Keeps records for the transaction that decides their cut.
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
        tests: &Arc<Tests>,
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
        let keys = keys(&batch, self.key.as_deref())?;
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
            let key = key_of(keys, row);
            if to - from + key.map_or(0, <[u8]>::len) > self.most {
                dead.push(too_large(batch.origin()[row], &parcel.values[from..to], self.most));
            } else {
                parcel.add(key, Some((from, to)), None);
            }
            from = to;
        }
        parcel.count();
        Ok(())
    }

    fn prepare(&mut self, _: Span) -> Result<Prepared> {
        Ok(match self.parcel.take() {
            Some(parcel) if !parcel.is_empty() => Prepared::Within(Box::new(parcel)),
            _ => Prepared::Nothing,
        })
    }

    fn is_full(&self) -> bool {
        self.parcel.as_ref().is_some_and(Parcel::is_full)
    }
}
