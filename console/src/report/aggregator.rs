//! Gathers a report in one pass over the records, in bounded memory.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::arrow_array::Array as _;
use aqpipe_engine::record::{Batch, Column};

use super::cell::{Cell, CellCounts};
use super::cell_code::CellCode;
use super::expected::Moment;
use super::origin::{Origin, Threshold, WrittenBy};
use super::rows::{Measured, Row};
use super::scores::Scores;
use super::series::Series;
use super::settings::Settings;
use super::stations::{NO_SERIES, Stations};
use super::timeline::{Put, Room};

/// Series that are told apart: each takes up to 50 kB.
pub(super) const SERIES_MAX: usize = 2_000;
/// Series with profiles and a course: each takes 300 kB more.
pub(super) const DETAILED_MAX: usize = 64;
/// Days of series that are kept apart: 50 MB in all.
pub(super) const SERIES_DAYS_MAX: usize = 500_000;
/// Fields that are told apart: a topic may bring names without end.
const FIELDS_MAX: usize = 1_000;
/// Tests that are told apart: a pipeline has 16 at most.
const TESTS_MAX: usize = 64;
/// Examples of records that could not be read.
const EXAMPLES_MAX: usize = 5;
/// Pipelines that are told apart.
const DATA_MAX: usize = 100;

/// Versions of a pipeline that wrote the same records: one that changes every hour has many.
const WRITTEN_BY_MAX: usize = 100;

/// What one pipeline wrote.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) origin: Origin,
    pub(super) inputs: u64,
    pub(super) records: u64,
    pub(super) unreadable: u64,
    pub(super) examples: Vec<String>,
    pub(super) scores: Scores,
    /// The threshold of each field.
    thresholds: HashMap<String, Threshold>,
}

impl Data {
    /// The threshold of a field.
    pub(super) fn threshold(&self, field: &str) -> Option<&Threshold> {
        self.thresholds.get(field)
    }
}

/// The number of what one pipeline wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataId(pub(super) usize);

/// Gathers a report.
#[derive(Debug)]
pub struct Aggregator {
    pub(super) settings: Settings,
    pub(super) notes: Vec<String>,
    pub(super) data: Vec<Data>,
    pub(super) stations: Stations,
    pub(super) fields: Vec<String>,
    pub(super) tests: Vec<String>,
    pub(super) series: Vec<Series>,
    pub(super) outside: u64,
    /// Cells of series, and records of stations, for which there was no room.
    pub(super) other_cells: CellCounts,
    pub(super) other_records: u64,
    pub(super) room: Room,
    details_left: usize,
    field_numbers: HashMap<String, usize>,
}

