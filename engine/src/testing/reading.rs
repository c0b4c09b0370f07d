//! A context in which a test reads the splits of a source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::rows::{Row, rows};
use crate::error::{Error, Result};
use crate::record::SplitId;
use crate::stage::{BuildContext, FencingToken, Poll, RecordedSplit, Source, SourceContext, SplitReader, SplitState};

/// How long a reader may wait for input before the context looks at the limits.
const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// A context that reads each split as soon as it is opened, on the source's own thread, and remembers the rows.
#[derive(Default)]
pub struct ReadingContext {
    starts: BTreeMap<SplitId, SplitState>,
    /// A split is left after so many rows, as by a kill.
    rows_max: Option<usize>,
    /// Rows of a batch at most.
    batch_rows_max: usize,
    read: Mutex<BTreeMap<SplitId, ReadSplit>>,
}

/// What was read of a split.
#[derive(Clone, Debug, Default)]
pub struct ReadSplit {
    /// Its rows and its dead letters, in order.
    pub rows: Vec<Row>,
    /// The state after the last batch.
    pub state: SplitState,
    /// Whether the split came to its end.
    pub ended: bool,
}

impl ReadingContext {
    /// A context that starts splits at the beginning, or where `starts` says, and reads them in batches of so many rows.
    #[must_use]
    pub fn new(starts: BTreeMap<SplitId, SplitState>, batch_rows_max: usize) -> ReadingContext {
        ReadingContext { starts, batch_rows_max, ..ReadingContext::default() }
    }

    /// The same, which leaves each split after so many rows or a little more.
    #[must_use]
    pub fn leaving_after(mut self, rows: usize) -> ReadingContext {
        self.rows_max = Some(rows);
        self
    }

    /// Runs a source to its end in this context, and returns what was read of each split.
    ///
    /// # Errors
    /// Where the source or a reader fails.
    pub fn read(self, source: Box<dyn Source>) -> Result<BTreeMap<SplitId, ReadSplit>> {
        let context = Arc::new(self);
        source.run(Arc::clone(&context) as Arc<dyn SourceContext>)?;
        let read = context.read.lock().clone();
        Ok(read)
    }

    fn read_split(&self, reader: &mut dyn SplitReader) -> Result<ReadSplit> {
        let mut split = ReadSplit::default();
        let mut position = reader.position();
        while self.rows_max.is_none_or(|most| split.rows.len() < most) {
            match reader.next(self.batch_rows_max, Instant::now() + READ_TIMEOUT)? {
                Poll::Rows(batch, dead) => {
                    let offsets = || batch.source_offsets().iter().copied();
                    let ascends = batch.source_offsets().is_sorted();
                    let first = offsets().chain(dead.iter().map(|letter| letter.source_offset)).min();
                    let last = offsets().chain(dead.iter().map(|letter| letter.source_offset)).max();
                    let rule = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(Error::new(rule)) };
                    rule(ascends, "source offsets ascend")?;
                    rule(
                        first.is_none_or(|first| first >= position.offset),
                        "no source offset lies before the position",
                    )?;
                    position = reader.position();
                    rule(last.is_none_or(|last| last < position.offset), "the position lies behind all that was read")?;
                    let mut new = rows(&[batch]);
                    new.extend(dead.iter().map(|letter| Row {
                        source_offset: letter.source_offset,
                        text: format!("dead letter: {}", letter.reason),
                    }));
                    new.sort_by_key(|row| row.source_offset);
                    split.rows.extend(new);
                }
                Poll::Idle => {}
                Poll::End => {
                    split.ended = true;
                    break;
                }
            }
        }
        let position = reader.position();
        let reader = reader.snapshot_state(position)?;
        split.state = SplitState { position, reader, ..SplitState::default() };
        Ok(split)
    }
}

impl SourceContext for ReadingContext {
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        let recorded = |(id, start): (&SplitId, &SplitState)| RecordedSplit {
            id: Arc::clone(id),
            start: start.clone(),
            held: 0,
            ended: false,
        };
        Ok(self.starts.iter().map(recorded).collect())
    }

    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        Ok(ids.iter().map(|id| self.starts.get(id).cloned()).collect())
    }

    fn open(
        &self,
        id: SplitId,
        mut reader: Box<dyn SplitReader>,
        _start: Option<SplitState>,
        _token: Option<FencingToken>,
    ) -> Result<()> {
        let read = self.read_split(&mut *reader).map_err(|error| error.at(&*id))?;
        self.read.lock().insert(id, read);
        Ok(())
    }

    fn close(&self, _ids: &[SplitId], _lost: bool, _until: Instant) -> Result<()> {
        Ok(())
    }

    fn running(&self) -> Vec<SplitId> {
        Vec::new()
    }

    fn wait(&self, _until: Instant) {}

    fn stopping(&self) -> bool {
        false
    }
}

/// Builds a source again and again.
pub(super) type BuildSource<'a> = dyn Fn(&BuildContext) -> Result<Box<dyn Source>> + 'a;
