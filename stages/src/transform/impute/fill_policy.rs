//! Which missing cells are filled, and what becomes of their quality.

use aqpipe_engine::record::{CellQuality, Flag, Provenance, QcTests};

/// Which missing cells are filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FillPolicy {
    /// Also those that could not be read; and what a check emptied counts as not checked again.
    pub(super) fill_failed: bool,
}

impl FillPolicy {
    /// Whether a missing cell of this quality is filled. One that could not be read is no gap: something was there.
    #[inline]
    pub(super) fn takes(self, quality: CellQuality) -> bool {
        self.fill_failed || quality.tests() >> QcTests::SYNTAX & 1 == 0
    }

    /// The quality of a cell after a fill.
    pub(super) fn filled(self, quality: CellQuality, provenance: Provenance, distance: u64) -> CellQuality {
        let failed = self.fill_failed && quality.flag() == Flag::Fail;
        let quality = if failed { quality.with_flag(Flag::Unknown) } else { quality };
        quality.filled(provenance, distance)
    }
}
