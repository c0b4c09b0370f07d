//! The sums of a run over a sliding window.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{FieldCells, Snapshot};

/// The samples of one window: its edge moves in steps of a sixtieth, and its memory is bounded however long it is.
const SAMPLES: u32 = 60;

/// The sums of a run at one moment, as far as alerts look at them.
#[derive(Clone, Debug, Default)]
pub(in crate::monitor) struct Sample {
    pub(in crate::monitor) at: Duration,
    /// Records read, committed or not.
    pub(in crate::monitor) read: u64,
    /// Records read and committed.
    pub(in crate::monitor) committed: u64,
    pub(in crate::monitor) dead: u64,
    pub(in crate::monitor) errors: u64,
    pub(in crate::monitor) scored: u64,
    pub(in crate::monitor) score_sum: f64,
    fields: Vec<(Arc<str>, Cells)>,
}

/// Cells of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::monitor) struct Cells {
    pub(in crate::monitor) all: u64,
    pub(in crate::monitor) missing: u64,
    pub(in crate::monitor) filled: u64,
    pub(in crate::monitor) unreadable: u64,
    pub(in crate::monitor) fail: u64,
}

impl Cells {
    fn of(field: &FieldCells) -> Cells {
        let [_, _, _, fail, _] = field.flags;
        let tally = &field.tally;
        let all = tally.provenance.iter().sum::<u64>() + tally.unreadable + tally.missing;
        Cells { all, missing: tally.missing, filled: tally.filled(), unreadable: tally.unreadable, fail }
    }

    fn since(&self, before: &Cells) -> Cells {
        Cells {
            all: self.all.saturating_sub(before.all),
            missing: self.missing.saturating_sub(before.missing),
            filled: self.filled.saturating_sub(before.filled),
            unreadable: self.unreadable.saturating_sub(before.unreadable),
            fail: self.fail.saturating_sub(before.fail),
        }
    }
}

impl Sample {
    /// The sums of a snapshot, those of the fields where somebody asks for them.
    pub(in crate::monitor) fn of(now: &Snapshot, with_fields: bool) -> Sample {
        let counts = &now.counts;
        let fields = if with_fields { &now.fields[..] } else { &[] };
        Sample {
            at: now.uptime,
            read: now.read,
            committed: counts.read,
            dead: counts.dead,
            // That one ended the run is no share of anything.
            errors: now.errors.saturating_sub(now.fatal_errors),
            scored: counts.scored,
            score_sum: counts.score_sum,
            fields: fields.iter().map(|field| (Arc::clone(&field.field), Cells::of(field))).collect(),
        }
    }

    /// What came since an earlier sample.
    pub(in crate::monitor) fn since(&self, before: &Sample) -> Sample {
        let fields = self.fields.iter().enumerate().map(|(place, (field, cells))| {
            // Fields stay where they are; there may be more of them.
            let earlier = before.fields.get(place).filter(|(name, _)| name == field).map(|(_, cells)| *cells);
            (Arc::clone(field), cells.since(&earlier.unwrap_or_default()))
        });
        Sample {
            at: self.at.saturating_sub(before.at),
            read: self.read.saturating_sub(before.read),
            committed: self.committed.saturating_sub(before.committed),
            dead: self.dead.saturating_sub(before.dead),
            errors: self.errors.saturating_sub(before.errors),
            scored: self.scored.saturating_sub(before.scored),
            score_sum: self.score_sum - before.score_sum,
            fields: fields.collect(),
        }
    }

    pub(in crate::monitor) fn fields(&self) -> impl Iterator<Item = (&Arc<str>, &Cells)> {
        self.fields.iter().map(|(field, cells)| (field, cells))
    }
}

/// The samples of the last window.
#[derive(Debug)]
pub(in crate::monitor) struct Window {
    length: Duration,
    samples: VecDeque<Sample>,
}

impl Window {
    pub(in crate::monitor) fn new(length: Duration) -> Window {
        // Nothing was counted at the start: what came before the first look belongs to the window.
        Window { length, samples: VecDeque::from([Sample::default()]) }
    }

    /// What came in the window that ends with this sample. It is shorter at first: `at` is its length.
    pub(in crate::monitor) fn push(&mut self, now: Sample) -> Sample {
        let is_outside = |sample: &Sample| now.at.saturating_sub(sample.at) >= self.length;
        while self.samples.len() > 1 && self.samples.get(1).is_some_and(is_outside) {
            self.samples.pop_front();
        }
        let came = self.samples.front().map_or_else(|| now.since(&now), |before| now.since(before));
        let step = self.length / SAMPLES;
        if self.samples.back().is_none_or(|last| now.at.saturating_sub(last.at) >= step) {
            self.samples.push_back(now);
        }
        came
    }

    pub(in crate::monitor) fn length(&self) -> Duration {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_and_keeps_a_bounded_number_of_samples() {
        let mut window = Window::new(Duration::from_secs(600));
        let mut came = Sample::default();
        for second in 0..5_000 {
            came = window.push(Sample { at: Duration::from_secs(second), read: second * 7, ..Sample::default() });
            assert!(came.at <= Duration::from_secs(610), "{:?}", came.at);
        }
        assert!(came.at >= Duration::from_secs(600), "{:?}", came.at);
        assert_eq!(came.read, came.at.as_secs() * 7);
        assert!(window.samples.len() <= SAMPLES as usize + 2, "{}", window.samples.len());
    }
}
