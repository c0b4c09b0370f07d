//! What commits note grows with what happened, and not with what there is: counted in the log of a backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqpipe_engine::record::{Batch, Fields};
use aqpipe_engine::run::Outcome;
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, State, Transform, TransformConfig};
use aqpipe_engine::{Result, inventory};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{SINK, TRANSACTIONAL, TestRun, records};

/// Counts records by their offset in so many buckets, each with an entry of state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Buckets {
    count: u64,
}

const BUCKETS_EXAMPLE: &str = "count = 3";

inventory::submit! { Descriptor::transform::<Buckets>("buckets", BUCKETS_EXAMPLE) }

impl TransformConfig for Buckets {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Counting { count: self.count, buckets: BTreeMap::new() }))
    }
}

struct Counting {
    count: u64,
    buckets: BTreeMap<u64, u64>,
}

impl Transform for Counting {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        for offset in batch.source_offsets() {
            *self.buckets.entry(offset % self.count).or_default() += 1;
        }
        out.batches.push(batch);
        Ok(())
    }

    fn save(&self) -> Result<State> {
        let mut state = State::new(1);
        self.buckets.iter().try_for_each(|(bucket, count)| state.insert(bucket.to_string(), count))?;
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        for (bucket, count) in state.read_all(1)? {
            self.buckets.insert(bucket.parse().unwrap_or_default(), count);
        }
        Ok(())
    }
}

/// The entries that a run of twice as many records as buckets notes.
fn entries_noted(splits: u64, buckets: u64) -> u64 {
    let test = TestRun::with(records(2 * buckets));
    let rest = format!("[[transform]]\ntype = \"buckets\"\ncount = {buckets}\n{TRANSACTIONAL}");
    let summary = test.run(&format!("splits = {splits}"), &rest).expect("runs");
    assert_eq!((summary.outcome, summary.metrics.counts.written), (Outcome::Done, 2 * buckets));
    test.memory.transactions.entries_noted.load(Ordering::SeqCst)
}

#[test]
fn a_commit_notes_the_entries_that_changed_however_many_there_are() {
    for buckets in [100, 1_000] {
        let noted = entries_noted(1, buckets);
        // Each record changes one; checkpoints that one commit joins note less.
        assert!((buckets..=2 * buckets).contains(&noted), "{noted} entries of {buckets} buckets");
    }
}

#[test]
fn splits_note_their_own_entries_however_many_splits_there_are() {
    for splits in [3, 30] {
        let noted = entries_noted(splits, 600);
        assert!((600..=1_200).contains(&noted), "{noted} entries of 600 buckets in {splits} splits");
    }
}

#[test]
fn checkpoints_that_come_fast_share_commits() {
    let test = TestRun::with(records(20_000));
    let started = Instant::now();
    let mut metrics = None;
    let summary = test.run_with("", SINK, |options| metrics = Some(Arc::clone(&options.metrics))).expect("runs");
    assert_eq!(summary.metrics.counts.written, 20_000);
    let commits = metrics.expect("taken").commits();
    // The first is at once, and the last; those between are a tenth of a second apart, or have 256 of the two thousand checkpoints.
    let most = 3 + started.elapsed().as_millis() / 100 + 2_000 / 256;
    assert!(u128::from(commits) <= most, "{commits} commits, where {most} are enough");
}
