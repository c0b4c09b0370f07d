//! A line without quotes, in one pass: the ends of its cells are found where its numbers end, and those go straight into the columns.

use super::cell_text::trim;
use super::dialect::{CellEnds, Dialect};
use crate::columns::ColumnBuilder;
use crate::decimal::EXACT_POWERS_OF_TEN;
use crate::reading::{NumberReader, Reading};

/// Digits of a whole number that 64 bits hold exactly, whatever they are.
const EXACT_DIGITS: usize = 15;

/// A line, whose cells end where `ends` says. The next one begins behind the delimiter that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainLine {
    /// Its bytes, and those with its end.
    pub(super) text: usize,
    pub(super) bytes: usize,
    pub(super) is_ascii: bool,
}

/// What becomes of the cells of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellParts<'a> {
    /// The field of each column that is read as a number here; the others are left as they stand.
    pub(super) numbers: &'a [Option<usize>],
    pub(super) reader: &'a NumberReader,
    /// The bytes that may end a cell, and quotes.
    pub(super) stops: &'a CellEnds,
}

/// Reads the line that begins with these bytes. `None` where a quote is in it, where its end is not among the bytes for sure, where it
/// has another number of cells than `parts`, and where a number cannot be read; some numbers of it may stand in the columns then.
#[inline]
pub(super) fn plain_line(
    bytes: &[u8],
    dialect: Dialect,
    parts: CellParts<'_>,
    columns: &mut [ColumnBuilder],
    ends: &mut [usize],
) -> Option<PlainLine> {
    let (delimiter, decimal) = (dialect.delimiter, parts.reader.decimal());
    let mut seen = 0;
    let mut at = 0;
    for (column, field) in parts.numbers.iter().enumerate() {
        let start = at;
        let mut cells = match field {
            None => None,
            Some(field) => match columns.get_mut(*field)? {
                ColumnBuilder::Number(cells) => Some(cells),
                ColumnBuilder::Text(_) => return None,
            },
        };
        if let Some(cells) = &mut cells
            && let Some(number) = short_number(bytes, &mut at, decimal)
            && bytes.get(at) == Some(&delimiter)
        {
            match parts.reader.number(number) {
                Reading::Value(number) => cells.push(number),
                reading => parts.reader.append(cells, reading),
            }
            *ends.get_mut(column)? = at;
            at += 1;
            continue;
        }
        let next = loop {
            let next = *bytes.get(at)?;
            if parts.stops[usize::from(next)] {
                break next;
            }
            seen |= next;
            at += 1;
        };
        if let Some(cells) = cells {
            match parts.reader.read(trim(&bytes[start..at])) {
                Reading::Unreadable => return None,
                reading => parts.reader.append(cells, reading),
            }
        }
        *ends.get_mut(column)? = at;
        if next == delimiter {
            at += 1;
            continue;
        }
        if column + 1 < parts.numbers.len() {
            return None;
        }
        let behind = match next {
            b'\n' => at + 1,
            b'\r' => at + 1 + usize::from(*bytes.get(at + 1)? == b'\n'),
            _ => return None,
        };
        return Some(PlainLine { text: at, bytes: behind, is_ascii: seen.is_ascii() });
    }
    // A cell too many.
    None
}

/// A number of few digits without an exponent; `at` goes behind what may be one.
#[inline(always)]
#[expect(clippy::inline_always)]
fn short_number(bytes: &[u8], at: &mut usize, decimal: u8) -> Option<f64> {
    let is_negative = bytes.get(*at) == Some(&b'-');
    *at += usize::from(is_negative);
    let mut mantissa = 0;
    let mut count = digits(bytes, at, &mut mantissa);
    let mut places = 0;
    if bytes.get(*at) == Some(&decimal) {
        *at += 1;
        places = digits(bytes, at, &mut mantissa);
        count += places;
    }
    if !(1..=EXACT_DIGITS).contains(&count) {
        return None;
    }
    // Both are exact, so that their quotient is rounded once, as `parse_f64` has it. Signed, for that is one instruction.
    let magnitude = mantissa as i64 as f64 / EXACT_POWERS_OF_TEN[places];
    Some(if is_negative { -magnitude } else { magnitude })
}

