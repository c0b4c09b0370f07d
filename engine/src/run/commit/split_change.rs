//! What a checkpoint changes of a split's saved state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::Position;
use crate::stage::{SplitState, StateChanges};

/// What a checkpoint changes of a split's saved state: where the split goes on, and what changed in its transforms since the
/// checkpoint before it. The first one of a task tells everything, so that it may follow any other state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct SplitChange {
    /// As in [`SplitState`].
    pub(in crate::run) position: Position,
    /// As in [`SplitState`].
    pub(in crate::run) sequence: u32,
    /// As in [`SplitState`].
    pub(in crate::run) reader: Vec<u8>,
    /// All transforms that have a state, by the stage's name. The state of any other is gone.
    pub(in crate::run) transforms: BTreeMap<String, StateChanges>,
}

impl SplitChange {
    /// A whole state, whatever there was before.
    pub(in crate::run) fn whole(state: SplitState) -> SplitChange {
        let SplitState { position, sequence, reader, transforms } = state;
        let transforms = transforms.into_iter().map(|(stage, state)| (stage, StateChanges::whole(state))).collect();
        SplitChange { position, sequence, reader, transforms }
    }

    /// Whether it says all.
    pub(in crate::run) fn is_whole(&self) -> bool {
        self.transforms.values().all(StateChanges::is_whole)
    }

    /// The number of bytes in it.
    pub(in crate::run) fn bytes(&self) -> usize {
        self.reader.len() + self.transforms.values().map(StateChanges::bytes).sum::<usize>()
    }

    /// This change and a later one as one.
    pub(in crate::run) fn then(&mut self, later: &SplitChange) {
        (self.position, self.sequence, self.reader) = (later.position, later.sequence, later.reader.clone());
        self.transforms.retain(|stage, _| later.transforms.contains_key(stage));
        for (stage, changes) in &later.transforms {
            self.transforms.entry(stage.clone()).or_default().then(changes.clone());
        }
    }

    /// The state of the split after it.
    pub(in crate::run) fn apply(self, state: &mut SplitState) {
        let SplitChange { position, sequence, reader, transforms } = self;
        (state.position, state.sequence, state.reader) = (position, sequence, reader);
        state.transforms.retain(|stage, _| transforms.contains_key(stage));
        for (stage, changes) in transforms {
            state.transforms.entry(stage).or_default().apply(changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::stage::State;

    /// A stage's version and entries.
    type Stage = (u8, BTreeMap<String, Vec<u8>>);

    /// States that follow each other: of some stages, with some entries.
    fn states() -> impl Strategy<Value = Vec<SplitState>> {
        let entries = btree_map("[a-c]", vec(any::<u8>(), 0..2), 0..4);
        let state = btree_map("[x-z]", (0_u8..2, entries), 0..3);
        vec(state, 1..6).prop_map(|states| {
            let state = |(at, stages): (usize, BTreeMap<String, Stage>)| {
                let transforms = stages.into_iter().map(|(stage, (version, entries))| {
                    let mut state = State::new(version);
                    entries.into_iter().for_each(|(key, bytes)| state.put_back(&key, &bytes));
                    (stage, state.saved_by("kind", at as u64))
                });
                let position = Position { offset: at as u64, records: at as u64 };
                SplitState { position, sequence: 0, reader: vec![at as u8], transforms: transforms.collect() }
            };
            states.into_iter().enumerate().map(state).collect()
        })
    }

    /// The change from one state to the next one.
    fn between(before: &SplitState, after: &SplitState) -> SplitChange {
        let transforms = after.transforms.iter().map(|(stage, state)| {
            let changes = match before.transforms.get(stage) {
                Some(before) => StateChanges::between(before, state),
                None => StateChanges::whole(state.clone()),
            };
            (stage.clone(), changes)
        });
        let transforms = transforms.collect();
        SplitChange { transforms, ..SplitChange::whole(after.clone()) }
    }

    proptest! {
        #[test]
        fn changes_one_after_the_other_and_as_one_give_the_last_state(states in states(), cut in 0_usize..6) {
            let changes: Vec<SplitChange> =
                std::iter::once(SplitChange::whole(states[0].clone()))
                    .chain(states.windows(2).map(|two| between(&two[0], &two[1]))).collect();
            let last = states.last().expect("a state");
            let mut one_by_one = SplitState::default();
            changes.iter().for_each(|change| change.clone().apply(&mut one_by_one));
            prop_assert_eq!(&one_by_one, last);
            let (first, second) = changes.split_at(cut.min(changes.len()));
            let mut joined = SplitState::default();
            for part in [first, second] {
                if let Some((first, later)) = part.split_first() {
                    let mut all = first.clone();
                    later.iter().for_each(|change| all.then(change));
                    all.apply(&mut joined);
                }
            }
            prop_assert_eq!(&joined, last);
        }

        #[test]
        fn a_whole_change_may_follow_any_state(states in states()) {
            let mut state = states[0].clone();
            let last = states.last().expect("a state");
            SplitChange::whole(last.clone()).apply(&mut state);
            prop_assert_eq!(&state, last);
        }
    }
}
