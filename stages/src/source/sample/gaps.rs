//! Where readings are missing, with the structure that the data set has.

use super::dice::{Dice, Matter};

/// Hours among which there is one gap of each kind, wholly inside.
const BLOCK: u64 = 576;
/// Hours after which a station measures NMHC no more.
const NMHC_HOURS: u64 = 51 * 24;

/// Lengths of gaps in hours: how likely, from, to.
type Lengths = [(f64, u64, u64); 3];
const SENSOR_LENGTHS: Lengths = [(0.55, 1, 12), (0.33, 13, 48), (0.12, 49, 76)];
const GAS_LENGTHS: Lengths = [(0.40, 8, 40), (0.45, 41, 90), (0.15, 100, 173)];

/// What is missing of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Absent {
    /// Benzene, the five sensors and the weather, which fail together.
    pub(super) sensors: bool,
    pub(super) co: bool,
    /// NOx and NO2, which one analyser measures.
    pub(super) nox: bool,
    pub(super) nmhc: bool,
}

/// The gaps of one kind; remembers the one it was asked for last.
#[derive(Debug)]
struct Gaps {
    dice: Dice,
    lengths: &'static Lengths,
    block: Option<u64>,
    from: u64,
    to: u64,
}

impl Gaps {
    fn new(dice: Dice, lengths: &'static Lengths) -> Gaps {
        Gaps { dice, lengths, block: None, from: 0, to: 0 }
    }

    fn covers(&mut self, hour: u64) -> bool {
        let block = hour / BLOCK;
        if self.block != Some(block) {
            let throws = self.dice.throw(block);
            let mut kind = throws[0];
            let mut length = 0;
            for (share, shortest, longest) in self.lengths {
                if (0.0..*share).contains(&kind) {
                    length = shortest + (throws[1] * (longest - shortest + 1) as f64) as u64;
                }
                kind -= share;
            }
            self.from = block * BLOCK + (throws[2] * (BLOCK - length) as f64) as u64;
            self.to = self.from + length;
            self.block = Some(block);
        }
        (self.from..self.to).contains(&hour)
    }
}

/// The gaps of a station.
#[derive(Debug)]
pub(super) struct StationGaps {
    sensors: Gaps,
    co: Gaps,
    nox: Gaps,
}

impl StationGaps {
    pub(super) fn new(seed: u64, station: usize) -> StationGaps {
        let gaps = |matter, lengths| Gaps::new(Dice::new(seed, station, matter), lengths);
        StationGaps {
            sensors: gaps(Matter::SensorGap, &SENSOR_LENGTHS),
            co: gaps(Matter::CoGap, &GAS_LENGTHS),
            nox: gaps(Matter::NoxGap, &GAS_LENGTHS),
        }
    }

    /// What is missing `elapsed` hours after the start, at `clock` o'clock of a day with these throws.
    pub(super) fn at(&mut self, elapsed: u64, clock: usize, day: &[f64]) -> Absent {
        Absent {
            sensors: self.sensors.covers(elapsed),
            co: self.co.covers(elapsed) || (clock == 4 && day[4] < 0.54),
            nox: self.nox.covers(elapsed) || (clock == 3 && day[3] < 0.93),
            nmhc: elapsed >= NMHC_HOURS || day[5] < 0.25,
        }
    }
}
