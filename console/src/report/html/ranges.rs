//! The ranges in force, and what exceeds them.

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{rest, table};
use super::text::{NONE, count, name, number, number_or_none, station, time};
use crate::report::exceedances::Exceedances;
use crate::report::model::{DataReport, SeriesReport};

/// Rows of a table.
const ROWS_MAX: usize = 60;

/// The section.
pub(super) fn ranges(budget: &mut Budget, data: &DataReport) -> Markup {
    let thresholds = data.origin.thresholds();
    if data.origin.made_by.is_none() && data.origin.written_by.is_empty() {
        return html! {
            p {
                "The ranges are not known here: " code { "--pipeline FILE" } " with the pipeline that made these records shows them, its digest, and "
                "the values outside of them."
            }
        };
    }
    if thresholds.is_empty() {
        return html! { p { "The pipeline checks no ranges." } };
    }
    let whose = match &data.origin.made_by {
        Some(made) => format!("Ranges in force, as {} says them now", name(&made.file)),
        None => "Ranges in force, as the data package says them".to_owned(),
    };
    let rows: Vec<Vec<String>> = thresholds
        .iter()
        .take(ROWS_MAX)
        .map(|one| {
            let bounds = [one.min, one.suspect_min, one.suspect_max, one.max].map(number_or_none);
            [name(&one.field), name(&one.stage)].into_iter().chain(bounds).collect()
        })
        .collect();
    let head = ["Field", "Stage", "Fail below", "Suspect below", "Suspect above", "Fail above"];
    html! {
        (table(budget, &whose, &head, &[0, 1], &rows))
        (rest(ROWS_MAX, thresholds.len(), "range"))
        (exceeded(budget, data))
    }
}

fn exceeded(budget: &mut Budget, data: &DataReport) -> Markup {
    let checked: Vec<(&SeriesReport, &Exceedances)> = data
        .series
        .iter()
        .filter_map(|series| Some((series, series.exceedances.as_ref()?)))
        .filter(|(_, one)| one.below + one.above + one.suspect > 0)
        .collect();
    if checked.is_empty() {
        return html! { p { "No observed value lies outside of them." } };
    }
    let rows: Vec<Vec<String>> = checked
        .iter()
        .take(ROWS_MAX)
        .map(|(series, one)| {
            let worst = one.worst.first();
            vec![
                station(series.station.as_deref()),
                name(&series.field),
                worst.map_or_else(|| NONE.to_owned(), |worst| time(worst.time)),
                worst.map_or_else(|| NONE.to_owned(), |worst| number(worst.value)),
                count(one.below),
                count(one.above),
                count(one.suspect),
            ]
        })
        .collect();
    let head = ["Station", "Field", "Furthest outside", "Value", "Below", "Above", "Suspect"];
    html! {
        (table(budget, "Observed values outside of the ranges", &head, &[0, 1, 2], &rows))
        (rest(ROWS_MAX, checked.len(), "series"))
    }
}
