//! One record, parsed in full before any of it goes into the columns.

use std::borrow::Cow;

use super::cell::Cell;
use super::layout::{Layout, Slot};
use super::lexer::Lexer;
use super::property_names::QUALITY;
use super::quality::{Quality, TestBits};
use super::rejected::Rejected;
use crate::reading::time::TimeReader;

#[derive(Debug, Default)]
pub(super) struct Row {
    /// In microseconds since 1970, and minutes east of UTC.
    pub(super) time: (i64, i16),
    /// One for each part of the timestamp.
    time_cells: Vec<Cell>,
    joined: String,
    pub(super) key: Option<Cell>,
    /// One for each known field.
    pub(super) cells: Vec<Cell>,
    /// The properties that are no known field.
    pub(super) new: Vec<(String, Cell)>,
    /// The fields in the order of the object. New ones are numbered on from the known ones.
    pub(super) order: Vec<usize>,
    pub(super) quality: Quality,
}

impl Row {
    /// Reads a record; `message_time` is that of its message, in milliseconds since 1970.
    pub(super) fn read(
        &mut self,
        source: &str,
        layout: &Layout,
        tests: &mut TestBits,
        (times, message_time): (&mut TimeReader, Option<i64>),
    ) -> Result<(), Rejected> {
        self.clear(layout);
        let mut lexer = Lexer::new(source);
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
                    self.value(slot, &mut lexer, layout, tests)?;
                    place + 1
                }
                _ => self.unexpected_property(place, &mut lexer, layout, tests)?,
            };
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        lexer.space();
        if lexer.peek().is_some() {
            lexer.fail("the end")?;
        }
        self.time = self.read_time(source, layout, times, message_time)?;
        Ok(())
    }

    /// The time of the record that was read: behind all properties, for its key may decide which of two it is.
    #[inline]
    fn read_time(
        &mut self,
        source: &str,
        layout: &Layout,
        times: &mut TimeReader,
        message_time: Option<i64>,
    ) -> Result<(i64, i16), Rejected> {
        if let Some(absent) = self.time_cells.iter().position(|cell| matches!(cell, Cell::Absent)) {
            return Err(Rejected::new(format!("there is no property `{}`", layout.timestamp[absent])));
        }
        let key_text = self.key.as_ref().map_or(Cow::Borrowed(""), |key| shown(key, source));
        let key = || key_text.as_bytes();
        match self.time_cells.as_slice() {
            [] => times.read_message(message_time, key).map_err(|why| Rejected::new(format!("the timestamp: {why}"))),
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
        self.key = None;
        self.cells.clear();
        self.cells.resize(layout.fields.len(), Cell::Absent);
        self.new.clear();
        self.order.clear();
        self.quality.clear();
    }

    /// Reads a property that is not the one expected at `place`; returns the place that is expected next.
    fn unexpected_property(
        &mut self,
        place: usize,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
        tests: &mut TestBits,
    ) -> Result<usize, Rejected> {
        let quoted = lexer.name()?;
        lexer.space();
        let name = quoted.text(lexer.text);
        if let Some((found, slot)) = layout.find(&name) {
            self.value(slot, lexer, layout, tests)?;
            return Ok(found + 1);
        }
        if self.new.iter().any(|(known, _)| *known == name) {
            return Err(repeated(&name));
        }
        if let Some(reason) = layout.refuses(&name, self.new.len()) {
            return Err(Rejected::new(reason));
        }
        let cell = Cell::read(lexer)?.map_err(|what| nested(&name, what))?;
        self.order.push(layout.fields.len() + self.new.len());
        self.new.push((name.into_owned(), cell));
        Ok(place)
    }

    #[inline]
    fn value(
        &mut self,
        slot: Slot,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
        tests: &mut TestBits,
    ) -> Result<(), Rejected> {
        match slot {
            Slot::Field(index) => {
                let cell = &mut self.cells[index];
                let is_first = matches!(cell, Cell::Absent);
                // Nearly all values are numbers.
                *cell = match lexer.peek() {
                    Some(b'0'..=b'9') => Cell::Number(lexer.number()?),
                    _ => Cell::read(lexer)?.map_err(|what| nested(&layout.fields[index].name, what))?,
                };
                if !is_first {
                    return Err(repeated(&layout.fields[index].name));
                }
                self.order.push(index);
            }
            Slot::Timestamp(part) => {
                let name = &layout.timestamp[part];
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                if !matches!(std::mem::replace(&mut self.time_cells[part], cell), Cell::Absent) {
                    return Err(repeated(name));
                }
            }
            Slot::Key => {
                let name = layout.key_name();
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                if self.key.replace(cell).is_some() {
                    return Err(repeated(name));
                }
            }
            Slot::Quality => {
                if self.quality.is_present() {
                    return Err(repeated(QUALITY));
                }
                self.quality.read(lexer, tests)?;
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

#[cold]
fn nested(name: &str, what: &str) -> Rejected {
    Rejected::new(format!("the property `{name}` is {what}, which no column can hold"))
}

#[cold]
fn not_an_object(mut lexer: Lexer<'_>) -> Rejected {
    match lexer.value() {
        Err(error) => error.into(),
        Ok(()) => Rejected::new("it is JSON, but not an object"),
    }
}
