//! The rows of a split, and what lies between them.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::stage::{DeadLetter, SplitReader as _};
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::file_text::FileText;
use super::records::{RECORD_BYTES_MAX, ReadOutcome, Records};
use super::row_decoder::Decoded;
use super::split::CsvSplitReader;
use super::torn_line::TornLine;
use crate::columns::RowsBuilder;

/// Rows in a batch, however many are asked for.
pub(super) const BATCH_ROWS_MAX: usize = 1 << 16;
/// Bytes of rows after which a batch is complete, so that huge rows do not add up.
const BATCH_BYTES_MAX: u64 = 64 << 20;

impl CsvSplitReader {
    /// Reads up to `room` records; returns `false` at the end of the last file.
    pub(super) fn read(
        &mut self,
        room: usize,
        until: Instant,
        rows: &mut RowsBuilder,
        dead: &mut Vec<DeadLetter>,
    ) -> Result<bool> {
        let from_offset = self.position().offset;
        while rows.len() + dead.len() < room {
            let busy = rows.len() + dead.len() > 0;
            if self.to_sample && rows.len() == 0 {
                self.take_sample()?;
                *rows = self.decoder.rows(room.min(BATCH_ROWS_MAX));
            }
            let Some(open) = &mut self.open else {
                if self.open_file()? || (self.follows() && self.read_on((!busy).then_some(until))?) {
                    continue;
                }
                return Ok(self.follows());
            };
            let more = if self.files.len() > 1 { ", as those of other files may be" } else { "" };
            let span = &mut self.files[self.file];
            let (base, from) = (self.base, span.from);
            let failed = |name: &str, e| Error::new(format!("cannot read {name}")).because(e);
            if open.is_at_row()
                && !self.decoder.plain_numbers.is_empty()
                && open.records.next_plain(&self.decoder.plain_numbers, &self.decoder.numbers, &mut rows.columns)
            {
                let offset = base.wrapping_sub(from).wrapping_add(open.records.record_at());
                if !open.head.repeats(&open.records) && self.decoder.decode_plain(&open.records, offset, rows) {
                    open.has_records = true;
                    continue;
                }
                open.records.unread();
            }
            rows.forget_begun_row();
            let outcome = open.head.next(&mut open.records);
            let outcome = outcome.map_err(|e| {
                failed(&span.name, e).at(place(&span.name, open.records.line(), open.records.position()))
            })?;
            match outcome {
                ReadOutcome::Record => {}
                ReadOutcome::TooLong => {
                    let why =
                        format!("no end of the row within {} KiB: is a quote not closed?", RECORD_BYTES_MAX / 1024);
                    dead.push(dead_letter(&open.records, base.wrapping_sub(from), &span.name, why));
                    continue;
                }
                ReadOutcome::Read if Instant::now() >= until => break,
                ReadOutcome::Read => {
                    if base + (open.records.position() - from) - from_offset >= BATCH_BYTES_MAX && busy {
                        break;
                    }
                    continue;
                }
                ReadOutcome::Torn | ReadOutcome::End if self.growing.is_some() => {
                    if !self.at_end_of_growing(outcome == ReadOutcome::Torn, (!busy).then_some(until))? {
                        break;
                    }
                    continue;
                }
                ReadOutcome::Torn => {
                    let outcome = open.recheck(span, (!busy).then_some(until));
                    match outcome.map_err(|e| failed(&span.name, e))? {
                        TornLine::Pending => break,
                        TornLine::Unchanged => {
                            // The run logs it, not the reading for a fit.
                            if self.progress.is_some() && !std::mem::replace(&mut self.torn_logged, true) {
                                let (name, line) = (&span.name, open.records.line());
                                tracing::info!(
                                    "{name}: its last line, {line}, has no end and is read as it stands{more}"
                                );
                            }
                            open.records.close_end();
                        }
                        TornLine::Grown(_) => {
                            // Reading for a fit ends, even while another program goes on writing without a line end.
                            if self.progress.is_none() {
                                open.records.close_end();
                            }
                        }
                    }
                    continue;
                }
                ReadOutcome::End => {
                    if open.records.input_mut().has_half_character() {
                        return Err(cut_off(&open.records, &span.name));
                    }
                    if !open.has_records && self.files.len() > 1 && self.progress.is_some() {
                        tracing::warn!("{} holds no records", self.files[self.file].name);
                    }
                    self.close_file()?;
                    continue;
                }
            }
            open.has_records = true;
            if std::mem::take(&mut open.begins_in_line) {
                let why =
                    "the rest of a line of which an earlier run carried what was there: it had no end yet".to_owned();
                dead.push(dead_letter(&open.records, base.wrapping_sub(from), &span.name, why));
                continue;
            }
            if open.head.repeats(&open.records) {
                self.pass_over();
                continue;
            }
            let records = &mut open.records;
            let (name, base) = (&span.name, base.wrapping_sub(from));
            let origin = base.wrapping_add(records.record_at());
            match self.decoder.decode(records, origin, rows) {
                Decoded::Row => {}
                Decoded::Rejected(_) | Decoded::Malformed(_) if open.head.names_anew(records, &self.reading.config) => {
                    let again = match self.reading.header_again(&open.head, records, span) {
                        // What stands before it is carried.
                        Err(_) if rows.len() + dead.len() > 0 => {
                            records.unread();
                            break;
                        }
                        again => again?,
                    };
                    let header = records.record_at();
                    span.headers.push(header);
                    open.head = again.head;
                    self.read_by(header, again.plan, again.columns);
                }
                Decoded::Rejected(_) if open.head.repeats_in_other_letters(records) => {
                    self.pass_over();
                    continue;
                }
                Decoded::Rejected(why) => {
                    let is_first = records.record_line() == open.head.end;
                    let is_units = is_first && self.decoder.has_no_digit_in_time(records);
                    let option = self.reading.option_for(records.raw(), is_units);
                    let letter = dead_letter(records, base, name, why + &option);
                    if !option.is_empty() && self.progress.is_some() {
                        self.passed_over.option(&letter);
                    }
                    dead.push(letter);
                }
                Decoded::Malformed(why) => {
                    if records.spans_lines() {
                        records.reject_first_line(RECORD_BYTES_MAX);
                    }
                    let is_shifted = self.decoder.is_one_column_further(records);
                    let option = self.reading.option_for(records.raw(), false);
                    let option = option + &self.reading.columns_for(&open.head, is_shifted);
                    let letter = dead_letter(records, base, name, why + &option);
                    if !option.is_empty() && self.progress.is_some() {
                        self.passed_over.option(&letter);
                    }
                    dead.push(letter);
                }
                Decoded::LayoutChange => {
                    records.unread();
                    if rows.len() > 0 {
                        break;
                    }
                    *rows = self.decoder.rows(room.min(BATCH_ROWS_MAX));
                }
            }
        }
        Ok(true)
    }

