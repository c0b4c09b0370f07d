//! The publisher's codes, which are properties of the record.

use std::collections::BTreeMap;

use aqpipe_engine::record::Field;

use super::cell::Cell;
use super::names::with_dots;
use crate::columns::ColumnBuilder;
use crate::reading::{FlagOptions, FlagSource, PublisherFlags, UnreadableCells, Verdict};

/// Which property has the codes of each field.
#[derive(Debug, Default)]
pub(super) struct SourceFlags {
    /// The properties with codes that are no fields.
    pub(super) properties: Vec<String>,
    all: Vec<FieldCodes>,
    /// The fields that have codes, by their index in the layout, and their place in `all`.
    of_fields: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct FieldCodes {
    field: String,
    flags: PublisherFlags,
    code: CodeCell,
}

/// Where the code of a record is, once the record is read.
#[derive(Clone, Copy, Debug)]
enum CodeCell {
    Field(usize),
    Property(usize),
}

impl SourceFlags {
    /// The codes by options that their check has accepted, where these fields are declared.
    pub(super) fn new(options: &BTreeMap<String, FlagOptions>, declared: &[Field], source_test: u8) -> SourceFlags {
        let mut codes = SourceFlags::default();
        for (field, options) in options {
            let FlagSource::Name(name) = &options.column else { continue };
            let code = match declared.iter().position(|field| with_dots(&field.name) == with_dots(name)) {
                Some(index) => CodeCell::Field(index),
                None => CodeCell::Property(codes.property(name)),
            };
            let flags = PublisherFlags::new(options, source_test);
            codes.all.push(FieldCodes { field: field.clone(), flags, code });
        }
        codes
    }

    fn property(&mut self, name: &str) -> usize {
        self.properties.iter().position(|known| with_dots(known) == with_dots(name)).unwrap_or_else(|| {
            self.properties.push(name.to_owned());
            self.properties.len() - 1
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Finds the fields in a layout.
    pub(super) fn resolve(&mut self, fields: &[Field]) {
        let codes_of = |field: &Field| self.all.iter().position(|codes| *codes.field == *field.name);
        self.of_fields =
            fields.iter().enumerate().filter_map(|(index, field)| Some((index, codes_of(field)?))).collect();
    }

    /// Takes the values away from a record that its publisher does not have.
    pub(super) fn clear_missing(&self, cells: &mut [Cell], code_cells: &[Cell], source: &str) {
        for (index, codes) in &self.of_fields {
            if self.all[*codes].verdict((cells, code_cells), source).0 == Verdict::Missing {
                cells[*index] = Cell::Null;
            }
        }
    }

    /// Sets the quality of the last row's cells; codes that are not listed go to `unlisted`.
    pub(super) fn apply(
        &self,
        cells_of: (&[Cell], &[Cell]),
        source: &str,
        columns: &mut [ColumnBuilder],
        (unlisted, source_offset): (&mut UnreadableCells, u64),
    ) {
        for (index, codes) in &self.of_fields {
            let Some(ColumnBuilder::Number(cells)) = columns.get_mut(*index) else { continue };
            let codes = &self.all[*codes];
            let (verdict, code) = codes.verdict(cells_of, source);
            if verdict == Verdict::Unlisted {
                unlisted.add(*index, code.as_bytes(), source_offset);
            }
            codes.flags.apply(verdict, cells);
        }
    }
}

impl FieldCodes {
    /// The verdict on a record's value, with the code. No code is an empty one.
    fn verdict(&self, (cells, code_cells): (&[Cell], &[Cell]), source: &str) -> (Verdict, String) {
        let cell = match self.code {
            CodeCell::Field(index) => cells.get(index),
            CodeCell::Property(index) => code_cells.get(index),
        };
        let code = cell.and_then(|cell| cell.text(source)).unwrap_or_default().trim().to_owned();
        (self.flags.verdict(code.as_bytes()), code)
    }
}
