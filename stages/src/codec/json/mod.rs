//! The wire format: one JSON object a record.
//!
//! ```json
//! {"timestamp":"2004-03-10T18:00:00+01:00","station":"uci","CO(GT)":2.6,"T":null,"hour":18,
//!  "quality":{"score":0.98,"flags":"192","derived":["hour"],
//!             "tests":{"CO(GT)":["gross_range"]},"fills":{"CO(GT)":"forward_fill(2)"}}}
//! ```
//!
//! * `timestamp` is RFC 3339 with the offset of the source's clock. Then come the key, where records have one, and the
//!   fields in their order; `null` is a missing value. Numbers are the shortest decimals that read back as the same
//!   64-bit number, with a point or an exponent; codes of the clock are integers. What is not finite is `null`.
//! * `quality.score` is the record's quality, 0 to 1, where a stage has scored it.
//! * `quality.flags` has one QARTOD digit for **every** field, text too, in the order in which the object has them:
//!   a reader without the schema cannot tell a missing text from a missing number. A text is 2, or 9 where it is null.
//! * `quality.derived` names the fields that were computed from others. The list is the same for every record, so that writing
//!   it is one copy, reading it one comparison, and compression removes the rest. In such a field a value counts as derived and a
//!   null as observed, unless `fills` says otherwise.
//! * `quality.tests` names the tests that objected, by field. `quality.fills` says how a value was filled that the source did
//!   not have, with the number of records to the donor. An empty one is left out.
//!
//! The decoder takes any JSON object with a timestamp. Properties that it does not know become fields; `quality` may be absent
//! or have other members too. What is asked for may lie inside of objects (see [`DecoderOptions`]), and the record itself may.

mod cell;
mod decode;
mod encode;
mod expected;
mod kinds;
mod layout;
mod lead;
mod lexer;
mod members;
mod names;
mod options;
mod passed_over;
mod property_names;
mod quality;
mod record_path;
mod rejected;
mod row;
mod row_paths;
mod row_reader;
mod row_values;
mod shape;
mod source_flags;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Pushed};
pub use encode::{Encoder, reserved_name};
pub use names::{is_json_pointer, with_dots};
pub use options::{DecoderOptions, Others};
pub use passed_over::PassedOver;
pub use property_names::{QUALITY, SCORE};
pub use rejected::Rejected;
