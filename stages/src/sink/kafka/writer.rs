//! A lane's share of the Kafka sink.

use std::sync::Arc;

use aqpipe_engine::arrow_array::{Array, StringArray};
use aqpipe_engine::record::{Batch, Column, Span, Tests};
use aqpipe_engine::stage::{DeadLetter, Writer};
use aqpipe_engine::{Error, Result};

use crate::codec::json::Encoder;
use crate::kafka::outbox::{Mailbox, Posted};

pub(super) struct KafkaWriter {
    mailbox: Mailbox,
    key: Option<String>,
    encoder: Encoder,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KafkaWriter {
    pub(super) fn new(mailbox: Mailbox, key: Option<String>, tests: &Arc<Tests>) -> KafkaWriter {
        KafkaWriter { mailbox, key, encoder: Encoder::new(Arc::clone(tests)), bytes: Vec::new(), ends: Vec::new() }
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

impl Writer for KafkaWriter {
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        self.encoder.encode(&batch, &mut self.bytes, &mut self.ends)?;
        let keys = keys(&batch, self.key.as_deref())?;
        let mut from = 0;
        for (row, &to) in self.ends.iter().enumerate() {
            let payload = &self.bytes[from..to];
            let key = keys.filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row).as_bytes());
            if self.mailbox.post(key, Some(payload), None)? == Posted::TooLarge {
                let (bytes, most) = (payload.len(), self.mailbox.outbox().largest());
                let reason = format!("the record has {bytes} bytes, and the topic takes at most {most}");
                dead.push(DeadLetter::new(batch.origin()[row], reason, Some(payload.to_vec())));
            }
            from = to;
        }
        Ok(())
    }

    fn prepare(&mut self, _: Span) -> Result<Vec<u8>> {
        self.mailbox.drain()?;
        Ok(Vec::new())
    }
}
