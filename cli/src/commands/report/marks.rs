//! From the columns of marks back to the quality of cells.

use std::collections::HashMap;

use aqpipe_engine::Result;
use aqpipe_engine::arrow_array::{Array as _, StringArray};
use aqpipe_engine::record::{Batch, CellQuality, Column, Field, Fields, Flag, Provenance, QcTests};
use aqpipe_stages::codec::text::parse_fill;

use super::csv_file::{Layout, MarkColumns};
use super::package::Part;

/// Turns the rows of a file, as its source reads them, into the records that were written.
pub(super) struct MarkReader {
    layout: Layout,
    /// The columns of numbers: their places among the flags.
    places: Vec<usize>,
    /// The number of each measurement by its name.
    numbers: HashMap<String, usize>,
    fields: std::sync::Arc<Fields>,
    bits: HashMap<String, u8>,
}

impl MarkReader {
    pub(super) fn new(layout: Layout) -> MarkReader {
        let list: Vec<Field> = layout
            .numbers()
            .map(|(_, field)| Field { derived: field.part == Part::Derived, ..Field::number(&field.name) })
            .collect();
        MarkReader {
            places: layout.numbers().map(|(place, _)| place).collect(),
            numbers: list.iter().enumerate().map(|(at, field)| (field.name.to_string(), at)).collect(),
            fields: std::sync::Arc::new(Fields {
                list,
                key: layout.key.as_deref().map(Into::into),
                score: layout.score.as_deref().map(Into::into),
                open: false,
            }),
            bits: HashMap::new(),
            layout,
        }
    }

    /// The records of a batch: its first columns are the numbers and the score, the others the marks.
    ///
    /// # Errors
    /// Where the batch is not one of this layout, which is a bug.
    pub(super) fn read(&mut self, batch: Batch, tests: &QcTests) -> Result<Batch> {
        let rows = batch.rows();
        let mut parts = batch.into_parts();
        let mut columns = parts.columns.into_iter();
        let mut numbers = Vec::with_capacity(self.places.len());
        for column in columns.by_ref().take(self.places.len()) {
            if let Column::Number(column) = column {
                numbers.push(column);
            }
        }
        let score = self.layout.score.is_some().then(|| columns.next()).flatten();
        parts.score = score.and_then(|column| match column {
            Column::Number(score) => Some(score.values),
            Column::Text(_) => None,
        });
        let marks: Vec<StringArray> = columns
            .filter_map(|column| match column {
                Column::Text(text) => Some(text),
                Column::Number(_) => None,
            })
            .collect();
        let mut qualities: Vec<Vec<u32>> = numbers.iter().map(|numbers| numbers.quality.to_vec()).collect();
        for row in 0..rows {
            self.read_row(row, &marks, &mut qualities, tests);
        }
        for (numbers, quality) in numbers.iter_mut().zip(qualities) {
            numbers.quality = quality.into();
        }
        parts.columns = numbers.into_iter().map(Column::Number).collect();
        parts.fields = std::sync::Arc::clone(&self.fields);
        Batch::new(parts)
    }

    fn read_row(&mut self, row: usize, marks: &[StringArray], qualities: &mut [Vec<u32>], tests: &QcTests) {
        let text = |column: usize| {
            marks.get(column).filter(|column| column.is_valid(row)).map_or("", |column| column.value(row))
        };
        match self.layout.marks {
            MarkColumns::None => {}
            MarkColumns::Text => {
                let flags = text(0).as_bytes();
                let flags = flags.strip_prefix(b"q").unwrap_or(flags);
                for (quality, place) in qualities.iter_mut().zip(&self.places) {
                    set_flag(&mut quality[row], flags.get(*place));
                }
            }
            MarkColumns::Columns => {
                for (quality, place) in qualities.iter_mut().zip(&self.places) {
                    set_flag(&mut quality[row], text(*place).as_bytes().first());
                }
            }
        }
        let behind = marks.len().saturating_sub(2);
        if self.layout.marks != MarkColumns::None {
            for_each_pair(text(behind), &self.numbers, |number, fill| {
                if let (Some((fill, distance)), Some(quality)) = (parse_fill(fill), qualities.get_mut(number)) {
                    quality[row] = CellQuality(quality[row]).filled(fill, u64::from(distance)).0;
                }
            });
            for_each_pair(text(behind + 1), &self.numbers, |number, test| {
                let bit = match self.bits.get(test) {
                    Some(bit) => *bit,
                    None => {
                        let bit = tests.bit(test);
                        self.bits.insert(test.to_owned(), bit);
                        bit
                    }
                };
                if let Some(quality) = qualities.get_mut(number) {
                    quality[row] = CellQuality(quality[row]).with_test(bit).0;
                }
            });
        }
        for (quality, field) in qualities.iter_mut().zip(&self.fields.list) {
            if field.derived {
                let flag = quality[row] & 0xf;
                quality[row] = flag | (Provenance::Derived as u32) << 4;
            }
        }
    }
}

fn set_flag(quality: &mut u32, digit: Option<&u8>) {
    if let Some(flag) = digit.and_then(|digit| Flag::from_number(digit.wrapping_sub(b'0'))) {
        *quality = CellQuality(*quality).with_flag(flag).0;
    }
}

/// The parts `FIELD=VALUE` of a text, with `;` between them. A name may have `;` in it: what names no field may go on in the next part.
fn for_each_pair<'t>(text: &'t str, numbers: &HashMap<String, usize>, mut take: impl FnMut(usize, &'t str)) {
    if text.is_empty() {
        return;
    }
    let mut start = 0;
    for end in text.match_indices(';').map(|(at, _)| at).chain(std::iter::once(text.len())) {
        let pair = |from: usize| {
            let (name, value) = text[from..end].rsplit_once('=')?;
            Some((*numbers.get(name)?, value))
        };
        if let Some((number, value)) = pair(start).or_else(|| pair(last_part(text, end))) {
            take(number, value);
            start = end + 1;
        }
    }
}

/// Where the part begins that ends there.
fn last_part(text: &str, end: usize) -> usize {
    text[..end].rfind(';').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_what_separates_parts() {
        let numbers = HashMap::from([("a;b".to_owned(), 0), ("c=d".to_owned(), 1), ("T".to_owned(), 2)]);
        let mut found = Vec::new();
        for_each_pair("a;b=median;c=d=forward_fill(2);x=median;T=constant", &numbers, |number, fill| {
            found.push((number, fill));
        });
        assert_eq!(found, [(0, "median"), (1, "forward_fill(2)"), (2, "constant")]);
        found.clear();
        for_each_pair("T=gross_range;T=syntax", &numbers, |number, test| found.push((number, test)));
        assert_eq!(found, [(2, "gross_range"), (2, "syntax")]);
    }
}
