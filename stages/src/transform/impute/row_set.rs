//! A set of rows: a bit for each, read by words.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

/// A set of the rows of a batch.
#[derive(Clone, Debug)]
pub(super) struct RowSet {
    words: Vec<u64>,
    rows: usize,
}

impl RowSet {
    /// The empty set.
    pub(super) fn none(rows: usize) -> RowSet {
        RowSet { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// The rows that have a value.
    pub(super) fn valid(nulls: &NullBuffer) -> RowSet {
        let rows = nulls.len();
        let mut words: Vec<u64> = nulls.inner().bit_chunks().iter_padded().collect();
        words.truncate(rows.div_ceil(64));
        RowSet { words, rows }
    }

    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn insert(&mut self, row: usize) {
        self.words[row / 64] |= 1 << (row % 64);
    }

    #[inline]
    pub(super) fn remove(&mut self, row: usize) {
        self.words[row / 64] &= !(1 << (row % 64));
    }

    /// Adds all rows from `from` on.
    pub(super) fn insert_from(&mut self, from: usize) {
        (from..self.rows).for_each(|row| self.insert(row));
    }

    /// The lowest row.
    pub(super) fn first(&self) -> Option<usize> {
        let word = self.words.iter().position(|word| *word != 0)?;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }

    /// The rows, lowest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, word)| Ones(*word).map(move |bit| index * 64 + bit))
    }

    /// The rows that are not in the set, lowest first.
    pub(super) fn iter_absent(&self) -> impl Iterator<Item = usize> {
        let rows = self.rows;
        self.words.iter().enumerate().flat_map(move |(index, word)| {
            let beyond = rows - index * 64;
            let mask = if beyond >= 64 { u64::MAX } else { (1 << beyond) - 1 };
            Ones(!word & mask).map(move |bit| index * 64 + bit)
        })
    }

    /// How many rows are in the set.
    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// As the validity of a column; `None` where every row has a value.
    pub(super) fn into_nulls(self) -> Option<NullBuffer> {
        let rows = self.rows;
        (self.count() < rows).then(|| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.words), 0, rows)))
    }
}

/// The bits of a word that are set.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}
