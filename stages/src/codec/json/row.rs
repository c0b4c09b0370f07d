//! One record, parsed in full before any of it goes into the columns.

mod others;
mod paths;

use std::borrow::Cow;

use super::cell::Cell;
use super::layout::{Layout, Slot};
use super::lexer::{Lexer, Quoted};
use super::names::{is_pointer, push_pointer};
use super::options::Others;
use super::passed_over::PassedOverLog;
use super::property_names::QUALITY;
use super::quality::{Quality, TestBits};
use super::rejected::Rejected;
use crate::reading::time::TimeReader;
use crate::reading::{Key, join};

/// Stands in [`Row::order`] for a property that is no field: the marks of a record count it.
pub(super) const IGNORED: usize = usize::MAX;

#[derive(Debug, Default)]
pub(super) struct Row {
    /// In microseconds since 1970, and minutes east of UTC.
    pub(super) time: (i64, i16),
    /// One for each part of the timestamp.
    time_cells: Vec<Cell>,
    joined: String,
    /// One for each part of the key.
    pub(super) keys: Vec<Cell>,
    /// One for each property with the publisher's codes.
    pub(super) codes: Vec<Cell>,
    /// One for each known field.
    pub(super) cells: Vec<Cell>,
    /// The properties that are no known field.
    pub(super) new: Vec<(String, Cell)>,
    /// The fields in the order of the object. New ones are numbered on from the known ones.
    pub(super) order: Vec<usize>,
    pub(super) quality: Quality,
    pub(super) passed_over: PassedOverLog,
    /// The names of values that are ignored.
    pub(super) ignored: Vec<Quoted>,
    /// What was found inside of objects, and how deep: what lies less deep takes its place.
    deep: Vec<(Slot, usize)>,
    /// The path of the present property, with dots and as a pointer.
    path: String,
    pointer: String,
}

/// What a property is read by.
pub(super) struct Reading<'a> {
    pub(super) layout: &'a Layout,
    pub(super) tests: &'a mut TestBits,
    pub(super) times: &'a mut TimeReader,
    /// The key of its message, and the time in milliseconds since 1970.
    pub(super) message: (Option<&'a str>, Option<i64>),
}

