//! The kinds of fields: numbers or text, as a sample or their first value decides.

use std::io::Read;
use std::sync::Arc;

use aqpipe_engine::record::Kind;

use super::cell_text::trim;
use super::column_plan::{ColumnPlan, PlannedField};
use super::records::Records;
use super::row_decoder::{RowDecoder, verdict};
use crate::reading::{Reading, Verdict, is_code};

impl RowDecoder {
    /// The kinds of all fields, by name.
    pub(super) fn kinds(&self) -> Vec<(String, Kind)> {
        self.plan.fields.iter().map(|field| (field.name.clone(), field.kind)).collect()
    }

    /// Takes over the kinds that an earlier run has found.
    pub(super) fn restore_kinds(&mut self, kinds: &[(String, Kind)]) {
        for field in self.plan.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == field.name) {
                field.kind = *kind;
            }
        }
        self.rebuild_layout();
    }

    pub(super) fn rebuild_layout(&mut self) {
        self.layout = Arc::new(self.plan.batch_layout(&self.config));
        let unknown_kinds = |slot: &usize| self.plan.fields[*slot].kind == Kind::Unknown;
        self.unknown_kinds = (0..self.plan.fields.len()).filter(unknown_kinds).collect();
        self.texts = (0..self.plan.fields.len()).filter(|index| self.is_text(*index)).collect();
        self.plain_numbers = self.numbers_by_column();
    }

    /// The field of each column that holds nothing but numbers, where all kinds are known and no other column has a say in them.
    fn numbers_by_column(&self) -> Vec<Option<usize>> {
        let is_plain = |field: &PlannedField| field.kind != Kind::Unknown && field.flags.is_none();
        if self.config.decimal == self.config.delimiter || !self.plan.fields.iter().all(is_plain) {
            return Vec::new();
        }
        let is_number = |column: usize, field: &PlannedField| field.column == column && field.kind == Kind::Number;
        let field_of = |column| self.plan.fields.iter().position(|field| is_number(column, field));
        (0..self.plan.columns).map(field_of).collect()
    }

    /// The fields, with what a cell of each says, for a record of the sample.
    pub(super) fn cells<'a, R: Read>(
        &'a self,
        record: &'a Records<R>,
    ) -> impl Iterator<Item = (usize, &'a [u8], Reading)> {
        self.plan.fields.iter().enumerate().map(|(index, field)| {
            let cell = trim(record.cell(field.column));
            (index, cell, self.reading(index, record))
        })
    }

    /// What the cell of a field says, if its publisher has a value there.
    fn reading<R: Read>(&self, index: usize, record: &Records<R>) -> Reading {
        let field = &self.plan.fields[index];
        match verdict(field, self.flags[index].as_ref(), record) {
            Verdict::Missing => Reading::Missing,
            _ => self.numbers.read(trim(record.cell(field.column))),
        }
    }

    /// Whether a record is a full row, whatever its cells say.
    pub(super) fn is_full_row<R: Read>(&self, record: &Records<R>) -> bool {
        record.columns() == self.plan.columns
            || (record.columns() >= self.plan.named && record.columns() < self.plan.columns)
            || self.only_ends_with_delimiter(record)
    }

    /// Whether a field is text.
    pub(super) fn is_text(&self, index: usize) -> bool {
        self.plan.fields.get(index).is_some_and(|field| field.kind == Kind::Text)
    }

    /// The fields whose kind is unknown.
    pub(super) fn unknown_kinds(&self) -> &[usize] {
        &self.unknown_kinds
    }

    /// Sets the kinds of fields, before the first row.
    pub(super) fn decide(&mut self, kinds: &[(usize, Kind)]) {
        for (index, kind) in kinds {
            self.plan.fields[*index].kind = *kind;
        }
        self.rebuild_layout();
    }

    /// Decides the kind of fields by their first values. Returns whether the layout changes; it is not changed while there are
    /// rows of the current one.
    pub(super) fn decide_kinds<R: Read>(&mut self, record: &Records<R>, has_rows: bool) -> bool {
        let first = |slot: usize| {
            let cell = trim(record.cell(self.plan.fields[slot].column));
            match self.reading(slot, record) {
                Reading::Missing => None,
                Reading::Unreadable => Some(Kind::Text),
                _ if is_code(cell) => Some(Kind::Text),
                _ => Some(Kind::Number),
            }
        };
        let decided: Vec<(usize, Kind)> =
            self.unknown_kinds.iter().filter_map(|slot| first(*slot).map(|kind| (*slot, kind))).collect();
        if decided.is_empty() {
            return false;
        }
        let changes = decided.iter().any(|(_, kind)| *kind == Kind::Text);
        if !(changes && has_rows) {
            for (slot, kind) in decided {
                self.plan.fields[slot].kind = kind;
            }
            self.rebuild_layout();
        }
        changes
    }

    /// Takes another file's columns, which hold the same fields.
    pub(super) fn use_plan(&mut self, mut plan: ColumnPlan) {
        for field in &mut plan.fields {
            if let Some(known) = self.plan.fields.iter().find(|known| known.name == field.name) {
                field.kind = known.kind;
            }
        }
        self.plan = plan;
        self.rebuild_layout();
    }
}
