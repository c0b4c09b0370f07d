//! The entries of the saved state: one for each key, for each piece of a window and for each part of held rows, so that a
//! checkpoint saves what changed.
//!
//! The numbers in the names of entries are hexadecimal and of one width, so that entries come in the order of their numbers. They are
//! saved in the order of their names, which costs least.

use std::collections::BTreeMap;

use aqpipe_engine::stage::{State, StateChanges};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::damaged::damaged;
use super::entry_name::EntryName;
use super::key_id::KeyId;
use super::saved_key::{KeyWriter, SavedKey, read_key};
use super::step::Method;

/// The version of all entries.
pub(super) const FORMAT_VERSION: u8 = 4;

/// The entry that says what the others are about. Its name is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The names of fields, by their numbers.
    pub(super) fields: Vec<String>,
    /// The steps.
    pub(super) methods: Vec<Method>,
}

/// What a step saves beside what it knows of keys: held rows, their order, and pieces, in this order.
pub(super) struct StepEntries<'a> {
    pub(super) changes: &'a mut StateChanges,
    pub(super) step: usize,
    /// Memory for one entry.
    pub(super) scratch: Vec<u8>,
}

impl StepEntries<'_> {
    /// A piece of the values that a step keeps of a key.
    pub(super) fn put_piece(&mut self, key: KeyId, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        self.changes.put(piece(self.step, key, number), &self.scratch);
    }

    /// Removes a piece.
    pub(super) fn remove_piece(&mut self, key: KeyId, number: u32) {
        self.changes.remove(piece(self.step, key, number));
    }

    /// A part of the rows that a step holds.
    pub(super) fn put_held(&mut self, number: u64, bytes: &[u8]) {
        self.changes.put(held(self.step, number), bytes);
    }

    /// Removes a part.
    pub(super) fn remove_held(&mut self, number: u64) {
        self.changes.remove(held(self.step, number));
    }

    /// The parts in their order.
    pub(super) fn put_order(&mut self, numbers: &[u64]) -> Result<()> {
        put(self.changes, of_step(self.step, 'o'), &numbers)
    }
}

fn of_step(step: usize, kind: char) -> EntryName {
    EntryName::of('s').hex(step as u64, 2).then(kind)
}

fn piece(step: usize, key: KeyId, number: u32) -> EntryName {
    of_step(step, 'p').hex(u64::from(key), 8).hex(u64::from(number), 8)
}

fn held(step: usize, number: u64) -> EntryName {
    of_step(step, 'h').hex(number, 16)
}

/// Saves a value under a name.
fn put<T: Serialize>(changes: &mut StateChanges, name: impl AsRef<str>, value: &T) -> Result<()> {
    let bytes = postcard::to_stdvec(value).map_err(|e| Error::bug("a state that cannot be saved").because(e))?;
    changes.put(name, bytes);
    Ok(())
}

pub(super) fn put_header(changes: &mut StateChanges, header: &Header) -> Result<()> {
    put(changes, "", header)
}

pub(super) fn put_key(changes: &mut StateChanges, key: KeyId, saved: &KeyWriter) {
    changes.put(EntryName::of('k').hex(u64::from(key), 8), saved.bytes());
}

/// A part of the rows that waited for the steps of an earlier configuration.
pub(super) fn put_backlog(changes: &mut StateChanges, number: usize, bytes: &[u8]) {
    changes.put(backlog(number), bytes);
}

pub(super) fn remove_backlog(changes: &mut StateChanges, number: usize) {
    changes.remove(backlog(number));
}

fn backlog(number: usize) -> EntryName {
    EntryName::of('b').hex(number as u64, 8)
}

/// All entries, read back.
#[derive(Default)]
pub(super) struct SavedEntries<'a> {
    pub(super) header: Header,
    pub(super) keys: Vec<SavedKey>,
    pub(super) pieces: Vec<Vec<Piece<'a>>>,
    /// By step, the parts of held rows in their order.
    pub(super) held: Vec<Vec<&'a [u8]>>,
    pub(super) backlog: Vec<&'a [u8]>,
}

/// A piece of the values that a step keeps of a key.
pub(super) struct Piece<'a> {
    pub(super) key: KeyId,
    pub(super) bytes: &'a [u8],
}

impl<'a> SavedEntries<'a> {
    /// # Errors
    /// Where the state is of another version, or does not fit together.
    pub(super) fn read(state: &'a State) -> Result<SavedEntries<'a>> {
        let mut saved = SavedEntries::default();
        let mut parts: BTreeMap<(usize, u64), &[u8]> = BTreeMap::new();
        let mut orders: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (name, bytes) in state.entries(FORMAT_VERSION)? {
            let Some(kind) = name.chars().next() else {
                saved.header = decode(bytes)?;
                let steps = saved.header.methods.len();
                saved.pieces.resize_with(steps, Vec::new);
                saved.held.resize_with(steps, Vec::new);
                continue;
            };
            match kind {
                'b' => saved.backlog.push(bytes),
                'k' => {
                    if name_number(&name[1..])? != saved.keys.len() as u64 {
                        return Err(damaged());
                    }
                    saved.keys.push(read_key(bytes)?);
                }
                's' => {
                    let (step, kind, number) = step_name(&name[1..])?;
                    match kind {
                        'h' => drop(parts.insert((step, name_number(number)?), bytes)),
                        'o' => drop(orders.insert(step, decode(bytes)?)),
                        _ => {
                            let (key, _) = number.split_at_checked(8).ok_or_else(damaged)?;
                            let key = name_number(key)? as KeyId;
                            let pieces = saved.pieces.get_mut(step).ok_or_else(damaged)?;
                            if key as usize >= saved.keys.len() {
                                return Err(damaged());
                            }
                            pieces.push(Piece { key, bytes });
                        }
                    }
                }
                _ => return Err(damaged()),
            }
        }
        for (step, order) in orders {
            let held = saved.held.get_mut(step).ok_or_else(damaged)?;
            for number in order {
                held.push(parts.remove(&(step, number)).ok_or_else(damaged)?);
            }
        }
        if parts.is_empty() { Ok(saved) } else { Err(damaged()) }
    }
}

/// The number of a step, what kind of entry it is, and the numbers behind.
fn step_name(name: &str) -> Result<(usize, char, &str)> {
    let at = name.find(['h', 'o', 'p']).ok_or_else(damaged)?;
    let (step, rest) = name.split_at(at);
    let kind = rest.chars().next().ok_or_else(damaged)?;
    Ok((name_number(step)? as usize, kind, &rest[1..]))
}

fn name_number(digits: &str) -> Result<u64> {
    u64::from_str_radix(digits, 16).map_err(|_| damaged())
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| damaged().because(e))
}
