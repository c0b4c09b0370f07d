//! The columns of a file: which of them are fields.

use std::collections::BTreeMap;

use aqpipe_engine::Error;
use aqpipe_engine::record::{Field, Kind};

use super::lane::Layout;
use super::{KeyOf, Missing};

/// The names of a file's columns; unnamed ones are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    originals: Vec<String>,
    renamed: Vec<String>,
}

impl Header {
    pub(super) fn new(names: impl Iterator<Item = String>, rename: &BTreeMap<String, String>) -> Header {
        let originals: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        let renamed = originals.iter().map(|name| rename.get(name).unwrap_or(name).clone()).collect();
        Header { originals, renamed }
    }

    /// The column of that name in the file.
    pub(super) fn original(&self, name: &str) -> Option<usize> {
        self.originals.iter().position(|original| original == name)
    }

    /// The column of that name once renamed.
    pub(super) fn renamed(&self, name: &str) -> Option<usize> {
        self.renamed.iter().position(|renamed| renamed == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.originals.iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// How many columns a row has at least: up to the last one with a name.
    pub(super) fn width(&self) -> usize {
        self.originals.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)
    }

    /// A name that two columns have.
    pub(super) fn twice(&self) -> Option<&str> {
        let twin = |i: usize| self.renamed[..i].contains(&self.renamed[i]) && !self.renamed[i].is_empty();
        (0..self.renamed.len()).find(|i| twin(*i)).map(|i| self.renamed[i].as_str())
    }

    /// The columns that are fields, in the order of the records.
    pub(super) fn fields(&self, layout: &Layout) -> Vec<(usize, Field)> {
        if let Some(declared) = &layout.declared {
            return declared.iter().filter_map(|field| Some((self.renamed(&field.name)?, field.clone()))).collect();
        }
        let taken = |index: usize| {
            let name = &self.originals[index];
            name.is_empty()
                || layout.time_columns.contains(name)
                || matches!(&layout.key, KeyOf::Column(column) if column == name)
        };
        (0..self.originals.len())
            .filter(|index| !taken(*index))
            .map(|index| {
                let name = self.renamed[index].as_str();
                let kind = if layout.numeric.contains(name) {
                    Kind::Number
                } else if layout.text_fields.iter().any(|text| text == name) {
                    Kind::Text
                } else {
                    Kind::Undecided
                };
                (index, Field { name: name.into(), kind, derived: false })
            })
            .collect()
    }
}

/// The error of a file that lacks columns: which, what it has, and whether its delimiter seems to be another.
pub(super) fn lacks(file: &str, header: &Header, delimiter: u8, missing: &[Missing]) -> Error {
    let names = header.names().collect::<Vec<_>>();
    if let [only] = names[..] {
        let other = [b';', b',', b'\t', b'|'].into_iter().filter(|byte| *byte != delimiter);
        let seems = other.max_by_key(|byte| only.bytes().filter(|b| b == byte).count());
        if let Some(seems) = seems.filter(|byte| only.as_bytes().contains(byte)) {
            let show = |byte: u8| if byte == b'\t' { "\\t".to_owned() } else { char::from(byte).to_string() };
            return Error::config(format!(
                "with the delimiter `{}` the file has one column; it seems to use `{}`",
                show(delimiter),
                show(seems)
            ))
            .at(format!("{file}:1"))
            .help(format!("say `delimiter = \"{}\"`", show(seems)));
        }
    }
    let told = missing.iter().map(|missing| match &missing.near {
        Some(near) => format!("`{}` (did you mean `{near}`?)", missing.name),
        None => format!("`{}`", missing.name),
    });
    Error::config(format!("the file has no column {}", told.collect::<Vec<_>>().join(", ")))
        .at(format!("{file}:1"))
        .help(format!("its columns are `{}`", names.join("`, `")))
}
