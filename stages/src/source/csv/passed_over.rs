//! Lines of the heads of files that are passed over, and are records.

use aqpipe_engine::stage::DeadLetter;

use super::file_head::Head;
use super::file_reading::FileReading;
use super::input_files::InputFile;
use super::own_marks::{OWN_MARKS_HELP, has_own_marks, own_marks};
use super::records::{ReadOutcome, Records};
use super::row_decoder::RowDecoder;

/// Files of which it is told: a glob may have thousands.
const TOLD_MAX: usize = 5;
/// Letters of a line that are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// Tells of them.
#[derive(Default)]
pub(super) struct PassedOver {
    told: usize,
    ends_told: bool,
    elsewhere_told: usize,
    marks_told: bool,
    option_told: bool,
}

impl Head {
    /// The lines that were passed over, each with the option that did so.
    pub(super) fn passed_over(&self, has_columns: bool) -> impl Iterator<Item = (&'static str, &[u8])> {
        let before = self.lines.iter().take(self.lines_before).map(|line| ("skip_lines", &**line));
        let header = (has_columns && !self.header.is_empty()).then_some(("header", &*self.header));
        let behind = self.lines.iter().skip(self.lines_before).map(|line| ("skip_after_header", &**line));
        before.chain(header).chain(behind)
    }
}

impl PassedOver {
    /// Tells once of a dead letter that an option would spare: a summary has no room for it.
    #[cold]
    pub(super) fn option(&mut self, letter: &DeadLetter) {
        if !std::mem::replace(&mut self.option_told, true) {
            tracing::warn!("{}: {}", letter.place.as_deref().unwrap_or_default(), letter.reason);
        }
    }

    /// Tells of the lines of a head which read as records, and of rows that end with a delimiter.
    #[cold]
    pub(super) fn tell(&mut self, reading: &FileReading, decoder: &RowDecoder, head: &Head, span: &InputFile) {
        if head.ends_with_delimiter && !std::mem::replace(&mut self.ends_told, true) {
            let name = &span.name;
            tracing::info!("{name}: all rows end with a delimiter that the header lacks; it is passed over");
        }
        self.elsewhere_told += usize::from(head.is_elsewhere);
        if head.is_elsewhere && self.elsewhere_told <= TOLD_MAX {
            let (name, line) = (&span.name, head.line);
            tracing::info!(
                "{name}: line {line} names the columns, which stand in another line than in the first file; what stands before \
                 it is passed over"
            );
        }
        let takes_flags = !reading.config.flags.is_empty();
        if head.names.as_deref().is_some_and(has_own_marks)
            && !takes_flags
            && !std::mem::replace(&mut self.marks_told, true)
        {
            tracing::warn!("{}: {}: {OWN_MARKS_HELP}", span.name, own_marks());
        }
        let mut records = Records::new(std::io::empty(), reading.rules.dialect, 0, 0, 1);
        for (option, line) in head.passed_over(!reading.config.columns.is_empty()) {
            records.restart(line);
            let is_record = matches!(records.next(), Ok(ReadOutcome::Record));
            if !is_record || !decoder.is_full_row(&records) || !decoder.reads_at(&records, 0) {
                continue;
            }
            self.told += 1;
            if self.told > TOLD_MAX {
                return;
            }
            let text = String::from_utf8_lossy(line);
            let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            let name = &span.name;
            let more = if self.told == TOLD_MAX { "; of further files it is not told" } else { "" };
            let what = match option {
                "header" => "leave `header` out where no line has names".to_owned(),
                _ => format!(
                    "a file with other lines before its records needs another `{option}`, in a pipeline of its own"
                ),
            };
            tracing::warn!(
                "{name}: `{text}` is passed over by `{option}`, and reads as a record, which is not carried: {what}{more}"
            );
        }
    }
}
