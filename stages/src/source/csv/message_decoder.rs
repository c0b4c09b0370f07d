//! Rows that are messages, one each: what files and messages of rows have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Empty;
use std::sync::Arc;

use aqpipe_engine::record::{Batch, Fields, Kind};
use aqpipe_engine::stage::Problem;
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::dialect::Dialect;
use super::record_input::BYTE_ORDER_MARK;
use super::records::{RECORD_BYTES_MAX, ReadOutcome, Records};
use super::row_decoder::{Decoded, RowDecoder, RowMessage};
use crate::codec::json::{Pushed, Rejected};
use crate::columns::RowsBuilder;
use crate::reading::time::{TimeReader, TimestampOptions};
use crate::reading::{
    FlagOptions, KeyOptions, KindSample, NumberOptions, Reading, SampledCell, UnreadableCells, is_code,
};

/// Bytes of records that may wait in one batch.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// The options of messages of rows: those of the source `csv` with the same names.
pub(crate) struct CsvMessageTable {
    pub(crate) columns: Vec<String>,
    pub(crate) delimiter: Option<char>,
    pub(crate) quote: Option<String>,
    pub(crate) numbers: NumberOptions,
    pub(crate) flags: BTreeMap<String, FlagOptions>,
    pub(crate) timestamp: TimestampOptions,
    pub(crate) timezone: Option<String>,
    pub(crate) key: Option<KeyOptions>,
    pub(crate) fields: Vec<String>,
    pub(crate) text_fields: Vec<String>,
    pub(crate) rename: BTreeMap<String, String>,
}

/// How messages of rows are read.
#[derive(Clone)]
pub(crate) struct CsvMessageOptions {
    config: Arc<CsvSourceConfig>,
    numeric: Arc<BTreeSet<String>>,
    /// The bit of the test `source`.
    source_test: u8,
    keep_raw: bool,
}

/// Reads messages of rows into columns.
pub(crate) struct CsvMessageDecoder {
    decoder: RowDecoder,
    records: Records<Empty>,
    rows: RowsBuilder,
    has_message_key: bool,
    /// Of the records in `rows`.
    bytes: usize,
}

impl CsvMessageTable {
    /// The same as options of the source `csv`.
    fn config(self) -> Result<CsvSourceConfig> {
        let defaults: CsvSourceConfig = serde_json::from_value(serde_json::json!({ "path": "message" }))
            .map_err(|error| Error::bug("the defaults of CSV do not fit it").because(error))?;
        let NumberOptions { decimal, thousands, missing, words, censored, value_marks } = self.numbers;
        Ok(CsvSourceConfig {
            columns: self.columns,
            delimiter: self.delimiter.unwrap_or(defaults.delimiter),
            quote: self.quote.unwrap_or_else(|| defaults.quote.clone()),
            decimal,
            thousands,
            missing,
            words,
            censored,
            value_marks,
            flags: self.flags,
            timestamp: self.timestamp,
            timezone: self.timezone.unwrap_or_default(),
            key: self.key,
            fields: self.fields,
            text_fields: self.text_fields,
            rename: self.rename,
            of_messages: true,
            ..defaults
        })
    }

    /// The problems of the options, or the fields that they promise.
    pub(crate) fn check(self) -> Result<Fields, Vec<Problem>> {
        let path: [&str; 0] = [];
        self.config().map_err(|error| vec![Problem::new(path, error.to_string())])?.checked()
    }

    /// What is worth a word in options that `check` accepts.
    pub(crate) fn warnings(self) -> Vec<Problem> {
        let problems = self.config().map(|config| config.problems()).unwrap_or_default();
        problems.into_iter().filter(|problem| problem.warning).collect()
    }

    /// The options of decoders; `source_test` is the bit of the test `source`.
    pub(crate) fn options(
        self,
        numeric: &Arc<BTreeSet<String>>,
        source_test: u8,
        keep_raw: bool,
    ) -> Result<CsvMessageOptions> {
        Ok(CsvMessageOptions { config: Arc::new(self.config()?), numeric: Arc::clone(numeric), source_test, keep_raw })
    }
}

