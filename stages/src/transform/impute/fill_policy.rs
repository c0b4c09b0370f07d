//! Which missing cells are filled, and what becomes of their quality.

use aqpipe_engine::record::{CellQuality, Flag, Provenance, QcTests};

use crate::reading::SOURCE_TEST;

/// Which missing cells are filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FillPolicy {
    /// Also those that could not be read; and what a check emptied counts as not checked again.
    pub(super) fill_failed: bool,
    /// The bit of the test `source`, the publisher's own verdict.
    source_test: u8,
}

impl FillPolicy {
    /// The policy of a stage.
    pub(super) fn new(fill_failed: bool, tests: &QcTests) -> FillPolicy {
        FillPolicy { fill_failed, source_test: tests.bit(SOURCE_TEST) }
    }

    /// Whether a missing cell of this quality is filled. One that could not be read is no gap: something was there. Nor is one
    /// that the publisher alone says is wrong; what a check emptied is one.
    #[inline]
    pub(super) fn takes(self, quality: CellQuality) -> bool {
        let is_unreadable = quality.tests() >> QcTests::SYNTAX & 1 != 0;
        let is_wrong_at_source =
            || quality.flag() == Flag::Fail && u32::from(quality.tests()) == 1 << u32::from(self.source_test);
        self.fill_failed || !(is_unreadable || is_wrong_at_source())
    }

    /// The quality of a cell after a fill.
    pub(super) fn filled(self, quality: CellQuality, provenance: Provenance, distance: u64) -> CellQuality {
        let failed = self.fill_failed && quality.flag() == Flag::Fail;
        let quality = if failed { quality.with_flag(Flag::Unknown) } else { quality };
        quality.filled(provenance, distance)
    }
}