impl Aggregator {
    /// A report of nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Aggregator {
        Aggregator {
            settings,
            notes: Vec::new(),
            data: Vec::new(),
            stations: Stations::default(),
            fields: Vec::new(),
            tests: Vec::new(),
            series: Vec::new(),
            outside: 0,
            other_cells: CellCounts::default(),
            other_records: 0,
            room: Room::default(),
            details_left: DETAILED_MAX,
            field_numbers: HashMap::new(),
        }
    }

    /// Something that readers of the report have to know.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The number of what a pipeline wrote. Beyond a hundred, the last one takes the rest.
    pub fn data(&mut self, origin: Origin) -> DataId {
        let is_it = |data: &Data| (&data.origin.pipeline, &data.origin.place) == (&origin.pipeline, &origin.place);
        let known = self.data.iter().position(is_it);
        let at = known.or((self.data.len() >= DATA_MAX).then_some(DATA_MAX - 1)).unwrap_or(self.data.len());
        match self.data.get_mut(at) {
            // Of several files, one without marks leaves the question open.
            Some(data) => {
                data.origin.has_marks &= origin.has_marks;
                let known = &mut data.origin.written_by;
                let is_new = |one: &WrittenBy| {
                    known.iter().all(|known| (&known.digest, known.generated) != (&one.digest, one.generated))
                };
                let new: Vec<WrittenBy> = origin.written_by.into_iter().filter(is_new).collect();
                known.extend(new.into_iter().take(WRITTEN_BY_MAX.saturating_sub(known.len())));
            }
            None => {
                let thresholds = origin.thresholds().iter();
                let thresholds = thresholds.map(|one| (one.field.clone(), one.clone())).collect();
                self.data.push(Data { origin, thresholds, ..Data::default() });
            }
        }
        self.data[at].inputs += 1;
        DataId(at)
    }

    /// Records that could not be read, with the reason for one of them.
    pub fn unreadable(&mut self, data: DataId, reason: &str) {
        let data = &mut self.data[data.0];
        data.unreadable += 1;
        if data.examples.len() < EXAMPLES_MAX {
            data.examples.push(reason.to_owned());
        }
    }

    /// Takes records. `tests` are the names of the tests by their bits in cell qualities.
    pub fn observe(&mut self, data: DataId, batch: &Batch, tests: &[Arc<str>]) {
        let tests: Vec<usize> = tests.iter().map(|name| self.test(name)).collect();
        let rows = self.rows(data, batch);
        if let Some(scores) = batch.score() {
            let of_data = &mut self.data[data.0].scores;
            let present = rows.iter().filter(|row| scores.is_valid(row.row));
            present.for_each(|row| of_data.add(row.day, scores.value(row.row)));
        }
        let mut columns: Vec<Measured<'_>> = Vec::new();
        for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
            if let (Column::Number(numbers), false) = (column, field.derived) {
                let threshold = self.data[data.0].threshold(&field.name).cloned();
                columns.push(Measured { numbers, field: self.field(&field.name), threshold });
            }
        }
        self.open_series(&rows, &columns);
        rows.iter().for_each(|row| self.take(row, &columns, &tests));
        if self.room.is_crowded() {
            self.stations.list.iter_mut().for_each(|station| station.timeline.pack(&mut self.room));
        }
    }

    /// Takes the cells of a row. Of several records of a station and a time, each field counts once.
    fn take(&mut self, row: &Row, columns: &[Measured<'_>], tests: &[usize]) {
        let Moment { instant, offset } = row.moment;
        let station = &mut self.stations.list[row.station];
        let place = station.timeline.enter(instant, offset, &mut self.room);
        station.beyond += u64::from(place.is_none());
        for column in columns {
            let cell = Cell::of(column.numbers, row.row);
            if cell == Cell::Derived {
                continue;
            }
            let Some(series) = column.field.and_then(|field| self.series_of(row.station, field)) else {
                self.other_cells.add(cell);
                continue;
            };
            let quality = column.numbers.quality_at(row.row);
            let code = CellCode::of(cell, quality);
            let series = &mut self.series[series];
            let timeline = &mut self.stations.list[row.station].timeline;
            let put = place.map_or(Put::NoRoom, |place| timeline.put(place, series.slot, code, &mut self.room));
            if let Put::Better(other) | Put::Known(other) = put {
                series.doubled += u64::from(code.is_reading() && other.is_reading());
            }
            let instead = match put {
                Put::Known(_) => continue,
                Put::Better(other) => other,
                Put::NoRoom | Put::First => CellCode::default(),
            };
            if put == Put::NoRoom {
                series.beyond.add(cell);
            }
            series.add((row.local, row.day), (cell, code, instead), quality, tests, column.threshold.as_ref());
        }
    }

    /// Makes the series of stations that are new, one station after the other: what has a bound is then there for whole stations.
    fn open_series(&mut self, rows: &[Row], columns: &[Measured<'_>]) {
        let mut seen: Vec<bool> = vec![false; self.stations.list.len()];
        for Row { row, station, .. } in rows {
            if std::mem::replace(&mut seen[*station], true) {
                continue;
            }
            for Measured { numbers, field, .. } in columns {
                if let (Some(field), false) = (field, Cell::of(numbers, *row) == Cell::Derived) {
                    _ = self.series_of(*station, *field);
                }
            }
        }
    }

    /// The rows that count.
    fn rows(&mut self, data: DataId, batch: &Batch) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::with_capacity(batch.rows());
        let mut last: Option<(Option<&str>, usize)> = None;
        for row in 0..batch.rows() {
            let moment = Moment { instant: batch.time()[row], offset: batch.utc_offset()[row] };
            let local = moment.local();
            let day = local.day();
            let Settings { from, to, .. } = self.settings;
            if from.is_some_and(|from| day < from) || to.is_some_and(|to| day > to) {
                self.outside += 1;
                continue;
            }
            self.data[data.0].records += 1;
            let key = batch.key().filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row));
            let station = match last {
                Some((known, station)) if known == key => station,
                _ => match self.stations.find(data.0, key) {
                    Some(station) => station,
                    None => {
                        self.other_records += 1;
                        continue;
                    }
                },
            };
            last = Some((key, station));
            self.stations.list[station].record(moment);
            rows.push(Row { row, station, moment, local, day });
        }
        rows
    }

    /// The series of a field at a station; `None` where there are too many.
    #[inline]
    fn series_of(&mut self, station: usize, field: usize) -> Option<usize> {
        match self.stations.list[station].series.get(field) {
            Some(series) if *series != NO_SERIES => Some(*series as usize),
            _ => self.new_series(station, field),
        }
    }

    #[cold]
    fn new_series(&mut self, station: usize, field: usize) -> Option<usize> {
        if self.series.len() >= SERIES_MAX {
            return None;
        }
        let of_station = &mut self.stations.list[station];
        if of_station.series.len() <= field {
            of_station.series.resize(field + 1, NO_SERIES);
        }
        of_station.series[field] = self.series.len() as u32;
        let slot = of_station.slots;
        of_station.slots += 1;
        let is_detailed = self.details_left > 0;
        self.details_left -= usize::from(is_detailed);
        self.series.push(Series::new(station, field, slot, is_detailed));
        Some(self.series.len() - 1)
    }

    fn field(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.field_numbers.get(name) {
            return Some(*known);
        }
        if self.fields.len() >= FIELDS_MAX {
            return None;
        }
        self.fields.push(name.to_owned());
        self.field_numbers.insert(name.to_owned(), self.fields.len() - 1);
        Some(self.fields.len() - 1)
    }

    /// The number of a test in the report.
    fn test(&mut self, name: &str) -> usize {
        match self.tests.iter().position(|known| known == name) {
            Some(known) => known,
            None if self.tests.len() >= TESTS_MAX => TESTS_MAX - 1,
            None => {
                self.tests.push(name.to_owned());
                self.tests.len() - 1
            }
        }
    }
}
