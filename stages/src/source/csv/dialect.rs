//! How the cells of a row are separated.

use csv_core::{Reader, ReaderBuilder};

/// How the cells of a row are separated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
}

/// Whether each byte may end a cell, or is a quote.
pub(super) type CellEnds = [bool; 256];

impl Dialect {
    /// The bytes that end a cell where no quotes are, and the quote.
    pub(super) fn cell_ends(self) -> CellEnds {
        let mut ends = [false; 256];
        for byte in [self.delimiter, b'\n', b'\r'].into_iter().chain(self.quote) {
            ends[usize::from(byte)] = true;
        }
        ends
    }

    /// A parser of such records. It accepts quotes that are not closed or stand in the middle of a cell.
    pub(super) fn reader(self) -> Reader {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.delimiter);
        match self.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        builder.build()
    }

    /// Whether every cell of a record that begins with a quote ends with one, and quotes inside of it are doubled.
    pub(super) fn is_well_quoted(self, record: &[u8]) -> bool {
        let Some(quote) = self.quote else { return true };
        let mut rest = record;
        loop {
            if let Some(inside) = rest.strip_prefix(&[quote]) {
                let Some(behind) = behind_quotes(inside, quote) else { return false };
                if !(behind.is_empty() || behind[0] == self.delimiter) {
                    return false;
                }
                rest = behind;
            }
            match rest.iter().position(|byte| *byte == self.delimiter) {
                Some(end) => rest = &rest[end + 1..],
                None => return true,
            }
        }
    }

    /// Whether a cell of a record begins with a quote that is never closed.
    pub(super) fn has_open_quote(self, record: &[u8]) -> bool {
        let Some(quote) = self.quote.filter(|quote| record.contains(quote)) else { return false };
        let mut rest = record;
        loop {
            if let Some(inside) = rest.strip_prefix(&[quote]) {
                let Some(behind) = behind_quotes(inside, quote) else { return true };
                rest = behind;
            }
            match rest.iter().position(|byte| *byte == self.delimiter) {
                Some(end) => rest = &rest[end + 1..],
                None => return false,
            }
        }
    }
}

/// What follows the closing quote of a cell, given what follows the opening one.
fn behind_quotes(mut rest: &[u8], quote: u8) -> Option<&[u8]> {
    loop {
        let end = rest.iter().position(|byte| *byte == quote)?;
        rest = &rest[end + 1..];
        match rest.strip_prefix(&[quote]) {
            Some(behind_doubled) => rest = behind_doubled,
            None => return Some(rest),
        }
    }
}

/// Whether bytes contain a line end.
pub(super) fn has_line_end(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_closed_doubled_inside_and_followed_by_a_delimiter() {
        let dialect = Dialect { delimiter: b',', quote: Some(b'"') };
        for good in ["", "a,b", "\"a\",b", "a,\"b\"", "\"a,\"\"b\"\"\",\"\"", "a\"b,c", "\"\"\"\""] {
            assert!(dialect.is_well_quoted(good.as_bytes()), "{good}");
            assert!(!dialect.has_open_quote(good.as_bytes()), "{good}");
        }
        for bad in ["\"a", "a,\"b", "\"a\"b,c", "\"a\"\"", "\"a\" ,b", "\"\"\""] {
            assert!(!dialect.is_well_quoted(bad.as_bytes()), "{bad}");
        }
        let open = ["\"a", "a,\"b", "\"a\"b,c", "\"a\"\"", "\"a\" ,b", "\"\"\"", "\"a\"b\"c,d"];
        assert_eq!(
            open.map(|record| dialect.has_open_quote(record.as_bytes())),
            [true, true, false, true, false, true, false]
        );
        assert!(Dialect { quote: None, ..dialect }.is_well_quoted(b"\"a"));
    }
}
