//! Each series by itself: its course, its profiles, its distribution.

use aqpipe_engine::record::Flag;
use maud::{Markup, html};

use super::budget::Budget;
use super::part::{picture, rest, small_picture, table};
use super::text::{count, name, number, station};
use crate::pictures::{Frame, Limit, Mark, Reading, Step, histogram, profile, series};
use crate::report::model::{Course, DataReport, Profiles, SeriesReport};
use crate::report::origin::Threshold;
use crate::report::values::{Distribution, ProfilePoint};

/// Rows of the table of distributions.
const ROWS_MAX: usize = 60;
/// What the band of a profile is.
const BAND: &str = "25 % to 75 %";
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The table of all distributions.
pub(super) fn distributions(budget: &mut Budget, data: &DataReport) -> Markup {
    let known: Vec<(&SeriesReport, &Distribution)> =
        data.series.iter().filter_map(|series| Some((series, series.distribution.as_ref()?))).collect();
    let rows: Vec<Vec<String>> = known
        .iter()
        .take(ROWS_MAX)
        .map(|(series, one)| {
            let unit = data.origin.units.get(&series.field).map_or_else(String::new, |unit| name(unit));
            let mut row = vec![station(series.station.as_deref()), name(&series.field), unit, count(one.count)];
            let numbers = [
                one.mean,
                one.standard_deviation,
                one.min,
                one.p05,
                one.p25,
                one.median,
                one.p75,
                one.p95,
                one.p98,
                one.max,
            ];
            row.extend(numbers.map(number));
            row
        })
        .collect();
    let head = [
        "Station",
        "Field",
        "Unit",
        "Observed",
        "Mean",
        "Standard deviation",
        "Least",
        "5 %",
        "25 %",
        "Median",
        "75 %",
        "95 %",
        "98 %",
        "Greatest",
    ];
    html! {
        p {
            "Of observed values, those that failed a test among them. Quantiles are exact for series of up to 1,024 different values, and close for "
            "others: those of a t-digest."
        }
        (table(budget, "Distributions of observed values", &head, &[0, 1, 2], &rows))
        (rest(ROWS_MAX, known.len(), "series"))
    }
}

/// A series with its pictures; `None` where there is no room for any.
pub(super) fn detail(
    budget: &mut Budget,
    id: &str,
    one: &SeriesReport,
    unit: Option<&str>,
    thresholds: &[Threshold],
) -> Option<Markup> {
    let limits = limits(thresholds, &one.field);
    let (course, profiles) = (one.course.as_ref()?, one.profiles.as_ref()?);
    let title = title(one);
    let mut pictures = Vec::new();
    pictures.push((
        "full",
        "Course: the least and the greatest of each stretch",
        draw_course(&title, unit, course, &limits),
    ));
    if let Some(distribution) = &one.distribution {
        pictures.push(("half", "Distribution", draw_distribution(&title, unit, distribution)));
    }
    pictures.extend(draw_profiles(&title, unit, profiles));
    let size: usize = pictures.iter().map(|(_, _, svg)| svg.len()).sum();
    // A series is shown whole or not at all.
    let mut own = Budget::new(size);
    budget.take(" ".repeat(size))?;
    let half = pictures.iter().skip(1);
    Some(html! {
        section.series id=(id) {
            h3 { (title) }
            @for (_, caption, svg) in pictures.iter().take(1) { (picture(&mut own, caption, svg)) }
            @if !limits.is_empty() {
                p { "Limits: " (limits.iter().map(|limit| limit.name.as_str()).collect::<Vec<_>>().join(", ")) ". Those far from all values are not drawn." }
            }
            div.pair { @for (_, caption, svg) in half { (small_picture(&mut own, caption, svg)) } }
        }
    })
}

/// What a series is called.
pub(super) fn title(one: &SeriesReport) -> String {
    match &one.station {
        Some(key) => format!("{} at {}", name(&one.field), name(key)),
        None => name(&one.field),
    }
}

/// The bounds of a field, each with what it means.
fn limits(thresholds: &[Threshold], field: &str) -> Vec<Limit> {
    let own = thresholds.iter().filter(|one| one.field == field);
    let bounds = own.flat_map(|one| {
        let bound = |value: Option<f64>, name: &str, fails: bool| {
            value.map(|value| Limit { value, name: format!("{name} {}", number(value)), fails })
        };
        [
            bound(one.min, "fail below", true),
            bound(one.suspect_min, "suspect below", false),
            bound(one.suspect_max, "suspect above", false),
            bound(one.max, "fail above", true),
        ]
    });
    bounds.flatten().collect()
}

fn draw_course(title: &str, unit: Option<&str>, course: &Course, limits: &[Limit]) -> String {
    let mut readings = Vec::with_capacity(course.bins.len() * 2);
    let half_ms = (course.bin_seconds * 500.0) as i64;
    for bin in &course.bins {
        let time_ms = bin.time.0 / 1_000;
        let mut push =
            |time_ms: i64, value: f64, mark: Mark| readings.push(Reading { time_ms, value: Some(value), mark });
        push(time_ms, bin.min, Mark::Observed);
        if bin.count > 1 {
            push(time_ms.saturating_add(half_ms), bin.max, Mark::Observed);
        }
        if let Some((value, flag)) = bin.furthest_flagged {
            push(time_ms, value, if flag == Flag::Fail { Mark::Fail } else { Mark::Suspect });
        }
    }
    series(Frame::full(title), unit, &readings, limits)
}

fn draw_distribution(title: &str, unit: Option<&str>, distribution: &Distribution) -> String {
    let bars = &distribution.histogram;
    let ends = bars.last().map(|bar| bar.to);
    let edges: Vec<f64> = bars.iter().map(|bar| bar.from).chain(ends).collect();
    let counts: Vec<u64> = bars.iter().map(|bar| bar.count.round() as u64).collect();
    histogram(Frame::half(title), unit, &edges, &counts)
}

fn draw_profiles(title: &str, unit: Option<&str>, profiles: &Profiles) -> Vec<(&'static str, &'static str, String)> {
    let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
    let hours: Vec<&str> = hours.iter().map(String::as_str).collect();
    let all: [(&'static str, &[&str], &[ProfilePoint]); 3] = [
        ("By hour of the day: the median, and the middle half", &hours, &profiles.diurnal),
        ("By day of the week", &WEEKDAYS, &profiles.weekly),
        ("By month", &MONTHS, &profiles.monthly),
    ];
    let draw = |names: &[&str], points: &[ProfilePoint]| {
        let step = |(name, point): (&&str, &ProfilePoint)| Step {
            name: (*name).to_owned(),
            middle_low_high: point
                .median
                .zip(point.p25)
                .zip(point.p75)
                .map(|((middle, low), high)| (middle, low, high)),
        };
        profile(Frame::half(title), unit, BAND, &names.iter().zip(points).map(step).collect::<Vec<_>>())
    };
    all.into_iter().map(|(caption, names, points)| ("half", caption, draw(names, points))).collect()
}
