//! Says so where many values come after their rows had left.

use serde::{Deserialize, Serialize};

/// So many late values, if they are a third of all, tell that the input is not in the order of time.
const LATE_TOLD: u64 = 100;
/// At the end of the input fewer tell it.
const LATE_TOLD_AT_END: u64 = 2;

/// The values so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LateValues {
    /// Those of a name that gets a column.
    pub(super) taken: u64,
    /// Those of them that came late.
    pub(super) late: u64,
    told: bool,
}

impl LateValues {
    /// Warns once, where there is reason to.
    pub(super) fn tell(&mut self, stage: &str, names: &str) {
        self.tell_from(LATE_TOLD, stage, names);
    }

    /// The same when the input has ended.
    pub(super) fn tell_at_end(&mut self, stage: &str, names: &str) {
        self.tell_from(LATE_TOLD_AT_END, stage, names);
    }

    fn tell_from(&mut self, least: u64, stage: &str, names: &str) {
        if self.told || self.late < least || self.late.saturating_mul(3) < self.taken {
            return;
        }
        self.told = true;
        let (late, taken) = (self.late, self.taken);
        tracing::warn!(
            stage,
            "most rows come late ({late} of {taken} values so far): a row leaves when the next time of its key comes, and the input \
             seems to be sorted by `{names}` and not by time; leave out `expect`, so that input that ends is held as a whole (up to \
             `max_rows`), or let rows wait longer by `allowed_lateness`"
        );
    }
}
