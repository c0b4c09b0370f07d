//! What a cell is to the report, and counts of cells.

use aqpipe_engine::record::{CellQuality, Flag, Numbers, Provenance, QcTests};
use serde::Serialize;

/// What a cell of a measurement is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// A value of the source, and what the tests say of it.
    Observed(f64, Flag),
    /// A value that a stage put into a gap.
    Filled(Provenance),
    /// There was something that is no number.
    Unreadable,
    /// There was a value, and a test emptied the cell.
    Emptied,
    /// There was nothing.
    Missing,
    /// Computed from other fields: no measurement.
    Derived,
}

impl Cell {
    /// The cell of a row.
    #[inline]
    pub(super) fn of(numbers: &Numbers, row: usize) -> Cell {
        let quality = numbers.quality_at(row);
        match (quality.provenance(), numbers.get(row)) {
            (Provenance::Derived, _) => Cell::Derived,
            (fill, Some(_)) if fill.is_fill() => Cell::Filled(fill),
            (_, Some(value)) => Cell::Observed(value, quality.flag()),
            (_, None) => Cell::without_value(quality),
        }
    }

    fn without_value(quality: CellQuality) -> Cell {
        match quality.flag() {
            Flag::Fail if quality.tests() & 1 << QcTests::SYNTAX != 0 => Cell::Unreadable,
            Flag::Fail => Cell::Emptied,
            _ => Cell::Missing,
        }
    }
}

/// How many cells were what. They count up to 4,294,967,295 and stay there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CellCounts {
    /// Values of the source, those that a test objected to among them.
    pub observed: u32,
    /// Those of them that failed a test.
    pub failed: u32,
    /// Those of them that are suspect.
    pub suspect: u32,
    /// Values that a stage put into a gap.
    pub filled: u32,
    /// Cells with something that is no number.
    pub unreadable: u32,
    /// Cells that a test emptied.
    pub emptied: u32,
    /// Cells without anything.
    pub missing: u32,
}

impl CellCounts {
    #[inline]
    pub(super) fn add(&mut self, cell: Cell) {
        let bump = |count: &mut u32| *count = count.saturating_add(1);
        match cell {
            Cell::Observed(_, flag) => {
                bump(&mut self.observed);
                match flag {
                    Flag::Fail => bump(&mut self.failed),
                    Flag::Suspect => bump(&mut self.suspect),
                    Flag::Good | Flag::Unknown | Flag::Missing => {}
                }
            }
            Cell::Filled(_) => bump(&mut self.filled),
            Cell::Unreadable => bump(&mut self.unreadable),
            Cell::Emptied => bump(&mut self.emptied),
            Cell::Missing => bump(&mut self.missing),
            Cell::Derived => {}
        }
    }

    pub(super) fn add_all(&mut self, other: &CellCounts) {
        let pairs = [
            (&mut self.observed, other.observed),
            (&mut self.failed, other.failed),
            (&mut self.suspect, other.suspect),
            (&mut self.filled, other.filled),
            (&mut self.unreadable, other.unreadable),
            (&mut self.emptied, other.emptied),
            (&mut self.missing, other.missing),
        ];
        for (count, more) in pairs {
            *count = count.saturating_add(more);
        }
    }

    /// Values of the source that failed no test: what data capture counts.
    #[must_use]
    pub fn valid(&self) -> u32 {
        self.observed.saturating_sub(self.failed)
    }

    /// All cells.
    #[must_use]
    pub fn cells(&self) -> u64 {
        [self.observed, self.filled, self.unreadable, self.emptied, self.missing].into_iter().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::arrow_array::Float64Array;

    use super::*;

    #[test]
    fn a_fill_is_no_observation_and_unreadable_is_not_missing() {
        let cells = [
            (Some(1.0), CellQuality::OBSERVED),
            (Some(2.0), CellQuality::OBSERVED.checked(Flag::Fail, 3)),
            (Some(3.0), CellQuality::MISSING.filled(Provenance::Median, 0)),
            (Some(4.0), CellQuality::UNREADABLE.filled(Provenance::ForwardFill, 1)),
            (Some(5.0), CellQuality::DERIVED),
            (Some(0.25), CellQuality(CellQuality::OBSERVED.0 | (Provenance::Censored as u32) << 4)),
            (None, CellQuality::UNREADABLE),
            (None, CellQuality::OBSERVED.checked(Flag::Fail, 3)),
            (None, CellQuality::MISSING),
        ];
        let values: Float64Array = cells.iter().map(|(value, _)| *value).collect();
        let quality: Vec<u32> = cells.iter().map(|(_, quality)| quality.0).collect();
        let numbers = Numbers { values, quality: quality.into() };
        let mut counts = CellCounts::default();
        (0..cells.len()).for_each(|row| counts.add(Cell::of(&numbers, row)));
        let expected =
            CellCounts { observed: 3, failed: 1, suspect: 0, filled: 2, unreadable: 1, emptied: 1, missing: 1 };
        assert_eq!(counts, expected);
        assert_eq!((counts.valid(), counts.cells()), (2, 8));
    }
}
