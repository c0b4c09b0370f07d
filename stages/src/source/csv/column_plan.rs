//! What is done with each column, from the names of the columns.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::config::nearest;
use aqpipe_engine::record::{Field, Fields, Kind};
use aqpipe_engine::{Error, Result};

use super::config::CsvSourceConfig;
use super::own_marks::{OWN_MARKS_HELP, has_own_marks, own_marks};
use crate::reading::{FlagOptions, FlagSource, KeyOptions};

/// A field and its column.
#[derive(Clone, Debug)]
pub(super) struct PlannedField {
    pub(super) name: String,
    /// [`Kind::Unknown`] until its first value.
    pub(super) kind: Kind,
    pub(super) column: usize,
    /// The column with the publisher's codes for it.
    pub(super) flags: Option<usize>,
}

/// The part of each column in a row.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan {
    /// Columns of a full row.
    pub(super) columns: usize,
    /// The names of the columns, as they are meant everywhere else.
    pub(super) names: Vec<String>,
    /// Columns up to the last one with a name. A row may end after those.
    pub(super) named: usize,
    /// From which column on cells must be empty.
    pub(super) empty_from: usize,
    /// Whether rows end with a delimiter that the header lacks, behind which nothing stands.
    pub(super) ends_with_delimiter: bool,
    /// The columns of the timestamp.
    pub(super) time: Vec<usize>,
    /// The columns of the key.
    pub(super) key: Vec<usize>,
    /// The fields, in the order in which they leave.
    pub(super) fields: Vec<PlannedField>,
}

impl ColumnPlan {
    /// The plan for columns of these names; `numeric` are the fields that stages use as measurements.
    ///
    /// # Errors
    /// Where a column that the configuration names is not there, or is there twice.
    pub(super) fn new(header: &[String], config: &CsvSourceConfig, numeric: &BTreeSet<String>) -> Result<ColumnPlan> {
        let names: Vec<&str> =
            header.iter().map(|name| config.rename.get(name).map_or(name.as_str(), String::as_str)).collect();
        let time = config.timestamp.names();
        let key: Vec<&str> = config.key.iter().flat_map(KeyOptions::columns).map(String::as_str).collect();
        let mut wanted = config.wanted();
        check_columns_present(&names, &wanted, config)?;
        if !config.is_declared() && has_own_marks(&names) {
            let help = format!("with `fields` the file is read without them; {OWN_MARKS_HELP}");
            return Err(Error::config(own_marks()).help(help));
        }
        let flags = flag_columns(&names, config)?;
        let has_codes = |column: &usize| flags.values().any(|codes| codes == column);
        if !config.is_declared() {
            let columns = names.iter().copied().enumerate().filter(|(column, _)| !has_codes(column));
            let others = columns.map(|(_, name)| name).filter(|name| !name.is_empty() && !wanted.contains(name));
            wanted.extend(others.collect::<Vec<_>>());
        }
        if let Some(twice) = wanted.iter().find(|name| names.iter().filter(|other| other == name).count() > 1) {
            let error = Error::config(format!("two columns are called `{twice}`"));
            let renamed = config.rename.iter().find(|(from, to)| to == twice && header.contains(from));
            if let Some((from, _)) = renamed.filter(|_| header.iter().any(|name| name == twice)) {
                return Err(error.help(format!(
                    "one is, and `rename` calls `{from}` so: give that another name, or rename the one that is called `{twice}` too"
                )));
            }
            return Err(error.help("name the columns by `columns`, with `header = true` to skip the file's own names"));
        }
        let column = |name: &str| names.iter().position(|other| *other == name).unwrap_or_default();
        let kind = |name: &str| {
            if config.is_text(name) {
                Kind::Text
            } else if config.fields.iter().any(|field| field == name)
                || numeric.contains(name)
                || config.flags.contains_key(name)
            {
                Kind::Number
            } else {
                Kind::Unknown
            }
        };
        let field = |name: &str| PlannedField {
            name: name.to_owned(),
            kind: kind(name),
            column: column(name),
            flags: flags.get(name).copied(),
        };
        let fields: Vec<PlannedField> = if config.is_declared() {
            config.declared().map(field).collect()
        } else {
            let is_field = |name: &&str| !name.is_empty() && !time.contains(name) && !key.contains(name);
            let columns = names.iter().copied().enumerate().filter(|(column, _)| !has_codes(column));
            columns.map(|(_, name)| name).filter(is_field).map(field).collect()
        };
        if let Some(why) = fields.iter().find_map(|field| config.field_conflict(&field.name)) {
            return Err(Error::config(why).help("`rename` calls the column something else"));
        }
        let named = names.iter().rposition(|name| !name.is_empty()).max(flags.values().copied().max());
        let named = named.map_or(0, |last| last + 1);
        // Where a decimal comma may split a cell, a cell too many is the end of a number.
        let may_be_fraction = config.decimal == config.delimiter;
        Ok(ColumnPlan {
            columns: header.len(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            named,
            empty_from: if config.is_declared() && !may_be_fraction { header.len() } else { named },
            ends_with_delimiter: false,
            time: time.iter().map(|name| column(name)).collect(),
            key: key.iter().map(|name| column(name)).collect(),
            fields,
        })
    }

    /// The layout of the input, with the kinds that are known.
    pub(super) fn layout(&self, config: &CsvSourceConfig) -> Fields {
        let field = |field: &PlannedField| Field { name: field.name.as_str().into(), kind: field.kind, derived: false };
        Fields {
            list: self.fields.iter().map(field).collect(),
            key: config.key.as_ref().map(|key| key.name().as_ref().into()),
            score: None,
            open: false,
        }
    }

    /// The layout of batches, in which a field of unknown kind is a measurement.
    pub(super) fn batch_layout(&self, config: &CsvSourceConfig) -> Fields {
        let mut layout = self.layout(config);
        for field in &mut layout.list {
            if field.kind == Kind::Unknown {
                field.kind = Kind::Number;
            }
        }
        layout
    }
}

/// The column with the codes of each field that has some.
fn flag_columns<'a>(names: &[&str], config: &'a CsvSourceConfig) -> Result<BTreeMap<&'a str, usize>> {
    let column = |(field, flags): (&'a String, &'a FlagOptions)| {
        let column = match &flags.column {
            FlagSource::Name(name) => names.iter().position(|other| other == name).unwrap_or_default(),
            FlagSource::Number(number) if *number as usize > names.len() => {
                let message = format!("column {number} with the codes of `{field}` is not there");
                return Err(Error::config(message).help(format!("the file has {} columns", names.len())));
            }
            FlagSource::Number(number) => *number as usize - 1,
        };
        Ok((field.as_str(), column))
    };
    config.flags.iter().map(column).collect()
}

