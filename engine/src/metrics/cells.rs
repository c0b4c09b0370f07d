//! What became of measurement cells, by field: observed, filled, unreadable, missing, and the tests that objected.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::splits::OTHER;
use crate::counts::FlagCounts;
use crate::record::{Batch, CellQuality, Column, Flag, Provenance, QcTests};

/// Fields that are told apart. A source with more of them has names that are data.
const FIELDS_MAX: usize = 500;
/// Cells that are looked at together: they stay in the first cache from one look to the next.
const COUNTED_AT_ONCE: usize = 4096;
/// The test bits of a cell.
const TESTS: usize = 16;
/// The bits of a cell that is only observed: neither provenance nor distance nor tests.
const ABOVE_FLAG: u32 = !0xf;

/// What became of the cells of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellTally {
    /// Cells with a value by where it came from, by the number of the [`Provenance`]. One that a check emptied counts as observed.
    pub provenance: [u64; Provenance::ALL.len()],
    /// Cells that were neither a number nor a word for "no value", and are not filled.
    pub unreadable: u64,
    /// Cells without a value.
    pub missing: u64,
    /// Cells to which the test of each bit objected: those that are suspect, and those that fail.
    pub tests: [[u64; 2]; TESTS],
}

impl CellTally {
    fn count(&mut self, cells: &[u32]) {
        for cells in cells.chunks(COUNTED_AT_ONCE) {
            // Most cells are observed or missing and no test objects. A pass for each, with sums as wide as the cells: the compiler
            // makes vector code of it.
            let of = |flag: Flag| cells.iter().map(|cell| u32::from(*cell == flag as u32)).sum::<u32>();
            let (observed, missing) = (of(Flag::Good) + of(Flag::Unknown), of(Flag::Missing));
            self.provenance[Provenance::Observed as usize] += u64::from(observed);
            self.missing += u64::from(missing);
            if observed + missing < cells.len() as u32 {
                self.count_others(cells);
            }
        }
    }

    fn count_others(&mut self, cells: &[u32]) {
        let plain = |cell: u32| {
            cell & ABOVE_FLAG == 0 && [Flag::Good as u32, Flag::Unknown as u32, Flag::Missing as u32].contains(&cell)
        };
        for cell in cells.iter().filter(|cell| !plain(**cell)) {
            let quality = CellQuality(*cell);
            let (provenance, flag) = (quality.provenance(), quality.flag());
            let is_as_read = provenance == Provenance::Observed;
            if is_as_read && flag == Flag::Missing {
                self.missing += 1;
            } else if is_as_read && quality.tests() & 1 << QcTests::SYNTAX != 0 {
                self.unreadable += 1;
            } else {
                self.provenance[provenance as usize] += 1;
            }
            let mut tests = quality.tests();
            while tests != 0 {
                let test = tests.trailing_zeros() as usize;
                tests &= tests - 1;
                self.tests[test][usize::from(flag == Flag::Fail)] += 1;
            }
        }
    }

    fn add(&mut self, later: &CellTally) {
        self.provenance.iter_mut().zip(later.provenance).for_each(|(sum, more)| *sum += more);
        (self.unreadable, self.missing) = (self.unreadable + later.unreadable, self.missing + later.missing);
        for (sum, more) in self.tests.iter_mut().flatten().zip(later.tests.iter().flatten()) {
            *sum += more;
        }
    }

    /// Cells with a value of the source.
    #[must_use]
    pub fn observed(&self) -> u64 {
        self.provenance[Provenance::Observed as usize]
    }

    /// Cells that stages filled.
    #[must_use]
    pub fn filled(&self) -> u64 {
        Provenance::ALL.iter().filter(|one| one.is_fill()).map(|one| self.provenance[*one as usize]).sum()
    }
}

/// The tallies of all fields, in the order in which they came: that of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldTallies(Vec<(Arc<str>, CellTally)>);

impl FieldTallies {
    /// Counts the measurements of a batch, except for those that stages derived.
    pub fn count(&mut self, batch: &Batch) {
        for (place, (field, column)) in batch.fields().list.iter().zip(batch.columns()).enumerate() {
            if let (Column::Number(numbers), false) = (column, field.derived) {
                self.tally(&field.name, place).count(&numbers.quality);
            }
        }
    }

    /// Adds later ones.
    pub fn add(&mut self, later: &FieldTallies) {
        for (place, (field, tally)) in later.0.iter().enumerate() {
            self.tally(field, place).add(tally);
        }
    }

