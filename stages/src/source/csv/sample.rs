//! The sample of a split: its first records, by which the kinds of columns are decided, and whether they can be read.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use aqpipe_engine::record::{Kind, SAMPLE_RECORDS};
use aqpipe_engine::{Error, Result};

use super::file_reading::FileReading;
use super::input_files::InputFile;
use super::key_parts_finder::KeyPartsFinder;
use super::packing::Packing;
use super::records::ReadOutcome;
use super::row_decoder::RowDecoder;
use super::text_columns::{TextCells, TextColumns};
use crate::reading::{
    FieldSample, Reading, SAMPLE_BYTES_MAX, SampledCells, TEXTS_MAX, UnreadableAction, is_code, is_fraction, judge,
    shows_decimal,
};

/// Cells that are no text, for which a run stops in a column that nobody asked for by its name: a few may be damaged.
const NOT_TEXT_CELLS_MIN: u64 = 10;

/// The cells of one field.
#[derive(Default)]
struct Cells {
    sample: FieldSample,
    /// A code such as `007`, with its place.
    code: Option<(String, String)>,
    has_fraction: bool,
    /// Those of records that no earlier sample had.
    new: TextCells,
    /// Those that are no text in the encoding of their file.
    not_text: FieldSample,
}

/// Reads the sample of files from their beginning, and decides the kinds of fields by it. Returns what is to be logged; nothing where
/// they have no record.
///
/// # Errors
/// Where a file cannot be read, or where the sample says that the options are wrong.
pub(super) fn take(
    files: &[InputFile],
    reading: &FileReading,
    so_far: Option<SoFar<'_>>,
    decoder: &mut RowDecoder,
) -> Result<Option<Findings>> {
    let is_decided = so_far.as_ref().is_some_and(|so_far| so_far.is_decided);
    let action = if is_decided { UnreadableAction::Warn } else { decoder.config().on_unreadable };
    let plan = decoder.plan().clone();
    let mut key_parts = KeyPartsFinder::default();
    let fields = read(files, reading, so_far.as_ref().map(|so_far| so_far.from), decoder, &mut key_parts);
    decoder.use_plan(plan);
    let fields = fields?;
    if fields.is_empty() {
        return Ok(None);
    }
    let key_parts = key_parts.found(decoder.plan());
    let has_cells = fields.iter().any(|cells| cells.sample.values + cells.sample.unreadable > 0);
    let Some(SoFar { texts, .. }) = so_far else {
        return Ok(Some(Findings { key_parts, has_cells, ..decide(fields, decoder, action)? }));
    };
    let new: Vec<(usize, TextCells)> = fields.iter().map(|cells| cells.new).enumerate().collect();
    let (were_text, others): (Vec<_>, Vec<_>) = new.into_iter().partition(|(index, _)| decoder.is_text(*index));
    let numbers = decide_anew(&were_text, texts, decoder);
    let mut findings = decide(fields, decoder, action)?;
    findings.texts.extend(numbers);
    for (index, cells) in others.into_iter().filter(|(index, _)| decoder.is_text(*index)) {
        texts.insert(decoder.field_name(index).to_owned(), cells);
    }
    Ok(Some(Findings { key_parts, has_cells, ..findings }))
}

/// Columns that became text by few records are numbers where most of their cells are by now. Returns what is to be logged.
fn decide_anew(were_text: &[(usize, TextCells)], texts: &mut TextColumns, decoder: &mut RowDecoder) -> Vec<String> {
    let (mut kinds, mut logged) = (Vec::new(), Vec::new());
    for (index, new) in were_text {
        let name = decoder.field_name(*index);
        let Some(cells) = texts.get_mut(name) else { continue };
        cells.add(*new);
        if cells.are_numbers() {
            let (values, all) = (cells.values, cells.values + cells.words);
            logged.push(format!(
                "`{name}` holds numbers from here on, for {values} of {all} cells so far are; what was carried as text stays"
            ));
            kinds.push((*index, Kind::Number));
            texts.remove(decoder.field_name(*index));
        }
    }
    decoder.decide(&kinds);
    logged
}

