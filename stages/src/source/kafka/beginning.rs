//! Where partitions begin that nobody has begun with, for a group that begins with what is newest.
//!
//! "Newest" is a moment: the one at which the group first met the topic. What comes later is read, in whichever
//! partition it comes and whoever reads that. So the first member notes where all partitions ended at that moment, with
//! each of them; a partition that is not among those was added later, and all of it is new.

use std::collections::BTreeMap;

use aqpipe_engine::Result;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{SourceContext, SplitState};

use super::carry::Carry;

/// What is known of a topic's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nobody has begun with any partition.
    Never,
    /// Some were begun with, when the partitions ended there.
    At(Vec<u64>),
    /// All were begun with that were there then.
    All,
}

impl Beginning {
    /// What the partitions of a topic know of it, given where each goes on; `None` where somebody else knows: one whose
    /// state is not with this process.
    pub(super) fn of<'a>(starts: impl IntoIterator<Item = Option<&'a SplitState>>) -> Result<Beginning> {
        let (mut begun, mut missing) = (false, false);
        let mut ends: Option<Vec<u64>> = None;
        for start in starts {
            let Some(start) = start else {
                missing = true;
                continue;
            };
            begun = true;
            let Some(first) = carried(start)?.and_then(|carry| carry.first_ends) else { continue };
            // Members that began at the same time may have seen different ends: the earlier ones lose nothing.
            ends = Some(match ends {
                None => first,
                Some(ends) => earlier(&ends, &first),
            });
        }
        Ok(match (begun, ends) {
            (false, _) => Beginning::Never,
            (true, Some(ends)) if missing => Beginning::At(ends),
            (true, _) => Beginning::All,
        })
    }

    /// Where a partition begins that nobody has begun with; `None` where that is its oldest record.
    pub(super) fn first(&self, partition: i32) -> Option<u64> {
        match self {
            Beginning::At(ends) => usize::try_from(partition).ok().and_then(|partition| ends.get(partition)).copied(),
            Beginning::Never | Beginning::All => None,
        }
    }
}

/// What a split carried, where that is known.
pub(super) fn carried(start: &SplitState) -> Result<Option<Carry>> {
    if start.reader.is_empty() { Ok(None) } else { Carry::from_bytes(&start.reader).map(Some) }
}

fn earlier(one: &[u64], other: &[u64]) -> Vec<u64> {
    let at = |place: usize| one.get(place).into_iter().chain(other.get(place)).min().copied().unwrap_or_default();
    (0..one.len().max(other.len())).map(at).collect()
}

/// Where the partitions of a topic go on: those that are known already, and of the others what the engine says.
pub(super) fn all_starts(
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
        let carry = Carry { first_ends: first_ends.map(<[u64]>::to_vec), ..Carry::default() };
        SplitState { reader: carry.to_bytes().expect("bytes"), ..SplitState::default() }
    }

    fn of(starts: &[Option<SplitState>]) -> Beginning {
        Beginning::of(starts.iter().map(Option::as_ref)).expect("reads")
    }

    #[test]
    fn a_partition_that_was_there_begins_where_it_ended_then_and_a_later_one_with_its_oldest_record() {
        assert_eq!(of(&[None, None]), Beginning::Never);
        // Another member has begun with the first of three; the fourth was added since.
        let begun = of(&[Some(start(Some(&[5, 7, 9]))), None, None, None]);
        assert_eq!((begun.first(1), begun.first(2), begun.first(3)), (Some(7), Some(9), None));
        let both = of(&[Some(start(Some(&[5, 8]))), Some(start(Some(&[4, 9, 3]))), None]);
        assert_eq!(both, Beginning::At(vec![4, 8, 3]));
    }

    #[test]
    fn what_was_noted_of_the_beginning_is_of_no_use_once_all_were_begun_with() {
        assert_eq!(of(&[Some(start(Some(&[5, 7]))), Some(start(None))]), Beginning::All);
        // Of a state that is not known, or that is older: then nothing may be passed over.
        let unknown = of(&[Some(SplitState::default()), None]);
        assert_eq!((unknown.clone(), unknown.first(1)), (Beginning::All, None));
    }
}
