//! The split: readings one after the other, from any record on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{CellQuality, Fields, Position};
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader};
use arrow_array::builder::StringBuilder;

use super::model::{Reading, Station, impossible};
use super::settings::SampleSettings;
use super::uci_line;
use crate::columns::{ColumnBuilder, KeyBuilder, NumberBuilder, RowsBuilder};

/// Rows in a batch, however many are asked for.
const BATCH_ROWS_MAX: usize = 1 << 16;
const SECOND_MICROS: i64 = 1_000_000;
/// Stands where a time should be.
const INVALID_TIME: &str = "31/02/2004;25.61.00";
/// Stands where a number should be.
const INVALID_NUMBER: &str = "n/a";

/// A split of generated readings.
pub(super) struct SampleSplitReader {
    settings: SampleSettings,
    layout: Arc<Fields>,
    stations: Vec<Station>,
    keep_raw: bool,
    row: u64,
    end: u64,
}

/// The fault of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Time,
    /// The place of the field among those of the split.
    Number(usize),
    Range(usize),
}

impl SampleSplitReader {
    /// A split that starts at a record. With `metrics` it reports the expected records; without, it reads for fitting alone.
    pub(super) fn new(
        settings: &SampleSettings,
        keep_raw: bool,
        row: u64,
        metrics: Option<&Metrics>,
    ) -> SampleSplitReader {
        let end = settings.records.unwrap_or(u64::MAX).min(settings.limit.unwrap_or(u64::MAX));
        if let Some(metrics) = metrics.filter(|_| end < u64::MAX) {
            metrics.expected.store(end.saturating_sub(row), Ordering::Relaxed);
        }
        SampleSplitReader {
            layout: Arc::new(settings.layout()),
            stations: (0..settings.stations.len()).map(|number| Station::new(settings.seed, number)).collect(),
            settings: settings.clone(),
            keep_raw,
            row,
            end,
        }
    }

    fn rows(&self, room: usize) -> RowsBuilder {
        let keys = match (&self.settings.key, &*self.settings.stations) {
            (None, _) => KeyBuilder::Absent,
            (Some(_), [station]) => KeyBuilder::Constant(Arc::clone(station)),
            (Some(_), _) => KeyBuilder::Own(StringBuilder::new()),
        };
        RowsBuilder::new(&self.layout, keys, self.keep_raw, room)
    }

    fn fault(&self, reading: &Reading) -> Option<Fault> {
        let faults = self.settings.faults;
        let fields = self.settings.fields.len();
        // A draw is below 1.
        let field = (reading.fault_draws[3] * fields as f64) as usize;
        if reading.fault_draws[0] < faults.bad_timestamp {
            Some(Fault::Time)
        } else if reading.fault_draws[1] < faults.not_a_number {
            Some(Fault::Number(field))
        } else if reading.fault_draws[2] < faults.out_of_range {
            Some(Fault::Range(field))
        } else {
            None
        }
    }

    /// Generates the record of a number.
    fn generate(&mut self, row: u64, rows: &mut RowsBuilder, dead: &mut Vec<DeadLetter>) {
        let stations = self.stations.len() as u64;
        let (number, station) = (row / stations, (row % stations) as usize);
        let s = &self.settings;
        let elapsed = number.saturating_mul(s.interval.unsigned_abs());
        let clock = s.start.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX));
        let mut reading = self.stations[station].read(number, clock, elapsed);
        let fault = self.fault(&reading);
        let s = &self.settings;
        if let Some(Fault::Range(field)) = fault {
            let field = s.fields[field];
            reading.values[field] = Some(impossible(field));
        }
        if fault == Some(Fault::Time) {
            let why = format!("`Date` and `Time` are `{}`, which is no time", INVALID_TIME.replace(';', " "));
            let line = uci_line::line(clock, Some(INVALID_TIME), &reading, None);
            let mut dead_letter = DeadLetter::new(row, why, Some(line.into_bytes()));
            dead_letter.place = Some(format!("sample, record {}", row + 1));
            dead.push(dead_letter);
            return;
        }
        rows.time.push(clock.saturating_sub(i64::from(s.zone) * 60).saturating_mul(SECOND_MICROS));
        rows.utc_offset.push(s.zone);
        rows.source_offsets.push(row);
        if let KeyBuilder::Own(keys) = &mut rows.keys {
            keys.append_value(&s.stations[station]);
        }
        if let Some(kept) = &mut rows.raw {
            let word = match fault {
                Some(Fault::Number(field)) => Some((s.fields[field], INVALID_NUMBER)),
                _ => None,
            };
            kept.append_value(uci_line::line(clock, None, &reading, word));
        }
        for (place, (field, cells)) in s.fields.iter().zip(&mut rows.columns).enumerate() {
            let ColumnBuilder::Number(cells) = cells else { continue };
            push(cells, reading.values[*field], fault == Some(Fault::Number(place)));
        }
    }
}

fn push(cells: &mut NumberBuilder, value: Option<f64>, is_word: bool) {
    match value {
        _ if is_word => cells.push_missing(CellQuality::UNREADABLE),
        Some(value) => cells.push(value),
        None => cells.push_missing(CellQuality::MISSING),
    }
}

impl SplitReader for SampleSplitReader {
    fn next(&mut self, max: usize, _until: Instant) -> Result<Poll> {
        let left = self.end.saturating_sub(self.row);
        let room = max.clamp(1, BATCH_ROWS_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(Poll::End);
        }
        let mut rows = self.rows(room);
        let mut dead = Vec::new();
        for row in self.row..self.row + room as u64 {
            self.generate(row, &mut rows, &mut dead);
        }
        self.row += room as u64;
        Ok(Poll::Rows(rows.finish(&self.layout)?, dead))
    }

    fn position(&self) -> Position {
        Position { offset: self.row, records: self.row }
    }
}
