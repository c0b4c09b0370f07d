//! Columns of codes that are given by their numbers, as where several have one name: whether a number means the same column in each
//! file.

use std::ops::Range;

use aqpipe_engine::{Error, Result};

use super::config::CsvSourceConfig;
use super::input_files::InputFile;
use crate::reading::FlagSource;

/// What stands in the first file where the configuration gives columns by their numbers. In others it may not stand elsewhere: a
/// number would then mean the codes of another field.
#[derive(Clone, Debug, Default)]
pub(super) struct NumberedFlags {
    /// The name of the first file.
    first: Option<String>,
    flags: Vec<NumberedFlag>,
}

/// A column of codes.
#[derive(Clone, Debug)]
struct NumberedFlag {
    /// The field that it belongs to.
    field: String,
    /// Its column, from 0.
    column: usize,
    /// The columns from that of the field to it, and their names.
    from: usize,
    names: Vec<String>,
}

impl NumberedFlags {
    /// Takes the names of the first file; of further ones nothing.
    pub(super) fn expect(&mut self, config: &CsvSourceConfig, span: &InputFile, names: &[String]) {
        if self.first.is_some() {
            return;
        }
        self.first = Some(span.name.clone());
        for (field, flags) in &config.flags {
            let FlagSource::Number(number) = flags.column else { continue };
            let column = (number as usize).saturating_sub(1);
            let is_field = |name: &String| config.rename.get(name).unwrap_or(name) == field;
            let own = names.iter().position(is_field).unwrap_or(column);
            let between = between(own, column);
            // Where they are not there, the plan of the first file says so.
            if let Some(names) = names.get(between.clone()) {
                self.flags.push(NumberedFlag {
                    field: field.clone(),
                    column,
                    from: between.start,
                    names: names.to_vec(),
                });
            }
        }
    }

    /// Checks the names of a header at a place.
    ///
    /// # Errors
    /// Where a number would mean another column than in the first file.
    pub(super) fn check(&self, names: &[String], place: &str) -> Result<()> {
        let Some(first) = &self.first else { return Ok(()) };
        for NumberedFlag { field, column, from, names: expected } in &self.flags {
            let differs = (*from..).zip(expected).find(|(at, name)| names.get(*at) != Some(*name));
            let Some((at, expected)) = differs else { continue };
            let is = names.get(at).map_or_else(|| "is not there".to_owned(), |name| format!("is `{name}`"));
            let message = format!(
                "column {} with the codes of `{field}` is not the one that it is in {first}: column {} {is}, and there it is \
                 `{expected}`",
                column + 1,
                at + 1
            );
            return Err(Error::config(message).at(place.to_owned()).help(
                "give such files a pipeline of their own, with the numbers of their columns; a column that is given by its name is \
                 found wherever it stands",
            ));
        }
        Ok(())
    }
}

/// The columns from one to another.
fn between(a: usize, b: usize) -> Range<usize> {
    a.min(b)..a.max(b).saturating_add(1)
}
