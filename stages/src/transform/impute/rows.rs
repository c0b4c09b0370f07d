//! A batch on its way through the steps: with the order of its rows by key, and where its fields are.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, Kind, Mark, Numbers, Provenance};
use arrow_array::{Array, BooleanArray, StringArray};
use arrow_buffer::BooleanBuffer;

use super::bits::Bits;

/// The number of a key, in the order in which keys were first seen.
pub(super) type KeyId = u32;

/// No row.
const NONE: u32 = u32::MAX;

/// All keys seen so far. Records without a key are a series of their own.
#[derive(Debug, Default)]
pub(super) struct Keys {
    ids: HashMap<Box<str>, KeyId, foldhash::fast::RandomState>,
    keyless: Option<KeyId>,
    names: Vec<Option<Box<str>>>,
}

impl Keys {
    /// The keys, by their numbers.
    pub(super) fn names(&self) -> &[Option<Box<str>>] {
        &self.names
    }

    /// The number of a key, given out at its first mention.
    pub(super) fn id(&mut self, key: Option<&str>) -> KeyId {
        let known = match key {
            Some(key) => self.ids.get(key).copied(),
            None => self.keyless,
        };
        known.unwrap_or_else(|| self.add(key))
    }

    fn add(&mut self, key: Option<&str>) -> KeyId {
        let id = self.names.len() as KeyId;
        self.names.push(key.map(Box::from));
        match key {
            Some(key) => drop(self.ids.insert(key.into(), id)),
            None => self.keyless = Some(id),
        }
        id
    }

    /// The order of a batch's rows.
    pub(super) fn order(&mut self, batch: &Batch) -> Order {
        let rows = batch.rows();
        let Some(keys) = batch.key().filter(|keys| !keys.is_empty()) else {
            return Order::One { key: self.id(None), rows };
        };
        let key_of = |row: usize| keys.is_valid(row).then(|| keys.value(row));
        if all_the_same(keys) {
            return Order::One { key: self.id(key_of(0)), rows };
        }
        let mut last: Option<(Option<&str>, KeyId)> = None;
        let ids = (0..rows).map(|row| {
            let key = key_of(row);
            match last {
                Some((known, id)) if known == key => id,
                _ => {
                    let id = self.id(key);
                    last = Some((key, id));
                    id
                }
            }
        });
        Order::of(ids.collect())
    }
}

/// Whether all keys are the same, by comparing the bytes of the column with themselves, one key further.
fn all_the_same(keys: &StringArray) -> bool {
    if keys.null_count() > 0 {
        return false;
    }
    let offsets = keys.value_offsets();
    let length = offsets[1] - offsets[0];
    if !offsets.windows(2).all(|pair| pair[1] - pair[0] == length) {
        return false;
    }
    let bytes = &keys.values().as_slice()[offsets[0] as usize..offsets[offsets.len() - 1] as usize];
    let length = length as usize;
    bytes[length..] == bytes[..bytes.len() - length]
}

/// Which row of a key comes before and after which.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// All rows have one key: the rows before and after are the neighbours.
    One { key: KeyId, rows: usize },
    /// Several keys.
    Many(Arc<Many>),
}

#[derive(Debug)]
pub(super) struct Many {
    ids: Vec<KeyId>,
    previous: Vec<u32>,
    next: Vec<u32>,
    ends: Vec<(KeyId, usize)>,
}

