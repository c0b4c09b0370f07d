//! What is saved of a key: its name, and what each step knows of it.

use aqpipe_engine::{Error, Result};

use super::damaged::damaged;
use super::gap_state::GapState;
use super::saved_numbers::{Numbers, write_number};
use super::saved_times::Times;

/// What a step has of a key: nothing (or values that are saved in pieces), or gap states.
const NOTHING: u8 = 0;
const FILL: u8 = 1;

/// What a step knows of a key.
#[derive(Clone, Debug, PartialEq)]
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

/// The state of a key.
pub(super) struct SavedKey {
    /// Its name.
    pub(super) name: Option<String>,
    /// What each step knows of it.
    pub(super) steps: Vec<StepState>,
}

/// Writes what is saved of keys, one after the other.
#[derive(Default)]
pub(super) struct KeyWriter {
    bytes: Vec<u8>,
    times: Times,
}

impl KeyWriter {
    /// Begins another key, of which so many steps know something.
    pub(super) fn begin(&mut self, name: Option<&str>, steps: usize) {
        self.bytes.clear();
        self.times.clear();
        write_number(name.map_or(0, |name| name.len() as u64 + 1), &mut self.bytes);
        self.bytes.extend_from_slice(name.unwrap_or_default().as_bytes());
        write_number(steps as u64, &mut self.bytes);
    }

    /// The next step knows nothing.
    pub(super) fn nothing(&mut self) {
        self.bytes.push(NOTHING);
    }

    /// The next step knows the gap states of fields.
    pub(super) fn fill<'a>(&mut self, states: impl ExactSizeIterator<Item = &'a GapState>) {
        self.bytes.push(FILL);
        write_number(states.len() as u64, &mut self.bytes);
        states.for_each(|state| state.write(&mut self.times, &mut self.bytes));
    }

    /// All of the key.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads what [`KeyWriter`] wrote.
pub(super) fn read_key(bytes: &[u8]) -> Result<SavedKey> {
    let (mut numbers, mut times) = (Numbers::of(bytes), Times::default());
    let name = match numbers.count()? {
        0 => None,
        length => Some(String::from_utf8(numbers.bytes(length - 1)?.to_vec()).map_err(|_| damaged())?),
    };
    let steps = (0..numbers.count()?).map(|_| match numbers.byte()? {
        NOTHING => Ok(StepState::Nothing),
        FILL => {
            let states = (0..numbers.count()?).map(|_| GapState::read(&mut times, &mut numbers));
            states.collect::<Result<_>>().map(StepState::Fill)
        }
        _ => Err(damaged()),
    });
    let steps = steps.collect::<Result<_>>()?;
    if numbers.is_empty() { Ok(SavedKey { name, steps }) } else { Err(damaged()) }
}
