//! Rows that leave incomplete because too many records are held.

/// How many so far, and the number at which the next warning is due: twice that of the last one.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    rows: u64,
    warn_at: u64,
}

impl GivenUp {
    /// Counts rows, and warns where it is time to.
    pub(super) fn add(&mut self, rows: u64, stage: &str) {
        self.rows += rows;
        if rows > 0 && self.rows >= self.warn_at {
            tracing::warn!(
                stage,
                rows = self.rows,
                "some rows were passed on incomplete: more records wait for others than `max_rows` allows, which can be raised"
            );
            self.warn_at = self.rows.saturating_mul(2);
        }
    }
}
