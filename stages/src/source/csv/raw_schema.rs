//! What a dead letter keeps beside the bytes of its row, so that the row can be decoded again.

use std::borrow::Cow;
use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Serialize};

use super::config::CsvSourceConfig;
use super::dialect::Dialect;
use super::file_form::FileForm;
use super::packing::Packing;

const RAW_SCHEMA_FORMAT_VERSION: u8 = 1;
/// The version of a schema of rows that are not UTF-8.
const ENCODED_FORMAT_VERSION: u8 = 2;
/// Bytes of all column names together: each dead letter keeps them.
const COLUMN_NAMES_BYTES_MAX: usize = 16 << 10;

/// The columns and the dialect of a file's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawSchema {
    version: u8,
    /// The columns' names in the file or in `columns`; empty where they were too long to be kept.
    #[serde(default, skip_serializing_if = "are_too_long")]
    pub(super) columns: Vec<String>,
    /// A CRC-32 of the names.
    names: u32,
    delimiter: char,
    quote: String,
    pub(super) decimal: char,
    /// Whether rows end with a delimiter that the header lacks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ends_with_delimiter: bool,
    /// The encoding of the rows, unless it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    /// The time of this one row, in microseconds since 1970 with the minutes east of UTC of its clock, where its bytes do not say
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<(i64, i16)>,
}

fn are_too_long(names: &[String]) -> bool {
    names.iter().map(String::len).sum::<usize>() > COLUMN_NAMES_BYTES_MAX
}

impl RawSchema {
    pub(super) fn of(columns: &[String], config: &CsvSourceConfig, encoding: &'static Encoding) -> RawSchema {
        let encoding = (encoding != UTF_8).then(|| encoding.name().to_owned());
        RawSchema {
            version: if encoding.is_some() { ENCODED_FORMAT_VERSION } else { RAW_SCHEMA_FORMAT_VERSION },
            columns: columns.to_vec(),
            names: crc32fast::hash(columns.join("\0").as_bytes()),
            delimiter: config.delimiter,
            quote: config.quote.clone(),
            decimal: config.decimal,
            ends_with_delimiter: false,
            encoding,
            time: None,
        }
    }

    /// Whether its rows end with a delimiter that the header lacks.
    pub(super) fn ending_with_delimiter(self, ends_with_delimiter: bool) -> RawSchema {
        RawSchema { ends_with_delimiter, ..self }
    }

    /// Parses what [`text`](Self::text) wrote; otherwise the reason for the dead letter.
    pub(super) fn parse(text: &str) -> Result<RawSchema, String> {
        let schema: RawSchema =
            serde_json::from_str(text).map_err(|error| format!("how it was read is not known: {error}"))?;
        let is_ascii = schema.delimiter.is_ascii() && schema.quote.is_ascii() && schema.decimal.is_ascii();
        let is_known = match &schema.encoding {
            None => schema.version == RAW_SCHEMA_FORMAT_VERSION,
            Some(name) => schema.version == ENCODED_FORMAT_VERSION && Encoding::for_label(name.as_bytes()).is_some(),
        };
        if !is_known || !is_ascii {
            return Err("how it was read was kept by another version of aqpipe".to_owned());
        }
        Ok(schema)
    }

    pub(super) fn text(&self) -> Arc<str> {
        // Names and characters: nothing that cannot be serialised.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// The text for a row that had this time.
    pub(super) fn text_with_time(&self, time: (i64, i16)) -> Arc<str> {
        RawSchema { time: Some(time), ..self.clone() }.text()
    }

    /// A text without the time of its row, which other rows of its file share, and that time.
    pub(super) fn split_time(text: Option<&str>) -> (Option<Cow<'_, str>>, Option<(i64, i16)>) {
        let Some(text) = text else { return (None, None) };
        match serde_json::from_str::<RawSchema>(text) {
            Ok(schema) if schema.time.is_some() => {
                let shared = RawSchema { time: None, ..schema.clone() }.text();
                (Some(Cow::Owned(shared.to_string())), schema.time)
            }
            _ => (Some(Cow::Borrowed(text)), None),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        Dialect { delimiter: self.delimiter as u8, quote: self.quote.bytes().next() }
    }

    /// The form of its rows.
    pub(super) fn form(&self) -> FileForm {
        let encoding = self.encoding.as_ref().and_then(|name| Encoding::for_label(name.as_bytes()));
        FileForm { packing: Packing::None, encoding: encoding.unwrap_or(UTF_8) }
    }

    /// Whether both separate cells in the same way.
    pub(super) fn has_dialect_of(&self, other: &RawSchema) -> bool {
        (self.delimiter, &self.quote, self.decimal, &self.encoding)
            == (other.delimiter, &other.quote, other.decimal, &other.encoding)
    }

    /// The same dialect with the columns of another schema.
    pub(super) fn with_columns_of(&self, other: &RawSchema) -> RawSchema {
        RawSchema { columns: other.columns.clone(), ..self.clone() }
    }

    /// Whether both have the same columns.
    pub(super) fn has_columns_of(&self, other: &RawSchema) -> bool {
        self.names == other.names
    }
}
