//! From the text of a record to its cells.

use std::borrow::Cow;

use super::cell::Cell;
use super::layout::{IGNORED, Layout};
use super::lexer::Lexer;
use super::names::push_pointer;
use super::options::Others;
use super::rejected::Rejected;
use super::row::Row;
use super::row_values::Reading;
use crate::reading::Key;

impl Row {
    /// Reads a record, which starts at a byte of its message and is all of it where that is the first one.
    #[inline]
    pub(super) fn read(&mut self, source: &str, start: usize, by: &mut Reading<'_>) -> Result<(), Rejected> {
        self.read_properties(source, start, by)?;
        self.time = self.read_time(source, by)?;
        Ok(())
    }

    /// The same without the meaning of its time.
    pub(super) fn read_properties(&mut self, source: &str, start: usize, by: &mut Reading<'_>) -> Result<(), Rejected> {
        let layout = by.layout;
        self.clear(layout);
        let mut lexer = Lexer { text: source, at: start };
        lexer.space();
        if lexer.peek() != Some(b'{') {
            return Err(not_an_object(lexer, layout.record.is_some()));
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
        Ok(())
    }

    /// The time of the record that was read: behind all properties, for its key may decide which of two it is.
    #[inline]
    pub(super) fn read_time(&mut self, source: &str, by: &mut Reading<'_>) -> Result<(i64, i16), Rejected> {
        let Reading { layout, times, message: (message_key, message_time), .. } = by;
        if let Some(absent) = self.time_cells.iter().position(|cell| matches!(cell, Cell::Absent)) {
            return Err(Rejected::new(format!("there is no property `{}`", layout.timestamp[absent])));
        }
        let key_text = match &*self.keys {
            [] => Cow::Borrowed(message_key.unwrap_or_default()),
            [key] => shown(key, source),
            parts => {
                let separator = layout.key.as_ref().map_or("", Key::separator);
                let parts = parts.iter().map(|part| part.text(source));
                self.key_joiner.join(parts, separator).map_err(Rejected::new)?.unwrap_or_default().into()
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
            self.value(slot, by.layout.names.depth(&name), lexer, by)?;
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
        let is_key = by.layout.key_name() == Some(&*name);
        if (is_key || by.layout.others == Others::Ignored) && !matches!(lexer.peek(), Some(b'{' | b'[')) {
            self.order.push(IGNORED);
            self.ignored.push(quoted);
        }
        if by.layout.others == Others::Ignored {
            lexer.value()?;
            return Ok(place);
        }
        let depth = by.layout.names.depth(&name);
        let meant = by.layout.names.renamed(&name).map(|meant| Cow::from(meant.to_string()));
        self.new_field(meant.unwrap_or(name), depth, lexer, by.layout)?;
        Ok(place)
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
fn not_an_object(mut lexer: Lexer<'_>, is_inside: bool) -> Rejected {
    let what = match lexer.peek() {
        Some(b'[') if !is_inside => ": `record = \"/0\"` reads the first element of an array as the record",
        Some(b'"') => ": it is a text; does its writer quote the object once more?",
        Some(b'0'..=b'9' | b'-') if !is_inside => {
            ": `format = \"csv\"` with `columns` reads messages that are bare values"
        }
        _ => "",
    };
    match lexer.value() {
        Err(error) => error.into(),
        Ok(()) => Rejected::new(format!("it is JSON, but not an object{what}")),
    }
}
