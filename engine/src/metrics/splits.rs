//! The counts of one split.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::counts::Counts;
use crate::record::{Position, SplitId};

/// Where all is counted that finds no room in a bounded table.
pub const OTHER: &str = "other";

/// Splits that are told apart: a topic has fewer partitions than this in any cluster that one would look at.
const SPLITS_MAX: usize = 1_000;

/// Knows how many records wait behind an offset of a split, whatever its task is doing: while a sink hangs, more records come.
/// Offsets number the records.
pub trait LagMeter: fmt::Debug + Send + Sync {
    /// The records from an offset to the end, where that is known.
    fn lag_from(&self, offset: u64) -> Option<u64>;
}

/// The live counts of one split: those of records that were read, committed or not.
#[derive(Debug, Default)]
pub struct SplitMetrics {
    read: AtomicU64,
    /// The lag, plus one; 0 where it is unknown.
    lag: AtomicU64,
    /// The same from the last commit on.
    lag_committed: AtomicU64,
    /// Records that were read since the split was opened and are not committed.
    uncommitted: AtomicU64,
    /// Whether the task is busy with records, and does not ask the source for more.
    is_busy: AtomicBool,
    /// Where the last commit ends.
    committed_to: Mutex<Position>,
    /// The offset that was read to.
    read_to: AtomicU64,
    meter: Mutex<Option<Arc<dyn LagMeter>>>,
}

impl SplitMetrics {
    /// Counts records that were read, those included that became dead letters at once.
    pub fn read(&self, records: u64) {
        self.read.fetch_add(records, Ordering::Relaxed);
        self.uncommitted.fetch_add(records, Ordering::Relaxed);
    }

    /// The split begins there: what was read before counts no more as to be committed, for whoever reads it now reads it again.
    pub fn begin_at(&self, position: Position) {
        *self.committed_to.lock() = position;
        self.read_to(position);
        self.uncommitted.store(0, Ordering::Relaxed);
        self.is_busy.store(false, Ordering::Relaxed);
    }

    /// From now on that tells how many records wait.
    pub fn measure_lag_by(&self, meter: Option<Arc<dyn LagMeter>>) {
        *self.meter.lock() = meter;
    }

    /// The source stands there.
    pub fn read_to(&self, position: Position) {
        self.read_to.store(position.offset, Ordering::Relaxed);
    }

    /// Records that wait behind what was read, and behind the last commit.
    fn lags(&self) -> [Option<u64>; 2] {
        match &*self.meter.lock() {
            Some(meter) => {
                let read_to = self.read_to.load(Ordering::Relaxed);
                let lag = meter.lag_from(read_to);
                [lag, lag.map(|lag| lag.saturating_add(read_to.saturating_sub(self.committed_to().offset)))]
            }
            None => [&self.lag, &self.lag_committed].map(|lag| lag.load(Ordering::Relaxed).checked_sub(1)),
        }
    }

    /// Says whether the task is busy with records: then the source is not asked, and it is no fault of it that nothing comes.
    pub fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Where the last commit ends; before the first one, where the split began.
    pub fn committed_to(&self) -> Position {
        *self.committed_to.lock()
    }

    /// Sets the records that wait in the source, behind what was read and behind the last commit.
    pub fn set_lag(&self, read: Option<u64>, committed: Option<u64>) {
        for (count, lag) in [(&self.lag, read), (&self.lag_committed, committed)] {
            count.store(lag.map_or(0, |lag| lag.saturating_add(1)), Ordering::Relaxed);
        }
    }