impl Row {
    /// Reads a record, which starts at a byte of its message and is all of it where that is the first one.
    pub(super) fn read(&mut self, source: &str, start: usize, by: &mut Reading<'_>) -> Result<(), Rejected> {
        let layout = by.layout;
        self.clear(layout);
        let mut lexer = Lexer { text: source, at: start };
        lexer.space();
        if lexer.peek() != Some(b'{') {
            return Err(not_an_object(lexer));
        }
        let mut more = lexer.open(b'{', b'}', "`{`")?;
        let mut place = 0;
        while more {
            place = match layout.expected(place) {
                Some((bytes, slot)) if lexer.skip(bytes) => {
                    lexer.space();
                    self.value(slot, 0, &mut lexer, by)?;
                    place + 1
                }
                _ => self.unexpected_property(place, &mut lexer, by)?,
            };
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        if layout.record.is_none() {
            lexer.space();
            if lexer.peek().is_some() {
                lexer.fail("the end")?;
            }
        }
        self.time = self.read_time(source, by)?;
        Ok(())
    }

    /// The time of the record that was read: behind all properties, for its key may decide which of two it is.
    #[inline]
    fn read_time(&mut self, source: &str, by: &mut Reading<'_>) -> Result<(i64, i16), Rejected> {
        let Reading { layout, times, message: (message_key, message_time), .. } = by;
        if let Some(absent) = self.time_cells.iter().position(|cell| matches!(cell, Cell::Absent)) {
            return Err(Rejected::new(format!("there is no property `{}`", layout.timestamp[absent])));
        }
        let key_text = match &*self.keys {
            [] => Cow::Borrowed(message_key.unwrap_or_default()),
            [key] => shown(key, source),
            parts => {
                let separator = layout.key.as_ref().map_or("", Key::separator);
                join(parts.iter().map(|part| part.text(source)), separator).unwrap_or_default().into()
            }
        };
        let key = || key_text.as_bytes();
        match self.time_cells.as_slice() {
            [] => times.read_message(*message_time, key).map_err(|why| Rejected::new(format!("the timestamp: {why}"))),
            [cell] => {
                let text = shown(cell, source);
                times.read(text.as_bytes(), key).map_err(|why| no_time(layout, &text, &why))
            }
            several => {
                self.joined.clear();
                for cell in several {
                    if !self.joined.is_empty() {
                        self.joined.push(' ');
                    }
                    self.joined.push_str(shown(cell, source).trim());
                }
                times.read(self.joined.as_bytes(), key).map_err(|why| no_time(layout, &self.joined, &why))
            }
        }
    }

    fn clear(&mut self, layout: &Layout) {
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
    }

    /// Reads a property that is not the one expected at `place`; returns the place that is expected next.
    fn unexpected_property(
        &mut self,
        place: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<usize, Rejected> {
        let quoted = lexer.name()?;
        lexer.space();
        let name = quoted.text(lexer.text);
        if let Some((found, slot)) = by.layout.find(&name) {
            // What a pointer points at counts before a property that has its text as name.
            let depth = if is_pointer(&name) { usize::MAX } else { 0 };
            self.value(slot, depth, lexer, by)?;
            return Ok(found + 1);
        }
        if by.layout.names.has_paths() {
            self.path.clear();
            self.path.push_str(&name);
            self.pointer.clear();
            push_pointer(&mut self.pointer, &name);
            if self.at_path(0, lexer, by)? {
                return Ok(place);
            }
        }
        if by.layout.others == Others::Ignored {
            // The key is no field, wherever it is taken from.
            let is_key = by.layout.key_name() == Some(&*name);
            if !is_key && !matches!(lexer.peek(), Some(b'{' | b'[')) {
                self.order.push(IGNORED);
                self.ignored.push(quoted);
            }
            lexer.value()?;
            return Ok(place);
        }
        let meant = by.layout.names.renamed(&name).map(|meant| Cow::from(meant.to_string()));
        self.new_field(meant.unwrap_or(name), lexer, by.layout)?;
        Ok(place)
    }

    #[inline]
    fn value(&mut self, slot: Slot, depth: usize, lexer: &mut Lexer<'_>, by: &mut Reading<'_>) -> Result<(), Rejected> {
        let layout = by.layout;
        match slot {
            Slot::Field(index) => {
                // Nearly all values are numbers.
                let cell = match lexer.peek() {
                    Some(b'0'..=b'9') => Cell::Number(lexer.number()?),
                    _ => match Cell::read(lexer)? {
                        Ok(cell) => cell,
                        Err(what) => return self.nested_field(index, what, lexer, layout),
                    },
                };
                if !matches!(self.cells[index], Cell::Absent) || depth > 0 {
                    return self.field_again(index, depth, cell, layout);
                }
                self.cells[index] = cell;
                self.order.push(index);
            }
            Slot::Timestamp(part) => {
                let name = &layout.timestamp[part];
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                if self.counts(slot, depth, !matches!(self.time_cells[part], Cell::Absent), name)? {
                    self.time_cells[part] = cell;
                }
            }
            Slot::Key(part) => {
                let name = &layout.key_columns()[part];
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                if self.counts(slot, depth, !matches!(self.keys[part], Cell::Absent), name)? {
                    self.keys[part] = cell;
                }
            }
            Slot::Code(code) => {
                let name = &layout.flags.properties[code];
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                let is_there = !matches!(self.codes[code], Cell::Absent);
                if self.counts(slot, depth, is_there, name)? {
                    self.codes[code] = cell;
                }
                if depth == 0 && !is_there {
                    self.order.push(IGNORED);
                }
            }
            Slot::Quality => {
                if self.quality.is_present() {
                    return Err(repeated(QUALITY));
                }
                self.quality.read(lexer, by.tests)?;
            }
        }
        Ok(())
    }
}

/// A value as text, without blanks around it.
#[inline]
fn shown<'a>(cell: &Cell, source: &'a str) -> Cow<'a, str> {
    match cell {
        Cell::Text(quoted) => match quoted.text(source) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
        },
        Cell::Number(number) => Cow::Borrowed(&source[number.part.range()]),
        Cell::Bool(true) => Cow::Borrowed("true"),
        Cell::Bool(false) => Cow::Borrowed("false"),
        Cell::Null | Cell::Absent => Cow::Borrowed("null"),
    }
}

#[cold]
fn no_time(layout: &Layout, text: &str, why: &str) -> Rejected {
    let shown: String = text.chars().take(64).collect();
    Rejected::new(format!("the {} `{shown}` {why}", layout.timestamp.join(" and ")))
}

#[cold]
fn repeated(name: &str) -> Rejected {
    Rejected::new(format!("the property `{name}` is there twice"))
}

/// The reason of a record that has an object or an array where a value was asked for.
#[cold]
fn nested(name: &str, what: &str) -> Rejected {
    let inner = if what == "an array" { "0" } else { "value" };
    let separator = if is_pointer(name) { '/' } else { '.' };
    Rejected::new(format!(
        "the property `{name}` is {what}, which no column can hold: a path such as `{name}{separator}{inner}` names what is \
         in it"
    ))
}

#[cold]
fn not_an_object(mut lexer: Lexer<'_>) -> Rejected {
    match lexer.value() {
        Err(error) => error.into(),
        Ok(()) => Rejected::new("it is JSON, but not an object"),
    }
}
