//! One record, parsed in full before any of it goes into the columns.

use std::borrow::Cow;

use super::cell::Cell;
use super::layout::{Layout, Slot};
use super::lexer::Lexer;
use super::property_names::QUALITY;
use super::quality::{Quality, TestBits};
use super::rejected::Rejected;
use crate::codec::text;

#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) time: Option<(i64, i16)>,
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
    /// Reads a record.
    pub(super) fn read(&mut self, source: &str, layout: &Layout, tests: &mut TestBits) -> Result<(), Rejected> {
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
        if self.time.is_none() {
            return Err(Rejected::new(format!("there is no property `{}`", layout.timestamp)));
        }
        Ok(())
    }

    fn clear(&mut self, layout: &Layout) {
        self.time = None;
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
            Slot::Timestamp => {
                let name = &layout.timestamp;
                let cell = Cell::read(lexer)?.map_err(|what| nested(name, what))?;
                if self.time.is_some() {
                    return Err(repeated(name));
                }
                self.time = Some(timestamp(name, &cell, lexer.text)?);
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

fn timestamp(name: &str, cell: &Cell, source: &str) -> Result<(i64, i16), Rejected> {
    let shown = match cell {
        Cell::Text(quoted) => quoted.text(source),
        Cell::Number(number) => Cow::from(&source[number.part.range()]),
        Cell::Bool(_) | Cell::Null | Cell::Absent => Cow::from("null"),
    };
    let parsed = match cell {
        Cell::Text(_) => text::parse_timestamp(shown.as_bytes()),
        _ => Err(text::TimestampError::Shape),
    };
    parsed.map_err(|why| {
        let shown: String = shown.chars().take(64).collect();
        Rejected::new(format!("the {name} `{shown}` {why}"))
    })
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
