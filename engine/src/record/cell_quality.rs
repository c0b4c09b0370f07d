//! What is known of one cell, packed into 32 bits.

use std::fmt;

/// The outcome of the checks on a cell, with the numbers of the IOOS QARTOD manuals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Flag {
    /// Every check that ran passed.
    Good = 1,
    /// Not evaluated.
    Unknown = 2,
    /// Out of the usual.
    Suspect = 3,
    /// Wrong.
    Fail = 4,
    /// There was no value.
    Missing = 9,
}

impl Flag {
    /// All flags, in the order in which summaries list them.
    pub const ALL: [Flag; 5] = [Flag::Good, Flag::Unknown, Flag::Suspect, Flag::Fail, Flag::Missing];

    /// The flag of a QARTOD number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Flag> {
        Some(match number {
            1 => Flag::Good,
            2 => Flag::Unknown,
            3 => Flag::Suspect,
            4 => Flag::Fail,
            9 => Flag::Missing,
            _ => return None,
        })
    }

    /// The place in the roll-up, lowest first: 9 < 2 < 1 < 3 < 4 (QARTOD).
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Flag::Missing => 0,
            Flag::Unknown => 1,
            Flag::Good => 2,
            Flag::Suspect => 3,
            Flag::Fail => 4,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Flag::Good => "good",
            Flag::Unknown => "unknown",
            Flag::Suspect => "suspect",
            Flag::Fail => "fail",
            Flag::Missing => "missing",
        }
    }
}

