//! The saved state of a stage.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use crate::error::{Error, Result};

/// The saved state of a stage: entries by key, all in one version of their format.
///
/// Most stages have one entry: [`State::of`] saves a value and [`State::read`] gives it back. A stage with much state that
/// changes little keeps an entry for each key, and tells [what changed](StateChanges) itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    version: u8,
    entries: Entries,
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
    pub fn of_bytes(version: u8, bytes: impl AsRef<[u8]>) -> State {
        let mut state = State::new(version);
        state.entries.put("", Some(bytes.as_ref()), true);
        state
    }

    /// Saves a value by key.
    ///
    /// # Errors
    /// Where the value cannot be written as bytes.
    pub fn insert<T: Serialize>(&mut self, key: impl AsRef<str>, value: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(value).map_err(|e| Error::bug("a state that cannot be saved").because(e))?;
        self.entries.put(key.as_ref(), Some(&bytes), true);
        Ok(())
    }

    /// Whether there is nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }

    /// Its entries.
    fn values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().filter_map(|(key, value)| Some((key, value?)))
    }

    /// The bytes of all entries with their keys.
    ///
    /// # Errors
    /// Where they were saved in another version.
    pub fn entries(&self, version: u8) -> Result<impl Iterator<Item = (&str, &[u8])>> {
        self.check(version)?;
        Ok(self.values())
    }

    /// The rows that the stage held when it was saved.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Puts back an entry that was kept elsewhere.
    pub(crate) fn put_back(&mut self, key: &str, bytes: &[u8]) {
        self.entries.put(key, Some(bytes), true);
    }

    /// Puts what it has in one place, before it is kept or written as a whole.
    pub(crate) fn tidy(&mut self) {
        self.entries.join_all(true);
    }

    /// Becomes what it is after changes.
    pub fn apply(&mut self, changes: StateChanges) {
        let StateChanges { version, whole, entries, held, kind } = changes;
        if whole {
            self.entries.clear();
        }
        self.entries.extend(entries, true);
        (self.version, self.held, self.kind) = (version, held, kind);
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
        self.entries.bytes()
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
        self.values().map(|(key, bytes)| Ok((key, decode(bytes)?))).collect()
    }

    fn one(&self, version: u8) -> Result<&[u8]> {
        self.check(version)?;
        self.entries.get("").ok_or_else(|| Error::new("the saved state has another form"))
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

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        let header = |state: &State| (state.version, state.held);
        header(self) == header(other) && self.kind == other.kind && self.values().eq(other.values())
    }
}

impl Eq for State {}

/// What changed in the saved state of a stage since it was saved last, so that a checkpoint is as large as what happened, and not as
/// the state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StateChanges {
    version: u8,
    /// Whether these are all entries that there are.
    whole: bool,
    /// New values, and the marks of entries that are gone.
    entries: Entries,
    /// As in [`State`].
    held: u64,
    kind: String,
}

impl StateChanges {
    /// No change of a state in this version.
    #[must_use]
    pub fn none(version: u8) -> StateChanges {
        StateChanges { version, ..StateChanges::default() }
    }

    /// A whole state, whatever was saved before.
    #[must_use]
    pub fn whole(state: State) -> StateChanges {
        let State { version, entries, held, kind } = state;
        StateChanges { version, whole: true, entries, held, kind }
    }

    /// Saves an entry of bytes that the stage writes and reads itself. Entries that come in the order of their keys cost least.
    pub fn put(&mut self, key: impl AsRef<str>, bytes: impl AsRef<[u8]>) {
        self.entries.put(key.as_ref(), Some(bytes.as_ref()), self.whole);
    }

    /// Removes an entry. One that was never saved may be removed too.
    pub fn remove(&mut self, key: impl AsRef<str>) {
        self.entries.put(key.as_ref(), None, self.whole);
    }

    /// The number of bytes in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    /// Whether it says all.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Its entries in the order of their keys: new values, and `None` for those that are gone.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries.iter().filter(|(_, value)| !self.whole || value.is_some())
    }

    /// The state after them, without its entries.
    pub(crate) fn header(&self) -> State {
        State { version: self.version, entries: Entries::default(), held: self.held, kind: self.kind.clone() }
    }

    /// What changed from one state to the next one.
    pub(crate) fn between(before: &State, after: &State) -> StateChanges {
        if before.version != after.version {
            return StateChanges::whole(after.clone());
        }
        let mut entries = Entries::default();
        let (mut old, mut new) = (before.values().peekable(), after.values().peekable());
        while let Some(key) = old.peek().map(|(key, _)| *key).into_iter().chain(new.peek().map(|(key, _)| *key)).min() {
            let (was, is) = (old.next_if(|(old, _)| *old == key), new.next_if(|(new, _)| *new == key));
            if was != is {
                entries.put(key, is.map(|(_, bytes)| bytes), false);
            }
        }
        StateChanges { version: after.version, whole: false, entries, held: after.held, kind: after.kind.clone() }
    }

    /// The same as the engine saves it.
    pub(crate) fn saved_by(mut self, kind: &str, held: u64) -> StateChanges {
        (self.kind, self.held) = (kind.to_owned(), held);
        self
    }

    /// Adds what changed after it.
    pub(crate) fn then(&mut self, later: StateChanges) {
        if later.whole {
            *self = later;
            return;
        }
        self.entries.extend(later.entries, self.whole);
        (self.version, self.held, self.kind) = (later.version, later.held, later.kind);
    }
}

impl PartialEq for StateChanges {
    fn eq(&self, other: &StateChanges) -> bool {
        let header = |changes: &StateChanges| (changes.version, changes.whole, changes.held);
        header(self) == header(other) && self.kind == other.kind && self.entries().eq(other.entries())
    }
}

impl Eq for StateChanges {}

impl From<StateChanges> for State {
    /// The state of which these are all changes.
    fn from(changes: StateChanges) -> State {
        let mut state = State::default();
        state.apply(changes);
        state
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
