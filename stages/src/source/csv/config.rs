//! The options of the source.

use std::collections::BTreeMap;

use encoding_rs::{Encoding, UTF_8};
use schemars::JsonSchema;
use serde::Deserialize;

use super::cell_text;
use crate::input::playback::Playback;
use crate::reading::time::TimestampOptions;
use crate::reading::{
    Censored, FlagOptions, FlagSource, KeyOptions, MarkVerdict, NumberOptions, Sentinel, Thousands, UnreadableAction,
};
use aqpipe_engine::stage::Repeat;

/// Reads records from CSV files: one file, or those that a glob such as `data/*.csv` names, in the order of their names.
///
/// The first line names the columns, unless `columns` does. The timestamp and the key are taken out of their columns; the
/// others are the fields of the record. A cell that is empty or listed in `missing` has no value, nor has one of a measurement that
/// is a usual word for it (NA, N/A, #N/A, NaN, nan, null, NULL, None, -, ---). A cell of a measurement that cannot be read has none either, and fails the test
/// `syntax`: it is no gap, and nothing fills it unless told. A row that has too few or too many columns, no valid timestamp or a cell
/// that is needed and no text becomes a dead letter. Blank lines and lines of separators alone are not records, nor is a header
/// that comes again, nor the line `sep=;` for spreadsheets.
///
/// With `fields` each file of a glob is read by its own header: its columns may have another order, and there may be others. So is
/// what follows a header inside of a file that names other columns than the one before, as a logger writes that was started again.
/// Files that are packed with gzip or zstd are read as they are, whatever their names: their first bytes tell. A run that was
/// interrupted in the middle of one unpacks it from the beginning.
///
/// Columns without a name are ignored (the index that pandas writes, remarks). At the end of the header they may be left out of a row,
/// and without `fields` must be empty. Where all rows of a file end with a delimiter that its header lacks, it is passed over. Quotes that are not closed cost a line, not the rest of the file.
///
/// An interrupted run recognises its files by what it read of them, however their paths are written: a renamed file is read on,
/// a changed one is refused, and so is a start where a file is gone before it was read to its end. A last line without a line
/// end is read a second later if the file was changed a moment ago, because another program may still be writing the line.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvSourceConfig {
    /// The file, or a glob (`*`, `?`, `[a-z]`, `**`), relative to the working directory.
    #[schemars(length(min = 1))]
    pub(super) path: String,
    /// The character between columns.
    #[serde(default = "comma")]
    pub(super) delimiter: char,
    /// The character around cells that hold delimiters, line ends or quotes (doubled there). Empty = there are none.
    #[serde(default = "quote")]
    #[schemars(length(max = 1))]
    pub(super) quote: String,
    /// The character between the whole and the fraction of numbers: "." or ",".
    #[serde(default = "point")]
    pub(super) decimal: char,
    /// The character between groups of three digits: ".", ",", " " (thin and no-break blanks too), "'" or "" for none.
    #[serde(default)]
    pub(super) thousands: Thousands,
    /// The encoding of the file, by its name on the web: "utf-8", "windows-1252", "iso-8859-2", "shift_jis", "utf-16le"; names of
    /// Python's ("latin-1", "cp949") mean the same. A mark of
    /// byte order (UTF-8, UTF-16) says it better, and wins. Cells that nobody asks for need not be text. Dead letters keep the
    /// bytes as they are in the file.
    #[serde(default = "utf_8")]
    pub(super) encoding: String,
    /// Lines to pass over before the header (or before the first record), whatever they hold: a title, the logger's identity. With
    /// `fields`, further files of a glob may have other lines there: their header is the line with the names.
    #[serde(default)]
    pub(super) skip_lines: u32,
    /// Lines to pass over behind the header: the units, the kinds of averages.
    #[serde(default)]
    pub(super) skip_after_header: u32,
    /// What the lines begin with that are comments, such as "#". Absent, no line is one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) comment: Option<String>,
    /// Whether the first line names the columns. Absent: it does, unless `columns` is set. With `columns` and `true`, that
    /// line is skipped.
    #[serde(default)]
    pub(super) header: Option<bool>,
    /// The names of the columns, in order, where the file does not name them; "" for one to be ignored.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// Numbers and words that stand for "no value", beside an empty cell and, of measurements, the usual words: numbers compare
    /// by value, words letter by letter. Parts of the key are what stands in the cell.
    #[serde(default)]
    pub(super) missing: Vec<Sentinel>,
    /// Words of measurements that have a value, such as `{ NR = 0 }` for "no rain"; also one of the usual words for none.
    #[serde(default)]
    pub(super) words: BTreeMap<String, f64>,
    /// The value of a measurement below a limit, such as `<0.5`: "half" of the limit, the "limit" or "zero". One above a limit
    /// (`>50`) is the limit. Its quality says `censored`. Absent, such cells cannot be read.
    #[serde(default)]
    pub(super) censored: Option<Censored>,
    /// Marks behind values: `{ "#" = "fail", "*" = "suspect", "x" = "missing", "ug/m3" = "good" }`. A value with a mark that means
    /// `fail` or `missing` is not carried; a mark that means `good` is a unit, and says nothing of its value. A mark may stand behind a limit too (`<0.5U`), where `censored` reads it.
    #[serde(default)]
    pub(super) value_marks: BTreeMap<String, MarkVerdict>,
    /// The publisher's own verdict on a field, from codes in another column: its test is called `source`. A code that is not
    /// listed says nothing, and is logged.
    #[serde(default)]
    pub(super) flags: BTreeMap<String, FlagOptions>,
    /// What happens where cells of measurements cannot be read: "stop" before the first commit, where they are more than half of a
    /// field's in the first 1,000 records and an option would read them, or where a hundred are there and none can be read; or
    /// "warn".
    #[serde(default)]
    pub(super) on_unreadable: UnreadableAction,
    /// Where the time of a record is, and how it is written: a column's name, or a table.
    #[serde(default)]
    pub(super) timestamp: TimestampOptions,
    /// The clock of timestamps that have no offset of their own: "UTC", a fixed offset such as "+01:00", or a zone such as
    /// "Europe/Rome". A time that the clock of a zone shows twice goes by the order of the records of its key, else by
    /// `ambiguous` of `timestamp`; one that it never shows makes a dead letter.
    #[serde(default = "utc")]
    pub(super) timezone: String,
    /// The key of the records, such as the station: a column, several of them together, or a value for all. One key is one
    /// series. Absent, records have no key.
    #[serde(default)]
    pub(super) key: Option<KeyOptions>,
    /// The fields that are measurements, in the order in which they are to leave. Absent: all columns, in the order of
    /// the file; those that no stage uses as a measurement hold numbers or text as most of the first 1,000 records say.
    #[serde(default)]
    pub(super) fields: Vec<String>,
    /// The fields that are text. They come behind those of `fields`.
    #[serde(default)]
    pub(super) text_fields: Vec<String>,
    /// Other names for columns: the file's name = the name that is meant everywhere else, in these options too.
    #[serde(default)]
    pub(super) rename: BTreeMap<String, String>,
    /// Whether each file of a glob is a split of its own, read beside the others (at most as many at once as there are
    /// processors), instead of all files one after the other.
    #[serde(default)]
    pub(super) parallel: bool,
    /// Records to stop after, in each split.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) max_records: Option<u64>,
    /// When a completed run is repeated from the beginning: "changed" (an option that decides what comes out was changed
    /// since, or the input is another one), "always" or "never". `aqpipe run --rerun` repeats it once.
    ///
    /// With "new" nothing is repeated: a run carries what was added since the last one, to files that it knows by what it read of
    /// them and in files that are new. A last line without its end waits for the next run. That is for files to which a logger
    /// writes.
    #[serde(default)]
    pub(super) rerun: Repeat,
    /// Whether more is waited for at the end of the files: of those that are there, and of others that come. A file that is rotated
    /// or replaced is read to its end first, then the new one; one that is emptied and begun again is read from its beginning.
    /// Such a run does not end, but with `--until-end`. Files that are packed cannot be followed.
    #[serde(default)]
    pub(super) follow: bool,
    /// Releases the records in event time. Absent, as fast as they are taken.
    #[serde(default)]
    pub(super) replay: Option<Playback>,
    /// Whether generated readings of the same shape may take the place of a file that is not there (see the source
    /// `sample`): with `--sample` and with `--embedded-broker` they do, under the key `sample` (called `station` where
    /// there is no `key`). Any other run ends with an error, for a wrong `path` must not pass for data.
    #[serde(default)]
    pub(super) sample_if_missing: bool,
    /// Whether the rows are those of messages, which have keys of their own.
    #[serde(skip)]
    pub(super) of_messages: bool,
}

