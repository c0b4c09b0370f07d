//! A replay: dead letters go through their pipeline once more.
//!
//! It is a run of the same stages whose source is the dead letters. It commits under a name of its own, [`REPLAY`], so that it
//! neither takes the place of the pipeline nor waits for it. The dead letters that are done are the state
//! of its one split: it is committed together with what they became.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::record::{Batch, Origin, Position, SplitId};
use crate::stage::{
    BuildContext, DeadLetter, DeadLetterDecoder, DeadLetterId, Poll, Source, SourceContext, SplitReader, SplitState,
    StoredDeadLetter,
};

/// What the instance that replays is called, its split, and its topology: what it remembers belongs to no stages.
pub const REPLAY: &str = "dead-letters";
/// The version of what the split carries.
const REPLAYED_FORMAT_VERSION: u8 = 2;
/// How long the end of the split may go unnoticed.
const END_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The dead letters that were replayed: ranges of indices (both ends within) by container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    ranges: BTreeMap<String, Vec<(u64, u64)>>,
    /// The first dead letter of each container, by its index and a checksum: another container of the same name has another
    /// one there.
    first: BTreeMap<String, (u64, u32)>,
    /// What tells a container from others of its name, where it was known.
    of: BTreeMap<String, String>,
    /// The stages of a replay that was interrupted: rows that they hold back belong to dead letters that are done.
    interrupted: Option<String>,
}

impl Replayed {
    /// Whether a dead letter was replayed.
    #[must_use]
    pub fn contains(&self, id: &DeadLetterId) -> bool {
        let ranges = self.ranges.get(&id.container).map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, last)| *last < id.index);
        ranges.get(at).is_some_and(|(first, _)| *first <= id.index)
    }

    /// Looks at a letter: where its container is another one than before, by what identifies it or by the letter that
    /// tells it from others, nothing of that container was replayed. To be asked before [`contains`](Self::contains), in the order of the letters.
    pub fn compare_container(&mut self, letter: &StoredDeadLetter) {
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

    fn done(&mut self, letter: &StoredDeadLetter) {
        let first = self.first.entry(letter.id.container.clone()).or_insert((u64::MAX, 0));
        if letter.id.index < first.0 {
            *first = (letter.id.index, checksum(letter));
        }
        if let Some(id) = &letter.container_id {
            self.of.insert(letter.id.container.clone(), id.clone());
        }
        self.insert(&letter.id);
    }

    fn insert(&mut self, id: &DeadLetterId) {
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

    pub(super) fn from_start(start: Option<&SplitState>) -> Result<Replayed> {
        match start.and_then(|start| start.reader.split_first()) {
            None => Ok(Replayed::default()),
            Some((&REPLAYED_FORMAT_VERSION, bytes)) => postcard::from_bytes(bytes)
                .map_err(|e| Error::new("what is noted of replayed dead letters cannot be read").because(e)),
            Some(_) => Err(Error::new("what is noted of replayed dead letters is of another version of aqpipe")
                .help("`aqpipe run --fresh` forgets it, with what the pipeline wrote")),
        }
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![REPLAYED_FORMAT_VERSION])
            .map_err(|e| Error::bug("letters that cannot be noted").because(e))
    }
}

fn checksum(letter: &StoredDeadLetter) -> u32 {
    crc32fast::hash(letter.raw.as_deref().unwrap_or_default())
}

/// The source of a replay.
pub(super) struct ReplaySource {
    decoder: Box<dyn DeadLetterDecoder>,
    letters: Vec<StoredDeadLetter>,
    topology: String,
}

impl ReplaySource {
    pub(super) fn new(pipeline: &Pipeline, cx: &BuildContext, letters: &[StoredDeadLetter]) -> Result<ReplaySource> {
        let label = &pipeline.source.label;
        let decoder = pipeline.source.config.dead_letter_decoder(cx).map_err(|e| e.in_stage(label))?;
        let decoder = decoder.ok_or_else(|| {
            Error::config(format!("the source `{}` cannot read a record from its bytes alone", pipeline.source.kind))
                .in_stage(label)
        })?;
        Ok(ReplaySource { decoder, letters: letters.to_vec(), topology: pipeline.topology.clone() })
    }
}

impl Source for ReplaySource {
    fn run(self: Box<Self>, cx: Arc<dyn SourceContext>) -> Result<()> {
        let id: SplitId = REPLAY.into();
        let start = cx.split_states(std::slice::from_ref(&id))?.into_iter().next().flatten();
        let mut done = Replayed::from_start(start.as_ref())?;
        let mut letters = self.letters;
        // Another replay may have been at work since they were chosen.
        letters.retain(|letter| {
            done.compare_container(letter);
            !done.contains(&letter.id)
        });
        letters.reverse();
        let SplitState { position, sequence, mut transforms, .. } = start.unwrap_or_default();
        match &done.interrupted {
            Some(topology) if *topology != self.topology => {
                return Err(Error::config(format!(
                    "a replay with other stages was interrupted: it had {topology}, now there are {}",
                    self.topology
                ))
                .help("put the stages back until it has ended"));
            }
            // What its transforms hold back is still to be written.
            Some(_) => {}
            // What they knew of the records around other letters is long past.
            None => transforms.clear(),
        }
        done.interrupted = Some(self.topology);
        let reader = ReplaySplitReader {
            decoder: self.decoder,
            left: letters,
            done,
            position,
            empty: None,
            parts: Vec::new(),
            raw_schema: None,
        };
        let at = SplitState { position, sequence, reader: Vec::new(), transforms };
        cx.open(Arc::clone(&id), Box::new(reader), Some(at), None)?;
        while !cx.stopping() && cx.running().contains(&id) {
            cx.wait(Instant::now() + END_POLL_INTERVAL);
        }
        Ok(())
    }
}

