//! One record, parsed in full before any of it goes into the columns.

use std::cmp::Ordering;

use super::cell::Cell;
use super::layout::{Layout, Slot};
use super::lexer::{Lexer, Quoted};
use super::options::Others;
use super::passed_over::PassedOverLog;
use super::quality::Quality;
use super::rejected::Rejected;
use crate::reading::KeyJoiner;

#[derive(Debug, Default)]
pub(super) struct Row {
    /// In microseconds since 1970, and minutes east of UTC.
    pub(super) time: (i64, i16),
    /// One for each part of the timestamp.
    pub(super) time_cells: Vec<Cell>,
    pub(super) joined: String,
    /// One for each part of the key.
    pub(super) keys: Vec<Cell>,
    pub(super) key_joiner: KeyJoiner,
    /// One for each property with the publisher's codes.
    pub(super) codes: Vec<Cell>,
    /// One for each known field.
    pub(super) cells: Vec<Cell>,
    /// The texts of a record that is read straight into columns, and their fields.
    pub(super) texts: Vec<(usize, Cell)>,
    /// The properties that are no known field.
    pub(super) new: Vec<(String, Cell)>,
    /// The fields in the order of the object. New ones are numbered on from the known ones.
    pub(super) order: Vec<usize>,
    pub(super) quality: Quality,
    pub(super) passed_over: PassedOverLog,
    /// The names of values that are ignored.
    pub(super) ignored: Vec<Quoted>,
    /// What was found inside of objects, and how deep: what lies less deep takes its place.
    pub(super) deep: Vec<(Slot, usize)>,
    /// The unknown properties, by their place in `new`, whose names others are renamed to.
    pub(super) own: Vec<usize>,
    /// The path of the present property, with dots and as a pointer.
    pub(super) path: String,
    pub(super) pointer: String,
}

impl Row {
    /// Forgets the record before.
    pub(super) fn clear(&mut self, layout: &Layout) {
        self.time_cells.clear();
        self.time_cells.resize(layout.timestamp.len(), Cell::Absent);
        self.keys.clear();
        self.keys.resize(layout.key_columns().len(), Cell::Absent);
        self.codes.clear();
        self.codes.resize(layout.flags.properties.len(), Cell::Absent);
        self.cells.clear();
        self.cells.resize(layout.fields.len(), Cell::Absent);
        self.new.clear();
        self.order.clear();
        self.quality.clear();
        self.passed_over.begin();
        self.ignored.clear();
        self.deep.clear();
        self.own.clear();
    }

    /// Forgets what a record that is read straight into columns has again.
    #[inline]
    pub(super) fn clear_for_expected(&mut self, layout: &Layout) {
        self.time_cells.clear();
        self.time_cells.resize(layout.timestamp.len(), Cell::Absent);
        self.keys.clear();
        self.keys.resize(layout.key_columns().len(), Cell::Absent);
        self.texts.clear();
        self.quality.clear();
    }

    /// Whether a value at this depth counts, rather than one that is there already.
    pub(super) fn counts(&mut self, slot: Slot, depth: usize, is_there: bool, name: &str) -> Result<bool, Rejected> {
        let known = self.deep.iter().position(|(deep, _)| *deep == slot);
        let order = if is_there { depth.cmp(&known.map_or(0, |place| self.deep[place].1)) } else { Ordering::Less };
        match order {
            Ordering::Equal => return Err(repeated(name)),
            Ordering::Greater => return Ok(false),
            Ordering::Less => {}
        }
        match known {
            Some(place) => self.deep[place].1 = depth,
            None if depth > 0 => self.deep.push((slot, depth)),
            None => {}
        }
        Ok(true)
    }

    /// How deep the present value of a part lies.
    pub(super) fn depth_of(&self, slot: Slot) -> usize {
        self.deep.iter().find(|(deep, _)| *deep == slot).map_or(0, |(_, depth)| *depth)
    }

    /// Whether a known field is one that nobody asked for.
    pub(super) fn is_unasked(&self, index: usize, layout: &Layout) -> bool {
        index >= layout.asked && layout.others != Others::Asked
    }

    /// Passes over what nobody asked for.
    pub(super) fn pass_over(&mut self, name: &str, lexer: &mut Lexer<'_>) -> Result<(), Rejected> {
        let what = match lexer.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            _ => "a value",
        };
        lexer.value()?;
        self.passed_over.note(name, what);
        Ok(())
    }
}

#[cold]
pub(super) fn repeated(name: &str) -> Rejected {
    Rejected::new(format!("the property `{name}` is there twice"))
}
