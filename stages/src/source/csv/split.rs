//! A split over one file, or over several one after the other.

use std::cell::RefCell;
use std::sync::Arc;

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::{Error, Result};

use super::file_reading::FileReading;
use super::growing_split::Growing;
use super::input_files::{self, InputFile};
use super::line_counter;
use super::line_index::LineIndex;
use super::open_file::OpenFile;
use super::passed_over::PassedOver;
use super::prefix_checksum::PrefixChecksum;
use super::progress::ProgressReport;
use super::raw_schemas::RawSchemas;
use super::resume::ResumePoint;
use super::row_decoder::RowDecoder;
use super::text_columns::TextColumns;
use crate::reading::CellReport;

/// A split over files.
pub(super) struct CsvSplitReader {
    pub(super) id: SplitId,
    pub(super) decoder: RowDecoder,
    pub(super) reading: FileReading,
    /// The names of the columns by which the decoder reads.
    pub(super) columns: Arc<[String]>,
    pub(super) files: Vec<InputFile>,
    /// The split's byte at which the first of them begins.
    pub(super) origin: u64,
    /// The index of the current file, and the split's byte at which it begins.
    pub(super) file: usize,
    pub(super) base: u64,
    /// The byte and the line at which reading of the current file begins.
    pub(super) begin: (u64, u64),
    pub(super) open: Option<OpenFile>,
    /// Records read so far.
    pub(super) row: u64,
    /// Records to stop after.
    pub(super) limit: u64,
    pub(super) progress: Option<ProgressReport>,
    /// Whether the sample was taken, in this run or in the one that it resumes.
    pub(super) sampled: bool,
    /// Whether a sample had cells, and so decided that they can be read.
    pub(super) is_decided: bool,
    /// Whether there may be records for a sample that was not taken yet.
    pub(super) to_sample: bool,
    /// What samples of files that grow have found of columns that became text.
    pub(super) texts: TextColumns,
    pub(super) cells: Option<CellReport>,
    /// Whether a last line without an end was logged: once, for thousands of files may have one.
    pub(super) torn_logged: bool,
    /// Brought up to date by a checkpoint, which does not change the split.
    pub(super) prefix: RefCell<PrefixChecksum>,
    /// As `prefix`.
    pub(super) lines: RefCell<LineIndex>,
    pub(super) raw_schemas: RefCell<RawSchemas>,
    /// Where the files may grow.
    pub(super) growing: Option<Growing>,
    /// Tells of lines that are passed over and are records.
    pub(super) passed_over: PassedOver,
    /// Whether a header that comes again was logged.
    pub(super) repeated_logged: bool,
    /// Whether a header with other columns was logged.
    pub(super) other_header_logged: bool,
}

impl CsvSplitReader {
    /// A split from the beginning of its files. With `metrics` it reports its progress and logs what it finds; without, it
    /// reads for fitting alone.
    pub(super) fn new(
        id: SplitId,
        files: Vec<InputFile>,
        decoder: RowDecoder,
        (reading, columns): (FileReading, Arc<[String]>),
        limit: Option<u64>,
        metrics: Option<(Arc<Metrics>, CellReport)>,
    ) -> CsvSplitReader {
        let (progress, cells) = metrics.map(|(metrics, cells)| (ProgressReport::new(metrics), cells)).unzip();
        CsvSplitReader {
            id,
            decoder,
            reading,
            columns,
            files,
            origin: 0,
            file: 0,
            base: 0,
            begin: (0, 1),
            open: None,
            row: 0,
            limit: limit.unwrap_or(u64::MAX),
            progress,
            sampled: false,
            is_decided: false,
            to_sample: true,
            texts: TextColumns::default(),
            cells,
            torn_logged: false,
            prefix: RefCell::default(),
            lines: RefCell::default(),
            raw_schemas: RefCell::default(),
            growing: None,
            passed_over: PassedOver::default(),
            repeated_logged: false,
            other_header_logged: false,
        }
    }

    /// Over files that may grow.
    pub(super) fn over_growing_files(self, growing: Growing) -> CsvSplitReader {
        CsvSplitReader { growing: Some(growing), ..self }
    }

    /// Resumes where a checkpoint ended.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn resume(&mut self, resumed: ResumePoint) -> Result<()> {
        let ResumePoint { state, snapshot, file, byte, prefix } = resumed;
        let at = state.position.offset;
        self.decoder.restore_kinds(&snapshot.kinds);
        self.sampled = state.position.records > 0;
        self.is_decided = self.sampled && !snapshot.is_undecided;
        self.origin = snapshot.origin;
        self.texts = snapshot.texts;
        if let Some(growing) = &mut self.growing {
            growing.known = snapshot.known;
        }
        if !self.decoder.times().restore(&snapshot.times) {
            return Err(Error::new(format!("what was saved of the times of `{}` cannot be read", self.id)));
        }
        self.base = self.origin + input_files::bytes_before(&self.files, file);
        self.file = file;
        if self.offset_of(byte) != at {
            return Err(Error::bug(format!("{} resumes at {} and not at {at}", self.id, self.offset_of(byte))));
        }
        let line = match self.files.get(file) {
            _ if byte == 0 => 1,
            _ if snapshot.line > 0 => snapshot.line,
            Some(file) => line_counter::line_of(file, byte).unwrap_or(0),
            None => 0,
        };
        self.begin = (byte, line);
        self.row = state.position.records;
        self.to_sample = self.needs_sample();
        *self.prefix.get_mut() = prefix;
        if let Some(progress) = &mut self.progress {
            progress.from = state.position;
        }
        Ok(())
    }

    /// The split's byte that a byte of the current file is.
    pub(super) fn offset_of(&self, byte: u64) -> u64 {
        self.base + (byte - self.files.get(self.file).map_or(0, |file| file.from))
    }
}
