//! Whether an input ends, and whether it can be read again.

use super::Repeat;

/// Whether an input ends, and whether it can be read again (Flink's word for the first of the two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundedness {
    /// It ends, and can be read from its beginning any number of times: files. One process at a time reads it, and a
    /// completed run is repeated as `rerun` says.
    Bounded {
        /// When a completed run is repeated from the beginning.
        rerun: Repeat,
    },
    /// It never ends by itself, and can be read again from each of its positions. One process at a time reads it: generated
    /// records.
    Unbounded,
    /// It never ends by itself, and its splits are shared among instances, with committed offsets that outlive the
    /// pipeline's state: a consumer group.
    Shared,
    /// It never ends by itself, and what was read is not there a second time: a socket. One process at a time reads it. A
    /// crash loses what was not committed, so that no delivery above at-least-once is promised.
    Live,
}

impl Boundedness {
    /// Whether the input ends by itself.
    #[must_use]
    pub const fn is_bounded(self) -> bool {
        matches!(self, Boundedness::Bounded { .. })
    }

    /// Whether a run reads the whole input, not a part that later runs add to.
    #[must_use]
    pub const fn is_read_whole(self) -> bool {
        matches!(self, Boundedness::Bounded { rerun } if !matches!(rerun, Repeat::New))
    }

    /// Whether only one process at a time may run the pipeline.
    #[must_use]
    pub const fn is_exclusive(self) -> bool {
        !matches!(self, Boundedness::Shared)
    }

    /// When a completed run is repeated: `None` where there is no completed run, for the next one just goes on.
    #[must_use]
    pub const fn rerun(self) -> Option<Repeat> {
        match self {
            Boundedness::Bounded { rerun } => Some(rerun),
            Boundedness::Unbounded | Boundedness::Shared | Boundedness::Live => None,
        }
    }
}
