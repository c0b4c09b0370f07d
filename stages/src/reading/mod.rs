//! From cells to typed values: the one reader of every source.
//!
//! A source finds the cells of a record, in a row of CSV or in a JSON object. What a cell says is decided here, by the same
//! options under the same names: numbers and the words beside them ([`NumberReader`]), the key ([`Key`]), the publisher's
//! verdicts ([`PublisherFlags`]), times as people write them ([`time`]), and whether a sample of cells can be read at all
//! ([`FieldSample`]).
//!
//! A cell of a measurement that is neither a number nor a word for "no value" is *unreadable*: it has no value, its flag is
//! `fail`, and it fails QARTOD's syntax test. It is never taken for a gap.

mod key;
mod missing;
mod number;
mod options;
mod publisher_flags;
mod report;
mod sample;
mod spelling;
mod stream_sample;
mod suggestions;
pub mod time;
mod unreadable;

pub use key::{Key, KeyOrigin};
pub(crate) use key::{KeyOptions, join};
pub use missing::{MISSING_WORDS, Sentinel};
pub use number::{NumberReader, Reading, is_code};
pub use options::{Censored, MarkVerdict, NumberOptions, Thousands, UnreadableAction};
pub use publisher_flags::{FlagOptions, FlagSource, PublisherFlags, SOURCE_TEST, Verdict};
pub use report::CellReport;
pub use sample::{FieldSample, judge};
pub use stream_sample::{SampleRules, StreamSample};
pub use suggestions::is_number_otherwise;
pub use unreadable::{FieldCells, UnreadableCells};
