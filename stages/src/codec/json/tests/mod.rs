//! The two directions held against each other, and what foreign and broken messages become.

mod asked;
mod expected;
mod flags;
mod foreign;
mod keys;
mod paths;
mod quality;
mod round_trip;
mod times;

use std::sync::Arc;

use aqpipe_engine::record::{Batch, Fields, QcTests};

use super::{Decoder, DecoderOptions, Encoder, Pushed};

fn options() -> DecoderOptions {
    DecoderOptions::default()
}

/// Reads messages whose origins are their places, batch by batch.
fn decode(decoder: &mut Decoder, messages: &[impl AsRef<[u8]>]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (origin, message) in messages.iter().enumerate() {
        let mut push = || decoder.push(origin as u64, message.as_ref()).expect("a record");
        if push() == Pushed::Full {
            batches.extend(decoder.take().expect("fits"));
            assert_eq!(decoder.push(origin as u64, message.as_ref()), Ok(Pushed::Row), "room was made");
        }
    }
    batches.extend(decoder.take().expect("fits"));
    batches
}

fn encode(batch: &Batch, tests: &Arc<QcTests>) -> Vec<Vec<u8>> {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    Encoder::new(Arc::clone(tests)).encode(batch, &mut out, &mut ends).expect("names are free");
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| out[start..*end].to_vec()).collect()
}

fn rejected(decoder: &mut Decoder, message: &[u8]) -> String {
    let before = (decoder.rows(), decoder.fields());
    let reason = decoder.push(0, message).expect_err("no record").reason;
    assert_eq!((decoder.rows(), decoder.fields()), before, "nothing of a rejected record stays");
    reason
}

fn names(fields: &Fields) -> Vec<&str> {
    fields.names().collect()
}
