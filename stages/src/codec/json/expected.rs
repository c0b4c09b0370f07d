//! A record with the properties of the one before, in their order: its numbers go straight into the columns.

use aqpipe_engine::record::CellQuality;

use super::cell::Cell;
use super::layout::Slot;
use super::lexer::{Lexer, short_number};
use super::rejected::Rejected;
use super::row::Row;
use super::row_values::Reading;
use super::shape::{Shape, is_nested};
use crate::columns::ColumnBuilder;
use crate::reading::NumberReader;

impl Row {
    /// Reads a record of that shape: its numbers into the columns, its texts into `texts`. `None` where it is of another shape, or
    /// anything is unusual: then it is to be read as any other. Unless it is `Some(Ok(()))`, numbers of it stand in the columns.
    #[inline]
    pub(super) fn read_expected(
        &mut self,
        source: &str,
        shape: &Shape,
        (columns, numbers): (&mut [ColumnBuilder], &NumberReader),
        by: &mut Reading<'_>,
    ) -> Option<Result<(), Rejected>> {
        self.clear_for_expected(by.layout);
        // A place in a register, where a lexer that others are handed would lie in memory: each step waits for the one before.
        let mut at = 0;
        for property in &shape.properties {
            at = property.lead.end(source, at)?;
            if let Some(Slot::Field(index)) = property.slot
                && let ColumnBuilder::Number(cells) = columns.get_mut(index)?
                && let Some((number, end)) = short_number(source, at)
            {
                numbers.append(cells, numbers.number(number));
                at = end;
                continue;
            }
            let mut lexer = Lexer { text: source, at };
            match property.slot {
                Some(Slot::Field(index)) => match columns.get_mut(index)? {
                    ColumnBuilder::Number(cells) => match read(&mut lexer)? {
                        Cell::Number(number) if number.value.is_finite() => {
                            numbers.append(cells, numbers.number(number.value));
                        }
                        Cell::Null => cells.push_missing(CellQuality::MISSING),
                        _ => return None,
                    },
                    ColumnBuilder::Text(_) => self.texts.push((index, read(&mut lexer)?)),
                },
                Some(Slot::Timestamp(part)) => *self.time_cells.get_mut(part)? = read(&mut lexer)?,
                Some(Slot::Key(part)) => *self.keys.get_mut(part)? = read(&mut lexer)?,
                Some(Slot::Quality) => self.quality.read(&mut lexer, by.tests).ok()?,
                Some(Slot::Code(_)) => return None,
                None if is_nested(&lexer) => return None,
                None => lexer.value().ok()?,
            }
            at = lexer.at;
        }
        let mut lexer = Lexer { text: source, at };
        if shape.properties.is_empty() && !lexer.skip_byte(b'{') {
            return None;
        }
        lexer.space();
        if !lexer.skip_byte(b'}') {
            return None;
        }
        lexer.space();
        if lexer.peek().is_some() || !self.quality.fits_expected(source, shape, by.layout) {
            return None;
        }
        // Last, for a reader of times takes note of what it read.
        match self.read_time(source, by) {
            Ok(time) => {
                self.time = time;
                Some(Ok(()))
            }
            Err(why) => Some(Err(why)),
        }
    }
}

/// The next value, which is not nested.
#[inline]
fn read(lexer: &mut Lexer<'_>) -> Option<Cell> {
    Cell::read(lexer).ok()?.ok()
}
