//! What came out last, for people who look: the last readings of each station, and the last dead letters.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::Array;
use parking_lot::Mutex;

use crate::record::{Batch, CellQuality, Column, Fields};

/// Stations whose readings are kept: as many as a page can offer for a choice.
const STATIONS_MAX: usize = 1_000;
/// Readings that are kept of a station: a week of hours, some more.
const READINGS_MAX: usize = 200;
/// Cells that are kept in all (16 bytes each). With many stations each has fewer readings.
const CELLS_MAX: usize = 1_000_000;
/// Readings that are taken each second at most: beyond, readings are passed over, so that looking costs nothing that one could
/// measure.
const READINGS_PER_SECOND_MAX: usize = 2_000;
/// Dead letters that are kept.
const DEAD_LETTERS_MAX: usize = 50;
/// Bytes of a dead letter that are kept.
const DEAD_LETTER_BYTES_MAX: usize = 512;

/// One cell of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentCell {
    /// Its value, where it has one.
    pub value: Option<f64>,
    /// Its quality.
    pub quality: CellQuality,
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its time: microseconds since 1970.
    pub micros: i64,
    /// Its score, where it has one.
    pub score: Option<f64>,
    /// Whether readings between it and the one before were passed over.
    pub follows_a_gap: bool,
    /// Its cells: the measurements, in the order of [`StationReadings::fields`].
    cells: Arc<[RecentCell]>,
}

impl Reading {
    /// The cell of a field.
    #[must_use]
    pub fn cell(&self, field: usize) -> Option<RecentCell> {
        self.cells.get(field).copied()
    }
}

/// The last readings of a station.
#[derive(Clone, Debug, Default)]
pub struct StationReadings {
    /// The names of its measurements.
    pub fields: Vec<Arc<str>>,
    /// Its readings, the oldest first.
    pub readings: Vec<Reading>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentDeadLetter {
    /// When it became one: milliseconds since 1970.
    pub unix_ms: u64,
    /// The stage that gave it up.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// Its place.
    pub place: String,
    /// The first 512 of its bytes, where they are known.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Station {
    layout: Arc<Fields>,
    readings: VecDeque<Reading>,
    /// The gaps before its last reading.
    gaps: u64,
}

#[derive(Debug, Default)]
struct Kept {
    stations: HashMap<Arc<str>, Station>,
    /// How often readings were passed over.
    gaps: u64,
    /// Readings that may still be taken in the second that began then.
    budget: Option<(Instant, usize)>,
    dead_letters: VecDeque<RecentDeadLetter>,
}

/// The last output of a pipeline. Nothing is kept before somebody wants to look.
#[derive(Debug, Default)]
pub struct RecentOutput {
    kept: Mutex<Kept>,
}

impl RecentOutput {
    /// Takes readings of a batch, committed or not: the last ones of each station.
    pub(crate) fn offer(&self, batch: &Batch, now: Instant) {
        let mut kept = self.kept.lock();
        let budget = match kept.budget {
            Some((second, left)) if now.saturating_duration_since(second) < Duration::from_secs(1) => (second, left),
            _ => (now, READINGS_PER_SECOND_MAX),
        };
        let rows = batch.rows();
        // The last rows are the newest ones. Those before them are a gap.
        let taken = rows.min(budget.1).min(READINGS_PER_SECOND_MAX / 2);
        kept.budget = Some((budget.0, budget.1 - taken));
        if taken < rows {
            kept.gaps += 1;
        }
        (rows - taken..rows).for_each(|row| kept.take(batch, row));
    }

    /// Takes a dead letter; of its bytes, the first ones.
    pub(crate) fn dead_letter(&self, unix_ms: u64, stage: &str, reason: &str, place: &str, bytes: Option<&[u8]>) {
        let letter = RecentDeadLetter {
            unix_ms,
            stage: stage.to_owned(),
            reason: reason.to_owned(),
            place: place.to_owned(),
            bytes: bytes.map(|bytes| bytes[..bytes.len().min(DEAD_LETTER_BYTES_MAX)].to_vec()),
        };
        let mut kept = self.kept.lock();
        if kept.dead_letters.len() == DEAD_LETTERS_MAX {
            kept.dead_letters.pop_front();
        }
        kept.dead_letters.push_back(letter);
    }

