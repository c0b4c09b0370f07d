//! A station and what it measures.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::event_rng::{DRAWS_PER_EVENT, EventKind, EventRng};
use super::gaps::{MissingSensors, StationGaps};
use super::settings::UCI_FIELDS;
use super::tables::{MONTH_MEAN, WARMTH, WEEKEND, WINTER, WORKDAY, around, between, vapour};

const DAY_SECONDS: i64 = 86_400;
/// Decimals, minimum and maximum of each field in the data set.
const FIELD_SHAPES: [(u32, f64, f64); UCI_FIELDS.len()] = [
    (1, 0.1, 11.9),
    (0, 647.0, 2040.0),
    (0, 7.0, 1189.0),
    (1, 0.1, 63.7),
    (0, 383.0, 2214.0),
    (0, 2.0, 1479.0),
    (0, 322.0, 2683.0),
    (0, 2.0, 340.0),
    (0, 551.0, 2775.0),
    (0, 221.0, 2523.0),
    (1, -1.9, 44.6),
    (1, 9.2, 88.7),
    (4, 0.1847, 2.231),
];
/// The share of records with a spike of NOx.
const SPIKE_PROBABILITY: f64 = 1.0 / 400.0;

/// One reading of a station.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The values in the order of [`UCI_FIELDS`]; `None` in a gap.
    pub(super) values: [Option<f64>; UCI_FIELDS.len()],
    /// Random numbers for the faults.
    pub(super) fault_draws: [f64; 6],
}

/// What is the same for a whole day of a station.
#[derive(Debug)]
struct DayState {
    number: i64,
    weekend: bool,
    /// Months since January, the middle of January being 0.
    season: f64,
    draws: [f64; DRAWS_PER_EVENT],
    tomorrow: [f64; DRAWS_PER_EVENT],
}

/// A station.
#[derive(Debug)]
pub(super) struct Station {
    records: EventRng,
    days: EventRng,
    gaps: StationGaps,
    today: Option<DayState>,
}

impl Station {
    pub(super) fn new(seed: u64, number: usize) -> Station {
        Station {
            records: EventRng::new(seed, number, EventKind::Record),
            days: EventRng::new(seed, number, EventKind::Day),
            gaps: StationGaps::new(seed, number),
            today: None,
        }
    }

    /// Its reading of a number, at `clock` seconds since 1970 by its clock and `elapsed` seconds after its first one.
    pub(super) fn read(&mut self, number: u64, clock: i64, elapsed: u64) -> Reading {
        let day = clock.div_euclid(DAY_SECONDS);
        let today = match self.today.take() {
            Some(today) if today.number == day => today,
            _ => self.day(day),
        };
        let hours = clock.rem_euclid(DAY_SECONDS) as f64 / 3600.0;
        let draws = self.records.draws(number);
        let absent = self.gaps.at(elapsed / 3600, hours as usize, &today.draws);
        let measured = measure(&today, hours, &draws);
        let values = std::array::from_fn(|field| (!is_absent(field, absent)).then(|| quantise(measured[field], field)));
        self.today = Some(today);
        let mut fault_draws = [0.0; 6];
        fault_draws.copy_from_slice(&draws[DRAWS_PER_EVENT - 6..]);
        Reading { values, fault_draws }
    }

    fn day(&mut self, number: i64) -> DayState {
        // Days are numbered from far enough back that no day of the calendar is negative.
        let event = |number: i64| (number + (1 << 40)).unsigned_abs();
        let date =
            Timestamp::from_second(number.saturating_mul(DAY_SECONDS)).ok().map(|t| Offset::UTC.to_datetime(t).date());
        let season = date.map_or(0.0, |date| f64::from(date.month() - 1) + (f64::from(date.day()) - 15.5) / 30.5);
        DayState {
            number,
            // 1970-01-01 was a Thursday.
            weekend: (number + 3).rem_euclid(7) >= 5,
            season: if season < 0.0 { season + 12.0 } else { season },
            draws: self.days.draws(event(number)),
            tomorrow: self.days.draws(event(number + 1)),
        }
    }
}

