//! What a split finds out of its cells, and what it tells: its sample, its problems, its lines and its progress.

use aqpipe_engine::Result;
use aqpipe_engine::monitor::CellProblem;
use aqpipe_engine::record::SAMPLE_RECORDS;
use aqpipe_engine::stage::SplitReader as _;

use super::input_files;
use super::sample::{self, SoFar};
use super::split::CsvSplitReader;

impl CsvSplitReader {
    /// Whether more is to be looked at in a sample. Of files that grow the first records may be few: what comes is looked at too, until
    /// there were enough.
    pub(super) fn needs_sample(&self) -> bool {
        !self.sampled || self.growing.is_some() && self.row < SAMPLE_RECORDS
    }

    /// Takes the sample: of the first files that have records, before the first commit, and never again but where they grow.
    #[cold]
    pub(super) fn take_sample(&mut self) -> Result<()> {
        self.to_sample = false;
        let files = self.files.get(self.file..).unwrap_or_default();
        let from = self.open.as_ref().map_or(self.begin.0, |open| open.records.position());
        let so_far =
            self.growing.is_some().then_some(SoFar { texts: &mut self.texts, from, is_decided: self.is_decided });
        let Some(found) = sample::take(files, &self.reading, so_far, &mut self.decoder)? else {
            return Ok(());
        };
        self.sampled = true;
        self.is_decided |= found.has_cells;
        // The run logs it, not the reading for a fit.
        if let Some(report) = &self.cells {
            let is_declared = self.decoder.config().is_declared();
            found.texts.iter().filter(|_| !is_declared).for_each(|text| tracing::info!("{text}"));
            found.warnings.iter().for_each(|(field, warning)| report.warn(field, warning));
            report.key_parts(found.key_parts);
        }
        Ok(())
    }

    /// Reports cells with a problem.
    pub(super) fn report_cells(&mut self) {
        let Some(report) = &self.cells else { return };
        let CsvSplitReader { files, lines, decoder, origin, .. } = self;
        let place = |at: u64| {
            let (file, byte) = input_files::locate(files, at.checked_sub(*origin)?)?;
            let file = files.get(file)?;
            lines.borrow_mut().line(file, byte, at).map(|line| format!("{}:{line}", file.name))
        };
        let mut cells = std::mem::take(&mut decoder.unreadable);
        report.take(CellProblem::Unreadable, &mut cells, |field| decoder.field_name(field).to_owned(), place);
        let mut codes = std::mem::take(&mut decoder.unlisted);
        report.take(CellProblem::UnlistedCode, &mut codes, |field| decoder.field_name(field).to_owned(), place);
    }

    /// The line of the current position.
    pub(super) fn line(&self) -> u64 {
        self.open.as_ref().map_or(self.begin.1, |open| open.records.line())
    }

    /// The file and line of a byte of the split.
    pub(super) fn line_of(&self, at: u64) -> Option<(&str, u64)> {
        let (file, byte) = input_files::locate(&self.files, at.checked_sub(self.origin)?)?;
        let file = self.files.get(file)?;
        self.lines.borrow_mut().line(file, byte, at).map(|line| (file.name.as_str(), line))
    }

    /// The bytes of all files, or a guess.
    pub(super) fn expected(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.expected()))
    }

    pub(super) fn report_progress(&mut self, before: u64, ended: bool) {
        let position = self.position();
        let rest = if ended { 0 } else { self.expected().saturating_sub(position.offset - self.origin) };
        if let Some(progress) = &mut self.progress {
            progress.report(before, position, rest, self.limit);
        }
    }
}