    /// The tally of a field, which is most likely at that place.
    fn tally(&mut self, field: &Arc<str>, place: usize) -> &mut CellTally {
        let is_here = |(known, _): &(Arc<str>, CellTally)| known == field;
        let at = match self.0.get(place).is_some_and(is_here) {
            true => place,
            false => match self.0.iter().position(is_here) {
                Some(at) => at,
                None if self.0.len() < FIELDS_MAX => {
                    self.0.push((Arc::clone(field), CellTally::default()));
                    self.0.len() - 1
                }
                None => {
                    let other = |(known, _): &(Arc<str>, CellTally)| &**known == OTHER;
                    self.0.iter().position(other).unwrap_or_else(|| {
                        self.0.push((OTHER.into(), CellTally::default()));
                        self.0.len() - 1
                    })
                }
            },
        };
        &mut self.0[at].1
    }

    /// All fields with their flags and the names of the tests.
    pub(super) fn fields(&self, flags: &BTreeMap<Arc<str>, FlagCounts>, tests: &[Arc<str>]) -> Vec<FieldCells> {
        let flags_of = |field: &str| match (flags.get(field), field == OTHER) {
            (Some(flags), _) => *flags,
            (None, false) => FlagCounts::default(),
            (None, true) => {
                let others = flags.iter().filter(|(field, _)| !self.0.iter().any(|(known, _)| known == *field));
                others.fold(FlagCounts::default(), |sums, (_, more)| std::array::from_fn(|i| sums[i] + more[i]))
            }
        };
        let tests_of = |tally: &CellTally| {
            let named = tests.iter().zip(tally.tests).filter(|(_, [suspect, fail])| suspect + fail > 0);
            named.map(|(test, [suspect, fail])| TestCount { test: Arc::clone(test), suspect, fail }).collect()
        };
        let fields = self.0.iter().map(|(field, tally)| FieldCells {
            field: Arc::clone(field),
            flags: flags_of(field),
            tests: tests_of(tally),
            tally: tally.clone(),
        });
        fields.collect()
    }
}

/// The cells of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldCells {
    /// The name of the field.
    pub field: Arc<str>,
    /// How many have which flag.
    pub flags: FlagCounts,
    /// Where their values came from.
    pub tally: CellTally,
    /// The tests that objected, in the order in which the pipeline named them.
    pub tests: Vec<TestCount>,
}

/// The cells of a field to which a test objected, by the flag that they ended with: other tests may have made it worse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestCount {
    /// The name of the test.
    pub test: Arc<str>,
    /// Cells that are suspect.
    pub suspect: u64,
    /// Cells that fail.
    pub fail: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(cells: &[CellQuality]) -> CellTally {
        let mut tally = CellTally::default();
        tally.count(&cells.iter().map(|cell| cell.0).collect::<Vec<u32>>());
        tally
    }

    #[test]
    fn a_fill_is_no_observation_and_an_unreadable_cell_is_not_missing() {
        let observed = CellQuality::OBSERVED;
        let tally = tally(&[
            observed,
            observed.checked(Flag::Good, 1),
            observed.checked(Flag::Fail, 1).checked(Flag::Suspect, 2),
            CellQuality::MISSING,
            CellQuality::UNREADABLE,
            CellQuality::UNREADABLE.filled(Provenance::ForwardFill, 1),
            CellQuality::MISSING.filled(Provenance::Median, 0).checked(Flag::Suspect, 2),
        ]);
        assert_eq!((tally.observed(), tally.filled(), tally.unreadable, tally.missing), (3, 2, 1, 1));
        assert_eq!(tally.provenance[Provenance::Median as usize], 1);
        assert_eq!(tally.tests[..3], [[0, 2], [0, 1], [1, 1]], "by the flag that the cell ended with");
    }

    #[test]
    fn every_cell_is_counted_once_however_many_there_are() {
        let cells: Vec<CellQuality> = (0..10_000)
            .map(|i| if i % 3 == 0 { CellQuality::MISSING } else { CellQuality::OBSERVED.checked(Flag::Fail, 3) })
            .collect();
        let tally = tally(&cells);
        assert_eq!((tally.missing, tally.observed(), tally.tests[3]), (3_334, 6_666, [0, 6_666]));
    }

    #[test]
    fn fields_beyond_the_bound_are_counted_together() {
        let mut tallies = FieldTallies::default();
        let mut flags = BTreeMap::new();
        for i in 0..FIELDS_MAX + 7 {
            let name: Arc<str> = format!("f{i}").into();
            tallies.tally(&name, i).count(&[CellQuality::MISSING.0]);
            flags.insert(name, [0, 0, 0, 0, 1]);
        }
        let mut sum = tallies.clone();
        sum.add(&tallies);
        let fields = sum.fields(&flags, &[]);
        let other = fields.last().expect("fields");
        assert_eq!((fields.len(), &*other.field, other.tally.missing, other.flags[4]), (FIELDS_MAX + 1, OTHER, 14, 7));
    }
}
