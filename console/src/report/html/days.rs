//! Days: the calendar, scores over time, the worst days.

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{picture, small_picture, table};
use super::text::{NONE, count, counted, name, number, percent, percent_or_none};
use crate::pictures::{Frame, Line, Scale, Shade, calendar, histogram, trend};
use crate::report::civil::Day;
use crate::report::model::DataReport;
use crate::report::scores::ScoreSummary;

/// The calendar and the worst days.
pub(super) fn days(budget: &mut Budget, data: &DataReport) -> Markup {
    let shares: Vec<(i64, f64)> =
        data.days.iter().filter_map(|(day, report)| Some((noon_millis(*day), report.capture?))).collect();
    let svg =
        calendar(Frame::full("Calendar of data capture"), Shade::Better, "of the expected readings are valid", &shares);
    let rows: Vec<Vec<String>> = data
        .worst_days
        .iter()
        .map(|worst| {
            vec![
                worst.day.to_string(),
                worst.score.map_or_else(|| NONE.to_owned(), |score| format!("{score:.3}")),
                percent_or_none(worst.capture),
                name_of_reasons(&worst.reasons),
            ]
        })
        .collect();
    html! {
        (picture(budget, "Data capture of all stations and fields by day", &svg))
        @if !rows.is_empty() {
            (table(budget, "Worst days", &["Day", "Mean score", "Data capture", "Reasons"], &[0, 3], &rows))
        }
    }
}

fn name_of_reasons(reasons: &[String]) -> String {
    reasons.iter().map(|reason| aqpipe_engine::printable::line(reason).into_owned()).collect::<Vec<_>>().join("; ")
}

fn noon_millis(day: Day) -> i64 {
    day.start().0 / 1_000 + 43_200_000
}

/// The scores.
pub(super) fn scores(budget: &mut Budget, score: &ScoreSummary) -> Markup {
    let mean: Vec<(i64, Option<f64>)> =
        score.days.iter().map(|(day, one)| (noon_millis(*day), Some(one.mean))).collect();
    let least: Vec<(i64, Option<f64>)> =
        score.days.iter().map(|(day, one)| (noon_millis(*day), Some(one.min))).collect();
    let lines = [Line { name: "mean of the day", points: &mean }, Line { name: "least of the day", points: &least }];
    let svg = trend(Frame::full("Score over time"), Some("score"), Scale::Between(0.0, 1.0), &lines);
    let bars = score.histogram.len();
    let edges: Vec<f64> = (0..=bars).map(|bar| bar as f64 / bars as f64).collect();
    let distribution = histogram(Frame::half("Scores of records"), Some("score"), &edges, &score.histogram);
    html! {
        p {
            "The mean score of " (counted(score.records, "record")) " is " (format!("{:.4}", score.mean)) ", the least "
            (number(score.min)) "; of " (count(score.perfect)) " (" (percent(score.perfect as f64 / score.records.max(1) as f64))
            ") the score is 1: all was observed, and no test objected."
        }
        (picture(budget, "Score over time", &svg))
        div.half { (small_picture(budget, "Distribution of scores", &distribution)) }
    }
}

/// What the section on days is called: a name for the contents.
pub(super) fn title(data: &DataReport) -> String {
    name(if data.score.is_some() { "Days and scores" } else { "Days" })
}