    /// The stations whose readings are kept, sorted. Readings without a key are those of the station with an empty name.
    #[must_use]
    pub fn stations(&self) -> Vec<Arc<str>> {
        let mut stations: Vec<Arc<str>> = self.kept.lock().stations.keys().cloned().collect();
        stations.sort_unstable();
        stations
    }

    /// The last readings of a station.
    #[must_use]
    pub fn readings(&self, station: &str) -> Option<StationReadings> {
        let kept = self.kept.lock();
        let station = kept.stations.get(station)?;
        Some(StationReadings {
            fields: measurements(&station.layout).map(|(_, field)| field).collect(),
            readings: station.readings.iter().cloned().collect(),
        })
    }

    /// The last dead letters, the newest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<RecentDeadLetter> {
        self.kept.lock().dead_letters.iter().rev().cloned().collect()
    }
}

fn measurements(layout: &Fields) -> impl Iterator<Item = (usize, Arc<str>)> {
    let numbers = layout.list.iter().enumerate().filter(|(_, field)| field.kind == crate::record::Kind::Number);
    numbers.map(|(place, field)| (place, Arc::clone(&field.name)))
}

impl Kept {
    fn take(&mut self, batch: &Batch, row: usize) {
        let key = batch.key().filter(|keys| keys.is_valid(row)).map_or("", |keys| keys.value(row));
        if !self.stations.contains_key(key) {
            if self.stations.len() == STATIONS_MAX {
                return;
            }
            let new = Station { layout: Arc::clone(batch.fields()), readings: VecDeque::new(), gaps: self.gaps };
            self.stations.insert(key.into(), new);
        }
        let stations = self.stations.len();
        let Some(station) = self.stations.get_mut(key) else { return };
        if station.layout != *batch.fields() {
            // Cells have the places of one layout.
            station.readings.clear();
            station.layout = Arc::clone(batch.fields());
        }
        let cells: Arc<[RecentCell]> = batch
            .columns()
            .iter()
            .filter_map(|column| match column {
                Column::Number(numbers) => {
                    Some(RecentCell { value: numbers.get(row), quality: numbers.quality_at(row) })
                }
                Column::Text(_) => None,
            })
            .collect();
        let room = (CELLS_MAX / stations / cells.len().max(1)).clamp(1, READINGS_MAX);
        while station.readings.len() >= room {
            station.readings.pop_front();
        }
        let follows_a_gap = std::mem::replace(&mut station.gaps, self.gaps) != self.gaps;
        let score = batch.score().filter(|scores| scores.is_valid(row)).map(|scores| scores.value(row));
        station.readings.push_back(Reading { micros: batch.time()[row], score, follows_a_gap, cells });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::BatchBuilder;

    #[test]
    fn the_last_readings_are_kept_and_what_was_passed_over_is_a_gap() {
        let recent = RecentOutput::default();
        let now = Instant::now();
        let rows = 5_000;
        let batch = BatchBuilder::new().numbers("CO", (0..rows).map(|i| Some(f64::from(i)))).build();
        for _ in 0..3 {
            recent.offer(&batch, now);
        }
        let kept = recent.readings("").expect("readings");
        assert_eq!((kept.readings.len(), kept.fields.len()), (READINGS_MAX, 1));
        assert_eq!(kept.readings.last().and_then(|reading| reading.cell(0)?.value), Some(4_999.0));
        recent.offer(&batch.slice(0, 3), now + Duration::from_secs(1));
        let kept = recent.readings("").expect("readings");
        let gaps: Vec<bool> = kept.readings[READINGS_MAX - 4..].iter().map(|reading| reading.follows_a_gap).collect();
        assert_eq!(gaps, [false, true, false, false]);
    }

    #[test]
    fn dead_letters_are_bounded() {
        let recent = RecentOutput::default();
        for i in 0..80 {
            let reason = i.to_string();
            recent.dead_letter(0, "csv", &reason, "a.csv:7", Some(&[0; 9_000]));
        }
        let kept = recent.dead_letters();
        assert_eq!((kept.len(), &*kept[0].reason), (DEAD_LETTERS_MAX, "79"));
        assert!(kept.iter().all(|letter| letter.bytes.as_ref().is_some_and(|bytes| bytes.len() == 512)));
    }
}
