//! The entries of the saved state: one for each key, for each piece of a window and for each part of held rows, so that a
//! checkpoint saves what changed.
//!
//! The numbers in the names of entries are hexadecimal and of one width, so that entries come in the order of their numbers.

use std::collections::BTreeMap;

use aqpipe_engine::stage::{State, StateChanges};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::gap_state::GapState;
use super::key_id::KeyId;
use super::step::Method;

/// The version of all entries.
pub(super) const FORMAT_VERSION: u8 = 3;

/// What a step knows of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum StepState {
    /// Nothing, or values that are saved in pieces.
    Nothing,
    /// By field, the gap state before the held rows.
    Fill(Vec<GapState>),
}

impl StepState {
    /// The error of a step that gets the state of another kind of step.
    pub(super) fn foreign() -> Error {
        Error::new("the saved state of `impute` is that of other steps")
    }
}

/// The entry that says what the others are about. Its name is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The names of fields, by their numbers.
    pub(super) fields: Vec<String>,
    /// The steps.
    pub(super) methods: Vec<Method>,
}

/// The entry of a key.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedKey {
    /// Its name.
    pub(super) name: Option<String>,
    /// What each step knows of it.
    pub(super) steps: Vec<StepState>,
}

/// What a step saves beside what it knows of keys.
pub(super) struct StepEntries<'a> {
    pub(super) changes: &'a mut StateChanges,
    pub(super) step: usize,
}

impl StepEntries<'_> {
    /// A piece of the values that a step keeps of a key.
    pub(super) fn put_piece(&mut self, key: KeyId, number: u32, bytes: Vec<u8>) {
        self.changes.put(piece(self.step, key, number), bytes);
    }

    /// Removes a piece.
    pub(super) fn remove_piece(&mut self, key: KeyId, number: u32) {
        self.changes.remove(piece(self.step, key, number));
    }

    /// A part of the rows that a step holds.
    pub(super) fn put_held(&mut self, number: u64, bytes: Vec<u8>) {
        self.changes.put(held(self.step, number), bytes);
    }

    /// Removes a part.
    pub(super) fn remove_held(&mut self, number: u64) {
        self.changes.remove(held(self.step, number));
    }

    /// The parts in their order.
    pub(super) fn put_order(&mut self, numbers: &[u64]) -> Result<()> {
        put(self.changes, format!("o{:02x}", self.step), &numbers)
    }
}

fn piece(step: usize, key: KeyId, number: u32) -> String {
    format!("p{step:02x}.{key:08x}.{number:08x}")
}

fn held(step: usize, number: u64) -> String {
    format!("h{step:02x}.{number:016x}")
}

/// Saves a value under a name.
fn put<T: Serialize>(changes: &mut StateChanges, name: String, value: &T) -> Result<()> {
    let bytes = postcard::to_stdvec(value).map_err(|e| Error::bug("a state that cannot be saved").because(e))?;
    changes.put(name, bytes);
    Ok(())
}

pub(super) fn put_header(changes: &mut StateChanges, header: &Header) -> Result<()> {
    put(changes, String::new(), header)
}

pub(super) fn put_key(changes: &mut StateChanges, key: KeyId, saved: &SavedKey) -> Result<()> {
    put(changes, format!("k{key:08x}"), saved)
}

/// A part of the rows that waited for the steps of an earlier configuration.
pub(super) fn put_backlog(changes: &mut StateChanges, number: usize, bytes: Vec<u8>) {
    changes.put(backlog(number), bytes);
}

pub(super) fn remove_backlog(changes: &mut StateChanges, number: usize) {
    changes.remove(backlog(number));
}

fn backlog(number: usize) -> String {
    format!("b{number:08x}")
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
            let numbers: Vec<u64> = name[1..]
                .split('.')
                .map(|number| u64::from_str_radix(number, 16).map_err(|_| damaged()))
                .collect::<Result<_>>()?;
            match (kind, numbers.as_slice()) {
                ('b', [_]) => saved.backlog.push(bytes),
                ('k', [key]) if *key == saved.keys.len() as u64 => saved.keys.push(decode(bytes)?),
                ('h', [step, number]) => drop(parts.insert((*step as usize, *number), bytes)),
                ('o', [step]) => drop(orders.insert(*step as usize, decode(bytes)?)),
                ('p', [step, key, _]) => {
                    let key = KeyId::try_from(*key).ok().filter(|key| (*key as usize) < saved.keys.len());
                    let pieces = saved.pieces.get_mut(*step as usize);
                    let (Some(key), Some(pieces)) = (key, pieces) else { return Err(damaged()) };
                    pieces.push(Piece { key, bytes });
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

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| damaged().because(e))
}

/// The error of a state that does not fit together.
pub(super) fn damaged() -> Error {
    Error::new("the saved state of `impute` cannot be read")
}
