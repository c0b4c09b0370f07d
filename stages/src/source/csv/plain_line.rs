//! A line without quotes: its cells stay where they are, and their ends are found eight bytes at a time.

use super::dialect::Dialect;
use crate::eight_bytes::{HIGH_BITS, below, equal, first, load};

/// A line, whose cells end where `ends` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainLine {
    /// Its bytes, and those with its end.
    pub(super) text: usize,
    pub(super) bytes: usize,
    /// How many cells it has.
    pub(super) columns: usize,
    pub(super) is_ascii: bool,
}

/// The line that begins with `bytes`, of which there are `length`; what lies behind those is not looked at. `None` where a quote is
/// in it, and where its end may not be there yet: with `is_all` the input ends with these bytes.
///
/// `ends` gets the end of each cell. The next one begins behind the delimiter that stands there.
#[inline]
pub(super) fn plain_line(
    (bytes, length): (&[u8], usize),
    is_all: bool,
    dialect: Dialect,
    ends: &mut Vec<usize>,
) -> Option<PlainLine> {
    let quote = dialect.quote.unwrap_or(b'\n');
    let (mut at, mut columns, mut seen) = (0, 0, 0);
    let (text, bytes) = loop {
        if at >= length {
            if !is_all {
                return None;
            }
            break (length, length);
        }
        let word = load(bytes, at);
        let stops = equal(word, b'\n') | equal(word, b'\r') | equal(word, quote);
        let stop = first(stops).min(length - at);
        seen |= below(word, stop);
        let mut delimiters = below(equal(word, dialect.delimiter), stop);
        if columns + 8 >= ends.len() {
            ends.resize(2 * (columns + 8), 0);
        }
        while delimiters != 0 {
            ends[columns] = at + first(delimiters);
            columns += 1;
            delimiters &= delimiters - 1;
        }
        at += stop;
        if stop == 8 || at >= length {
            continue;
        }
        match bytes[at] {
            b'\n' => break (at, at + 1),
            b'\r' if at + 1 < length => break (at, at + 1 + usize::from(bytes[at + 1] == b'\n')),
            b'\r' if is_all => break (at, at + 1),
            _ => return None,
        }
    };
    ends[columns] = text;
    Some(PlainLine { text, bytes, columns: columns + 1, is_ascii: seen & HIGH_BITS == 0 })
}

#[cfg(test)]
mod tests {
    use csv_core::ReadRecordResult;
    use proptest::prelude::*;

    use super::*;

    /// The cells of the first record, and the bytes that it has with the end of its line.
    fn by_csv_core(bytes: &[u8], dialect: Dialect) -> (Vec<Vec<u8>>, usize) {
        let mut reader = dialect.reader();
        reader.read_record(b"\n", &mut [0], &mut [0]);
        let (mut cells, mut ends) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 1]);
        let (mut result, mut read, written, mut columns) = reader.read_record(bytes, &mut cells, &mut ends);
        if result == ReadRecordResult::InputEmpty {
            let (end, _, _, more) = reader.read_record(&[], &mut cells[written..], &mut ends[columns..]);
            (result, columns) = (end, columns + more);
        }
        assert_eq!(result, ReadRecordResult::Record);
        read += usize::from(bytes[..read].ends_with(b"\r") && bytes.get(read) == Some(&b'\n'));
        let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] };
        ((0..columns).map(|column| cells[start(column)..ends[column]].to_vec()).collect(), read)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_line_without_quotes_has_the_cells_that_csv_core_finds(
            bytes in proptest::collection::vec(prop_oneof![6 => prop::sample::select(b"12,5;-a \t\xc3".to_vec()), 1 => prop::sample::select(b"\r\n\"'\x00".to_vec()), 1 => any::<u8>()], 1..60),
            behind in 0..12usize,
            is_all in any::<bool>(),
            delimiter in prop::sample::select(b",; \t".to_vec()),
            quote in prop::option::of(Just(b'"')),
        ) {
            prop_assume!(!matches!(bytes[0], b'\r' | b'\n'));
            let dialect = Dialect { delimiter, quote };
            let length = bytes.len().saturating_sub(behind).max(1);
            let mut ends = Vec::new();
            let found = plain_line((&bytes, length), is_all, dialect, &mut ends);
            let there = &bytes[..length];
            let line = there.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(length);
            let has_quote = there[..line].iter().any(|byte| Some(*byte) == quote);
            let is_certain = is_all || there[line..].first() == Some(&b'\n') || there[line..].len() > 1;
            prop_assert_eq!(found.is_some(), !has_quote && is_certain);
            if let Some(found) = found {
                let (cells, read) = by_csv_core(there, dialect);
                let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] + 1 };
                let plain: Vec<Vec<u8>> = (0..found.columns).map(|column| there[start(column)..ends[column]].to_vec()).collect();
                prop_assert_eq!(plain, cells);
                let text = &there[..line];
                prop_assert_eq!(found, PlainLine { text: line, bytes: read, columns: found.columns, is_ascii: text.is_ascii() });
            }
        }
    }
}