struct ReplaySplitReader {
    decoder: Box<dyn DeadLetterDecoder>,
    /// The letters that are left, the next one last.
    left: Vec<StoredDeadLetter>,
    done: Replayed,
    /// How many were replayed, ever: it tells their outputs apart.
    position: Position,
    /// An empty batch of the last layout.
    empty: Option<Batch>,
    /// The parts of the last letter's records that are sent.
    parts: Vec<(u64, String)>,
    /// What the bytes of the last letter need to be read.
    raw_schema: Option<Arc<str>>,
}

impl ReplaySplitReader {
    /// The records of a letter, from the source offset `first` on: the one that was given up, or all of which a row was merged.
    /// The error says why they cannot be carried.
    fn decode(&mut self, first: u64, letter: &StoredDeadLetter) -> Result<Result<Batch, String>> {
        self.parts.clear();
        let own = Origin { source_offset: 0, part: letter.part.clone(), raw: letter.raw.clone() };
        let origins = if letter.records.is_empty() { std::slice::from_ref(&own) } else { &letter.records };
        let (mut records, mut batches): (Vec<u64>, Vec<Batch>) = (Vec::new(), Vec::new());
        for origin in origins {
            let known = records.iter().position(|record| *record == origin.source_offset);
            let at = first + known.unwrap_or(records.len()) as u64;
            self.parts.extend(origin.part.iter().map(|part| (at, part.clone())));
            if known.is_some() {
                continue;
            }
            records.push(origin.source_offset);
            let Some(raw) = &origin.raw else { return Ok(Err("its bytes are not known".to_owned())) };
            match self.decoder.decode(at, raw, letter.raw_schema.as_deref())? {
                Ok(batch) => batches.push(batch),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        if batches.windows(2).any(|two| two[0].fields() != two[1].fields()) {
            return Ok(Err("its records have different fields".to_owned()));
        }
        Batch::concat(&batches).map(Ok)
    }
}

impl SplitReader for ReplaySplitReader {
    fn next(&mut self, _: usize, _: Instant) -> Result<Poll> {
        let Some(letter) = self.left.pop() else {
            self.done.interrupted = None;
            return Ok(Poll::End);
        };
        let origin = self.position.offset;
        let decoded = self.decode(origin, &letter)?;
        let read = decoded.as_ref().map_or(1, |batch| batch.rows().max(1) as u64);
        self.position = Position { offset: origin + read, records: self.position.records + read };
        self.done.done(&letter);
        self.raw_schema = letter.raw_schema.as_deref().map(Arc::from);
        match decoded {
            Ok(batch) => {
                self.empty = Some(batch.slice(0, 0));
                Ok(Poll::Rows(batch, Vec::new()))
            }
            Err(reason) => {
                let mut dead = DeadLetter::new(origin, reason, letter.raw);
                dead.place = Some(if letter.place.is_empty() { letter.id.to_string() } else { letter.place });
                (dead.part, dead.records) = (letter.part, letter.records);
                let empty = self.empty.clone().map_or_else(Batch::without_rows, Ok)?;
                Ok(Poll::Rows(empty, vec![dead]))
            }
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn snapshot_state(&self, _: Position) -> Result<Vec<u8>> {
        self.done.to_bytes()
    }

    fn commits_at_end(&self) -> bool {
        true
    }

    fn raw_schema(&self, _: &DeadLetter) -> Option<Arc<str>> {
        self.raw_schema.clone()
    }

    fn parts(&self) -> Vec<(u64, String)> {
        self.parts.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(index: u64) -> DeadLetterId {
        DeadLetterId { container: "c".into(), index, separator: ':' }
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
            let other = DeadLetterId { container: "d".into(), index: 1, separator: ':' };
            prop_assert!(!replayed.contains(&other));
            let ranges: Vec<(u64, u64)> = replayed.ranges.get("c").cloned().unwrap_or_default();
            prop_assert!(ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0), "ranges that touch are one: {ranges:?}");
        }
    }

    #[test]
    fn a_container_that_was_made_anew_is_another_one_though_its_letters_are_the_same() {
        let letter = |index: u64, container_id: Option<&str>| StoredDeadLetter {
            id: id(index),
            container_id: container_id.map(str::to_owned),
            pipeline: String::new(),
            split: String::new(),
            position: String::new(),
            place: String::new(),
            stage: String::new(),
            reason: String::new(),
            time: None,
            raw: Some(b"the same".to_vec()),
            raw_schema: None,
            part: None,
            records: Vec::new(),
            whole: true,
        };
        let mut replayed = Replayed::default();
        replayed.done(&letter(3, Some("one")));
        for (container_id, was_replayed) in [(None, true), (Some("one"), true), (Some("two"), false)] {
            let mut replayed = replayed.clone();
            replayed.compare_container(&letter(3, container_id));
            assert_eq!(replayed.contains(&id(3)), was_replayed, "{container_id:?}");
        }
    }

    #[test]
    fn what_is_noted_comes_back() {
        let mut replayed = Replayed::default();
        replayed.insert(&id(3));
        let start = SplitState { reader: replayed.to_bytes().expect("bytes"), ..SplitState::default() };
        assert_eq!(Replayed::from_start(Some(&start)).expect("reads"), replayed);
        assert!(Replayed::from_start(Some(&SplitState { reader: vec![9], ..SplitState::default() })).is_err());
    }
}