impl Order {
    /// The order of rows with these keys.
    pub(super) fn of(ids: Vec<KeyId>) -> Order {
        let rows = ids.len();
        if ids.iter().all(|id| *id == ids[0]) {
            return Order::One { key: ids.first().copied().unwrap_or(0), rows };
        }
        let most = ids.iter().max().map_or(0, |id| *id as usize);
        let mut latest = vec![NONE; most + 1];
        let (mut previous, mut next) = (vec![NONE; rows], vec![NONE; rows]);
        for (row, id) in ids.iter().enumerate() {
            let before = std::mem::replace(&mut latest[*id as usize], row as u32);
            previous[row] = before;
            if before != NONE {
                next[before as usize] = row as u32;
            }
        }
        let ends = latest.iter().enumerate().filter(|(_, row)| **row != NONE);
        let ends = ends.map(|(id, row)| (id as KeyId, *row as usize)).collect();
        Order::Many(Arc::new(Many { ids, previous, next, ends }))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Order::One { rows, .. } => *rows,
            Order::Many(many) => many.ids.len(),
        }
    }

    #[inline]
    pub(super) fn key(&self, row: usize) -> KeyId {
        match self {
            Order::One { key, .. } => *key,
            Order::Many(many) => many.ids[row],
        }
    }

    /// The row before, of the same key.
    #[inline]
    pub(super) fn previous(&self, row: usize) -> Option<usize> {
        match self {
            Order::One { .. } => row.checked_sub(1),
            Order::Many(many) => Some(many.previous[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// The row after, of the same key.
    #[inline]
    pub(super) fn next(&self, row: usize) -> Option<usize> {
        match self {
            Order::One { rows, .. } => Some(row + 1).filter(|row| row < rows),
            Order::Many(many) => Some(many.next[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// Each key with its last row.
    pub(super) fn ends(&self) -> Vec<(KeyId, usize)> {
        match self {
            Order::One { rows: 0, .. } => Vec::new(),
            Order::One { key, rows } => vec![(*key, rows - 1)],
            Order::Many(many) => many.ends.clone(),
        }
    }

    fn ids(&self) -> Vec<KeyId> {
        match self {
            Order::One { key, rows } => vec![*key; *rows],
            Order::Many(many) => many.ids.clone(),
        }
    }

    /// The order of rows one after the other.
    pub(super) fn concat<'a>(orders: impl Iterator<Item = &'a Order> + Clone) -> Order {
        let mut single = None;
        let mut rows = 0;
        for order in orders.clone() {
            match order {
                Order::One { key, rows: more } if single.is_none_or(|single| single == *key) => {
                    single = Some(*key);
                    rows += more;
                }
                _ => return Order::of(orders.flat_map(Order::ids).collect()),
            }
        }
        Order::One { key: single.unwrap_or(0), rows }
    }

    fn slice(&self, from: usize, rows: usize) -> Order {
        match self {
            Order::One { key, .. } => Order::One { key: *key, rows },
            Order::Many(many) => Order::of(many.ids[from..from + rows].to_vec()),
        }
    }

    fn filter(&self, keep: &Bits) -> Order {
        match self {
            Order::One { key, .. } => Order::One { key: *key, rows: keep.count() },
            Order::Many(many) => Order::of(keep.iter().map(|row| many.ids[row]).collect()),
        }
    }
}

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

/// A batch with the order of its rows and the places of its fields.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) batch: Batch,
    pub(super) order: Order,
    pub(super) columns: Arc<Columns>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.batch.rows()
    }

    /// Rows `from .. from + rows`, sharing memory.
    pub(super) fn slice(&self, from: usize, rows: usize) -> Rows {
        let order = self.order.slice(from, rows);
        Rows { batch: self.batch.slice(from, rows), order, columns: Arc::clone(&self.columns) }
    }

    /// The rows of a set, in order, in memory of their own unless it is all of them.
    pub(super) fn filter(&self, keep: &Bits) -> Result<Rows> {
        let mask = BooleanArray::from(BooleanBuffer::collect_bool(self.len(), |row| keep.has(row)));
        Ok(Rows {
            batch: self.batch.filter(&mask)?,
            order: self.order.filter(keep),
            columns: Arc::clone(&self.columns),
        })
    }

    /// Fills the missing cells of a column by a value each, where there is one.
    pub(super) fn fill_missing(
        &mut self,
        column: usize,
        provenance: Provenance,
        value_of: impl Fn(KeyId) -> Option<f64>,
    ) -> Result<()> {
        let order = &self.order;
        self.batch.change_numbers(column, |numbers| {
            let missing = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0).map(Bits::valid);
            let Some(before) = missing else { return Ok(numbers) };
            let (mut values, _, mut marks) = numbers.into_vecs();
            let mut valid = before.clone();
            for row in before.iter_absent() {
                if let Some(value) = value_of(order.key(row)) {
                    values[row] = value;
                    marks[row] = Mark(marks[row]).filled(provenance, 0).0;
                    valid.insert(row);
                }
            }
            Ok(Numbers::from_vecs(values, valid.into_nulls(), marks))
        })
    }

    /// Whether rows can be joined with these.
    pub(super) fn joins(&self, other: &Rows) -> bool {
        self.batch.fields() == other.batch.fields() && has_raw(&self.batch) == has_raw(&other.batch)
    }

    /// Rows one after the other, all of one layout.
    pub(super) fn concat(rows: &[Rows]) -> Result<Rows> {
        let batches: Vec<Batch> = rows.iter().map(|rows| rows.batch.clone()).collect();
        Ok(Rows {
            batch: Batch::concat(&batches)?,
            order: Order::concat(rows.iter().map(|rows| &rows.order)),
            columns: Arc::clone(&rows[0].columns),
        })
    }
}

fn has_raw(batch: &Batch) -> bool {
    batch.rows() > 0 && batch.raw(0).is_some()
}