impl CsvSourceConfig {
    /// Whether a line of the file names the columns.
    pub(super) fn has_header(&self) -> bool {
        self.header.unwrap_or(self.columns.is_empty())
    }

    /// Whether the files may grow from one run to the next, or during a run.
    pub(super) fn grows(&self) -> bool {
        self.follow || self.rerun == Repeat::New
    }

    /// Whether the fields are those that the configuration names and no others.
    pub(super) fn is_declared(&self) -> bool {
        !self.fields.is_empty()
    }

    /// The declared fields, in order.
    pub(super) fn declared(&self) -> impl Iterator<Item = &str> {
        let text = self.text_fields.iter().filter(|name| !self.fields.contains(name));
        self.fields.iter().chain(text).map(String::as_str)
    }

    /// The columns that are named here.
    pub(super) fn wanted(&self) -> Vec<&str> {
        let mut wanted = self.timestamp.names();
        wanted.extend(self.key.iter().flat_map(KeyOptions::columns).map(String::as_str));
        wanted.extend(self.declared());
        wanted.extend(self.flags.values().filter_map(|flags| match &flags.column {
            FlagSource::Name(name) => Some(name.as_str()),
            FlagSource::Number(_) => None,
        }));
        wanted.extend(self.flags.keys().map(String::as_str));
        wanted
    }

    /// The encoding of files that do not say theirs. `check` has accepted its name.
    pub(super) fn encoding(&self) -> &'static Encoding {
        cell_text::encoding(&self.encoding).unwrap_or(UTF_8)
    }

    /// Whether the source itself judges values.
    pub(super) fn uses_source_test(&self) -> bool {
        !self.value_marks.is_empty() || !self.flags.is_empty()
    }

    /// How measurements are read.
    pub(super) fn numbers(&self) -> NumberOptions {
        NumberOptions {
            decimal: self.decimal,
            thousands: self.thousands,
            missing: self.missing.clone(),
            words: self.words.clone(),
            censored: self.censored,
            value_marks: self.value_marks.clone(),
        }
    }

    /// Whether a field is declared to be text.
    pub(super) fn is_text(&self, name: &str) -> bool {
        self.text_fields.iter().any(|text| text == name)
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn comma() -> char {
    ','
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

fn point() -> char {
    '.'
}

fn quote() -> String {
    "\"".to_owned()
}
