//! Curves of days and years as tables, which are the same on every machine, as a sine is not.

/// Traffic by the hour on working days, about 1 on average over the day.
pub(super) const WORKDAY: [f64; 24] = [
    0.45, 0.30, 0.20, 0.15, 0.18, 0.35, 0.80, 1.60, 2.10, 1.75, 1.35, 1.15, 1.10, 1.15, 1.05, 1.05, 1.20, 1.55, 2.05,
    2.10, 1.65, 1.15, 0.85, 0.65,
];
/// Traffic by the hour at week-ends.
pub(super) const WEEKEND: [f64; 24] = [
    0.75, 0.65, 0.50, 0.35, 0.25, 0.22, 0.28, 0.40, 0.60, 0.80, 0.95, 1.05, 1.05, 0.90, 0.75, 0.75, 0.85, 1.05, 1.30,
    1.40, 1.25, 1.05, 0.90, 0.85,
];
/// How far from the day's mean the temperature is by the hour: -1 to 1.
pub(super) const WARMTH: [f64; 24] = [
    -0.55, -0.62, -0.70, -0.78, -0.86, -0.94, -0.96, -0.80, -0.45, -0.05, 0.32, 0.62, 0.82, 0.95, 1.00, 0.96, 0.82,
    0.58, 0.30, 0.05, -0.14, -0.28, -0.38, -0.47,
];
/// Mean temperature in the middle of each month, °C.
pub(super) const MONTH_MEAN: [f64; 12] = [8.0, 8.5, 12.0, 15.5, 20.0, 25.0, 28.0, 28.0, 23.5, 19.5, 13.5, 9.5];
/// How much of a winter the middle of each month is: 0 to 1.
pub(super) const WINTER: [f64; 12] = [1.0, 0.9, 0.65, 0.4, 0.2, 0.1, 0.05, 0.0, 0.25, 0.6, 0.9, 1.0];
/// Pressure of saturated water vapour in kPa at -10, -5, … 50 °C.
pub(super) const SATURATED: [f64; 13] =
    [0.286, 0.421, 0.611, 0.872, 1.228, 1.705, 2.339, 3.169, 4.246, 5.627, 7.384, 9.594, 12.35];

/// Interpolates between two values.
pub(super) fn between(from: f64, to: f64, share: f64) -> f64 {
    from + (to - from) * share
}

/// The interpolated value of a periodic table, at a place such as 17.25.
pub(super) fn around<const N: usize>(table: &[f64; N], place: f64) -> f64 {
    let whole = place.floor();
    let index = whole as usize % N;
    between(table[index], table[(index + 1) % N], place - whole)
}

/// Water vapour in kPa at a temperature (°C) and a relative humidity (%): what the data set calls absolute humidity.
pub(super) fn vapour(temperature: f64, humidity: f64) -> f64 {
    let place = ((temperature + 10.0) / 5.0).clamp(0.0, 11.999);
    let index = place.floor() as usize;
    between(SATURATED[index], SATURATED[index + 1], place - place.floor()) * humidity / 100.0
}
