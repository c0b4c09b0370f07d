//! Lines of a file's text, counted.

use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::{Error, Result};

use super::file_text::FileText;
use super::input_files::InputFile;

/// Counts the lines of a file forward.
pub(super) struct LineCounter {
    text: FileText,
    at: u64,
    line: u64,
    /// The last byte, for `\r\n` is one end.
    last: u8,
}

impl LineCounter {
    /// Begins at the byte `from` of a file's text, which is on the line `line`.
    pub(super) fn open(span: &InputFile, from: u64, line: u64) -> Result<LineCounter> {
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        let file = Arc::new(File::open(&span.name).map_err(failed)?);
        // A message about a file that became shorter is about its lines as they are.
        let stored = span.stored.min(file.metadata().map_err(failed)?.len());
        let text = FileText::open(&file, span.form, stored, from).map_err(failed)?;
        Ok(LineCounter { text, at: from, line, last: 0 })
    }

    /// Where it stands.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Goes on to the byte `to`; returns its line.
    pub(super) fn line_of(&mut self, to: u64) -> std::io::Result<u64> {
        let LineCounter { text, at, line, last } = self;
        *at += text.each_chunk(to.saturating_sub(*at), |bytes| {
            for byte in bytes {
                *line += u64::from(*byte == b'\r' || (*byte == b'\n' && *last != b'\r'));
                *last = *byte;
            }
        })?;
        Ok(*line)
    }
}

/// The line of a byte of a file's text.
pub(super) fn line_of(span: &InputFile, to: u64) -> Option<u64> {
    LineCounter::open(span, 0, 1).ok()?.line_of(to).ok()
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;

    use super::*;

    #[test]
    fn lines_end_in_any_of_three_ways() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.csv");
        std::fs::write(&path, "a\nb\r\nc\rd\n\ne").expect("written");
        let span = InputFile::of(&path, UTF_8).expect("is there");
        let lines: Vec<Option<u64>> = (0..=10).map(|at| line_of(&span, at)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6].map(Some));
        let mut counter = LineCounter::open(&span, 2, 2).expect("opens");
        assert_eq!(
            [3, 4, 5, 7].map(|to| counter.line_of(to).expect("reads")),
            [2, 3, 3, 4],
            "from a line that is known"
        );
    }
}
