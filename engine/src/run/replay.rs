//! Dead letters sent through their pipeline once more.
//!
//! A replay is a run of the same stages whose source is the letters. It has a name of its own where commits are decided,
//! [`REPLAY`], so that it neither takes the place of the pipeline nor waits for it. Which letters are done is the state
//! of its one lane: it is committed together with what they became.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::record::{Batch, LaneId, Position};
use crate::stage::{Again, BuildContext, DeadLetter, Lane, Lanes, LetterId, Next, Source, Start, StoredLetter};

/// What the instance that replays is called, its lane, and its shape: what it remembers belongs to no stages.
pub const REPLAY: &str = "dead-letters";
/// The version of what the lane carries.
const VERSION: u8 = 2;
/// How long the end of the lane may go unnoticed.
const LOOK: Duration = Duration::from_millis(100);

/// Which letters were replayed: ranges of indices (both ends within) by container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    ranges: BTreeMap<String, Vec<(u64, u64)>>,
    /// The first letter of each container, by its index and a checksum: another container of the same name has another
    /// one there.
    first: BTreeMap<String, (u64, u32)>,
    /// What tells a container from others of its name, where it was known.
    of: BTreeMap<String, String>,
    /// The stages of a replay that was interrupted: rows that they hold back belong to letters that are done.
    interrupted: Option<String>,
}

impl Replayed {
    /// Whether a letter was.
    #[must_use]
    pub fn contains(&self, id: &LetterId) -> bool {
        let ranges = self.ranges.get(&id.container).map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, last)| *last < id.index);
        ranges.get(at).is_some_and(|(first, _)| *first <= id.index)
    }

    /// Looks at a letter: where its container is another one than before, by what identifies it or by the letter that
    /// tells it from others, nothing of that container was replayed. To be asked before [`contains`](Self::contains), in the order of the letters.
    pub fn look_at(&mut self, letter: &StoredLetter) {
        let container = &letter.id.container;
        let is_other_id = matches!((self.of.get(container), &letter.container_id), (Some(was), Some(is)) if was != is);
        let is_first = |index: &u64| *index == letter.id.index;
        let is_other_letter =
            self.first.get(container).is_some_and(|(index, sum)| is_first(index) && *sum != checksum(letter));
        if is_other_id || is_other_letter {
            self.first.remove(container);
            self.ranges.remove(container);
            self.of.remove(container);
        }
    }

    /// Whether a replay was interrupted that may hold rows back.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.is_some()
    }

    fn done(&mut self, letter: &StoredLetter) {
        let first = self.first.entry(letter.id.container.clone()).or_insert((u64::MAX, 0));
        if letter.id.index < first.0 {
            *first = (letter.id.index, checksum(letter));
        }
        if let Some(id) = &letter.container_id {
            self.of.insert(letter.id.container.clone(), id.clone());
        }
        self.insert(&letter.id);
    }

    fn insert(&mut self, id: &LetterId) {
        if self.contains(id) {
            return;
        }
        let ranges = self.ranges.entry(id.container.clone()).or_default();
        let at = ranges.partition_point(|(_, last)| *last < id.index);
        ranges.insert(at, (id.index, id.index));
        if ranges.get(at + 1).is_some_and(|(first, _)| *first == id.index + 1) {
            ranges[at].1 = ranges.remove(at + 1).1;
        }
        if at > 0 && ranges[at - 1].1 + 1 == ranges[at].0 {
            ranges[at - 1].1 = ranges.remove(at).1;
        }
    }

    pub(super) fn from_start(start: Option<&Start>) -> Result<Replayed> {
        match start.and_then(|start| start.state.first()).and_then(|carry| carry.split_first()) {
            None => Ok(Replayed::default()),
            Some((&VERSION, bytes)) => postcard::from_bytes(bytes)
                .map_err(|e| Error::new("what is noted of replayed dead letters cannot be read").because(e)),
            Some(_) => Err(Error::new("what is noted of replayed dead letters is of another version of aqpipe")
                .help("`aqpipe run --fresh` forgets it, with what the pipeline wrote")),
        }
    }

    fn to_carry(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).map_err(|e| Error::bug("letters that cannot be noted").because(e))
    }
}

fn checksum(letter: &StoredLetter) -> u32 {
    crc32fast::hash(letter.raw.as_deref().unwrap_or_default())
}

/// The source of a replay.
pub(super) struct ReplaySource {
    again: Box<dyn Again>,
    letters: Vec<StoredLetter>,
    shape: String,
}

impl ReplaySource {
    pub(super) fn new(pipeline: &Pipeline, cx: &BuildContext, letters: &[StoredLetter]) -> Result<ReplaySource> {
        let label = &pipeline.source.label;
        let again = pipeline.source.config.again(cx).map_err(|e| e.in_stage(label))?;
        let again = again.ok_or_else(|| {
            Error::config(format!("the source `{}` cannot read a record from its bytes alone", pipeline.source.kind))
                .in_stage(label)
        })?;
        Ok(ReplaySource { again, letters: letters.to_vec(), shape: pipeline.shape.clone() })
    }
}