    fn committed(&self, records: u64, to: Option<Position>) {
        let less = |count: u64| Some(count.saturating_sub(records));
        // Nothing else takes from it.
        let _ = self.uncommitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let Some(to) = to {
            *self.committed_to.lock() = to;
        }
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
    /// Records that wait in the source behind what was read, where it knows.
    pub lag: Option<u64>,
    /// Records that wait in the source behind the last commit, where it knows.
    pub lag_committed: Option<u64>,
    /// Records that were read since it was opened and are not committed.
    pub uncommitted: u64,
    /// Whether it is busy with records, and does not ask the source for more.
    pub is_busy: bool,
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
            split.live.set_lag(None, None);
            split.live.measure_lag_by(None);
            split.live.set_busy(false);
        }
    }

    /// Counts a committed checkpoint that ends there. The flags are those of the pipeline.
    pub(super) fn committed(&mut self, id: &SplitId, counts: &Counts, to: Option<Position>) {
        let split = self.split(id);
        split.live.committed(counts.read, to);
        split.committed.add(&Counts { flags: BTreeMap::new(), ..counts.clone() });
        split.held = counts.held_after;
    }

    /// A copy of all.
    pub(super) fn list(&self) -> Vec<SplitSnapshot> {
        let of = |(id, split): (&SplitId, &Split)| {
            let [lag, lag_committed] = split.live.lags();
            SplitSnapshot {
                split: Arc::clone(id),
                is_open: split.open > 0,
                read: split.live.read.load(Ordering::Relaxed),
                lag,
                lag_committed,
                uncommitted: split.live.uncommitted.load(Ordering::Relaxed),
                is_busy: split.live.is_busy.load(Ordering::Relaxed),
                committed: split.committed.clone(),
                held: split.held,
            }
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
        live.set_lag(Some(0), Some(10));
        let of = |splits: &Splits| splits.list()[0].clone();
        assert_eq!((of(&splits).read, of(&splits).committed.read, of(&splits).lag), (10, 0, Some(0)));
        assert_eq!((of(&splits).lag_committed, of(&splits).uncommitted), (Some(10), 10));
        let to = Position { offset: 70, records: 7 };
        splits.committed(&id, &Counts { read: 7, held_after: 2, ..Counts::default() }, Some(to));
        assert_eq!((of(&splits).uncommitted, live.committed_to()), (3, to));
        splits.open(&id).begin_at(to);
        assert_eq!((of(&splits).uncommitted, of(&splits).read), (0, 10), "they are read again");
        splits.close(&id);
        splits.close(&id);
        let closed = of(&splits);
        assert_eq!((closed.is_open, closed.committed.read, closed.held, closed.lag), (false, 7, 2, None));
    }

    #[derive(Debug)]
    struct EndsAt(AtomicU64);

    impl LagMeter for EndsAt {
        fn lag_from(&self, offset: u64) -> Option<u64> {
            Some(self.0.load(Ordering::Relaxed).saturating_sub(offset))
        }
    }

    #[test]
    fn a_lag_grows_while_the_task_is_busy() {
        let mut splits = Splits::default();
        let id: SplitId = "t/0".into();
        let live = splits.open(&id);
        let meter = Arc::new(EndsAt(AtomicU64::new(20)));
        live.begin_at(Position { offset: 5, records: 0 });
        live.measure_lag_by(Some(Arc::clone(&meter) as Arc<dyn LagMeter>));
        let of = |splits: &Splits| (splits.list()[0].lag, splits.list()[0].lag_committed);
        assert_eq!(of(&splits), (Some(15), Some(15)));
        live.read(7);
        live.read_to(Position { offset: 12, records: 7 });
        live.set_busy(true);
        assert_eq!(of(&splits), (Some(8), Some(15)));
        meter.0.store(100, Ordering::Relaxed);
        assert_eq!(of(&splits), (Some(88), Some(95)), "nobody sets it");
        splits.committed(&id, &Counts { read: 7, ..Counts::default() }, Some(Position { offset: 12, records: 7 }));
        assert_eq!(of(&splits), (Some(88), Some(88)));
        meter.0.store(3, Ordering::Relaxed);
        assert_eq!(of(&splits), (Some(0), Some(0)), "an end that is known no better lies before what was read");
        splits.close(&id);
        assert_eq!(of(&splits), (None, None));
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
