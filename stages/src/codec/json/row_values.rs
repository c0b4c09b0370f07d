//! The values of a record, each into its place.

use std::borrow::Cow;

use super::cell::Cell;
use super::layout::{IGNORED, Layout, Slot};
use super::lexer::Lexer;
use super::names::{OWN_NAME, POINTER_NAME, is_pointer};
use super::options::Others;
use super::property_names::QUALITY;
use super::quality::TestBits;
use super::rejected::Rejected;
use super::row::{Row, repeated};
use crate::reading::time::TimeReader;

/// What a property is read by.
pub(super) struct Reading<'a> {
    pub(super) layout: &'a Layout,
    pub(super) tests: &'a mut TestBits,
    pub(super) times: &'a mut TimeReader,
    /// The key of its message, and the time in milliseconds since 1970.
    pub(super) message: (Option<&'a str>, Option<i64>),
}

impl Row {
    /// Reads the value of a known property, `depth` objects deep.
    #[inline]
    pub(super) fn value(
        &mut self,
        slot: Slot,
        depth: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<(), Rejected> {
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
                let is_there = !matches!(self.keys[part], Cell::Absent);
                if self.counts(slot, depth, is_there, name)? {
                    self.keys[part] = cell;
                }
                if depth == 0 && !is_there {
                    self.order.push(IGNORED);
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

    /// Reads the value of a property that no field has yet, `depth` objects deep.
    pub(super) fn new_field(
        &mut self,
        name: Cow<'_, str>,
        depth: usize,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        if !layout.is_free(&name) {
            return self.pass_over(&name, lexer);
        }
        let known = self.new.iter().position(|(known, _)| *known == name);
        let own = known.and_then(|place| self.own.iter().position(|own| *own == place));
        if let (Some(place), Some(own)) = (known, own)
            && depth != OWN_NAME
            && let Ok(cell) = Cell::read(lexer)?
        {
            self.own.remove(own);
            self.new[place].1 = cell;
            self.place(layout.fields.len() + place, Some(OWN_NAME), depth);
            self.passed_over.note(&name, "another property is renamed so");
            return Ok(());
        }
        if known.is_some() && own.is_none() && depth == OWN_NAME {
            self.place(IGNORED, Some(0), depth);
            self.passed_over.note(&name, "another property is renamed so");
            return Ok(lexer.value()?);
        }
        let why = if known.is_some() {
            Some(repeated(&name))
        } else {
            layout.refuses(&name, self.new.len()).map(Rejected::new)
        };
        let cell = match why {
            Some(_) if layout.others == Others::Welcome => return self.pass_over(&name, lexer),
            Some(why) => return Err(why),
            None => Cell::read(lexer)?,
        };
        match cell {
            Ok(cell) => {
                if depth == OWN_NAME {
                    self.own.push(self.new.len());
                }
                self.order.push(layout.fields.len() + self.new.len());
                self.new.push((name.into_owned(), cell));
                Ok(())
            }
            Err(_) if layout.others == Others::Welcome => self.pass_over(&name, lexer),
            Err(what) => Err(nested_unasked(&name, what)),
        }
    }

    /// Takes a value that comes from inside of an object, or of a field that has one already.
    #[cold]
    pub(super) fn field_again(
        &mut self,
        index: usize,
        depth: usize,
        cell: Cell,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        let name = &layout.fields[index].name;
        let is_there = !matches!(self.cells[index], Cell::Absent);
        let known = is_there.then(|| self.depth_of(Slot::Field(index)));
        match self.counts(Slot::Field(index), depth, is_there, name) {
            Ok(counts) => {
                if counts {
                    self.cells[index] = cell;
                }
                if is_there {
                    self.passed_over.note(name, "another value of it counts");
                }
                self.place(if counts { index } else { IGNORED }, known, depth);
            }
            Err(_) if self.is_unasked(index, layout) => self.passed_over.note(name, "once more"),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// Notes the place of a value among the properties of the record, where one of the field is `known` at that depth: both are there.
    fn place(&mut self, index: usize, known: Option<usize>, depth: usize) {
        let is_at_top = |depth: usize| matches!(depth, 0 | OWN_NAME | POINTER_NAME);
        if known.is_none() {
            self.order.push(index);
        } else if known.is_some_and(is_at_top) && is_at_top(depth) {
            self.order
                .iter_mut()
                .filter(|other| **other == index && index != IGNORED)
                .for_each(|other| *other = IGNORED);
            self.order.push(index);
        }
    }

    /// An object or an array in place of a field's value.
    #[cold]
    pub(super) fn nested_field(
        &mut self,
        index: usize,
        what: &'static str,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        let name = &layout.fields[index].name;
        match layout.others {
            Others::Asked => Err(nested_unasked(name, what)),
            _ if self.is_unasked(index, layout) => self.pass_over(name, lexer),
            _ => Err(nested(name, what)),
        }
    }
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

/// The reason of a record that has an object or an array where nothing was asked for.
#[cold]
fn nested_unasked(name: &str, what: &str) -> Rejected {
    Rejected::new(format!(
        "the property `{name}` is {what}, which no column can hold: where `fields` names what is wanted, others are passed over"
    ))
}