impl Source for ReplaySource {
    fn run(self: Box<Self>, lanes: Arc<dyn Lanes>) -> Result<()> {
        let id: LaneId = REPLAY.into();
        let start = lanes.starts(std::slice::from_ref(&id))?.into_iter().next().flatten();
        let mut done = Replayed::from_start(start.as_ref())?;
        let mut letters = self.letters;
        // Another replay may have been at work since they were chosen.
        letters.retain(|letter| {
            done.look_at(letter);
            !done.contains(&letter.id)
        });
        letters.reverse();
        let Start { position, part, mut state } = start.unwrap_or_default();
        match &done.interrupted {
            Some(shape) if *shape != self.shape => {
                return Err(Error::config(format!(
                    "a replay with other stages was interrupted: it had {shape}, now there are {}",
                    self.shape
                ))
                .help("put the stages back until it has ended"));
            }
            // What its transforms hold back is still to be written.
            Some(_) => {}
            // What they knew of the records around other letters is long past.
            None => state.clear(),
        }
        done.interrupted = Some(self.shape);
        let lane = ReplayLane { again: self.again, left: letters, done, position, empty: None, form: None };
        let at = Start { position, part, state };
        lanes.open(Arc::clone(&id), Box::new(lane), Some(at), None)?;
        while !lanes.stopping() && lanes.running().contains(&id) {
            lanes.wait(Instant::now() + LOOK);
        }
        Ok(())
    }
}

struct ReplayLane {
    again: Box<dyn Again>,
    /// The letters that are left, the next one last.
    left: Vec<StoredLetter>,
    done: Replayed,
    /// How many were replayed, ever: it tells their outputs apart.
    position: Position,
    /// An empty batch of the last layout.
    empty: Option<Batch>,
    /// What the bytes of the last letter need to be read.
    form: Option<Arc<str>>,
}

impl Lane for ReplayLane {
    fn next(&mut self, _: usize, _: Instant) -> Result<Next> {
        let Some(letter) = self.left.pop() else {
            self.done.interrupted = None;
            return Ok(Next::End);
        };
        let origin = self.position.at;
        let decoded = match &letter.raw {
            Some(raw) => self.again.decode(origin, raw, letter.form.as_deref())?,
            None => Err("its bytes are not known".to_owned()),
        };
        self.position = Position { at: origin + 1, row: self.position.row + 1 };
        self.done.done(&letter);
        self.form = letter.form.as_deref().map(Arc::from);
        match decoded {
            Ok(batch) => {
                self.empty = Some(batch.slice(0, 0));
                Ok(Next::Rows(batch, Vec::new()))
            }
            Err(reason) => {
                let mut dead = DeadLetter::new(origin, reason, letter.raw);
                dead.place = Some(if letter.place.is_empty() { letter.id.to_string() } else { letter.place });
                let empty = self.empty.clone().map_or_else(Batch::without_rows, Ok)?;
                Ok(Next::Rows(empty, vec![dead]))
            }
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn carry(&self, _: Position) -> Result<Vec<u8>> {
        self.done.to_carry()
    }

    fn ends_with_a_word(&self) -> bool {
        true
    }

    fn form(&self) -> Option<Arc<str>> {
        self.form.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(index: u64) -> LetterId {
        LetterId { container: "c".into(), index, mark: ':' }
    }

    proptest! {
        #[test]
        fn what_was_inserted_is_contained_and_nothing_else(indices in proptest::collection::vec(0_u64..40, 0..60)) {
            let mut replayed = Replayed::default();
            for index in &indices {
                replayed.insert(&id(*index));
            }
            for index in 0..41 {
                prop_assert_eq!(replayed.contains(&id(index)), indices.contains(&index));
            }
            let other = LetterId { container: "d".into(), index: 1, mark: ':' };
            prop_assert!(!replayed.contains(&other));
            let ranges: Vec<(u64, u64)> = replayed.ranges.get("c").cloned().unwrap_or_default();
            prop_assert!(ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0), "ranges that touch are one: {ranges:?}");
        }
    }

    #[test]
    fn a_container_that_was_made_anew_is_another_one_though_its_letters_are_the_same() {
        let letter = |index: u64, container_id: Option<&str>| StoredLetter {
            id: id(index),
            container_id: container_id.map(str::to_owned),
            pipeline: String::new(),
            lane: String::new(),
            position: String::new(),
            place: String::new(),
            stage: String::new(),
            reason: String::new(),
            time: None,
            raw: Some(b"the same".to_vec()),
            form: None,
            whole: true,
        };
        let mut replayed = Replayed::default();
        replayed.done(&letter(3, Some("one")));
        for (container_id, was_replayed) in [(None, true), (Some("one"), true), (Some("two"), false)] {
            let mut replayed = replayed.clone();
            replayed.look_at(&letter(3, container_id));
            assert_eq!(replayed.contains(&id(3)), was_replayed, "{container_id:?}");
        }
    }

    #[test]
    fn what_is_noted_comes_back() {
        let mut replayed = Replayed::default();
        replayed.insert(&id(3));
        let start = Start { state: vec![replayed.to_carry().expect("bytes")], ..Start::default() };
        assert_eq!(Replayed::from_start(Some(&start)).expect("reads"), replayed);
        assert!(Replayed::from_start(Some(&Start { state: vec![vec![9]], ..Start::default() })).is_err());
    }
}
