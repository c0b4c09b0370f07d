//! A split as the engine reads it: batches, positions and the state that is saved with them.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::Position;
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader};

use super::input_files;
use super::snapshot::SplitSnapshot;
use super::split::CsvSplitReader;
use super::split_rows::BATCH_ROWS_MAX;
use super::text_columns::TextColumns;

impl SplitReader for CsvSplitReader {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        let left = usize::try_from(self.limit.saturating_sub(self.row)).unwrap_or(usize::MAX);
        let room = max.clamp(1, BATCH_ROWS_MAX).min(left);
        if room == 0 {
            self.check_unchanged()?;
            self.report_progress(self.position().offset, true);
            return Ok(Poll::End);
        }
        self.forget_parts()?;
        let before = self.position().offset;
        if self.file < self.files.len() {
            let line = self.line();
            self.lines.get_mut().add(before, line);
        }
        let mut rows = self.decoder.rows(room);
        let mut dead = Vec::new();
        self.decoder.times().begin_batch();
        let goes_on = self.read(room, until, &mut rows, &mut dead)?;
        let warnings = self.decoder.times().take_warnings();
        if self.progress.is_some() {
            warnings.iter().for_each(|warning| tracing::warn!("{}: {warning}", self.id));
        }
        let read = rows.len() + dead.len();
        self.row += read as u64;
        self.report_progress(before, !goes_on);
        self.report_cells();
        match (read, goes_on) {
            (0, false) => {
                if self.row == 0 && self.progress.is_some() {
                    tracing::warn!("{} holds no records", self.id);
                }
                Ok(Poll::End)
            }
            (0, true) => Ok(Poll::Idle),
            _ => Ok(Poll::Rows(self.decoder.batch(rows)?, dead)),
        }
    }

    fn position(&self) -> Position {
        let at = self.open.as_ref().map_or(self.begin.0, |open| open.records.position());
        Position { offset: self.offset_of(at), records: self.row }
    }

    fn snapshot_state(&self, at: Position) -> Result<Vec<u8>> {
        let end = self.position().offset;
        // What lies behind the checkpoint may still change before the split resumes there.
        let (file, byte) = at
            .offset
            .checked_sub(self.origin)
            .and_then(|at| input_files::locate(&self.files, at))
            .unwrap_or((self.file, self.begin.0));
        let read = self.prefix.borrow_mut().up_to(&self.files, file, byte)?;
        let line = match &self.open {
            Some(open) if at.offset == end => open.records.line(),
            _ => self.line_of(at.offset).map_or(0, |(_, line)| line),
        };
        let known = self.growing.as_ref().map_or_else(Vec::new, |growing| growing.known.clone());
        let (files, kinds) = (self.files.clone(), self.decoder.kinds());
        let texts = if self.needs_sample() { self.texts.clone() } else { TextColumns::new() };
        let times = self.decoder.saved_times(at.offset);
        let is_undecided = self.growing.is_some() && !self.is_decided && at.records > 0;
        let snapshot =
            SplitSnapshot { files, origin: self.origin, known, line, kinds, read, times, texts, is_undecided };
        snapshot.up_to(file, byte).to_bytes()
    }

    fn describe_offset(&mut self, at: u64) -> Option<String> {
        self.line_of(at).map(|(name, line)| format!("{name}:{line}"))
    }

    fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        let (file, byte) = input_files::locate(&self.files, letter.source_offset.checked_sub(self.origin)?)?;
        let span = self.files.get(file)?;
        let header = span.header_before(byte).unwrap_or(0);
        let kept = self.raw_schemas.borrow_mut().of((file, header), || self.reading.read_raw_schema(span, header))?;
        Some(match letter.time {
            Some(time) if self.decoder.needs_time(time.0) => kept.schema.text_with_time(time),
            _ => Arc::clone(&kept.text),
        })
    }

    fn progress(&self) -> Option<f64> {
        let read = self.position().offset - self.origin;
        Some((read as f64 / self.expected().max(1) as f64).min(1.0))
    }
}