/// What earlier samples of files that grow have found.
pub(super) struct SoFar<'a> {
    /// The columns that became text.
    pub(super) texts: &'a mut TextColumns,
    /// The byte of the first file up to which it was read.
    pub(super) from: u64,
    /// Whether it is decided that the cells can be read: a sensor that breaks later stops nothing.
    pub(super) is_decided: bool,
}

/// Reads the cells of the sample.
fn read(
    files: &[InputFile],
    reading: &FileReading,
    grow_from: Option<u64>,
    decoder: &mut RowDecoder,
    key_parts: &mut KeyPartsFinder,
) -> Result<Vec<Cells>> {
    let mut fields: Vec<Cells> = Vec::new();
    let (first, decimal) = (decoder.plan().names.clone(), decoder.config().decimal as u8);
    let (mut records_left, mut bytes_left) = (SAMPLE_RECORDS, SAMPLE_BYTES_MAX);
    let grow = grow_from.is_some();
    'files: for (number, file) in files.iter().enumerate() {
        let from = if number == 0 { grow_from.unwrap_or(0) } else { file.from };
        let failed = |e| Error::new(format!("cannot read {}", file.name)).because(e);
        let opened = match File::open(&file.name) {
            Err(error) if grow && error.kind() == ErrorKind::NotFound => continue,
            opened => Arc::new(opened.map_err(failed)?),
        };
        let now = opened.metadata().map_err(failed)?;
        if grow && ((now.dev(), now.ino()) != file.node || now.len() < file.stored) {
            // Another has its name meanwhile, or it was emptied.
            continue;
        }
        let Some(mut opened) = reading.open(&opened, file, grow && file.form.packing == Packing::None)? else {
            continue;
        };
        decoder.use_plan(reading.plan_of(&opened, file)?);
        let mut is_like_first = decoder.plan().names == first;
        let records = &mut opened.records;
        loop {
            let is_full = records_left == 0 || records.position() >= bytes_left;
            let outcome = opened.head.next(records);
            match outcome.map_err(|e| failed(e).at(format!("{}:{}", file.name, records.line())))? {
                _ if is_full => break 'files,
                ReadOutcome::Record if opened.head.repeats(records) => continue,
                ReadOutcome::Record if opened.head.names_anew(records, decoder.config()) => {
                    // One by which nothing can be read is told of once the run comes there.
                    let Ok(again) = reading.header_again(&opened.head, records, file) else { break 'files };
                    decoder.use_plan(again.plan);
                    opened.head = again.head;
                    is_like_first = decoder.plan().names == first;
                    continue;
                }
                // It is no record, but a line of units or of names.
                ReadOutcome::Record if decoder.has_no_digit_in_time(records) => continue,
                ReadOutcome::Record if decoder.is_full_row(records) => records_left -= 1,
                ReadOutcome::End | ReadOutcome::Torn => break,
                ReadOutcome::Record | ReadOutcome::Read | ReadOutcome::TooLong => continue,
            }
            if is_like_first {
                key_parts.look(decoder.plan(), decimal, records);
            }
            for (index, cell, reading) in decoder.cells(records) {
                if fields.len() <= index {
                    fields.resize_with(index + 1, Cells::default);
                }
                let is_new = records.record_at() >= from;
                let place = || format!("{}:{}", file.name, records.record_line());
                if reading != Reading::Missing {
                    fields[index].look(cell, place);
                }
                if !decoder.config().is_text(decoder.field_name(index)) {
                    fields[index].add(cell, reading, (is_new, decimal), place);
                }
            }
        }
        bytes_left = bytes_left.saturating_sub(records.position());
    }
    for (index, cells) in fields.iter_mut().enumerate() {
        decoder.field_name(index).clone_into(&mut cells.sample.name);
        cells.not_text.name.clone_from(&cells.sample.name);
    }
    Ok(fields)
}

/// What a sample says, for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The columns that became text.
    pub(super) texts: Vec<String>,
    /// What cannot be read, by the name of the field.
    pub(super) warnings: Vec<(String, String)>,
    /// Columns that differ between records of one key and time.
    pub(super) key_parts: Vec<String>,
    /// Whether there are cells that are not missing: others decide nothing.
    pub(super) has_cells: bool,
}