/// Adds the digits that come next to a whole number; returns how many there are.
#[inline(always)]
#[expect(clippy::inline_always)]
fn digits(bytes: &[u8], at: &mut usize, mantissa: &mut u64) -> usize {
    let start = *at;
    while let Some(byte) = bytes.get(*at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        *at += 1;
    }
    *at - start
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aqpipe_engine::record::{Field, Fields};
    use csv_core::ReadRecordResult;
    use proptest::prelude::*;

    use super::*;
    use crate::columns::{KeyBuilder, RowsBuilder};

    /// The cells of the first record, and the bytes that it has with the end of its line.
    fn by_csv_core(bytes: &[u8], dialect: Dialect) -> (Vec<Vec<u8>>, usize) {
        let mut reader = dialect.reader();
        reader.read_record(b"\n", &mut [0], &mut [0]);
        let (mut cells, mut ends) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 1]);
        let (result, mut read, _, columns) = reader.read_record(bytes, &mut cells, &mut ends);
        assert_eq!(result, ReadRecordResult::Record);
        read += usize::from(bytes[..read].ends_with(b"\r") && bytes.get(read) == Some(&b'\n'));
        let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] };
        ((0..columns).map(|column| cells[start(column)..ends[column]].to_vec()).collect(), read)
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::sample::select(vec![",", ";", "\t", " "]).prop_map(|piece| piece.as_bytes().to_vec()),
            6 => "-?[0-9]{1,4}[.,]?[0-9]{0,4}".prop_map(String::into_bytes),
            1 => prop::sample::select(vec!["NA", "\"", "'", "\0", "\u{e9}", "x", "+1", "1e3"])
                .prop_map(|piece| piece.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 1..3),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_line_without_quotes_has_the_cells_that_csv_core_finds(
            pieces in proptest::collection::vec(piece(), 1..30),
            end in prop::sample::select(vec!["\n", "\r\n", "\r", "\rx", "\n\n", "\r\n\"", ""]),
            delimiter in prop::sample::select(b",;\t ".to_vec()),
            quote in prop::option::of(Just(b'"')),
            numbers in proptest::collection::vec(any::<bool>(), 30),
            wrong in 0..8usize,
        ) {
            let bytes = [pieces.concat(), end.as_bytes().to_vec()].concat();
            prop_assume!(!matches!(bytes[0], b'\r' | b'\n'));
            let dialect = Dialect { delimiter, quote };
            let line = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
            let has_quote = bytes[..line].iter().any(|byte| Some(*byte) == quote);
            let is_certain = bytes[line..].first() == Some(&b'\n') || bytes[line..].len() > 1;
            let (cells, read) =
                if has_quote || !is_certain { (vec![vec![]; 3], 0) } else { by_csv_core(&bytes, dialect) };
            let count = match wrong { 0 => cells.len() + 1, 1 => cells.len() - 1, _ => cells.len() };
            let reader = NumberReader::default();
            let fields = (0..count).filter(|column| delimiter != b'.' && numbers[column % 30]).collect::<Vec<_>>();
            let list = fields.iter().map(|column| Field::number(&column.to_string())).collect();
            let layout = Arc::new(Fields { list, ..Fields::default() });
            let mut rows = RowsBuilder::new(&layout, KeyBuilder::Absent, false, 0);
            let numbers: Vec<Option<usize>> =
                (0..count).map(|column| fields.iter().position(|field| *field == column)).collect();
            let mut ends = vec![0; count];
            let parts = CellParts { numbers: &numbers, reader: &reader, stops: &dialect.cell_ends() };
            let found = plain_line(&bytes, dialect, parts, &mut rows.columns, &mut ends);
            let readings: Vec<Reading> =
                fields.iter().filter_map(|column| cells.get(*column)).map(|cell| reader.read(trim(cell))).collect();
            let is_plain = !has_quote && is_certain && count == cells.len() && !readings.contains(&Reading::Unreadable);
            prop_assert_eq!(found.is_some(), is_plain);
            if let Some(found) = found {
                let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] + 1 };
                let plain: Vec<Vec<u8>> = (0..count).map(|column| bytes[start(column)..ends[column]].to_vec()).collect();
                prop_assert_eq!(plain, cells);
                prop_assert_eq!((found.text, found.bytes), (line, read));
                prop_assert!(!found.is_ascii || bytes[..line].is_ascii());
                rows.time.push(0);
                rows.utc_offset.push(0);
                rows.source_offsets.push(0);
                let batch = rows.finish(&layout).expect("fits");
                for (index, reading) in readings.into_iter().enumerate() {
                    let value = batch.numbers(index).and_then(|numbers| numbers.get(0));
                    match reading {
                        Reading::Value(number) => prop_assert_eq!(value.map(f64::to_bits), Some(number.to_bits())),
                        _ => prop_assert_eq!(value, None),
                    }
                }
            }
        }
    }
}
