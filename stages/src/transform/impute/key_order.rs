//! The order of each key's rows.

use std::collections::HashMap;
use std::sync::Arc;

use super::key_id::KeyId;
use super::row_set::RowSet;

/// Stands for no row.
const NONE: u32 = u32::MAX;

/// The rows before and after each row, of the same key.
#[derive(Clone, Debug)]
pub(super) enum KeyOrder {
    /// All rows have one key: the rows before and after are the neighbours.
    One { key: KeyId, rows: usize },
    /// Several keys take turns.
    Interleaved(Arc<Interleaved>),
}

#[derive(Debug)]
pub(super) struct Interleaved {
    ids: Vec<KeyId>,
    previous: Vec<u32>,
    next: Vec<u32>,
    starts: Vec<(KeyId, usize)>,
    ends: Vec<(KeyId, usize)>,
}

/// The latest row of each key so far.
enum LatestRows {
    /// By the number of the key.
    Table(Vec<u32>),
    /// Of a few rows among many keys, whose table would take longer than the rows do.
    Map(HashMap<KeyId, u32, foldhash::fast::RandomState>),
}

impl LatestRows {
    fn of(ids: &[KeyId]) -> LatestRows {
        let most = ids.iter().max().map_or(0, |id| *id as usize);
        if most / 8 > ids.len() { LatestRows::Map(HashMap::default()) } else { LatestRows::Table(vec![NONE; most + 1]) }
    }

    fn replace(&mut self, id: KeyId, row: u32) -> u32 {
        match self {
            LatestRows::Table(rows) => std::mem::replace(&mut rows[id as usize], row),
            LatestRows::Map(rows) => rows.insert(id, row).unwrap_or(NONE),
        }
    }

    /// Each key with its last row, in the order of keys.
    fn into_ends(self) -> Vec<(KeyId, usize)> {
        match self {
            LatestRows::Table(rows) => {
                let known = rows.into_iter().enumerate().filter(|(_, row)| *row != NONE);
                known.map(|(id, row)| (id as KeyId, row as usize)).collect()
            }
            LatestRows::Map(rows) => {
                let mut ends: Vec<_> = rows.into_iter().map(|(id, row)| (id, row as usize)).collect();
                ends.sort_unstable();
                ends
            }
        }
    }
}

impl KeyOrder {
    /// The order of rows with these keys.
    pub(super) fn of(ids: Vec<KeyId>) -> KeyOrder {
        let rows = ids.len();
        if ids.iter().all(|id| *id == ids[0]) {
            return KeyOrder::One { key: ids.first().copied().unwrap_or(0), rows };
        }
        let mut latest = LatestRows::of(&ids);
        let (mut previous, mut next) = (vec![NONE; rows], vec![NONE; rows]);
        let mut starts = Vec::new();
        for (row, id) in ids.iter().enumerate() {
            let before = latest.replace(*id, row as u32);
            previous[row] = before;
            if before != NONE {
                next[before as usize] = row as u32;
            } else {
                starts.push((*id, row));
            }
        }
        let ends = latest.into_ends();
        KeyOrder::Interleaved(Arc::new(Interleaved { ids, previous, next, starts, ends }))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            KeyOrder::One { rows, .. } => *rows,
            KeyOrder::Interleaved(many) => many.ids.len(),
        }
    }

    #[inline]
    pub(super) fn key(&self, row: usize) -> KeyId {
        match self {
            KeyOrder::One { key, .. } => *key,
            KeyOrder::Interleaved(many) => many.ids[row],
        }
    }

    /// The row before of the same key.
    #[inline]
    pub(super) fn previous(&self, row: usize) -> Option<usize> {
        match self {
            KeyOrder::One { .. } => row.checked_sub(1),
            KeyOrder::Interleaved(many) => Some(many.previous[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// The row after of the same key.
    #[inline]
    pub(super) fn next(&self, row: usize) -> Option<usize> {
        match self {
            KeyOrder::One { rows, .. } => Some(row + 1).filter(|row| row < rows),
            KeyOrder::Interleaved(many) => Some(many.next[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// Each key with its first row.
    pub(super) fn starts(&self) -> Vec<(KeyId, usize)> {
        match self {
            KeyOrder::One { rows: 0, .. } => Vec::new(),
            KeyOrder::One { key, .. } => vec![(*key, 0)],
            KeyOrder::Interleaved(many) => many.starts.clone(),
        }
    }

    /// Each key with its last row.
    pub(super) fn ends(&self) -> Vec<(KeyId, usize)> {
        match self {
            KeyOrder::One { rows: 0, .. } => Vec::new(),
            KeyOrder::One { key, rows } => vec![(*key, rows - 1)],
            KeyOrder::Interleaved(many) => many.ends.clone(),
        }
    }

    fn ids(&self) -> Vec<KeyId> {
        match self {
            KeyOrder::One { key, rows } => vec![*key; *rows],
            KeyOrder::Interleaved(many) => many.ids.clone(),
        }
    }

    /// The order of batches one after the other.
    pub(super) fn concat<'a>(orders: impl Iterator<Item = &'a KeyOrder> + Clone) -> KeyOrder {
        let mut single = None;
        let mut rows = 0;
        for order in orders.clone() {
            match order {
                KeyOrder::One { key, rows: more } if single.is_none_or(|single| single == *key) => {
                    single = Some(*key);
                    rows += more;
                }
                _ => return KeyOrder::of(orders.flat_map(KeyOrder::ids).collect()),
            }
        }
        KeyOrder::One { key: single.unwrap_or(0), rows }
    }

    pub(super) fn slice(&self, from: usize, rows: usize) -> KeyOrder {
        match self {
            KeyOrder::One { key, .. } => KeyOrder::One { key: *key, rows },
            KeyOrder::Interleaved(many) => KeyOrder::of(many.ids[from..from + rows].to_vec()),
        }
    }

    pub(super) fn filter(&self, keep: &RowSet) -> KeyOrder {
        match self {
            KeyOrder::One { key, .. } => KeyOrder::One { key: *key, rows: keep.count() },
            KeyOrder::Interleaved(many) => KeyOrder::of(keep.iter().map(|row| many.ids[row]).collect()),
        }
    }
}
