//! Accounting of a split: the order of timestamps on the way in, scores and flags on the way out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;

use super::key_times::KeyTimes;
use crate::metrics::{Counts, FlagCounts, Measured};
use crate::record::{Batch, Column, Flag, SplitId};
use crate::run::losses::Losses;
use crate::stage::DeadLetter;

/// Cells whose flags are counted together: they stay in the first cache from one flag to the next.
const COUNTED_AT_ONCE: usize = 4096;

/// The counts of the open checkpoint of a split.
#[derive(Default)]
pub(super) struct Accounting {
    pub(super) counts: Counts,
    flags: BTreeMap<Arc<str>, FlagCounts>,
    measured: Measured,
    /// The times of each key.
    pub(super) stations: KeyTimes,
    read_in_all: u64,
    /// What became of records since they were last looked at.
    losses: Losses,
    /// The source offsets of the records that were written and of those that became dead letters in this call, and how many were
    /// filtered.
    call: CallOutcome,
}

#[derive(Default)]
struct CallOutcome {
    written: Vec<u64>,
    dead: Vec<u64>,
    filtered: u64,
}

impl Accounting {
    /// The accounting of a split whose transforms hold rows already.
    pub(super) fn with_held(held: u64) -> Accounting {
        Accounting { counts: Counts { held_before: held, ..Counts::default() }, ..Accounting::default() }
    }

    /// The records that were read since the split was opened.
    pub(super) fn read_in_all(&self) -> u64 {
        self.read_in_all
    }

    /// Counts timestamps that go back or repeat, by key. Returns the source offset of the first record of the checkpoint
    /// that is older than the one before it.
    pub(super) fn count_input(&mut self, batch: &Batch) -> Option<u64> {
        self.read_in_all += batch.rows() as u64;
        let mut first_out_of_order = None;
        let mut row = 0;
        while row < batch.rows() {
            let (key, end) = key_run(batch, row);
            let times = &batch.time()[row..end];
            let mut last = self.stations.last(key);
            for (i, time) in times.iter().copied().enumerate() {
                match last {
                    Some(before) if time < before => {
                        if self.counts.out_of_order == 0 {
                            first_out_of_order.get_or_insert(batch.source_offsets()[row + i]);
                        }
                        self.counts.out_of_order += 1;
                    }
                    Some(before) if time == before => self.counts.repeated += 1,
                    _ => {}
                }
                last = Some(time);
            }
            self.stations.add(key, times);
            row = end;
        }
        first_out_of_order
    }

    /// Counts records that the configuration left out.
    pub(super) fn count_filtered(&mut self, filtered: u64) {
        self.counts.filtered += filtered;
        self.call.filtered += filtered;
    }

    /// Counts records of a batch that were written: all but those that the sink gave up.
    pub(super) fn count_written(&mut self, offsets: &[u64], given_up: &[DeadLetter]) {
        self.counts.written += (offsets.len() - given_up.len()) as u64;
        let is_written = |offset: &&u64| !given_up.iter().any(|letter| letter.source_offset == **offset);
        match given_up.is_empty() {
            true => self.call.written.extend_from_slice(offsets),
            false => self.call.written.extend(offsets.iter().filter(is_written)),
        }
    }

    /// Counts dead letters.
    pub(super) fn count_dead(&mut self, split: &SplitId, letters: &[DeadLetter]) {
        self.counts.dead += letters.len() as u64;
        self.call.dead.extend(letters.iter().map(|letter| letter.source_offset));
        for DeadLetter { stage, reason, place, source_offset, .. } in letters {
            let place = place.as_deref().map_or_else(|| format!("{split}@{source_offset}").into(), Cow::Borrowed);
            self.losses.groups.add(stage, reason, &place);
        }
    }

    /// What became of records since the last time, in their order.
    pub(super) fn take_losses(&mut self) -> Losses {
        let CallOutcome { mut written, mut dead, filtered } = std::mem::take(&mut self.call);
        let mut losses = std::mem::take(&mut self.losses);
        losses.add(&mut dead, &written, filtered);
        written.clear();
        // Its room is used again.
        self.call.written = written;
        losses
    }

    /// Counts scores and flags of rows on their way out.
    pub(super) fn count_output(&mut self, batch: &Batch) {
        if let Some(scores) = batch.score() {
            self.counts.scored += (scores.len() - scores.null_count()) as u64;
            self.counts.score_sum += scores.iter().flatten().sum::<f64>();
            scores.iter().flatten().for_each(|score| self.measured.scores.observe(score));
        }
        self.measured.newest_micros = self.measured.newest_micros.max(batch.time().iter().copied().max());
        self.measured.fields.count(batch);
        for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
            let Column::Number(numbers) = column else { continue };
            if field.derived {
                continue;
            }
            let sums = match self.flags.get_mut(&field.name) {
                Some(sums) => sums,
                None => self.flags.entry(Arc::clone(&field.name)).or_default(),
            };
            // A pass for each flag, not a look-up for each cell, with sums as wide as the cells: the compiler makes vector code of it.
            for cells in numbers.quality.chunks(COUNTED_AT_ONCE) {
                for (sum, flag) in sums.iter_mut().zip(Flag::ALL) {
                    let flag = flag as u32;
                    *sum += u64::from(cells.iter().map(|quality| u32::from(quality & 0xf == flag)).sum::<u32>());
                }
            }
        }
    }

    /// The counts of the checkpoint, with rows still held; the next one starts with these.
    pub(super) fn close(&mut self, held: u64) -> (Counts, Measured) {
        let next = Counts { held_before: held, ..Counts::default() };
        let mut counts = std::mem::replace(&mut self.counts, next);
        counts.held_after = held;
        counts.flags = std::mem::take(&mut self.flags);
        (counts, std::mem::take(&mut self.measured))
    }
}

/// The key of a row, and the end of the run of rows that have it.
fn key_run(batch: &Batch, row: usize) -> (&str, usize) {
    let Some(keys) = batch.key() else { return ("", batch.rows()) };
    let of = |row: usize| if keys.is_valid(row) { keys.value(row) } else { "" };
    let key = of(row);
    (key, (row + 1..batch.rows()).find(|next| of(*next) != key).unwrap_or(batch.rows()))
}