impl Cells {
    /// Whether most cells are no text, for which a text has to be told another encoding.
    fn are_mostly_not_text(&self, is_declared: bool) -> bool {
        let count = self.not_text.unreadable;
        count > self.not_text.values && (is_declared || count >= NOT_TEXT_CELLS_MIN)
    }

    /// Looks whether a cell that is not missing is text.
    fn look(&mut self, cell: &[u8], place: impl Fn() -> String) {
        if std::str::from_utf8(cell).is_ok() {
            self.not_text.values += 1;
            return;
        }
        self.not_text.unreadable += 1;
        if self.not_text.texts.len() < TEXTS_MAX {
            self.not_text.texts.push(cell.to_vec());
        }
        self.not_text.place.get_or_insert_with(place);
    }

    fn add(&mut self, cell: &[u8], reading: Reading, (is_new, decimal): (bool, u8), place: impl Fn() -> String) {
        match reading {
            Reading::Missing | Reading::Failed => {}
            Reading::Unreadable => {
                self.sample.unreadable += 1;
                self.new.words += u64::from(is_new);
                if self.sample.texts.len() < TEXTS_MAX {
                    self.sample.texts.push(cell.to_vec());
                }
                self.sample.place.get_or_insert_with(place);
            }
            Reading::Value(_) | Reading::Censored(_) | Reading::Suspect(_) | Reading::CensoredSuspect(_) => {
                self.sample.values += 1;
                self.sample.decimals += u64::from(shows_decimal(cell, decimal));
                self.new.values += u64::from(is_new);
                self.has_fraction |= is_fraction(cell);
                if self.code.is_none() && is_code(cell) {
                    self.new.has_code |= is_new;
                    self.code = Some((String::from_utf8_lossy(cell).into_owned(), place()));
                }
            }
        }
    }
}

fn decide(mut fields: Vec<Cells>, decoder: &mut RowDecoder, action: UnreadableAction) -> Result<Findings> {
    let options = decoder.config().numbers();
    let mut findings = Findings::default();
    let mut kinds = Vec::new();
    let mut samples: Vec<FieldSample> = Vec::new();
    for (_, cells) in fields.iter_mut().enumerate().filter(|(index, _)| decoder.is_text(*index)) {
        let is_declared = decoder.config().is_text(&cells.sample.name);
        samples.extend(cells.are_mostly_not_text(is_declared).then(|| cells.not_text.clone()));
        let Cells { sample, code, .. } = std::mem::take(cells);
        if sample.values > 0 && code.is_none() {
            let (name, values, all) = (sample.name, sample.values, sample.values + sample.unreadable);
            let warning = format!(
                "`{name}` is carried as text, for the first records had words there, and {values} of {all} cells are numbers: if \
                 it is a measurement, name it in `fields` and start with `--fresh`"
            );
            findings.warnings.push((name, warning));
        }
    }
    let unknown: Vec<usize> = decoder.unknown_kinds().iter().copied().filter(|index| *index < fields.len()).collect();
    for index in unknown {
        let Cells { sample, code, has_fraction, .. } = &fields[index];
        if sample.values + sample.unreadable == 0 {
            continue;
        }
        let first = sample.texts.first().map(|text| String::from_utf8_lossy(text));
        let cells = SampledCells {
            numbers: sample.values,
            texts: &sample.texts,
            text_count: sample.unreadable,
            first: first.as_deref().zip(sample.place.as_deref()),
            code: code.as_ref().map(|(text, place)| (text.as_str(), place.as_str())),
            has_fraction: *has_fraction,
        };
        let (kind, said) = cells.decide(&sample.name, Some(&options));
        findings.texts.extend(said);
        kinds.push((index, kind));
        if kind == Kind::Text {
            samples.extend(fields[index].are_mostly_not_text(false).then(|| fields[index].not_text.clone()));
            fields[index] = Cells::default();
        }
    }
    decoder.decide(&kinds);
    samples.extend(fields.into_iter().map(|cells| cells.sample));
    findings.warnings.extend(judge(&samples, &options, action)?);
    Ok(findings)
}
