//! What a row needs besides its bytes to be read once more: the names of its columns, and how cells are told apart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::CsvSourceConfig;
use super::dialect::Dialect;

/// The version of the form.
const VERSION: u8 = 1;
/// How long the names of columns may be in all: they are kept with each dead letter.
const NAMES_MAX: usize = 16 << 10;

/// How rows of a file are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    version: u8,
    /// The columns as the file (or `columns`) calls them; none where their names were too long to be kept.
    #[serde(default, skip_serializing_if = "are_too_long")]
    pub(super) columns: Vec<String>,
    /// A checksum of those names.
    names: u32,
    delimiter: char,
    quote: String,
    pub(super) decimal: char,
}

fn are_too_long(names: &[String]) -> bool {
    names.iter().map(String::len).sum::<usize>() > NAMES_MAX
}

impl Form {
    pub(super) fn of(columns: &[String], config: &CsvSourceConfig) -> Form {
        Form {
            version: VERSION,
            columns: columns.to_vec(),
            names: crc32fast::hash(columns.join("\0").as_bytes()),
            delimiter: config.delimiter,
            quote: config.quote.clone(),
            decimal: config.decimal,
        }
    }

    /// Reads it back; what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Form, String> {
        let form: Form =
            serde_json::from_str(text).map_err(|error| format!("how it was read is not known: {error}"))?;
        let is_ascii = form.delimiter.is_ascii() && form.quote.is_ascii() && form.decimal.is_ascii();
        if form.version != VERSION || !is_ascii {
            return Err("how it was read was kept by another version of aqpipe".to_owned());
        }
        Ok(form)
    }

    pub(super) fn text(&self) -> Arc<str> {
        // Names and characters: nothing that could not be written.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    pub(super) fn dialect(&self) -> Dialect {
        Dialect { delimiter: self.delimiter as u8, quote: self.quote.bytes().next() }
    }

    /// Whether both read cells alike.
    pub(super) fn has_dialect_of(&self, other: &Form) -> bool {
        (self.delimiter, &self.quote, self.decimal) == (other.delimiter, &other.quote, other.decimal)
    }

    /// The same with the names of another one's columns.
    pub(super) fn with_columns_of(&self, other: &Form) -> Form {
        Form { columns: other.columns.clone(), ..self.clone() }
    }

    /// Whether both have the same columns.
    pub(super) fn has_columns_of(&self, other: &Form) -> bool {
        self.names == other.names
    }
}
