//! What a split reports while it reads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::Position;

/// A split's share in the metrics of its pipeline.
pub(super) struct ProgressReport {
    metrics: Arc<Metrics>,
    /// Where the split started in this run.
    pub(super) from: Position,
    /// What the split has added to the expected records.
    expected: u64,
}

impl ProgressReport {
    pub(super) fn new(metrics: Arc<Metrics>) -> ProgressReport {
        ProgressReport { metrics, from: Position::default(), expected: 0 }
    }

    /// Counts a line that is no record.
    pub(super) fn passed_over(&self) {
        self.metrics.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports that the split came from the byte `before` to `position`, with `rest` bytes still to read, and that it reads at
    /// most `limit` records.
    pub(super) fn report(&mut self, before: u64, position: Position, rest: u64, limit: u64) {
        self.metrics.bytes_in.fetch_add(position.offset.saturating_sub(before), Ordering::Relaxed);
        let (rows, bytes) = (position.records - self.from.records, position.offset.saturating_sub(self.from.offset));
        let more = (rows as f64 * (rest as f64 / bytes.max(1) as f64)) as u64;
        let expected = (rows + more).min(limit.saturating_sub(self.from.records));
        // The metric is the sum over all splits: each one adds the change of its own share, which may be negative.
        self.metrics.expected.fetch_add(expected.wrapping_sub(self.expected), Ordering::Relaxed);
        self.expected = expected;
    }
}