/// An error where the file lacks columns that the configuration names.
fn check_columns_present(names: &[&str], wanted: &[&str], config: &CsvSourceConfig) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !names.contains(name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let line = names.join(&config.delimiter.to_string());
    let splits = |other: &char| has_wanted(line.split(*other), wanted, config);
    let other = DELIMITERS.into_iter().chain([' ']).filter(|other| *other != config.delimiter).find(splits);
    let other =
        other.or_else(|| seems_split_by(&names.join(&config.delimiter.to_string()), config.delimiter, names.len()));
    if let Some(other) = other {
        return Err(Error::config(format!(
            "the columns are split by `{}`, but the file seems to use `{}`",
            shown(config.delimiter),
            shown(other)
        ))
        .help(format!("set delimiter = \"{}\"", shown(other))));
    }
    if let (false, [line]) = (config.of_messages, names)
        && line.contains(config.delimiter)
        && has_wanted(line.split(config.delimiter), wanted, config)
    {
        return Err(Error::config("each line stands in quotes as a whole, so that it is one cell").help(
            "take the quotes around whole lines away, and let doubled ones inside be single: then columns are found",
        ));
    }
    let list = |names: &[&str]| names.join("`, `");
    let named: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    let there = format!("the file's columns are `{}`", list(&named));
    let message = match missing.len() {
        1 => format!("there is no column `{first}`"),
        _ => format!("there are no columns `{}`", list(&missing)),
    };
    let guesses: Vec<String> = missing
        .iter()
        .filter_map(|name| nearest(name, named.iter().copied()).map(|near| format!("`{near}` for `{name}`")))
        .collect();
    let help = if guesses.is_empty() { there } else { format!("did you mean {}? {there}", guesses.join(", ")) };
    Err(Error::config(message).help(help))
}

/// Whether all columns that are asked for are among these cells of a header.
fn has_wanted<'a>(cells: impl Iterator<Item = &'a str>, wanted: &[&str], config: &CsvSourceConfig) -> bool {
    let name = |cell: &'a str| {
        let cell = cell.trim().trim_matches('"');
        config.rename.get(cell).map_or(cell, String::as_str).to_owned()
    };
    let cells: BTreeSet<String> = cells.map(name).collect();
    wanted.iter().all(|name| cells.contains(*name))
}

/// What may split columns.
const DELIMITERS: [char; 4] = [';', ',', '\t', '|'];

/// The delimiter that would split a line into more columns than it has.
pub(super) fn seems_split_by(line: &str, delimiter: char, columns: usize) -> Option<char> {
    DELIMITERS
        .into_iter()
        .filter(|other| *other != delimiter)
        .map(|other| (line.matches(other).count() + 1, other))
        .filter(|(count, _)| *count > columns)
        .max_by_key(|(count, _)| *count)
        .map(|(_, other)| other)
}

/// A delimiter as TOML writes it.
pub(super) fn shown(delimiter: char) -> String {
    delimiter.escape_default().to_string()
}
