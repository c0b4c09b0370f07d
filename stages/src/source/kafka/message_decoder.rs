//! The value of a message to a row, by the format of the messages.

use std::collections::BTreeSet;

use aqpipe_engine::Result;
use aqpipe_engine::record::Batch;

use crate::codec::json::{Decoder, DecoderOptions, PassedOver, Pushed, Rejected};
use crate::reading::time::TimeReader;
use crate::reading::{FieldCells, KindSample, UnreadableCells};
use crate::source::csv::{CsvMessageDecoder, CsvMessageOptions};

/// How messages are read.
#[derive(Clone)]
pub(super) enum MessageOptions {
    Json(Box<DecoderOptions>),
    Csv(CsvMessageOptions),
}

/// What a message has beside its value.
#[derive(Clone, Copy)]
pub(super) struct MessageParts<'a> {
    pub(super) key: Option<&'a [u8]>,
    /// In milliseconds since 1970.
    pub(super) time: Option<i64>,
}

/// Reads the messages of one partition.
pub(super) enum MessageDecoder {
    Json(Box<Decoder>),
    Csv(Box<CsvMessageDecoder>),
}

impl MessageOptions {
    pub(super) fn decoder(&self) -> Result<MessageDecoder> {
        Ok(match self {
            MessageOptions::Json(options) => MessageDecoder::Json(Box::new(Decoder::new((**options).clone()))),
            MessageOptions::Csv(options) => MessageDecoder::Csv(Box::new(CsvMessageDecoder::new(options)?)),
        })
    }
}

impl MessageDecoder {
    /// Reads one message; see [`Decoder::push_keyed`].
    #[inline]
    pub(super) fn push(&mut self, offset: u64, value: &[u8], parts: MessageParts<'_>) -> Result<Pushed, Rejected> {
        match self {
            MessageDecoder::Json(decoder) => {
                decoder.set_message_time(parts.time);
                decoder.push_keyed(offset, value, parts.key)
            }
            MessageDecoder::Csv(decoder) => decoder.push(offset, value, (parts.key, parts.time)),
        }
    }

    /// Whether a sample of messages would decide the kind of a field.
    pub(super) fn wants_sample(&self) -> bool {
        match self {
            MessageDecoder::Json(decoder) => decoder.wants_sample(),
            MessageDecoder::Csv(decoder) => decoder.wants_sample(),
        }
    }

    /// Looks at the values of a message whose kinds are not known.
    pub(super) fn sample(&mut self, value: &[u8], place: &str, sample: &mut KindSample) {
        match self {
            MessageDecoder::Json(decoder) => decoder.sample(value, place, sample),
            MessageDecoder::Csv(decoder) => decoder.sample(value, place, sample),
        }
    }

    /// Decides the kinds of fields by a sample, before the first record. Returns what is said of fields, by their names.
    pub(super) fn decide_kinds(&mut self, sample: KindSample) -> Vec<(String, String)> {
        match self {
            MessageDecoder::Json(decoder) => decoder.decide_kinds(sample),
            MessageDecoder::Csv(decoder) => decoder.decide_kinds(sample),
        }
    }

    /// The properties that are the key; none where it is that of the message, or where columns are known.
    pub(super) fn key_properties(&self) -> &[String] {
        match self {
            MessageDecoder::Json(decoder) => decoder.key_properties(),
            MessageDecoder::Csv(_) => &[],
        }
    }

    /// Once a sample is read: a warning of properties with the publisher's codes that no record had.
    pub(super) fn absent_codes(&mut self, batch: &Batch) -> Option<String> {
        match self {
            MessageDecoder::Json(decoder) => decoder.absent_codes(batch),
            MessageDecoder::Csv(_) => None,
        }
    }

    /// Names of properties that are ignored, from the first records.
    pub(super) fn ignored_names(&self) -> impl Iterator<Item = &str> {
        let names: &BTreeSet<String> = match self {
            MessageDecoder::Json(decoder) => decoder.ignored_names(),
            MessageDecoder::Csv(_) => const { &BTreeSet::new() },
        };
        names.iter().map(String::as_str)
    }

    /// Whether the key of records is that of their message.
    pub(super) fn has_message_key(&self) -> bool {
        match self {
            MessageDecoder::Json(decoder) => decoder.has_message_key(),
            MessageDecoder::Csv(decoder) => decoder.has_message_key(),
        }
    }

    /// The time that the message of the last record gives it, where it is the record's time.
    pub(super) fn time_of_message(&self) -> Option<(i64, i16)> {
        match self {
            MessageDecoder::Json(decoder) => decoder.time_of_message(),
            MessageDecoder::Csv(decoder) => decoder.time_of_message(),
        }
    }

    /// Whether the bytes of a record at this time do not say it.
    pub(super) fn needs_time(&self, instant: i64) -> bool {
        match self {
            MessageDecoder::Json(decoder) => decoder.needs_time(instant),
            MessageDecoder::Csv(decoder) => decoder.needs_time(instant),
        }
    }

    /// The reader of the timestamps.
    pub(super) fn times(&mut self) -> &mut TimeReader {
        match self {
            MessageDecoder::Json(decoder) => decoder.times(),
            MessageDecoder::Csv(decoder) => decoder.times(),
        }
    }

    /// The rows read since the last call.
    pub(super) fn take(&mut self) -> Result<Option<Batch>> {
        match self {
            MessageDecoder::Json(decoder) => decoder.take(),
            MessageDecoder::Csv(decoder) => decoder.take(),
        }
    }

    /// What a later decoder needs to go on.
    pub(super) fn snapshot_state(&self) -> Result<Vec<u8>> {
        match self {
            MessageDecoder::Json(decoder) => Ok(decoder.snapshot_state()),
            MessageDecoder::Csv(decoder) => decoder.snapshot_state(),
        }
    }

    /// Goes on with the saved state of an earlier one.
    pub(super) fn restore(&mut self, saved: &[u8]) -> Result<()> {
        match self {
            MessageDecoder::Json(decoder) => decoder.restore(saved),
            MessageDecoder::Csv(decoder) => decoder.restore(saved),
        }
    }

    /// Records whose marks could not be read back, since the last call.
    pub(super) fn marks_ignored(&mut self) -> u64 {
        match self {
            MessageDecoder::Json(decoder) => decoder.quality_ignored(),
            MessageDecoder::Csv(_) => 0,
        }
    }

    /// The cells of text that spelt numbers since the last call, by the index of the field.
    pub(super) fn numbers_as_text(&mut self) -> Vec<(usize, FieldCells)> {
        match self {
            MessageDecoder::Json(decoder) => decoder.numbers_as_text(),
            MessageDecoder::Csv(_) => Vec::new(),
        }
    }

    /// The cells of measurements that could not be read, and the codes that are not listed.
    pub(super) fn problem_cells(&mut self) -> (&mut UnreadableCells, &mut UnreadableCells) {
        match self {
            MessageDecoder::Json(decoder) => decoder.problem_cells(),
            MessageDecoder::Csv(decoder) => decoder.problem_cells(),
        }
    }

    /// What was passed over since the last call.
    pub(super) fn passed_over(&mut self) -> PassedOver {
        match self {
            MessageDecoder::Json(decoder) => decoder.passed_over(),
            MessageDecoder::Csv(_) => PassedOver::default(),
        }
    }
}
