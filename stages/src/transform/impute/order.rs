//! The order of the rows of each key.

use std::sync::Arc;

use super::bits::Bits;
use super::keys::KeyId;

/// No row.
const NONE: u32 = u32::MAX;

/// Which row of a key comes before and after which.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// All rows have one key: the rows before and after are the neighbours.
    One { key: KeyId, rows: usize },
    /// Several keys.
    Many(Arc<Many>),
}

#[derive(Debug)]
pub(super) struct Many {
    ids: Vec<KeyId>,
    previous: Vec<u32>,
    next: Vec<u32>,
    ends: Vec<(KeyId, usize)>,
}

impl Order {
    /// The order of rows with these keys.
    pub(super) fn of(ids: Vec<KeyId>) -> Order {
        let rows = ids.len();
        if ids.iter().all(|id| *id == ids[0]) {
            return Order::One { key: ids.first().copied().unwrap_or(0), rows };
        }
        let most = ids.iter().max().map_or(0, |id| *id as usize);
        let mut latest = vec![NONE; most + 1];
        let (mut previous, mut next) = (vec![NONE; rows], vec![NONE; rows]);
        for (row, id) in ids.iter().enumerate() {
            let before = std::mem::replace(&mut latest[*id as usize], row as u32);
            previous[row] = before;
            if before != NONE {
                next[before as usize] = row as u32;
            }
        }
        let ends = latest.iter().enumerate().filter(|(_, row)| **row != NONE);
        let ends = ends.map(|(id, row)| (id as KeyId, *row as usize)).collect();
        Order::Many(Arc::new(Many { ids, previous, next, ends }))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Order::One { rows, .. } => *rows,
            Order::Many(many) => many.ids.len(),
        }
    }

    #[inline]
    pub(super) fn key(&self, row: usize) -> KeyId {
        match self {
            Order::One { key, .. } => *key,
            Order::Many(many) => many.ids[row],
        }
    }

    /// The row before, of the same key.
    #[inline]
    pub(super) fn previous(&self, row: usize) -> Option<usize> {
        match self {
            Order::One { .. } => row.checked_sub(1),
            Order::Many(many) => Some(many.previous[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// The row after, of the same key.
    #[inline]
    pub(super) fn next(&self, row: usize) -> Option<usize> {
        match self {
            Order::One { rows, .. } => Some(row + 1).filter(|row| row < rows),
            Order::Many(many) => Some(many.next[row]).filter(|row| *row != NONE).map(|row| row as usize),
        }
    }

    /// Each key with its last row.
    pub(super) fn ends(&self) -> Vec<(KeyId, usize)> {
        match self {
            Order::One { rows: 0, .. } => Vec::new(),
            Order::One { key, rows } => vec![(*key, rows - 1)],
            Order::Many(many) => many.ends.clone(),
        }
    }

    fn ids(&self) -> Vec<KeyId> {
        match self {
            Order::One { key, rows } => vec![*key; *rows],
            Order::Many(many) => many.ids.clone(),
        }
    }

    /// The order of rows one after the other.
    pub(super) fn concat<'a>(orders: impl Iterator<Item = &'a Order> + Clone) -> Order {
        let mut single = None;
        let mut rows = 0;
        for order in orders.clone() {
            match order {
                Order::One { key, rows: more } if single.is_none_or(|single| single == *key) => {
                    single = Some(*key);
                    rows += more;
                }
                _ => return Order::of(orders.flat_map(Order::ids).collect()),
            }
        }
        Order::One { key: single.unwrap_or(0), rows }
    }

    pub(super) fn slice(&self, from: usize, rows: usize) -> Order {
        match self {
            Order::One { key, .. } => Order::One { key: *key, rows },
            Order::Many(many) => Order::of(many.ids[from..from + rows].to_vec()),
        }
    }

    pub(super) fn filter(&self, keep: &Bits) -> Order {
        match self {
            Order::One { key, .. } => Order::One { key: *key, rows: keep.count() },
            Order::Many(many) => Order::of(keep.iter().map(|row| many.ids[row]).collect()),
        }
    }
}