    /// Counts the last record as a header that comes again.
    #[cold]
    pub(super) fn pass_over(&mut self) {
        let (Some(progress), Some(open)) = (&self.progress, &self.open) else { return };
        progress.passed_over();
        if !std::mem::replace(&mut self.repeated_logged, true) {
            let (name, line) = (&self.files[self.file].name, open.records.record_line());
            tracing::info!("{name}:{line}: the header comes again; such lines are passed over and counted");
        }
    }

    /// Reads what follows by the columns of a header inside of the current file.
    #[cold]
    pub(super) fn read_by(&mut self, header: u64, plan: ColumnPlan, columns: Arc<[String]>) {
        let span = &self.files[self.file];
        let raw_schema = self.reading.raw_schema(&columns, span, plan.ends_with_delimiter);
        self.raw_schemas.get_mut().opened((self.file, header), raw_schema);
        self.decoder.use_plan(plan);
        self.columns = columns;
        let (Some(progress), Some(open)) = (&self.progress, &self.open) else { return };
        progress.passed_over();
        if !std::mem::replace(&mut self.other_header_logged, true) {
            let (name, line) = (&span.name, open.records.record_line());
            tracing::info!(
                "{name}:{line}: a header comes with other columns, or in another order: what follows is read by it, as behind \
                 others of its kind"
            );
        }
    }
}

/// The dead letter of the last record; `base` is where the file's first byte would be in the split.
#[cold]
fn dead_letter(records: &Records<FileText>, base: u64, name: &str, why: String) -> DeadLetter {
    let mut dead_letter =
        DeadLetter::new(base.wrapping_add(records.record_at()), why, Some(records.original().into_owned()));
    dead_letter.place = Some(place(name, records.record_line(), records.record_at()));
    dead_letter
}

/// A place in a file; the line is 0 if unknown.
#[cold]
fn place(name: &str, line: u64, byte: u64) -> String {
    match line {
        0 => format!("{name}, byte {byte}"),
        line => format!("{name}:{line}"),
    }
}

/// The error of a file that ends within a character.
#[cold]
fn cut_off(records: &Records<FileText>, name: &str) -> Error {
    Error::new(format!(
        "{name} ends within a character of {}: it was cut off, or is not of that encoding",
        records.encoding().name()
    ))
    .at(place(name, records.line(), records.position()))
    .help("fetch the file once more; or remove the bytes at its end that are no whole character")
}
