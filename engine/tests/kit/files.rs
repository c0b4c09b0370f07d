//! A source and a sink in memory that break one rule where they are told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::record::{Batch, OffsetRange, Position, SplitId};
use aqpipe_engine::stage::{
    CommittedOffsets, DeadLetter, Orphans, Poll, Prepared, Sink, Source, SourceContext, SplitReader, TwoPhaseCommit,
    Writer,
};
use aqpipe_engine::testing::BatchBuilder;
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;

/// A source of one split, whose row `n` has the value `n`.
pub(crate) struct Line {
    pub(crate) rows: u64,
    pub(crate) fault: Option<&'static str>,
}

struct LineReader {
    rows: u64,
    at: u64,
    fault: &'static str,
}

impl Source for Line {
    fn run(self: Box<Self>, cx: Arc<dyn SourceContext>) -> Result<()> {
        let id: SplitId = "line".into();
        let start = cx.split_states(std::slice::from_ref(&id))?.into_iter().next().flatten();
        let fault = self.fault.unwrap_or_default();
        let mut at = start.as_ref().map_or(0, |start| start.position.offset);
        at += u64::from(fault == "resume" && at > 0);
        let rows = if fault == "end" && start.is_some() { self.rows - 1 } else { self.rows };
        cx.open(id, Box::new(LineReader { rows, at, fault }), start, None)
    }
}

impl SplitReader for LineReader {
    fn next(&mut self, max: usize, _until: Instant) -> Result<Poll> {
        if self.at >= self.rows {
            return Ok(Poll::End);
        }
        let to = (self.at + max as u64).min(self.rows);
        let batch = BatchBuilder::new()
            .numbers("x", (self.at..to).map(|n| Some(n as f64)))
            .at((self.at..to).map(|n| n as i64))
            .from_offset(self.at)
            .build();
        self.at = to;
        let rows = batch.rows();
        let batch = match self.fault {
            "order" if rows > 1 => Batch::concat(&[batch.slice(1, rows - 1), batch.slice(0, 1)])?,
            _ => batch,
        };
        Ok(Poll::Rows(batch, Vec::new()))
    }

    fn position(&self) -> Position {
        let late = u64::from(self.fault == "position" && self.at > 0);
        Position { offset: self.at - late, records: self.at }
    }
}

/// The rule that a sink breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    VisibleTooEarly,
    CommitsTwice,
    ForgetsAtAKill,
    AbortsNothing,
    KeepsOrphans,
    RemovesCommitted,
}

#[derive(Default)]
struct Disk {
    hidden: BTreeMap<String, (u64, usize)>,
    visible: BTreeMap<String, (u64, usize)>,
}

/// Files that outlive the sinks that wrote them.
#[derive(Clone, Default)]
pub(crate) struct Files(Arc<Mutex<Disk>>);

impl Files {
    /// The rows that a reader sees.
    pub(crate) fn visible(&self) -> usize {
        self.0.lock().visible.values().map(|(_, rows)| rows).sum()
    }

    pub(crate) fn sink(&self, fault: Option<Fault>) -> FileSink {
        if fault == Some(Fault::ForgetsAtAKill) {
            self.0.lock().hidden.clear();
        }
        FileSink { files: self.clone(), fault }
    }
}

/// A sink with a file a checkpoint.
pub(crate) struct FileSink {
    files: Files,
    fault: Option<Fault>,
}

struct FileWriter {
    files: Files,
    fault: Option<Fault>,
    rows: usize,
}

fn name_of(staged: &[u8]) -> Result<String> {
    String::from_utf8(staged.to_vec()).map_err(|e| Error::new("the name of a file").because(e))
}

impl TwoPhaseCommit for FileSink {
    fn commit(&self, prepared: &[u8]) -> Result<()> {
        let (name, mut disk) = (name_of(prepared)?, self.files.0.lock());
        match disk.hidden.remove(&name) {
            Some(file) => _ = disk.visible.insert(name, file),
            None if self.fault == Some(Fault::CommitsTwice) => {
                _ = disk.visible.insert(format!("{name} again"), (0, 3));
            }
            None if disk.visible.contains_key(&name) => {}
            None => return Err(Error::new("a file that was prepared is gone")),
        }
        Ok(())
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        let (name, mut disk) = (name_of(prepared)?, self.files.0.lock());
        match disk.hidden.remove(&name) {
            Some(file) if self.fault == Some(Fault::AbortsNothing) => _ = disk.visible.insert(name, file),
            _ => {}
        }
        Ok(())
    }
}

impl Orphans for FileSink {
    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        let (name, disk) = (name_of(prepared)?, self.files.0.lock());
        Ok(disk.hidden.contains_key(&name) || disk.visible.contains_key(&name))
    }

    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        Ok(Vec::new())
    }

    fn remove_orphans(&self, _writers: &[Arc<str>], committed: &[Vec<u8>]) -> Result<()> {
        let mut disk = self.files.0.lock();
        let committed = committed.iter().map(|staged| name_of(staged)).collect::<Result<Vec<_>>>()?;
        match self.fault {
            Some(Fault::KeepsOrphans) => {
                let hidden = std::mem::take(&mut disk.hidden);
                disk.visible.extend(hidden);
            }
            Some(Fault::RemovesCommitted) => disk.visible.clear(),
            _ => disk.hidden.retain(|name, _| committed.contains(name)),
        }
        Ok(())
    }
}

impl CommittedOffsets for FileSink {
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        let end = self.files.0.lock().visible.values().map(|(end, _)| *end).max();
        Ok(splits.iter().map(|_| end).collect())
    }
}

impl Sink for FileSink {
    fn open(&self, _split: &SplitId, _epoch: u64) -> Result<Box<dyn Writer>> {
        Ok(Box::new(FileWriter { files: self.files.clone(), fault: self.fault, rows: 0 }))
    }

    fn two_phase_commit(&self) -> Option<&dyn TwoPhaseCommit> {
        Some(self)
    }

    fn orphans(&self) -> Option<&dyn Orphans> {
        Some(self)
    }

    fn committed_offsets(&self) -> Option<&dyn CommittedOffsets> {
        Some(self)
    }
}

impl Writer for FileWriter {
    fn write(&mut self, rows: Batch, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        self.rows += rows.rows();
        Ok(())
    }

    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared> {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return Ok(Prepared::Nothing);
        }
        let (name, mut disk) = (format!("{}-{}", range.from.offset, range.to.offset), self.files.0.lock());
        let file = (range.to.offset, rows);
        if self.fault == Some(Fault::VisibleTooEarly) {
            disk.visible.insert(name.clone(), file);
        } else {
            disk.hidden.insert(name.clone(), file);
        }
        Ok(Prepared::Staged(name.into_bytes()))
    }
}
