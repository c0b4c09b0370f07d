//! One value of a record, between its bytes and a column.

use std::borrow::Cow;

use aqpipe_engine::record::Kind;
use arrow_array::builder::StringBuilder;

use super::lexer::{Lexer, Number, Quoted, SyntaxError};
use crate::columns::ColumnBuilder;
use crate::reading::{NumberReader, Reading, is_code};

/// A property's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    Absent,
    Null,
    Number(Number),
    Text(Quoted),
    Bool(bool),
}

impl Cell {
    /// The kind of a field whose first value this is.
    pub(super) fn kind(&self, source: &str, reader: &NumberReader) -> Kind {
        match self {
            Cell::Absent | Cell::Null => Kind::Unknown,
            Cell::Text(text) if reader.is_missing_text(text.text(source).trim().as_bytes()) => Kind::Unknown,
            Cell::Number(number) if is_code(source[number.part.range()].as_bytes()) => Kind::Text,
            Cell::Number(_) => Kind::Number,
            Cell::Text(_) | Cell::Bool(_) => Kind::Text,
        }
    }

    /// The next value, or what a nested one is.
    #[inline]
    pub(super) fn read(lexer: &mut Lexer<'_>) -> Result<Result<Cell, &'static str>, SyntaxError> {
        Ok(Ok(match lexer.peek() {
            Some(b'-' | b'0'..=b'9') => lexer.finite()?.map_or(Cell::Null, Cell::Number),
            Some(b'"') => Cell::Text(lexer.string()?),
            Some(b'{') => return Ok(Err("an object")),
            Some(b'[') => return Ok(Err("an array")),
            _ if lexer.skip(b"null") => Cell::Null,
            _ if lexer.skip(b"true") => Cell::Bool(true),
            _ if lexer.skip(b"false") => Cell::Bool(false),
            _ if lexer.not_finite() => Cell::Null,
            _ => return lexer.fail("a value"),
        }))
    }

    /// Appends the value to its field's column. A text is read as a number only in a field that is a measurement. Returns whether
    /// the value cannot be read.
    #[inline]
    pub(super) fn append_to(
        &self,
        column: &mut ColumnBuilder,
        source: &str,
        reader: &NumberReader,
        is_measurement: bool,
    ) -> bool {
        let ColumnBuilder::Number(numbers) = column else {
            let ColumnBuilder::Text(texts) = column else { return false };
            self.append_text(texts, source);
            return false;
        };
        let reading = match self {
            Cell::Number(number) if number.value.is_finite() => reader.number(number.value),
            Cell::Absent | Cell::Null => Reading::Missing,
            Cell::Text(text) if is_measurement => reader.read(text.text(source).trim().as_bytes()),
            Cell::Text(text) if reader.is_missing_text(text.text(source).trim().as_bytes()) => Reading::Missing,
            Cell::Number(_) | Cell::Text(_) | Cell::Bool(_) => Reading::Unreadable,
        };
        reader.append(numbers, reading);
        reading == Reading::Unreadable
    }

    /// Whether the value is a number, or a text that spells one and is no code such as `007`.
    #[cold]
    pub(super) fn spells_number(&self, source: &str, reader: &NumberReader) -> bool {
        match self {
            Cell::Number(number) => !is_code(source[number.part.range()].as_bytes()),
            Cell::Text(text) => {
                let text = text.text(source);
                let text = text.trim().as_bytes();
                !is_code(text) && matches!(reader.read(text), Reading::Value(_))
            }
            Cell::Absent | Cell::Null | Cell::Bool(_) => false,
        }
    }

    /// The value as it is written, for messages.
    pub(super) fn shown<'a>(&self, source: &'a str) -> Cow<'a, str> {
        match self {
            Cell::Absent | Cell::Null => Cow::Borrowed("null"),
            Cell::Number(number) => Cow::Borrowed(&source[number.part.range()]),
            Cell::Text(text) => text.text(source),
            Cell::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        }
    }

    /// The value as text.
    pub(super) fn text<'t>(&self, source: &'t str) -> Option<Cow<'t, str>> {
        match self {
            Cell::Absent | Cell::Null => None,
            Cell::Number(number) => Some(source[number.part.range()].into()),
            Cell::Text(text) => Some(text.text(source)),
            Cell::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        }
    }

    /// Appends the value to a column of texts.
    pub(super) fn append_text(&self, texts: &mut StringBuilder, source: &str) {
        texts.append_option(self.text(source));
    }
}
