//! What a station measures at a moment. Additions, multiplications and divisions alone, which every machine rounds
//! alike, so that the same seed gives the same readings everywhere.

/// The fields of the UCI Air Quality data set, in its order.
pub(super) const FIELDS: [&str; 13] = [
    "CO(GT)",
    "PT08.S1(CO)",
    "NMHC(GT)",
    "C6H6(GT)",
    "PT08.S2(NMHC)",
    "NOx(GT)",
    "PT08.S3(NOx)",
    "NO2(GT)",
    "PT08.S4(NO2)",
    "PT08.S5(O3)",
    "T",
    "RH",
    "AH",
];

/// Traffic by hour of the day, a working day's mean being 1.
const TRAFFIC: [f64; 24] = [
    0.7, 0.5, 0.35, 0.25, 0.25, 0.35, 0.7, 1.4, 1.8, 1.5, 1.2, 1.1, 1.1, 1.1, 1.0, 1.05, 1.2, 1.5, 1.9, 1.95, 1.6, 1.1,
    0.9, 0.8,
];
/// Warmth by hour of the day, -1 to 1.
const WARMTH: [f64; 24] = [
    -0.6, -0.7, -0.8, -0.9, -1.0, -1.0, -0.9, -0.6, -0.2, 0.2, 0.5, 0.7, 0.9, 1.0, 1.0, 0.9, 0.8, 0.6, 0.3, 0.1, -0.1,
    -0.2, -0.4, -0.5,
];
/// After so many readings the hydrocarbon analyser stops for good.
const NMHC_READINGS: u64 = 1100;

/// The readings of one moment.
pub(super) struct Readings {
    values: [f64; 13],
    missing: u16,
}

impl Readings {
    /// The readings of a station at a minute of its own clock (since 1970), its `index`-th ones.
    pub(super) fn at(seed: u64, station: u64, minute: i64, index: u64) -> Readings {
        let seed = mix(seed ^ mix(station.wrapping_mul(0x9e37)));
        let (day, hour) = (minute.div_euclid(1440), (minute.rem_euclid(1440) / 60) as usize);
        let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
        let season = summer(day);
        let noise = |what: u64, spread: f64| 1.0 + (chance(seed, minute as u64, what) - 0.5) * spread;
        let weather = |what: u64| between(seed, day, hour, what);

        let still = 0.45 + 1.3 * weather(1);
        let spike = if chance(seed, minute as u64, 50) < 0.004 { 2.2 } else { 1.0 };
        let p = TRAFFIC[hour] * if weekend { 0.65 } else { 1.0 } * still * spike;
        let cold = 1.5 - season;
        let t = 17.5 + 12.0 * (season - 0.5) + 5.5 * WARMTH[hour] + 9.0 * (weather(2) - 0.5);
        let rh = (52.0 - 1.1 * (t - 17.5) + 36.0 * (weather(3) - 0.5)).clamp(9.0, 89.0);
        let values = [
            tenths(1.9 * p * noise(10, 0.4)),
            whole(720.0 + 310.0 * p * noise(11, 0.2)),
            whole(190.0 * p * noise(12, 0.5)),
            tenths(9.0 * p * noise(13, 0.3)),
            whole(520.0 + 360.0 * p * noise(14, 0.2)),
            whole(250.0 * p * cold * noise(15, 0.5)),
            whole(1500.0 / (0.75 + p) * noise(16, 0.2)),
            whole(45.0 + 62.0 * p * (0.5 + 0.5 * cold) * noise(17, 0.3)),
            whole(950.0 + 420.0 * p * (0.6 + 0.4 * season) * noise(18, 0.2)),
            whole(540.0 + 430.0 * p * cold * noise(19, 0.3)),
            tenths(t),
            tenths(rh),
            ten_thousandths(
                rh / 100.0 * (0.5 + 0.02 * (t + 5.0).max(0.0) + 0.0022 * (t + 5.0).max(0.0) * (t + 5.0).max(0.0)),
            ),
        ];
        Readings { values, missing: missing(seed, day, hour, index) }
    }

    /// A field's value, where there is one.
    pub(super) fn get(&self, field: usize) -> Option<f64> {
        (self.missing >> field & 1 == 0).then(|| self.values[field])
    }
}

/// Which fields are missing, a bit each, with the structure that real stations show: sensors fail together, analysers
/// one by one, for days, or each night while they are calibrated.
fn missing(seed: u64, day: i64, hour: usize, index: u64) -> u16 {
    const SENSORS: u16 = 0b1_1111_0101_1010;
    let mut missing = 0;
    let block = |length: i64, what: u64| chance(seed, day.div_euclid(length) as u64, what);
    if block(3, 60) < 0.03 || chance(seed, (day * 24 + hour as i64) as u64, 61) < 0.004 {
        missing |= SENSORS;
    }
    if index >= NMHC_READINGS || chance(seed, (day * 24 + hour as i64) as u64, 62) < 0.05 {
        missing |= 1 << 2;
    }
    if block(7, 63) < 0.13 || (hour == 3 && chance(seed, day as u64, 64) < 0.93) {
        missing |= 1 << 5 | 1 << 7;
    }
    if block(7, 65) < 0.14 || (hour == 4 && chance(seed, day as u64, 66) < 0.54) {
        missing |= 1;
    }
    missing
}

/// How much it is summer, 0 in mid-January to 1 in mid-July, by straight lines.
fn summer(day: i64) -> f64 {
    let of_year = (day as f64 - 14.0) - (((day as f64 - 14.0) / 365.25).floor() * 365.25);
    let half = of_year / 182.625;
    if half <= 1.0 { half } else { 2.0 - half }
}

/// Something that changes from day to day, 0 to 1, by straight lines between them.
fn between(seed: u64, day: i64, hour: usize, what: u64) -> f64 {
    let share = hour as f64 / 24.0;
    chance(seed, day as u64, what) * (1.0 - share) + chance(seed, day.wrapping_add(1) as u64, what) * share
}

/// A number from 0 up to 1 that depends on all three and on nothing else.
pub(super) fn chance(seed: u64, moment: u64, what: u64) -> f64 {
    let bits = mix(seed.wrapping_add(mix(moment.wrapping_add(mix(what)))));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64's mixing function (G. L. Steele, D. Lea, C. H. Flood, *Fast splittable pseudorandom number generators*,
/// OOPSLA 2014): a record is a function of its number, which a sequence of random numbers would not give.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn whole(value: f64) -> f64 {
    value.round()
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn ten_thousandths(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
