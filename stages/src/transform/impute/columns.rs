//! Where the fields that are filled are in a layout.

use std::sync::Arc;

use aqpipe_engine::record::{Fields, Kind};

/// Which fields are filled.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// These, or all measurements that were not derived.
    pub(super) fields: Option<Vec<String>>,
    /// But not these.
    pub(super) exclude: Vec<String>,
}

impl Choice {
    /// The columns of a layout that are filled.
    fn columns<'a>(&'a self, layout: &'a Fields) -> impl Iterator<Item = (usize, &'a Arc<str>)> {
        let chosen = |name: &str, derived: bool| match &self.fields {
            Some(fields) => fields.iter().any(|field| field == name),
            None => !derived && !self.exclude.iter().any(|field| field == name),
        };
        let numbers = layout.list.iter().enumerate().filter(|(_, field)| field.kind == Kind::Number);
        numbers.filter(move |(_, field)| chosen(&field.name, field.derived)).map(|(index, field)| (index, &field.name))
    }
}

/// Where the fields that are filled are in a layout, by the number of the field.
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

    /// The column of a field, where this layout has it.
    pub(super) fn of(&self, field: usize) -> Option<usize> {
        self.of_field.get(field).copied().flatten()
    }

    /// The fields that are there, with their columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.of_field.iter().enumerate().filter_map(|(field, column)| Some((field, (*column)?)))
    }
}

/// Numbers the fields that are filled, and finds them in each layout.
#[derive(Debug)]
pub(super) struct Binder {
    choice: Choice,
    names: Vec<Arc<str>>,
    last: Option<Arc<Columns>>,
}

impl Binder {
    pub(super) fn new(choice: Choice) -> Binder {
        Binder { choice, names: Vec::new(), last: None }
    }

    /// The fields, by their numbers.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Takes up the numbers of an earlier run, before any layout was seen.
    pub(super) fn restore(&mut self, names: Vec<Arc<str>>) {
        (self.names, self.last) = (names, None);
    }

    /// Where the fields are in a layout.
    pub(super) fn bind(&mut self, layout: &Arc<Fields>) -> Arc<Columns> {
        if let Some(last) = self.last.as_ref().filter(|last| last.layout == *layout) {
            return Arc::clone(last);
        }
        let mut of_field = vec![None; self.names.len()];
        for (column, name) in self.choice.columns(layout) {
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
