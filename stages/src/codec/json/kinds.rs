//! The kinds of fields by a sample of records, before the first one is pushed.

use super::cell::Cell;
use super::decode::Decoder;
use super::options::Others;
use super::row_values::Reading;
use crate::reading::{KindSample, SampledCell, is_code};

impl Decoder {
    /// Whether a sample of records would decide anything.
    pub(crate) fn wants_sample(&self) -> bool {
        self.layout.others != Others::Ignored
    }

    /// Looks at the values of a record whose kinds are not known. What is no record says nothing.
    pub(crate) fn sample(&mut self, payload: &[u8], place: &str, sample: &mut KindSample) {
        let Ok((source, Some(start))) = self.find_record(payload) else { return };
        let (layout, tests, times) = (&self.layout, &mut self.tests, &mut self.times);
        let mut reading = Reading { layout, tests, times, message: (None, None) };
        if self.row.read_properties(source, start, &mut reading).is_err() {
            return;
        }
        let unknown =
            layout.unknown_kinds(&self.row.cells).map(|index| (&*layout.fields[index].name, &self.row.cells[index]));
        let new = self
            .row
            .new
            .iter()
            .map(|(name, cell)| (name.as_str(), cell))
            .filter(|(name, _)| !layout.holds_numbers(name));
        for (name, cell) in unknown.chain(new) {
            let kind = match cell {
                Cell::Absent | Cell::Null => continue,
                Cell::Text(text) if self.numbers.is_missing_text(text.text(source).trim().as_bytes()) => continue,
                Cell::Number(number) if is_code(source[number.part.range()].as_bytes()) => SampledCell::Code,
                Cell::Number(_) => SampledCell::Number,
                Cell::Text(_) | Cell::Bool(_) => SampledCell::Text,
            };
            sample.add(name, kind, cell.shown(source).trim().as_bytes(), place);
        }
    }

    /// Decides the kinds of fields by a sample. Returns what is said of fields, by their names. Call it before the first record.
    pub(crate) fn decide_kinds(&mut self, sample: KindSample) -> Vec<(String, String)> {
        // A text is a number in a declared measurement only, whatever its marks are.
        let kinds = sample.decide(None);
        self.layout.decide(kinds.by_name);
        self.renew_rows();
        kinds.said
    }
}
