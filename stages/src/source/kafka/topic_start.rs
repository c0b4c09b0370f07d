//! Where the partitions of a topic begin for a group with `start = "latest"`.
//!
//! "Latest" is a moment: the one at which the group first met the topic. Every later record is read, in whichever partition
//! it comes and whichever member reads that. So the first member saves the ends of all partitions at that moment, with the
//! state of each; a partition that is not among them was added later, and all of it is new.

use std::collections::BTreeMap;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{SourceContext, SplitState};

use super::partition_state::PartitionState;

/// What the group knows about where the partitions of a topic begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicStart {
    /// No partition was started.
    NotStarted,
    /// Some partitions were started. These were the ends of all of them then.
    Ends(Vec<u64>),
    /// All partitions that existed then were started.
    AllStarted,
}

impl TopicStart {
    /// Combines the saved states of a topic's partitions; `None` for a partition that has none.
    pub(super) fn of<'a>(starts: impl IntoIterator<Item = Option<&'a SplitState>>) -> Result<TopicStart> {
        let (mut begun, mut missing) = (false, false);
        let mut ends: Option<Vec<u64>> = None;
        for start in starts {
            let Some(start) = start else {
                missing = true;
                continue;
            };
            begun = true;
            let Some(first) = saved_state(start)?.and_then(|state| state.first_ends) else { continue };
            // Members that started at the same time may have seen different ends. With the earlier ones nothing is lost.
            ends = Some(match ends {
                None => first,
                Some(ends) => earlier(&ends, &first),
            });
        }
        Ok(match (begun, ends) {
            (false, _) => TopicStart::NotStarted,
            (true, Some(ends)) if missing => TopicStart::Ends(ends),
            (true, _) => TopicStart::AllStarted,
        })
    }

    /// Where a partition that was not started begins; `None` for its oldest record.
    pub(super) fn first(&self, partition: i32) -> Option<u64> {
        match self {
            TopicStart::Ends(ends) => {
                usize::try_from(partition).ok().and_then(|partition| ends.get(partition)).copied()
            }
            TopicStart::NotStarted | TopicStart::AllStarted => None,
        }
    }
}

/// The state that a split saved, where it is known.
pub(super) fn saved_state(split: &SplitState) -> Result<Option<PartitionState>> {
    if split.reader.is_empty() { Ok(None) } else { PartitionState::from_bytes(&split.reader).map(Some) }
}

fn earlier(one: &[u64], other: &[u64]) -> Vec<u64> {
    let at = |place: usize| one.get(place).into_iter().chain(other.get(place)).min().copied().unwrap_or_default();
    (0..one.len().max(other.len())).map(at).collect()
}

/// The saved states of all partitions of a topic: those that are `known` already, the others from the engine.
pub(super) fn all_split_states(
    splits: &dyn SourceContext,
    known: &BTreeMap<SplitId, Option<SplitState>>,
    all: &[SplitId],
) -> Result<Vec<Option<SplitState>>> {
    let others: Vec<SplitId> = all.iter().filter(|id| !known.contains_key(*id)).cloned().collect();
    let theirs = if others.is_empty() { Vec::new() } else { splits.peek_states(&others)? };
    Ok(known.iter().filter(|(id, _)| all.contains(id)).map(|(_, start)| start.clone()).chain(theirs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(first_ends: Option<&[u64]>) -> SplitState {
        let state = PartitionState { first_ends: first_ends.map(<[u64]>::to_vec), ..PartitionState::default() };
        SplitState { reader: state.to_bytes().expect("bytes"), ..SplitState::default() }
    }

    fn of(starts: &[Option<SplitState>]) -> TopicStart {
        TopicStart::of(starts.iter().map(Option::as_ref)).expect("reads")
    }

    #[test]
    fn a_partition_that_was_there_begins_where_it_ended_then_and_a_later_one_with_its_oldest_record() {
        assert_eq!(of(&[None, None]), TopicStart::NotStarted);
        // Another member has started the first of three partitions; the fourth was added since.
        let begun = of(&[Some(start(Some(&[5, 7, 9]))), None, None, None]);
        assert_eq!((begun.first(1), begun.first(2), begun.first(3)), (Some(7), Some(9), None));
        let both = of(&[Some(start(Some(&[5, 8]))), Some(start(Some(&[4, 9, 3]))), None]);
        assert_eq!(both, TopicStart::Ends(vec![4, 8, 3]));
    }

    #[test]
    fn saved_ends_count_no_more_once_all_partitions_were_started() {
        assert_eq!(of(&[Some(start(Some(&[5, 7]))), Some(start(None))]), TopicStart::AllStarted);
        // Of a state that is unknown or older: then nothing may be skipped.
        let unknown = of(&[Some(SplitState::default()), None]);
        assert_eq!((unknown.clone(), unknown.first(1)), (TopicStart::AllStarted, None));
    }
}
