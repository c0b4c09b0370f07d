//! One record, parsed in full before any of it goes into the columns.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cell::Cell;
use super::layout::{Layout, Slot};
use super::lexer::{Lexer, Quoted};
use super::names::{PATH_LEVELS_MAX, is_pointer, push_pointer};
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

    /// Reads the value of a property that no field has yet.
    fn new_field(&mut self, name: Cow<'_, str>, lexer: &mut Lexer<'_>, layout: &Layout) -> Result<(), Rejected> {
        if !layout.is_free(&name) {
            return self.pass_over(&name, lexer);
        }
        let why = if self.new.iter().any(|(known, _)| *known == name) {
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
                self.order.push(layout.fields.len() + self.new.len());
                self.new.push((name.into_owned(), cell));
                Ok(())
            }
            Err(_) if layout.others == Others::Welcome => self.pass_over(&name, lexer),
            Err(what) => Err(nested_unasked(&name, what)),
        }
    }

    /// Reads the property at the present path, if it is asked for or what is inside of it; returns whether that is so.
    fn at_path(&mut self, depth: usize, lexer: &mut Lexer<'_>, by: &mut Reading<'_>) -> Result<bool, Rejected> {
        let Layout { names, .. } = by.layout;
        let by_name = if depth > 0 { by.layout.find(&self.path) } else { None };
        if let Some((_, slot)) = by_name.or_else(|| by.layout.find(&self.pointer)) {
            self.value(slot, depth, lexer, by)?;
            return Ok(true);
        }
        let renamed = if depth > 0 { names.renamed(&self.path) } else { None };
        if let Some(name) = renamed.or_else(|| names.renamed(&self.pointer)) {
            self.new_field(name.to_string().into(), lexer, by.layout)?;
            return Ok(true);
        }
        if !names.opens(&self.path) && !names.opens(&self.pointer) {
            return Ok(false);
        }
        match lexer.peek() {
            Some(b'{') => self.members(b'}', depth, lexer, by)?,
            Some(b'[') => self.members(b']', depth, lexer, by)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads what is asked for inside of the object or array at the present path. The elements of an array have their index
    /// as name, from 0.
    fn members(
        &mut self,
        close: u8,
        depth: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<(), Rejected> {
        if depth >= PATH_LEVELS_MAX {
            lexer.fail("less nesting")?;
        }
        let (path, pointer) = (self.path.len(), self.pointer.len());
        let (open, expected) = if close == b'}' { (b'{', "`,` or `}`") } else { (b'[', "`,` or `]`") };
        let mut more = lexer.open(open, close, "a value")?;
        let mut index = 0;
        while more {
            let name = if close == b'}' {
                let name = lexer.name()?;
                lexer.space();
                name.text(lexer.text)
            } else {
                Cow::from(index.to_string())
            };
            index += 1;
            self.path.push('.');
            self.path.push_str(&name);
            push_pointer(&mut self.pointer, &name);
            if !self.at_path(depth + 1, lexer, by)? {
                let path = std::mem::take(&mut self.path);
                match by.layout.others {
                    Others::Ignored => lexer.value()?,
                    Others::Asked | Others::Welcome => self.pass_over(&path, lexer)?,
                }
                self.path = path;
            }
            self.path.truncate(path);
            self.pointer.truncate(pointer);
            more = lexer.more(close, expected)?;
        }
        Ok(())
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

    /// Whether a value at this depth counts, rather than one that is there already.
    fn counts(&mut self, slot: Slot, depth: usize, is_there: bool, name: &str) -> Result<bool, Rejected> {
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

    /// Takes a value that comes from inside of an object, or of a field that has one already.
    #[cold]
    fn field_again(&mut self, index: usize, depth: usize, cell: Cell, layout: &Layout) -> Result<(), Rejected> {
        let name = &layout.fields[index].name;
        let is_there = !matches!(self.cells[index], Cell::Absent);
        match self.counts(Slot::Field(index), depth, is_there, name) {
            Ok(true) => {
                self.cells[index] = cell;
                if !is_there {
                    self.order.push(index);
                }
            }
            Err(_) if self.is_unasked(index, layout) => self.passed_over.note(name, "once more"),
            other => drop(other?),
        }
        Ok(())
    }

    /// An object or an array in place of a field's value.
    #[cold]
    fn nested_field(
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

    /// Whether a known field is one that nobody asked for.
    fn is_unasked(&self, index: usize, layout: &Layout) -> bool {
        index >= layout.asked && layout.others != Others::Asked
    }

    fn pass_over(&mut self, name: &str, lexer: &mut Lexer<'_>) -> Result<(), Rejected> {
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

/// The same where nothing was asked for.
#[cold]
fn nested_unasked(name: &str, what: &str) -> Rejected {
    Rejected::new(format!(
        "the property `{name}` is {what}, which no column can hold: where `fields` names what is wanted, others are passed over"
    ))
}

#[cold]
fn not_an_object(mut lexer: Lexer<'_>) -> Rejected {
    match lexer.value() {
        Err(error) => error.into(),
        Ok(()) => Rejected::new("it is JSON, but not an object"),
    }
}