/// Defines [`Provenance`] from one list, so that no name and no number of a variant can be forgotten.
macro_rules! provenances {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// Where a cell's value came from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Provenance {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Provenance {
            /// All of them, by number.
            pub const ALL: &[Provenance] = &[$(Provenance::$variant),*];

            /// The word that `fills` uses on the wire and in CSV.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Provenance::$variant => $name,)*
                }
            }

            /// The provenance of a number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Provenance> {
                match number {
                    $($number => Some(Provenance::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

provenances! {
    /// From the source.
    Observed = 0, "observed";
    /// From the last value before it.
    ForwardFill = 1, "forward_fill";
    /// From the first value after it.
    BackwardFill = 2, "backward_fill";
    /// Between the values around it.
    Interpolated = 3, "interpolated";
    /// A median.
    Median = 4, "median";
    /// A constant of the configuration.
    Constant = 5, "constant";
    /// Computed from other fields.
    Derived = 6, "derived";
    /// A limit of detection, or half of it or zero, for a value that is only known to lie below or above it.
    Censored = 7, "censored";
}

impl Provenance {
    /// Whether a stage filled the cell, because its source had nothing there.
    #[must_use]
    pub const fn is_fill(self) -> bool {
        match self {
            Provenance::ForwardFill
            | Provenance::BackwardFill
            | Provenance::Interpolated
            | Provenance::Median
            | Provenance::Constant => true,
            Provenance::Observed | Provenance::Derived | Provenance::Censored => false,
        }
    }

    /// Whether a record's `fills` name it: a value that stands where the source had no number.
    #[must_use]
    pub const fn is_listed(self) -> bool {
        self.is_fill() || matches!(self, Provenance::Censored)
    }
}

/// The quality of one measurement cell: its flag, where its value came from and from how far away, and the tests that
/// objected.
///
/// Bits, from the lowest: flag 4, provenance 4, distance 8, objecting tests 16. It says nothing of the value
/// itself: a cell that a check emptied keeps its flag `fail` while its value is null.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellQuality(pub u32);

impl CellQuality {
    /// A value from the source that nothing has checked.
    pub const OBSERVED: CellQuality = CellQuality(Flag::Unknown as u32);
    /// No value.
    pub const MISSING: CellQuality = CellQuality(Flag::Missing as u32);
    /// No value, for the cell cannot be read: it fails the syntax test.
    pub const UNREADABLE: CellQuality =
        CellQuality(Flag::Fail as u32).with_test(crate::record::qc_tests::QcTests::SYNTAX);
    /// Computed from other fields.
    pub const DERIVED: CellQuality = CellQuality(Flag::Unknown as u32 | (Provenance::Derived as u32) << 4);

    /// The flag.
    #[must_use]
    #[inline]
    pub const fn flag(self) -> Flag {
        match self.0 & 0xf {
            1 => Flag::Good,
            3 => Flag::Suspect,
            4 => Flag::Fail,
            9 => Flag::Missing,
            _ => Flag::Unknown,
        }
    }

    /// Where the value came from.
    #[must_use]
    #[inline]
    pub const fn provenance(self) -> Provenance {
        match Provenance::from_number((self.0 >> 4 & 0xf) as u8) {
            Some(provenance) => provenance,
            // Only bits that nobody wrote as a provenance.
            None => Provenance::Observed,
        }
    }

    /// Records to the donor of a fill, saturating at 255; 0 where there is none.
    #[must_use]
    #[inline]
    pub const fn distance(self) -> u8 {
        (self.0 >> 8 & 0xff) as u8
    }

    /// The tests that objected, a bit each (see [`QcTests`](super::QcTests)).
    #[must_use]
    #[inline]
    pub const fn tests(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The same with another flag, whatever it was.
    #[must_use]
    #[inline]
    pub const fn with_flag(self, flag: Flag) -> CellQuality {
        CellQuality(self.0 & !0xf | flag as u32)
    }

    /// The quality after a check came out as `flag`: the worst flag wins, and a check that objects (suspect or fail)
    /// names itself by its bit.
    #[must_use]
    #[inline]
    pub const fn checked(self, flag: Flag, test: u8) -> CellQuality {
        let worst = if flag.rank() > self.flag().rank() { self.with_flag(flag) } else { self };
        match flag {
            Flag::Suspect | Flag::Fail => worst.with_test(test),
            Flag::Good | Flag::Unknown | Flag::Missing => worst,
        }
    }

    /// The same with the objection of a test.
    #[must_use]
    #[inline]
    pub const fn with_test(self, test: u8) -> CellQuality {
        CellQuality(self.0 | 1 << (16 + (test & 0xf) as u32))
    }

    /// The quality of a cell after a fill: `missing` becomes `unknown`, other flags stay, and the provenance says where
    /// the value came from.
    #[must_use]
    #[inline]
    pub const fn filled(self, provenance: Provenance, distance: u64) -> CellQuality {
        let flagged = if self.0 & 0xf == Flag::Missing as u32 { self.with_flag(Flag::Unknown) } else { self };
        let distance = if distance > 255 { 255 } else { distance as u32 };
        CellQuality(flagged.0 & !0xfff0 | (provenance as u32) << 4 | distance << 8)
    }
}

impl fmt::Debug for CellQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}({})", self.flag().name(), self.provenance().name(), self.distance())?;
        if self.tests() != 0 { write!(f, " tests {:#b}", self.tests()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_flag_wins_in_the_order_of_qartod() {
        let mut order = Flag::ALL;
        order.sort_by_key(|flag| flag.rank());
        assert_eq!(order, [Flag::Missing, Flag::Unknown, Flag::Good, Flag::Suspect, Flag::Fail]);
        let quality = CellQuality::OBSERVED.checked(Flag::Good, 1).checked(Flag::Suspect, 2).checked(Flag::Good, 3);
        assert_eq!(quality.flag(), Flag::Suspect);
        assert_eq!(quality.tests(), 0b100, "only tests that objected are named");
    }

    #[test]
    fn a_fill_lifts_missing_and_leaves_other_flags_and_tests_alone() {
        let filled = CellQuality::MISSING.with_test(0).filled(Provenance::ForwardFill, 2);
        assert_eq!(
            (filled.flag(), filled.provenance(), filled.distance()),
            (Flag::Unknown, Provenance::ForwardFill, 2)
        );
        assert_eq!(filled.tests(), 1);
        let failed = CellQuality::OBSERVED.checked(Flag::Fail, 3).filled(Provenance::Median, 0);
        assert_eq!((failed.flag(), failed.provenance()), (Flag::Fail, Provenance::Median));
    }

    #[test]
    fn the_distance_saturates() {
        assert_eq!(CellQuality::MISSING.filled(Provenance::BackwardFill, 1_000).distance(), 255);
    }

    #[test]
    fn every_provenance_comes_back_from_a_cell_and_has_a_name_of_its_own() {
        for (number, provenance) in Provenance::ALL.iter().copied().enumerate() {
            assert_eq!((provenance as usize, Provenance::from_number(number as u8)), (number, Some(provenance)));
            assert_eq!(CellQuality::MISSING.filled(provenance, 3).provenance(), provenance);
            let same_name = Provenance::ALL.iter().filter(|other| other.name() == provenance.name()).count();
            assert_eq!(same_name, 1, "{}", provenance.name());
        }
        assert!(Provenance::ALL.len() <= 16, "a cell has four bits for it");
        assert_eq!(Provenance::from_number(Provenance::ALL.len() as u8), None);
    }
}