impl CsvMessageDecoder {
    /// A decoder with no rows.
    ///
    /// # Errors
    /// Where the options contradict each other in a way that `check` does not find.
    pub(crate) fn new(options: &CsvMessageOptions) -> Result<CsvMessageDecoder> {
        let CsvMessageOptions { config, numeric, source_test, keep_raw } = options;
        let plan = ColumnPlan::new(&config.columns, config, numeric)?;
        let decoder = RowDecoder::new(config, plan, *source_test, *keep_raw)?;
        let dialect = Dialect { delimiter: config.delimiter as u8, quote: config.quote.bytes().next() };
        Ok(CsvMessageDecoder {
            records: Records::new(std::io::empty(), dialect, 0, 0, 1).of_messages(),
            rows: decoder.rows(0),
            decoder,
            has_message_key: config.key.as_ref().is_some_and(KeyOptions::is_message),
            bytes: 0,
        })
    }

    /// Reads one message, which is one row.
    ///
    /// # Errors
    /// Why it is not a row. Nothing of it stays behind.
    pub(crate) fn push(
        &mut self,
        offset: u64,
        value: &[u8],
        (key, time): (Option<&[u8]>, Option<i64>),
    ) -> Result<Pushed, Rejected> {
        self.decoder.message = RowMessage { key: None, time };
        if value.len() > RECORD_BYTES_MAX {
            return Err(Rejected::new(format!("{} bytes are more than a row may have", value.len())));
        }
        if self.rows.len() > 0 && self.bytes + value.len() > BATCH_BYTES_MAX {
            return Ok(Pushed::Full);
        }
        let key = key.filter(|_| self.has_message_key).map(std::str::from_utf8).transpose();
        let key = key.map_err(|_| Rejected::new("the message's key is not UTF-8"))?.filter(|key| !key.is_empty());
        self.decoder.message.key = key.map(str::to_owned);
        self.go_to_row(value)?;
        let mut decoded = self.decoder.decode(&self.records, offset, &mut self.rows);
        if decoded == Decoded::LayoutChange {
            if self.rows.len() > 0 {
                return Ok(Pushed::Full);
            }
            self.rows = self.decoder.rows(0);
            decoded = self.decoder.decode(&self.records, offset, &mut self.rows);
        }
        match decoded {
            Decoded::Row => {}
            Decoded::Rejected(_) if self.is_names() => {
                return Err(Rejected::new("the message holds names of columns, and no row: `columns` names the cells"));
            }
            Decoded::Rejected(reason) | Decoded::Malformed(reason) => return Err(Rejected::new(reason)),
            Decoded::LayoutChange => return Ok(Pushed::Full),
        }
        self.bytes += value.len();
        Ok(Pushed::Row)
    }

    /// Whether a sample of messages would decide the kind of a field.
    pub(crate) fn wants_sample(&self) -> bool {
        !self.decoder.unknown_kinds().is_empty()
    }

    /// Looks at the cells of a message whose kinds are not known. What is no row says nothing.
    pub(crate) fn sample(&mut self, value: &[u8], place: &str, sample: &mut KindSample) {
        if value.len() > RECORD_BYTES_MAX || self.go_to_row(value).is_err() || !self.decoder.is_full_row(&self.records)
        {
            return;
        }
        let unknown = self.decoder.unknown_kinds();
        for (index, cell, reading) in self.decoder.cells(&self.records).filter(|(index, ..)| unknown.contains(index)) {
            let kind = match reading {
                Reading::Missing | Reading::Failed => continue,
                Reading::Unreadable => SampledCell::Text,
                _ if is_code(cell) => SampledCell::Code,
                _ => SampledCell::Number,
            };
            sample.add(self.decoder.field_name(index), kind, cell, place);
        }
    }

    /// Decides the kinds of fields by a sample. Returns what is said of fields, by their names. Call it before the
    /// first message.
    pub(crate) fn decide_kinds(&mut self, sample: KindSample) -> Vec<(String, String)> {
        let kinds = sample.decide(Some(&self.decoder.config().numbers()));
        self.decoder.restore_kinds(&kinds.by_name.into_iter().collect::<Vec<_>>());
        self.rows = self.decoder.rows(0);
        kinds.said
    }

