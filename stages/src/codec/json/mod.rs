//! The wire format: one JSON object a record.

mod decode;
mod encode;

pub use decode::{Decoder, DecoderOptions, Pushed, Rejected};
pub use encode::Encoder;
