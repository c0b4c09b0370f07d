//! Where readings are missing, with the structure that the data set has.

use super::event_rng::{EventKind, EventRng};

/// Hours that contain one whole gap of each kind.
const GAP_BLOCK_HOURS: u64 = 576;
/// Hours after which a station no longer measures NMHC.
const NMHC_MEASURED_HOURS: u64 = 51 * 24;

/// Lengths of gaps in hours: probability, shortest, longest.
type GapLengths = [(f64, u64, u64); 3];
const SENSOR_GAP_LENGTHS: GapLengths = [(0.55, 1, 12), (0.33, 13, 48), (0.12, 49, 76)];
const GAS_GAP_LENGTHS: GapLengths = [(0.40, 8, 40), (0.45, 41, 90), (0.15, 100, 173)];

/// The values that a record lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MissingSensors {
    /// Benzene, the five sensors and the weather, which fail together.
    pub(super) sensors: bool,
    pub(super) co: bool,
    /// NOx and NO2, which one analyser measures.
    pub(super) nox: bool,
    pub(super) nmhc: bool,
}

/// The gaps of one kind. Keeps the one of the last call.
#[derive(Debug)]
struct GapSeries {
    rng: EventRng,
    lengths: &'static GapLengths,
    block: Option<u64>,
    from: u64,
    to: u64,
}

impl GapSeries {
    fn new(rng: EventRng, lengths: &'static GapLengths) -> GapSeries {
        GapSeries { rng, lengths, block: None, from: 0, to: 0 }
    }

    fn covers(&mut self, hour: u64) -> bool {
        let block = hour / GAP_BLOCK_HOURS;
        if self.block != Some(block) {
            let draws = self.rng.draws(block);
            let mut kind = draws[0];
            let mut length = 0;
            for (share, shortest, longest) in self.lengths {
                if (0.0..*share).contains(&kind) {
                    length = shortest + (draws[1] * (longest - shortest + 1) as f64) as u64;
                }
                kind -= share;
            }
            self.from = block * GAP_BLOCK_HOURS + (draws[2] * (GAP_BLOCK_HOURS - length) as f64) as u64;
            self.to = self.from + length;
            self.block = Some(block);
        }
        (self.from..self.to).contains(&hour)
    }
}

/// The gaps of a station.
#[derive(Debug)]
pub(super) struct StationGaps {
    sensors: GapSeries,
    co: GapSeries,
    nox: GapSeries,
}

impl StationGaps {
    pub(super) fn new(seed: u64, station: usize) -> StationGaps {
        let gaps = |kind, lengths| GapSeries::new(EventRng::new(seed, station, kind), lengths);
        StationGaps {
            sensors: gaps(EventKind::SensorGap, &SENSOR_GAP_LENGTHS),
            co: gaps(EventKind::CoGap, &GAS_GAP_LENGTHS),
            nox: gaps(EventKind::NoxGap, &GAS_GAP_LENGTHS),
        }
    }

    /// What is missing `elapsed` hours after the start, at `clock` o'clock of a day with these draws.
    pub(super) fn at(&mut self, elapsed: u64, clock: usize, day: &[f64]) -> MissingSensors {
        MissingSensors {
            sensors: self.sensors.covers(elapsed),
            co: self.co.covers(elapsed) || (clock == 4 && day[4] < 0.54),
            nox: self.nox.covers(elapsed) || (clock == 3 && day[3] < 0.93),
            nmhc: elapsed >= NMHC_MEASURED_HOURS || day[5] < 0.25,
        }
    }
}
