//! Times as people read them, in UTC.

use std::sync::Arc;

use jiff::Timestamp;
use kuva::render::layout::Layout;
use kuva::{DateTimeAxis, DateUnit, TickFormat};

/// The years 1 to 9999: beyond them, calendars of libraries differ, and no reading was taken.
const DRAWN_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A time of a reading as seconds, if it has a place on an axis.
pub(super) fn seconds(time_ms: i64) -> Option<f64> {
    DRAWN_SECONDS.contains(&time_ms.div_euclid(1000)).then_some(time_ms as f64 / 1000.0)
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Steps of an axis with their length in seconds.
const STEPS: [(f64, DateUnit, usize, &str); 21] = [
    (1.0, DateUnit::Second, 1, "%H:%M:%S"),
    (5.0, DateUnit::Second, 5, "%H:%M:%S"),
    (15.0, DateUnit::Second, 15, "%H:%M:%S"),
    (30.0, DateUnit::Second, 30, "%H:%M:%S"),
    (MINUTE, DateUnit::Minute, 1, "%H:%M"),
    (2.0 * MINUTE, DateUnit::Minute, 2, "%H:%M"),
    (5.0 * MINUTE, DateUnit::Minute, 5, "%H:%M"),
    (15.0 * MINUTE, DateUnit::Minute, 15, "%H:%M"),
    (30.0 * MINUTE, DateUnit::Minute, 30, "%H:%M"),
    (HOUR, DateUnit::Hour, 1, "%H:%M"),
    (3.0 * HOUR, DateUnit::Hour, 3, "%H:%M"),
    (6.0 * HOUR, DateUnit::Hour, 6, "%d %b %H:%M"),
    (12.0 * HOUR, DateUnit::Hour, 12, "%d %b %H:%M"),
    (DAY, DateUnit::Day, 1, "%d %b"),
    (2.0 * DAY, DateUnit::Day, 2, "%d %b"),
    (7.0 * DAY, DateUnit::Week, 1, "%d %b"),
    (14.0 * DAY, DateUnit::Week, 2, "%d %b"),
    (30.0 * DAY, DateUnit::Month, 1, "%b %Y"),
    (91.0 * DAY, DateUnit::Month, 3, "%b %Y"),
    (182.0 * DAY, DateUnit::Month, 6, "%b %Y"),
    (365.0 * DAY, DateUnit::Year, 1, "%Y"),
];

/// Puts times on the x axis, from the first to the last of them. Both ends are of [`seconds`].
pub(super) fn with_times(layout: Layout, (from, to): (f64, f64)) -> Layout {
    // A step takes about 90 units with its label.
    let count = (layout.width.unwrap_or(520.0) / 90.0).max(2.0);
    let room = (to - from) / count;
    let axis = match STEPS.iter().find(|(length, ..)| *length >= room) {
        Some((_, unit, step, format)) => DateTimeAxis { unit: unit.clone(), step: *step, format: (*format).into() },
        None => DateTimeAxis::years("%Y").with_step((room / (365.0 * DAY)).ceil() as usize),
    };
    let last = text(to, &axis.format);
    layout
        .with_x_axis_min(from)
        .with_x_axis_max(to)
        .with_x_datetime(axis)
        // Only its width is used, for the right margin.
        .with_x_tick_format(TickFormat::Custom(Arc::new(move |_| last.clone())))
        .with_x_label(format!("{} to {} UTC", minute(from), minute(to)))
}

/// The range of an axis of times; a single one stands in the middle of a minute.
pub(super) fn spread((from, to): (f64, f64)) -> (f64, f64) {
    if to - from >= 1.0 { (from, to) } else { (from - 30.0, to + 30.0) }
}

/// `2004-03-10 18:00`.
pub(super) fn minute(seconds: f64) -> String {
    text(seconds, "%Y-%m-%d %H:%M")
}

/// `2004-03-10`.
pub(super) fn date(seconds: f64) -> String {
    text(seconds, "%Y-%m-%d")
}

fn text(seconds: f64, format: &str) -> String {
    match Timestamp::from_second(seconds.floor() as i64) {
        Ok(time) => time.strftime(format).to_string(),
        Err(_) => "no time".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_calendar_have_no_place() {
        assert_eq!(seconds(i64::MAX), None);
        assert_eq!(seconds(i64::MIN), None);
        assert_eq!(seconds(1_078_941_600_000).map(minute).as_deref(), Some("2004-03-10 18:00"));
    }
}
