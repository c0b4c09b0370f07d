//! A cell in one byte: all of it but its value and its tests.

use aqpipe_engine::record::{CellQuality, Flag, Provenance};

use super::cell::Cell;

/// Bits of the flag.
const FLAG_BITS: u32 = 3;
const OBSERVED: u8 = 0;
const CENSORED: u8 = 1;
const UNREADABLE: u8 = 2;
const EMPTIED: u8 = 3;
const MISSING: u8 = 4;
/// Fills are from here up, by the number of how they were made.
const FILLED: u8 = 16;

/// What a cell is: its flag (1 to 5, in the order of [`Flag::ALL`]) and above it what stands there. 0 is no cell at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CellCode(pub(super) u8);

impl CellCode {
    /// The code of a cell; a computed one is none.
    #[inline]
    pub(super) fn of(cell: Cell, quality: CellQuality) -> CellCode {
        let content = match cell {
            Cell::Observed(..) if quality.provenance() == Provenance::Censored => CENSORED,
            Cell::Observed(..) => OBSERVED,
            Cell::Filled(fill) => FILLED | fill as u8 & 15,
            Cell::Unreadable => UNREADABLE,
            Cell::Emptied => EMPTIED,
            Cell::Missing => MISSING,
            Cell::Derived => return CellCode(0),
        };
        CellCode(content << FLAG_BITS | (flag_index(quality.flag()) as u8 + 1))
    }

    /// The place of its flag among [`Flag::ALL`]; `None` for no cell.
    pub(super) fn flag_index(self) -> Option<usize> {
        usize::from(self.0 & ((1 << FLAG_BITS) - 1)).checked_sub(1)
    }

    /// The number of how the value came about, where it is counted: fills, and values beside a limit of detection.
    pub(super) fn fill(self) -> Option<usize> {
        match self.0 >> FLAG_BITS {
            CENSORED => Some(Provenance::Censored as usize & 15),
            content @ FILLED.. => Some(usize::from(content & 15)),
            _ => None,
        }
    }

    /// The cell. Its value is not kept.
    #[inline]
    pub(super) fn cell(self) -> Option<Cell> {
        let flag = *Flag::ALL.get(self.flag_index()?)?;
        Some(match self.0 >> FLAG_BITS {
            OBSERVED | CENSORED => Cell::Observed(f64::NAN, flag),
            UNREADABLE => Cell::Unreadable,
            EMPTIED => Cell::Emptied,
            MISSING => Cell::Missing,
            content => Cell::Filled(Provenance::from_number(content & 15)?),
        })
    }

    /// Which of two cells of one time counts: the one of the higher rank.
    pub(super) fn rank(self) -> u8 {
        match self.cell() {
            Some(Cell::Observed(_, Flag::Fail)) => 5,
            Some(Cell::Observed(..)) => 6,
            Some(Cell::Filled(_)) => 4,
            Some(Cell::Emptied) => 3,
            Some(Cell::Unreadable) => 2,
            Some(Cell::Missing) => 1,
            Some(Cell::Derived) | None => 0,
        }
    }

    /// Whether something stood there, readable or not.
    pub(super) fn is_reading(self) -> bool {
        self.rank() > 1
    }
}

/// The place of a flag among [`Flag::ALL`].
#[inline]
pub(super) fn flag_index(flag: Flag) -> usize {
    match flag {
        Flag::Good => 0,
        Flag::Unknown => 1,
        Flag::Suspect => 2,
        Flag::Fail => 3,
        Flag::Missing => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_keeps_what_a_cell_is() {
        for (at, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(flag_index(flag), at);
            let fills = Provenance::ALL.iter().filter(|fill| fill.is_fill()).map(|fill| Cell::Filled(*fill));
            for cell in fills.chain([Cell::Unreadable, Cell::Emptied, Cell::Missing]) {
                let code = CellCode::of(cell, CellQuality::OBSERVED.with_flag(flag));
                assert_eq!((code.cell(), code.flag_index()), (Some(cell), Some(at)));
            }
            let code = CellCode::of(Cell::Observed(1.0, flag), CellQuality::OBSERVED.with_flag(flag));
            assert!(matches!(code.cell(), Some(Cell::Observed(_, found)) if found == flag));
            assert_eq!(code.fill(), None);
        }
        assert_eq!(CellCode::of(Cell::Derived, CellQuality::DERIVED), CellCode::default());
        assert_eq!(CellCode::default().cell(), None);
        (0..=u8::MAX).for_each(|code| _ = CellCode(code).rank());
    }
}
