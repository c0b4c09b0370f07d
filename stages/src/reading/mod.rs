//! From cells to typed values: the one reader of every source.
//!
//! A source finds the cells of a record, in a row of CSV or in a JSON object. What a cell says is decided here, by the same
//! options under the same names: numbers and the words beside them ([`NumberReader`]), the key ([`Key`]), the publisher's
//! verdicts ([`PublisherFlags`]), times as people write them ([`time`]), and whether a sample of cells can be read at all
//! ([`FieldSample`]).
//!
//! A cell of a measurement that is neither a number nor a word for "no value" is *unreadable*: it has no value, its flag is
//! `fail`, and it fails QARTOD's syntax test. It is never taken for a gap.
//!
//! A source of another crate reads its cells in the same way:
//!
//! ```
//! use aqpipe_stages::reading::time::{TimeReader, TimestampOptions, Zone};
//! use aqpipe_stages::reading::{Censored, NumberOptions, NumberReader, Reading};
//!
//! let options = NumberOptions { decimal: ',', censored: Some(Censored::Half), ..NumberOptions::default() };
//! assert!(options.check().is_empty());
//! let numbers = NumberReader::new(&options, 0);
//! assert_eq!(numbers.read(b"2,6"), Reading::Value(2.6));
//! assert_eq!(numbers.read(b"<0,5"), Reading::Censored(0.25));
//! assert_eq!(numbers.read(b"NA"), Reading::Missing);
//! assert_eq!(numbers.read(b"12-13"), Reading::Unreadable);
//!
//! let mut times = TimeReader::new(&TimestampOptions::default(), Zone::parse("Europe/Rome").unwrap())?;
//! assert_eq!(times.read(b"2004-07-01 12:00", || b"station")?, (1_088_676_000_000_000, 120));
//! # Ok::<(), String>(())
//! ```

mod key;
mod key_joiner;
mod kind_sample;
mod missing;
mod number;
mod options;
mod publisher_flags;
mod report;
mod sample;
mod spelling;
mod stream_sample;
mod suggestions;
pub mod testing;
pub mod time;
mod unreadable;

pub(crate) use key::KeyOptions;
pub use key::{Key, KeyOrigin};
pub(crate) use key_joiner::{KeyJoiner, join};
pub use kind_sample::{KindSample, Kinds, SAMPLE_BYTES_MAX, SampledCell};
pub(crate) use kind_sample::{SampledCells, TEXTS_MAX};
pub use missing::{MISSING_WORDS, Sentinel};
pub use number::{NumberReader, Reading, is_code, is_fraction};
pub use options::{Censored, MarkVerdict, NumberOptions, Thousands, UnreadableAction};
pub use publisher_flags::{FlagOptions, FlagSource, PublisherFlags, SOURCE_TEST, Verdict};
pub use report::CellReport;
pub(crate) use sample::shows_decimal;
pub use sample::{FieldSample, judge};
pub use stream_sample::{SampleRules, StreamSample};
pub use unreadable::{FieldCells, UnreadableCells};