    /// Makes the one row of a message the present record.
    fn go_to_row(&mut self, value: &[u8]) -> Result<(), Rejected> {
        // A row is followed by at most its line end, so that whatever else follows is a second one.
        let value = value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value);
        let end = value.strip_suffix(b"\n").map_or(value, |value| value.strip_suffix(b"\r").unwrap_or(value));
        // A message without bytes is one cell without a value. A row without bytes would be passed over.
        let end = if end.is_empty() && self.decoder.plan().columns == 1 { b" " } else { end };
        self.records.restart(end);
        match self.records.next().map_err(|error| Rejected::new(error.to_string()))? {
            ReadOutcome::Record if self.records.has_open_quote() => {
                Err(Rejected::new("the message ends within quotes: is a quote not closed?"))
            }
            ReadOutcome::Record if self.records.position() == end.len() as u64 => Ok(()),
            ReadOutcome::Record if self.is_names() || self.decoder.has_no_digit_in_time(&self.records) => {
                Err(Rejected::new(
                    "the message has a line with the names of its columns before its rows: a message is one row, and `columns` names \
                 its cells; let what writes the messages leave the names away",
                ))
            }
            ReadOutcome::Record => Err(Rejected::new(
                "the message has more than one row: a message is one row; let what writes the messages send each row by itself",
            )),
            _ if end.is_empty() => Err(Rejected::new("the message is empty, and no row of cells")),
            _ => Err(Rejected::new("the message is no row of cells")),
        }
    }

    /// Whether the present record holds the names of the columns.
    fn is_names(&self) -> bool {
        let is = |(column, name): (usize, &String)| {
            String::from_utf8_lossy(self.records.cell(column)).trim().eq_ignore_ascii_case(name)
        };
        let names = &self.decoder.config().columns;
        self.records.columns() == names.len() && names.iter().enumerate().all(is)
    }

    /// The rows read since the last call, as a batch; `None` if there are none.
    ///
    /// # Errors
    /// None that input can cause.
    pub(crate) fn take(&mut self) -> Result<Option<Batch>> {
        let count = self.rows.len();
        if count == 0 {
            return Ok(None);
        }
        self.bytes = 0;
        self.decoder.times().begin_batch();
        let rows = std::mem::replace(&mut self.rows, self.decoder.rows(count));
        self.decoder.batch(rows).map(Some)
    }

    /// The cells of measurements that could not be read, and the codes that are not listed.
    pub(crate) fn problem_cells(&mut self) -> (&mut UnreadableCells, &mut UnreadableCells) {
        (&mut self.decoder.unreadable, &mut self.decoder.unlisted)
    }

    /// Whether the key of records is that of their message.
    pub(crate) fn has_message_key(&self) -> bool {
        self.has_message_key
    }

    /// The time that the message of the last record gives it, where it is the record's time.
    pub(crate) fn time_of_message(&self) -> Option<(i64, i16)> {
        self.decoder.time_of_message()
    }

    /// Whether the bytes of a record at this time do not say it.
    pub(crate) fn needs_time(&self, instant: i64) -> bool {
        self.decoder.needs_time(instant)
    }

    /// The reader of the timestamps.
    pub(crate) fn times(&mut self) -> &mut TimeReader {
        self.decoder.times()
    }

    /// The kinds of the fields and what the reader of the timestamps knows, for [`restore`](Self::restore).
    ///
    /// # Errors
    /// None that input can cause.
    pub(crate) fn snapshot_state(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(&(self.decoder.kinds(), self.decoder.saved_times(u64::MAX)))
            .map_err(|error| Error::bug("kinds that cannot be saved").because(error))
    }

    /// Goes on where an earlier run has ended.
    ///
    /// # Errors
    /// Where the bytes are not what this version saves.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<()> {
        if saved.is_empty() {
            return Ok(());
        }
        let unreadable = || {
            Error::new("the saved fields of an earlier run cannot be read")
                .help("was `format` changed? `--fresh` forgets positions and state")
        };
        let (kinds, times): (Vec<(String, Kind)>, Vec<u8>) =
            postcard::from_bytes(saved).map_err(|error| unreadable().because(error))?;
        if !self.decoder.times().restore(&times) {
            return Err(unreadable());
        }
        self.decoder.restore_kinds(&kinds);
        self.rows = self.decoder.rows(0);
        Ok(())
    }
}
