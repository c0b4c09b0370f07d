//! Days coloured by a share.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::printable;
use jiff::civil::Date;
use kuva::plot::ColorMap;
use kuva::plot::calendar::{CalendarAgg, CalendarPlot};
use kuva::render::render::{Primitive, Scene, render_calendar};

use super::frame::Frame;
use super::ink::{MISSING, Shade};
use super::time_axis::{date, seconds};
use crate::numbers::{counted, percent};

/// Rows of a year, or of half a year: enough for a decade of data, and a date that is wrong by far does not fill a page.
const MAX_ROWS: usize = 10;

/// Days with a text of their own, each of about a hundred bytes.
const MAX_TIPS: usize = 800;

/// Days coloured by a share from 0 to 1: a row of weeks for each year, or half year in [`Frame::half`]. Each day is the
/// time of any moment of it (milliseconds since 1970, UTC); of several shares for one day the last counts. Days without
/// one stay grey. `what` says what the share is of: `of the readings are there`.
#[must_use]
pub fn calendar(frame: Frame<'_>, shade: Shade, what: &str, days: &[(i64, f64)]) -> String {
    let what = printable::line(what);
    let days: BTreeMap<String, f64> = days
        .iter()
        .filter(|(_, share)| share.is_finite())
        .filter_map(|(time_ms, share)| Some((date(seconds(*time_ms)?), share.clamp(0.0, 1.0))))
        .collect();
    let (rows, left_out) = rows(&days, frame.width() < 600.0);
    let Some((_, first, _)) = rows.first() else {
        return frame.empty("no days yet");
    };
    let days: Vec<(String, f64)> = days.into_iter().filter(|(day, _)| day >= first).collect();
    let percents = days.iter().map(|(day, share)| (day.clone(), share * 100.0));
    let plot = CalendarPlot::new()
        .with_data(percents)
        .with_aggregation(CalendarAgg::Max)
        .with_value_range(0.0, 100.0)
        .with_color_map(ColorMap::Custom(Arc::new(move |place: f64| shade.word(place - 1e-9).into())))
        .with_missing_color(MISSING)
        .with_zero_color(shade.word(0.0))
        .with_legend_label(format!("% {what}"))
        .with_periods(rows);
    // The size of a calendar is that of its days.
    let mut layout = frame.layout((0.0, 1.0), (0.0, 1.0));
    (layout.width, layout.height) = (None, None);
    let mut scene = render_calendar(plot, layout);
    if days.len() <= MAX_TIPS {
        name_days(&mut scene, &days);
    } else {
        join_days(&mut scene);
    }
    let about = about(&days, &what, left_out);
    frame.write(&scene, &about)
}

/// A row for each year or half year with data, the latest ones.
fn rows(days: &BTreeMap<String, f64>, halves: bool) -> (Vec<(String, String, String)>, usize) {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    for day in days.keys() {
        let Ok(day) = day.parse::<Date>() else { continue };
        let year = day.year();
        let row = match (halves, day.month()) {
            (false, _) => (format!("{year}"), format!("{year:04}-01-01"), format!("{year:04}-12-31")),
            (true, ..=6) => (format!("{year}"), format!("{year:04}-01-01"), format!("{year:04}-06-30")),
            (true, _) => (format!("{year}"), format!("{year:04}-07-01"), format!("{year:04}-12-31")),
        };
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    (rows.split_off(left_out), left_out)
}

/// kuva leaves the date of each day to its script: to a title instead.
fn name_days(scene: &mut Scene, days: &[(String, f64)]) {
    let shares: BTreeMap<&str, f64> = days.iter().map(|(day, share)| (day.as_str(), *share)).collect();
    for element in &mut scene.elements {
        if let Primitive::GroupStart { title, extra_attrs: Some(attributes), .. } = element {
            let day = attributes.split_once("data-date=\"").and_then(|(_, rest)| rest.split_once('"'));
            let share = day.and_then(|(day, _)| Some((day, shares.get(day)?)));
            *title = share.map(|(day, share)| format!("{day}: {}", percent(*share)));
        }
    }
}

/// Days of one colour stand together, and so share a path.
fn join_days(scene: &mut Scene) {
    let color = |element: &Primitive| match element {
        Primitive::Rect { fill, .. } => fill.to_svg_string(),
        _ => String::new(),
    };
    scene.elements.sort_by_cached_key(color);
}

fn about(days: &[(String, f64)], what: &str, left_out: usize) -> String {
    let (Some((first, _)), Some((last, _))) = (days.first(), days.last()) else { return String::new() };
    let mut text = format!("{} from {first} to {last}. ", counted(days.len() as u64, "day"));
    let mean = days.iter().map(|(_, share)| share).sum::<f64>() / days.len() as f64;
    text += &format!("On average {} {what}. ", percent(mean));
    let lowest = days.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let highest = days.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    if let (Some((low_day, low)), Some((high_day, high))) = (lowest, highest) {
        text += &format!("Lowest {} on {low_day}, highest {} on {high_day}.", percent(*low), percent(*high));
    }
    if left_out > 0 {
        text += &format!(" Not drawn: {}.", counted(left_out as u64, "earlier row"));
    }
    text
}
