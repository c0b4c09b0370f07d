//! The saved state of a stage.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The saved state of a stage: entries by key, all in one version of their format.
///
/// Most stages have one entry: [`State::of`] saves a value and [`State::read`] gives it back. A stage with much state that
/// changes little keeps an entry for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u8,
    entries: BTreeMap<String, Vec<u8>>,
    /// The rows that the stage held when it was saved. The engine fills it in.
    held: u64,
    /// The `type` of the stage. The engine fills it in.
    kind: String,
}

impl State {
    /// A state without entries.
    #[must_use]
    pub fn new(version: u8) -> State {
        State { version, ..State::default() }
    }

    /// A state with one value.
    ///
    /// # Errors
    /// Where the value cannot be written as bytes.
    pub fn of<T: Serialize>(version: u8, value: &T) -> Result<State> {
        let mut state = State::new(version);
        state.insert("", value)?;
        Ok(state)
    }

    /// A state with one entry of bytes that the stage writes and reads itself.
    #[must_use]
    pub fn of_bytes(version: u8, bytes: Vec<u8>) -> State {
        State { entries: BTreeMap::from([(String::new(), bytes)]), ..State::new(version) }
    }

    /// Saves a value by key.
    ///
    /// # Errors
    /// Where the value cannot be written as bytes.
    pub fn insert<T: Serialize>(&mut self, key: impl Into<String>, value: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(value).map_err(|e| Error::bug("a state that cannot be saved").because(e))?;
        self.entries.insert(key.into(), bytes);
        Ok(())
    }

    /// Whether there is nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rows that the stage held when it was saved.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The `type` of the stage that saved it.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// The same as the engine saves it.
    pub(crate) fn saved_by(mut self, kind: &str, held: u64) -> State {
        (self.kind, self.held) = (kind.to_owned(), held);
        self
    }

    /// The same state as if it were saved in another version.
    pub(crate) fn of_another_version(&self) -> State {
        State { version: self.version.wrapping_add(1), ..self.clone() }
    }

    /// The number of bytes in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The value that [`State::of`] saved.
    ///
    /// # Errors
    /// Where it was saved in another version, or cannot be read.
    pub fn read<T: DeserializeOwned>(&self, version: u8) -> Result<T> {
        decode(self.one(version)?)
    }

    /// The bytes that [`State::of_bytes`] saved.
    ///
    /// # Errors
    /// Where they were saved in another version.
    pub fn read_bytes(&self, version: u8) -> Result<&[u8]> {
        self.one(version)
    }

    /// All values with their keys.
    ///
    /// # Errors
    /// Where they were saved in another version, or cannot be read.
    pub fn read_all<T: DeserializeOwned>(&self, version: u8) -> Result<Vec<(&str, T)>> {
        self.check(version)?;
        self.entries.iter().map(|(key, bytes)| Ok((key.as_str(), decode(bytes)?))).collect()
    }

    fn one(&self, version: u8) -> Result<&[u8]> {
        self.check(version)?;
        self.entries.get("").map(Vec::as_slice).ok_or_else(|| Error::new("the saved state has another form"))
    }

    fn check(&self, version: u8) -> Result<()> {
        if self.version == version {
            return Ok(());
        }
        Err(Error::new(format!(
            "the state was saved in version {} of its format, and this program reads version {version}",
            self.version
        )))
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| Error::new("the saved state cannot be read").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_in_the_version_that_it_was_saved_in_and_in_no_other() {
        let state = State::of(3, &("a", 7_u64)).expect("saves");
        assert_eq!(state.read::<(String, u64)>(3).expect("reads"), ("a".to_owned(), 7));
        let error = state.read::<(String, u64)>(4).expect_err("another version");
        assert!(error.to_string().contains("version 3") && error.to_string().contains("version 4"), "{error}");
        assert!(state.read::<Vec<String>>(3).is_err(), "another type");
    }

    #[test]
    fn entries_come_back_by_key() {
        let mut state = State::new(1);
        state.insert("b", &2_u8).expect("saves");
        state.insert("a", &1_u8).expect("saves");
        assert_eq!(state.read_all::<u8>(1).expect("reads"), [("a", 1), ("b", 2)]);
        assert!(state.read::<u8>(1).is_err(), "no entry without a key");
    }
}
