//! Rows of dead letters, decoded again.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::sync::Arc;

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::DeadLetterDecoder;
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::dialect::Dialect;
use super::file_form::FileForm;
use super::input_files;
use super::raw_schema::RawSchema;
use super::records::{ReadOutcome, Records};
use super::row_decoder::{Decoded, RowDecoder};
use super::utf16::Utf16Reader;

/// Raw schemas whose decoders are kept: a directory of files has few.
const RAW_SCHEMAS_MAX: usize = 64;

/// Decodes one row at a time: by the columns that its dead letter has kept, or else by those of the present files.
pub(super) struct RowDeadLetterDecoder {
    config: Arc<CsvSourceConfig>,
    numeric: Arc<BTreeSet<String>>,
    /// The bit of the test `source`.
    source_test: u8,
    keep_raw: bool,
    /// The schema of the present files; `None` where there are none, or they have several.
    current: Option<RawSchema>,
    has_files: bool,
    /// By the text of a raw schema: the decoders to try, best first, or why there are none.
    decoders: HashMap<String, RowDecoders>,
    /// Whether a warning said that dead letters have kept nothing.
    warned: bool,
}

type RowDecoders = Result<Vec<(RowDecoder, Dialect, FileForm)>, String>;

impl RowDeadLetterDecoder {
    pub(super) fn new(
        (config, numeric): (Arc<CsvSourceConfig>, Arc<BTreeSet<String>>),
        source_test: u8,
        keep_raw: bool,
        current: Option<RawSchema>,
        has_files: bool,
    ) -> RowDeadLetterDecoder {
        RowDeadLetterDecoder {
            config,
            numeric,
            source_test,
            keep_raw,
            current,
            has_files,
            decoders: HashMap::new(),
            warned: false,
        }
    }

    /// The decoders for rows whose dead letter has kept that.
    fn decoders_for(&mut self, kept: Option<&str>) -> Result<&mut RowDecoders> {
        let key = kept.unwrap_or_default();
        if !self.decoders.contains_key(key) {
            let decoders = match kept {
                Some(kept) => self.by_kept_schema(kept),
                None => self.by_current_schema()?,
            };
            if self.decoders.len() >= RAW_SCHEMAS_MAX {
                self.decoders.clear();
            }
            self.decoders.insert(key.to_owned(), decoders);
        }
        self.decoders.get_mut(key).ok_or_else(|| Error::bug("a decoder is lost"))
    }

    fn by_current_schema(&mut self) -> Result<RowDecoders> {
        let Some(current) = self.current.clone() else {
            return match self.has_files {
                true => Ok(Err("it does not say which columns it had, and the files of today differ".to_owned())),
                false => Err(input_files::no_such_file(&self.config.path)),
            };
        };
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("some dead letters do not say which columns they had: they are read with those of today");
        }
        Ok(self.decoder(&current, &current).map(|decoder| vec![decoder]))
    }

    fn by_kept_schema(&self, kept: &str) -> RowDecoders {
        let schema = RawSchema::parse(kept)?;
        let columns = match (schema.columns.len(), &self.current) {
            (1.., _) => schema.clone(),
            (0, Some(current)) if current.has_columns_of(&schema) => schema.with_columns_of(current),
            (0, _) => return Err("its columns are not those of today, and were too many to be kept".to_owned()),
        };
        let mut decoders = vec![self.decoder(&columns, &schema)?];
        if let Some(current) = &self.current {
            if !current.has_columns_of(&schema) {
                tracing::warn!(
                    "some dead letters had other columns than the files have now: they are read with theirs"
                );
            }
            if !current.has_dialect_of(&schema) {
                tracing::warn!(
                    "some dead letters were read with another `delimiter`, `quote`, `decimal` or encoding than those of \
                     now: they are read with theirs first, and with those of now where that fails"
                );
                decoders.push(self.decoder(&columns, current)?);
            }
        }
        Ok(decoders)
    }

    fn decoder(&self, columns: &RawSchema, dialect: &RawSchema) -> Result<(RowDecoder, Dialect, FileForm), String> {
        let config = Arc::new(CsvSourceConfig { decimal: dialect.decimal, ..(*self.config).clone() });
        let made = ColumnPlan::new(&columns.columns, &config, &self.numeric)
            .map(|plan| ColumnPlan { ends_with_delimiter: dialect.ends_with_delimiter, ..plan })
            .and_then(|plan| RowDecoder::new(&config, plan, self.source_test, self.keep_raw));
        match made {
            Ok(decoder) => Ok((decoder, dialect.dialect(), dialect.form())),
            Err(error) => Err(format!("its columns do not fit the options of now: {error}")),
        }
    }
}

impl DeadLetterDecoder for RowDeadLetterDecoder {
    fn decode(&mut self, source_offset: u64, raw: &[u8], raw_schema: Option<&str>) -> Result<Result<Batch, String>> {
        let (raw_schema, time) = RawSchema::split_time(raw_schema);
        let decoders = match self.decoders_for(raw_schema.as_deref())? {
            Ok(decoders) => decoders,
            Err(reason) => return Ok(Err(reason.clone())),
        };
        let mut first = None;
        for (decoder, dialect, form) in decoders {
            decoder.times().set_known(time);
            match read(decoder, (*dialect, *form), source_offset, raw)? {
                Ok(batch) => return Ok(Ok(batch)),
                Err(reason) => drop(first.get_or_insert(reason)),
            }
        }
        Ok(Err(first.unwrap_or_default()))
    }
}

fn read(
    decoder: &mut RowDecoder,
    (dialect, form): (Dialect, FileForm),
    source_offset: u64,
    raw: &[u8],
) -> Result<Result<Batch, String>> {
    let failed = |error| Error::bug("bytes in memory cannot be read").because(error);
    let text = match form.byte_order() {
        None => Cow::Borrowed(raw),
        Some(order) => {
            let mut text = Vec::with_capacity(raw.len());
            Utf16Reader::new(raw, order).read_to_end(&mut text).map_err(failed)?;
            Cow::Owned(text)
        }
    };
    let mut records = Records::new(&*text, dialect, 0, text.len() as u64, 1).of_form(form, None);
    let next = |records: &mut Records<&[u8]>| loop {
        match records.next() {
            Ok(ReadOutcome::Read) => {}
            other => return other.map_err(failed),
        }
    };
    match next(&mut records)? {
        ReadOutcome::Record => {}
        _ => return Ok(Err("its bytes are not a whole row".to_owned())),
    }
    let mut rows = decoder.rows(1);
    let mut decoded = decoder.decode(&records, source_offset, &mut rows);
    if matches!(decoded, Decoded::LayoutChange) {
        // The row decides the kind of a field.
        rows = decoder.rows(1);
        decoded = decoder.decode(&records, source_offset, &mut rows);
    }
    match decoded {
        Decoded::Row => {}
        Decoded::Rejected(reason) | Decoded::Malformed(reason) => return Ok(Err(reason)),
        Decoded::LayoutChange => return Err(Error::bug("a row that changes the layout twice")),
    }
    match next(&mut records)? {
        ReadOutcome::End => decoder.batch(rows).map(Ok),
        _ => Ok(Err("its bytes are more than one row".to_owned())),
    }
}
