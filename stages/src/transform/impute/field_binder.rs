//! The fields to fill, and their columns in a layout.

use std::sync::Arc;

use aqpipe_engine::record::{Fields, Kind};

/// Which fields to fill.
#[derive(Clone, Debug)]
pub(super) struct FieldSelection {
    /// These; otherwise all measurements that were not derived.
    pub(super) fields: Option<Vec<String>>,
    /// Except these.
    pub(super) exclude: Vec<String>,
}

impl FieldSelection {
    /// The columns of a layout to fill.
    fn columns<'a>(&'a self, layout: &'a Fields) -> impl Iterator<Item = (usize, &'a Arc<str>)> {
        let chosen = |name: &str, derived: bool| match &self.fields {
            Some(fields) => fields.iter().any(|field| field == name),
            None => !derived && !self.exclude.iter().any(|field| field == name),
        };
        let numbers = layout.list.iter().enumerate().filter(|(_, field)| field.kind == Kind::Number);
        numbers.filter(move |(_, field)| chosen(&field.name, field.derived)).map(|(index, field)| (index, &field.name))
    }
}

/// The columns of the fields in one layout, by the number of the field.
#[derive(Debug)]
pub(super) struct Columns {
    layout: Arc<Fields>,
    of_field: Vec<Option<usize>>,
}

impl Columns {
    /// How many fields are known.
    pub(super) fn fields(&self) -> usize {
        self.of_field.len()
    }

    /// The column of a field, if this layout has it.
    pub(super) fn of(&self, field: usize) -> Option<usize> {
        self.of_field.get(field).copied().flatten()
    }

    /// The fields that this layout has, with their columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.of_field.iter().enumerate().filter_map(|(field, column)| Some((field, (*column)?)))
    }
}

/// Numbers the fields to fill, and finds them in each layout.
#[derive(Debug)]
pub(super) struct FieldBinder {
    selection: FieldSelection,
    names: Vec<Arc<str>>,
    last: Option<Arc<Columns>>,
}

impl FieldBinder {
    pub(super) fn new(selection: FieldSelection) -> FieldBinder {
        FieldBinder { selection, names: Vec::new(), last: None }
    }

    /// The names of the fields, by their numbers.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Takes over the numbers of an earlier run. Call it before the first layout.
    pub(super) fn restore(&mut self, names: Vec<Arc<str>>) {
        (self.names, self.last) = (names, None);
    }

    /// The columns of the fields in a layout.
    pub(super) fn bind(&mut self, layout: &Arc<Fields>) -> Arc<Columns> {
        if let Some(last) = self.last.as_ref().filter(|last| last.layout == *layout) {
            return Arc::clone(last);
        }
        let mut of_field = vec![None; self.names.len()];
        for (column, name) in self.selection.columns(layout) {
            match self.names.iter().position(|known| known == name) {
                Some(field) => of_field[field] = Some(column),
                None => {
                    self.names.push(Arc::clone(name));
                    of_field.push(Some(column));
                }
            }
        }
        let columns = Arc::new(Columns { layout: Arc::clone(layout), of_field });
        self.last = Some(Arc::clone(&columns));
        columns
    }
}
