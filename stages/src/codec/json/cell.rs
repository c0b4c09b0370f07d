//! One value of a record, between its bytes and a column.

use aqpipe_engine::record::{CellQuality, Kind};
use arrow_array::builder::StringBuilder;

use super::lexer::{Lexer, Number, Quoted, SyntaxError};
use crate::columns::ColumnBuilder;

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
    pub(super) fn kind(&self) -> Kind {
        match self {
            Cell::Absent | Cell::Null => Kind::Unknown,
            Cell::Number(_) => Kind::Number,
            Cell::Text(_) | Cell::Bool(_) => Kind::Text,
        }
    }

    /// The next value, or what a nested one is.
    #[inline]
    pub(super) fn read(lexer: &mut Lexer<'_>) -> Result<Result<Cell, &'static str>, SyntaxError> {
        Ok(Ok(match lexer.peek() {
            Some(b'-' | b'0'..=b'9') => Cell::Number(lexer.number()?),
            Some(b'"') => Cell::Text(lexer.string()?),
            Some(b'{') => return Ok(Err("an object")),
            Some(b'[') => return Ok(Err("an array")),
            _ if lexer.skip(b"null") => Cell::Null,
            _ if lexer.skip(b"true") => Cell::Bool(true),
            _ if lexer.skip(b"false") => Cell::Bool(false),
            _ => return lexer.fail("a value"),
        }))
    }

    /// Appends the value to its field's column.
    #[inline]
    pub(super) fn append_to(&self, column: &mut ColumnBuilder, source: &str) {
        match column {
            ColumnBuilder::Number(numbers) => match self {
                Cell::Number(number) if number.value.is_finite() => numbers.push(number.value),
                Cell::Absent | Cell::Null => numbers.push_missing(CellQuality::MISSING),
                Cell::Number(_) | Cell::Text(_) | Cell::Bool(_) => numbers.push_missing(CellQuality::UNREADABLE),
            },
            ColumnBuilder::Text(texts) => self.append_text(texts, source),
        }
    }

    /// Appends the value to a column of texts.
    pub(super) fn append_text(&self, texts: &mut StringBuilder, source: &str) {
        match self {
            Cell::Absent | Cell::Null => texts.append_null(),
            Cell::Number(number) => texts.append_value(&source[number.part.range()]),
            Cell::Text(text) => texts.append_value(text.text(source)),
            Cell::Bool(value) => texts.append_value(if *value { "true" } else { "false" }),
        }
    }
}
