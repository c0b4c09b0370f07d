//! The open checkpoint of a split.

use std::sync::Arc;
use std::time::Instant;

use super::accounting::Accounting;
use crate::error::{Error, Result};
use crate::metrics::{Counts, Measured};
use crate::record::{Fields, OffsetRange, Position};
use crate::run::losses::Losses;

/// The open checkpoint of a split: what happened since the last one.
pub(in crate::run) struct CheckpointBuilder {
    from: Position,
    /// Where the next record starts that has not gone through the transforms.
    pub(super) at: Position,
    sequence: u32,
    pub(super) accounting: Accounting,
    /// What became of its records.
    pub(super) losses: Losses,
    /// When the first of it happened.
    pub(super) since: Option<Instant>,
    /// The fields of its rows. One output has one set of fields.
    pub(super) fields: Option<Arc<Fields>>,
    /// Whether the split has ended.
    pub(super) ended: bool,
}

impl CheckpointBuilder {
    /// The first checkpoint of a split that was opened at a position, as the `sequence`th that ends there.
    pub(in crate::run) fn at(position: Position, sequence: u32, held: u64) -> CheckpointBuilder {
        CheckpointBuilder {
            from: position,
            at: position,
            sequence,
            accounting: Accounting::with_held(held),
            losses: Losses::default(),
            since: None,
            fields: None,
            ended: false,
        }
    }

    /// Whether nothing happened. A position that moved over bytes that are no record is something: a source may drop what
    /// lies before it, and would then seem to have dropped records.
    pub(super) fn is_empty(&self) -> bool {
        let c = &self.accounting.counts;
        self.at == self.from && c.read == 0 && c.written == 0 && c.dead == 0 && c.filtered == 0
    }

    /// The reader stands here, and no record was read since it stood elsewhere.
    pub(super) fn move_to(&mut self, position: Position, now: Instant) {
        self.at = position;
        if self.at != self.from {
            self.since.get_or_insert(now);
        }
    }

    /// The offsets that the checkpoint covers.
    pub(super) fn range(&self) -> OffsetRange {
        let sequence = if self.at == self.from { self.sequence + 1 } else { 0 };
        OffsetRange { from: self.from, to: self.at, sequence }
    }

    /// Closes the checkpoint, with rows still held, and opens the next one behind it.
    ///
    /// # Errors
    /// Where a record is not accounted for: see [`Counts::balance`].
    pub(super) fn close(&mut self, held: u64, now: Instant) -> Result<(Counts, Measured)> {
        let (counts, measured) = self.accounting.close(held);
        if !counts.balance() {
            return Err(Error::bug(format!("records are not accounted for: {counts:?}")));
        }
        let sequence = self.range().sequence;
        let measured = Measured { since: self.since.take(), closed: Some(now), to: Some(self.at), ..measured };
        (self.from, self.sequence) = (self.at, sequence);
        Ok((counts, measured))
    }
}
