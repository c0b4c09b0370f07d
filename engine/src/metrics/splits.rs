//! The counts of one split.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counts::Counts;
use crate::record::SplitId;

/// Where all is counted that finds no room in a bounded table.
pub const OTHER: &str = "other";

/// Splits that are told apart: a topic has fewer partitions than this in any cluster that one would look at.
const SPLITS_MAX: usize = 1_000;

/// The live counts of one split: those of records that were read, committed or not.
#[derive(Debug, Default)]
pub struct SplitMetrics {
    read: AtomicU64,
    /// The lag, plus one; 0 where it is unknown.
    lag: AtomicU64,
}

impl SplitMetrics {
    /// Counts records that were read, those included that became dead letters at once.
    pub fn read(&self, records: u64) {
        self.read.fetch_add(records, Ordering::Relaxed);
    }

    /// Sets the records that wait in the source.
    pub fn set_lag(&self, lag: Option<u64>) {
        self.lag.store(lag.map_or(0, |lag| lag.saturating_add(1)), Ordering::Relaxed);
    }
}

/// The counts of one split at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitSnapshot {
    /// Its name.
    pub split: SplitId,
    /// Whether this process reads it now.
    pub is_open: bool,
    /// Records that were read, committed or not.
    pub read: u64,
    /// Records that wait in the source, where it knows.
    pub lag: Option<u64>,
    /// Sums over the committed checkpoints: `read` of these is what was read *and* committed.
    pub committed: Counts,
    /// Records held back at the last checkpoint.
    pub held: u64,
}

#[derive(Debug, Default)]
struct Split {
    live: Arc<SplitMetrics>,
    open: u64,
    committed: Counts,
    held: u64,
}

/// All splits that this process has had.
#[derive(Debug, Default)]
pub(super) struct Splits(BTreeMap<SplitId, Split>);

impl Splits {
    fn split(&mut self, id: &SplitId) -> &mut Split {
        let id = if self.0.len() >= SPLITS_MAX && !self.0.contains_key(id) { &OTHER.into() } else { id };
        self.0.entry(Arc::clone(id)).or_default()
    }

    /// The live counts of a split that is opened.
    pub(super) fn open(&mut self, id: &SplitId) -> Arc<SplitMetrics> {
        let split = self.split(id);
        split.open += 1;
        Arc::clone(&split.live)
    }

    /// The split is no longer read here.
    pub(super) fn close(&mut self, id: &SplitId) {
        let split = self.split(id);
        split.open = split.open.saturating_sub(1);
        if split.open == 0 {
            split.live.set_lag(None);
        }
    }

    /// Counts a committed checkpoint. The flags are those of the pipeline.
    pub(super) fn committed(&mut self, id: &SplitId, counts: &Counts) {
        let split = self.split(id);
        split.committed.add(&Counts { flags: BTreeMap::new(), ..counts.clone() });
        split.held = counts.held_after;
    }

    /// A copy of all.
    pub(super) fn list(&self) -> Vec<SplitSnapshot> {
        let of = |(id, split): (&SplitId, &Split)| SplitSnapshot {
            split: Arc::clone(id),
            is_open: split.open > 0,
            read: split.live.read.load(Ordering::Relaxed),
            lag: split.live.lag.load(Ordering::Relaxed).checked_sub(1),
            committed: split.committed.clone(),
            held: split.held,
        };
        self.0.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_and_what_was_committed_are_told_apart() {
        let mut splits = Splits::default();
        let id: SplitId = "t/0".into();
        let live = splits.open(&id);
        live.read(10);
        live.set_lag(Some(0));
        let of = |splits: &Splits| splits.list()[0].clone();
        assert_eq!((of(&splits).read, of(&splits).committed.read, of(&splits).lag), (10, 0, Some(0)));
        splits.committed(&id, &Counts { read: 7, held_after: 2, ..Counts::default() });
        splits.close(&id);
        let closed = of(&splits);
        assert_eq!((closed.is_open, closed.committed.read, closed.held, closed.lag), (false, 7, 2, None));
    }

    #[test]
    fn splits_beyond_the_bound_are_counted_together() {
        let mut splits = Splits::default();
        for i in 0..SPLITS_MAX + 5 {
            let id: SplitId = format!("t/{i}").into();
            splits.open(&id).read(1);
        }
        let list = splits.list();
        assert_eq!((list.len(), list.iter().map(|split| split.read).sum::<u64>()), (SPLITS_MAX + 1, 1_005));
        assert_eq!(list.iter().find(|split| &*split.split == OTHER).map(|split| split.read), Some(5));
    }
}
