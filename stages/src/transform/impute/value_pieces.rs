//! The values that a step keeps of each key, as they are saved: piece by piece as values come, and whole again once as much is
//! saved as is kept twice over. What is saved of a key is so at most about twice what is kept, and a value is saved twice on average,
//! however large the window is.

use aqpipe_engine::Result;

use super::damaged::damaged;
use super::key_id::KeyId;
use super::running_median::RunningSample;
use super::saved_entries::{Piece, StepEntries};
use super::saved_numbers::Numbers;

/// Values of a field in a piece that may still grow: a smaller number makes more entries, a larger one has the last piece saved
/// anew more often.
const PIECE_VALUES: usize = 16;
/// Values saved beyond twice those kept, for short windows.
const SLACK_VALUES: usize = 256;

/// What is saved of each key.
#[derive(Default)]
pub(super) struct ValuePieces {
    keys: Vec<KeyPieces>,
    changed: Vec<KeyId>,
}

#[derive(Clone, Default)]
struct KeyPieces {
    /// The first piece, and the one that may still grow.
    first: u32,
    open: u32,
    /// Values in all of them.
    saved: usize,
    is_changed: bool,
}

impl ValuePieces {
    /// Values of a key may have come.
    pub(super) fn changed(&mut self, key: KeyId) {
        if self.keys.len() <= key as usize {
            self.keys.resize(key as usize + 1, KeyPieces::default());
        }
        let pieces = &mut self.keys[key as usize];
        if !pieces.is_changed {
            pieces.is_changed = true;
            self.changed.push(key);
        }
    }

    /// Saves the values that came since the last time; everything where all is to be saved.
    pub(super) fn save_changes<S: RunningSample>(
        &mut self,
        series: &mut [Vec<S>],
        whole: bool,
        out: &mut StepEntries<'_>,
    ) {
        // In the order of their entries' names.
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for key in changed.drain(..) {
            self.keys[key as usize].is_changed = false;
            if !whole {
                self.save_key(key, series, out);
            }
        }
        self.changed = changed;
        if whole {
            let keys = series.iter().map(Vec::len).max().unwrap_or(0);
            self.keys = vec![KeyPieces::default(); keys];
            (0..keys).for_each(|key| self.save_whole(key as KeyId, series, out));
        }
    }

    fn save_key<S: RunningSample>(&mut self, key: KeyId, series: &mut [Vec<S>], out: &mut StepEntries<'_>) {
        let samples = || series.iter().filter_map(|keys| keys.get(key as usize));
        let new: usize = samples().map(|sample| sample.saving().unsaved()).sum();
        if new == 0 {
            return;
        }
        let kept: usize = samples().map(RunningSample::kept).sum();
        let is_full = samples().any(|sample| sample.saving().open() >= PIECE_VALUES);
        let pieces = &mut self.keys[key as usize];
        if pieces.saved + new > 2 * kept + SLACK_VALUES {
            (pieces.first..=pieces.open).for_each(|number| out.remove_piece(key, number));
            // Numbers go on, so that a piece that is removed is not the one that is written.
            pieces.first = pieces.open.wrapping_add(1);
            pieces.open = pieces.first;
            return self.save_whole(key, series, out);
        }
        pieces.saved += new;
        let open = pieces.open;
        pieces.open += u32::from(is_full);
        out.put_piece(key, open, |out| write_all(key, series, S::write_open, out));
        for sample in series.iter_mut().filter_map(|keys| keys.get_mut(key as usize)) {
            sample.saved(is_full);
        }
    }

    fn save_whole<S: RunningSample>(&mut self, key: KeyId, series: &mut [Vec<S>], out: &mut StepEntries<'_>) {
        let pieces = &mut self.keys[key as usize];
        let samples = series.iter_mut().filter_map(|keys| keys.get_mut(key as usize));
        pieces.saved = 0;
        for sample in samples {
            pieces.saved += sample.kept();
            sample.saved(true);
        }
        let number = pieces.open;
        pieces.open += 1;
        if pieces.saved > 0 {
            out.put_piece(key, number, |out| write_all(key, series, S::write_all, out));
        }
    }
}

/// The values of all keys, each as one piece.
pub(super) fn save_all<S: RunningSample>(series: &[Vec<S>], out: &mut StepEntries<'_>) {
    let keys = series.iter().map(Vec::len).max().unwrap_or(0);
    for key in 0..keys {
        if series.iter().filter_map(|samples| samples.get(key)).any(|sample| sample.kept() > 0) {
            out.put_piece(key as KeyId, 0, |out| write_all(key as KeyId, series, S::write_all, out));
        }
    }
}

/// The samples of keys and fields, from their pieces.
pub(super) fn read<S: RunningSample>(
    pieces: &[Piece<'_>],
    fields: usize,
    mut make: impl FnMut(&mut S, &mut Numbers<'_>) -> Result<()>,
) -> Result<Vec<Vec<S>>> {
    let keys = pieces.iter().map(|piece| piece.key as usize + 1).max().unwrap_or(0);
    let mut series: Vec<Vec<S>> = Vec::new();
    series.resize_with(fields, Vec::new);
    series.iter_mut().for_each(|samples| samples.resize_with(keys, S::default));
    for piece in pieces {
        let mut numbers = Numbers::of(piece.bytes);
        for samples in &mut series {
            // A piece ends with the last field that was known when it was saved.
            if !numbers.is_empty() {
                make(&mut samples[piece.key as usize], &mut numbers)?;
            }
        }
        if !numbers.is_empty() {
            return Err(damaged());
        }
    }
    for sample in series.iter_mut().flatten() {
        sample.saved(true);
    }
    Ok(series)
}

fn write_all<S: RunningSample>(key: KeyId, series: &[Vec<S>], write: impl Fn(&S, &mut Vec<u8>), out: &mut Vec<u8>) {
    let none = S::default();
    for samples in series {
        write(samples.get(key as usize).unwrap_or(&none), out);
    }
}