/// What the instruments show, `hours` into the day. By sums, products and quotients alone, which are the same on every machine.
fn measure(today: &DayState, hours: f64, draws: &[f64; DRAWS_PER_EVENT]) -> [f64; UCI_FIELDS.len()] {
    // From -1 to 1, smooth from noon to noon.
    let weather = |throw: usize| between(today.draws[throw], today.tomorrow[throw], hours / 24.0) * 2.0 - 1.0;
    let noise = |throw: usize, width: f64| 1.0 + (draws[throw] * 2.0 - 1.0) * width;
    let winter = around(&WINTER, today.season);
    let traffic = around(if today.weekend { &WEEKEND } else { &WORKDAY }, hours);

    let mean = around(&MONTH_MEAN, today.season) + weather(0) * 5.5;
    let swing = 3.0 + (1.0 - winter) * 3.0 + weather(6) * 2.0;
    let temperature = mean + around(&WARMTH, hours) * swing + (draws[10] - 0.5) * 0.8;
    let humidity = 44.0 + weather(1) * 17.0 + winter * 16.0 - 2.4 * (temperature - mean) + (draws[11] - 0.5) * 4.0;

    // Air that does not move keeps what the traffic puts into it, above all in winter.
    let still = between(today.draws[2], today.tomorrow[2], hours / 24.0);
    let stagnation = 0.45 + still * still * (0.9 + winter * 0.9);
    let dirt = (0.12 + traffic) * stagnation * noise(0, 0.25);
    let spike = if draws[25] < SPIKE_PROBABILITY { 1.6 + draws[24] } else { 1.0 };

    [
        (0.15 + 1.95 * dirt) * noise(1, 0.15),
        (650.0 + 1450.0 * dirt / (dirt + 2.0)) * noise(2, 0.05),
        (12.0 + 140.0 * dirt * (0.8 + 0.15 * dirt)) * noise(3, 0.2),
        (0.2 + 8.6 * dirt * (0.8 + 0.12 * dirt)) * noise(4, 0.1),
        (400.0 + 1850.0 * dirt / (dirt + 2.3)) * noise(4, 0.04),
        (8.0 + 165.0 * dirt * (0.45 + 1.25 * winter)) * noise(5, 0.2) * spike,
        (300.0 + 1500.0 / (1.0 + 1.5 * dirt)) * noise(6, 0.06),
        (10.0 + 330.0 * dirt / (dirt + 2.2)) * noise(7, 0.12),
        (840.0 + 23.0 * temperature.max(0.0) + 420.0 * dirt / (dirt + 1.5)) * noise(8, 0.05),
        (230.0 + 2000.0 * dirt / (dirt + 1.7)) * noise(9, 0.12),
        temperature,
        humidity,
        vapour(temperature, humidity.clamp(FIELD_SHAPES[11].1, FIELD_SHAPES[11].2)),
    ]
}

fn is_absent(field: usize, absent: MissingSensors) -> bool {
    match field {
        0 => absent.co,
        2 => absent.nmhc,
        5 | 7 => absent.nox,
        _ => absent.sensors,
    }
}

/// A value with the decimals and within the range of its field. The quotient of an integer and a power of ten is exactly what
/// its decimal text parses to.
fn quantise(value: f64, field: usize) -> f64 {
    let (decimals, least, most) = FIELD_SHAPES[field];
    let scale = f64::from(10_u32.pow(decimals));
    (value.clamp(least, most) * scale).round() / scale
}

/// A number that is impossible for a field.
pub(super) fn impossible(field: usize) -> f64 {
    match field {
        10 => -95.5,
        11 => 250.0,
        _ => FIELD_SHAPES[field].2 * 100.0,
    }
}

/// The decimals of a field.
pub(super) fn decimals(field: usize) -> usize {
    FIELD_SHAPES[field].0 as usize
}
