//! What is counted of records, and how counts are saved.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How many cells of a field have which flag, in the order of [`Flag::ALL`](crate::record::Flag::ALL).
pub type FlagCounts = [u64; 5];

/// The counts of one checkpoint. They become true when the checkpoint is committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "SavedCounts", into = "SavedCounts")]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records written.
    pub written: u64,
    /// Records that became dead letters.
    pub dead: u64,
    /// Records that the configuration left out.
    pub filtered: u64,
    /// Rows that transforms made beside those that were read.
    pub made: u64,
    /// Rows that transforms merged into others.
    pub merged: u64,
    /// Records held back before the checkpoint.
    pub held_before: u64,
    /// Records held back after it.
    pub held_after: u64,
    /// Records with a score, and the sum of their scores.
    pub scored: u64,
    /// See `scored`.
    pub score_sum: f64,
    /// Records whose time lies before that of the record before them with the same key.
    pub out_of_order: u64,
    /// Records whose time is that of the record before them with the same key.
    pub repeated: u64,
    /// Flags by field.
    pub flags: BTreeMap<Arc<str>, FlagCounts>,
}

impl Counts {
    /// Whether every record that was read, held or made is accounted for: the balance equation.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.held_before + self.read + self.made
            == self.written + self.dead + self.filtered + self.merged + self.held_after
    }

    /// Whether every record that was read became a dead letter: none was written, filtered or held back.
    #[must_use]
    pub fn all_dead(&self) -> bool {
        self.read > 0 && self.dead > 0 && self.written == 0 && self.filtered == 0
    }

    /// Adds a later checkpoint's counts.
    pub fn add(&mut self, later: &Counts) {
        self.read += later.read;
        self.written += later.written;
        self.dead += later.dead;
        self.filtered += later.filtered;
        self.made += later.made;
        self.merged += later.merged;
        self.scored += later.scored;
        self.score_sum += later.score_sum;
        self.out_of_order += later.out_of_order;
        self.repeated += later.repeated;
        for (field, flags) in &later.flags {
            let sums = self.flags.entry(Arc::clone(field)).or_default();
            sums.iter_mut().zip(flags).for_each(|(sum, more)| *sum += more);
        }
    }

    /// The mean score, where any record has one.
    #[must_use]
    pub fn mean_score(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.score_sum / self.scored as f64)
    }
}

/// The name, among those of fields, beside which the rows stand that were made and merged. No field of that name is counted.
const ROWS: &str = "\0rows made and merged";

/// Counts as they are saved. The form is older than rows that are made and merged, and stays as it was: a ledger of an earlier
/// version is read, and processes of two versions read each other's commit metadata.
#[derive(Deserialize, Serialize)]
struct SavedCounts {
    read: u64,
    written: u64,
    dead: u64,
    filtered: u64,
    held_before: u64,
    held_after: u64,
    scored: u64,
    score_sum: f64,
    out_of_order: u64,
    repeated: u64,
    flags: BTreeMap<Arc<str>, FlagCounts>,
}

impl From<Counts> for SavedCounts {
    fn from(counts: Counts) -> SavedCounts {
        let Counts { read, written, dead, filtered, made, merged, held_before, held_after, .. } = counts;
        let Counts { scored, score_sum, out_of_order, repeated, mut flags, .. } = counts;
        flags.remove(ROWS);
        if made > 0 || merged > 0 {
            flags.insert(ROWS.into(), [made, merged, 0, 0, 0]);
        }
        SavedCounts {
            read,
            written,
            dead,
            filtered,
            held_before,
            held_after,
            scored,
            score_sum,
            out_of_order,
            repeated,
            flags,
        }
    }
}

impl From<SavedCounts> for Counts {
    fn from(saved: SavedCounts) -> Counts {
        let SavedCounts { read, written, dead, filtered, held_before, held_after, .. } = saved;
        let SavedCounts { scored, score_sum, out_of_order, repeated, mut flags, .. } = saved;
        let [made, merged, ..] = flags.remove(ROWS).unwrap_or_default();
        Counts {
            read,
            written,
            dead,
            filtered,
            made,
            merged,
            held_before,
            held_after,
            scored,
            score_sum,
            out_of_order,
            repeated,
            flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let flags = BTreeMap::from([("CO".into(), [1, 2, 3, 4, 5])]);
        let (read, written, dead, filtered, held_before, held_after) = (1, 2, 3, 4, 5, 6);
        let counts = Counts { read, written, dead, filtered, held_before, held_after, ..Counts::default() };
        Counts { scored: 7, score_sum: 0.5, out_of_order: 8, repeated: 9, flags, ..counts }
    }

    #[test]
    fn rows_made_and_merged_are_saved_and_come_back() {
        let all = Counts { made: 46, merged: 11, ..counts() };
        let bytes = postcard::to_stdvec(&all).expect("bytes");
        assert_eq!(postcard::from_bytes::<Counts>(&bytes).expect("counts"), all);
    }

    #[test]
    fn counts_of_before_there_were_any_are_read() {
        // Varints in the order of the values, a float, and a map of one entry.
        let mut bytes = vec![1, 2, 3, 4, 5, 6, 7];
        bytes.extend(0.5_f64.to_le_bytes());
        bytes.extend([8, 9, 1, 2, b'C', b'O', 1, 2, 3, 4, 5]);
        assert_eq!(postcard::from_bytes::<Counts>(&bytes).expect("counts"), counts());
        assert_eq!(postcard::to_stdvec(&counts()).expect("bytes"), bytes, "and written as they were");
    }
}
