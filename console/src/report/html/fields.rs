//! Flags, tests and fills by field.

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{rest, small_picture, table};
use super::text::{count, name, percent};
use crate::pictures::{Bar, Frame, HeatCell, Shade, heat_map, stacked_bars};
use crate::report::model::{DataReport, FieldReport};

/// Fields of the table.
const ROWS_MAX: usize = 60;
/// The test that whatever is read undergoes.
const SYNTAX: &str = "syntax";
/// Fields of a picture.
const DRAWN_MAX: usize = 40;

/// The section.
pub(super) fn fields(budget: &mut Budget, data: &DataReport) -> Markup {
    let rows: Vec<Vec<String>> = data.fields.iter().take(ROWS_MAX).map(row).collect();
    let head = [
        "Field",
        "Cells",
        "Observed",
        "Filled",
        "Unreadable",
        "Emptied",
        "Missing",
        "Good",
        "Suspect",
        "Fail",
        "Not checked",
        "No value",
    ];
    html! {
        p {
            "Each cell is observed, filled, unreadable (something stood there that is no number), emptied by a test, or missing. The QARTOD flags "
            "on the right are of all cells: a fill is not checked unless a test looked at it."
        }
        (table(budget, "Cells by field", &head, &[0], &rows))
        (rest(ROWS_MAX, data.fields.len(), "field"))
        (tests(budget, data))
        (fills(budget, data))
    }
}

fn row(field: &FieldReport) -> Vec<String> {
    let cells = &field.cells;
    let flag = |name: &str| count(field.flags.get(name).copied().unwrap_or(0));
    let counts = [cells.observed, cells.filled, cells.unreadable, cells.emptied, cells.missing];
    let mut row = vec![name(&field.field), count(cells.cells())];
    row.extend(counts.map(count));
    row.extend(["good", "suspect", "fail", "unknown", "missing"].map(flag));
    row
}

fn tests(budget: &mut Budget, data: &DataReport) -> Markup {
    let mut tests: Vec<&str> = data.fields.iter().flat_map(|field| field.tests.keys()).map(String::as_str).collect();
    tests.sort_unstable();
    tests.dedup();
    if tests.is_empty() {
        return html! { p { "No test objected to any value." } };
    }
    // Those that looked and never objected are of interest beside the others.
    tests.extend(data.origin.tests());
    tests.sort_unstable();
    tests.dedup();
    let shown: Vec<&FieldReport> = data.fields.iter().take(DRAWN_MAX).collect();
    let names: Vec<&str> = shown.iter().map(|field| field.field.as_str()).collect();
    let others = tests.iter().filter(|test| **test != SYNTAX).count();
    let cell = |field: &FieldReport, test: &str| {
        let count = field.tests.get(test).copied().unwrap_or(0);
        let share = count as f64 / field.cells.cells().max(1) as f64;
        (count > 0 || is_tested(data, field, test, others)).then_some(HeatCell { count, share })
    };
    let cells: Vec<Option<HeatCell>> =
        shown.iter().flat_map(|field| tests.iter().map(|test| cell(field, test))).collect();
    let svg = heat_map(Frame::half("Objections of tests"), Shade::Worse, &names, &tests, &cells);
    let rows: Vec<Vec<String>> = data
        .fields
        .iter()
        .flat_map(|field| field.tests.iter().map(move |(test, number)| (field, test, *number)))
        .take(ROWS_MAX)
        .map(|(field, test, number)| {
            let share = percent(number as f64 / field.cells.cells().max(1) as f64);
            vec![name(&field.field), name(test), count(number), share]
        })
        .collect();
    html! {
        div.pair {
            div {
                (small_picture(budget, "Which test objected to which field", &svg))
                p { "0: the test looked at the field and never objected. ·: nothing says that it looked at it." }
            }
            (table(budget, "Objections of tests", &["Field", "Test", "Cells", "Share"], &[0, 1], &rows))
        }
    }
}

/// Whether a test that did not object looked at a field: as the pipeline says it, or as flags do. Whatever is read is tested for its
/// syntax; and where there is but one other test, it gave the flags.
fn is_tested(data: &DataReport, field: &FieldReport, test: &str, others: usize) -> bool {
    let flagged = ["good", "suspect", "fail"].iter().filter_map(|flag| field.flags.get(flag)).sum::<u64>();
    let unread = u64::from(field.cells.unreadable);
    let is_the_one = others == 1 && flagged > unread;
    test == SYNTAX || data.origin.is_tested(test, &field.field).unwrap_or(is_the_one)
}

fn fills(budget: &mut Budget, data: &DataReport) -> Markup {
    let mut methods: Vec<&str> = data.fields.iter().flat_map(|field| field.fills.keys()).copied().collect();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() {
        return html! { p { "No value was filled." } };
    }
    let of = |field: &FieldReport, method: &str| field.fills.get(method).copied().unwrap_or(0);
    let shown = data.fields.iter().filter(|field| !field.fills.is_empty()).take(DRAWN_MAX);
    let bars: Vec<Bar<'_>> = shown
        .map(|field| Bar {
            name: &field.field,
            values: methods.iter().map(|method| of(field, method) as f64).collect(),
        })
        .collect();
    let words: Vec<String> = methods.iter().map(|method| method.replace('_', " ")).collect();
    let parts: Vec<&str> = words.iter().map(String::as_str).collect();
    let svg = stacked_bars(Frame::half("Fills by field"), "filled values", &parts, &bars);
    let head: Vec<&str> = std::iter::once("Field").chain(parts.iter().copied()).collect();
    let filled = data.fields.iter().filter(|field| !field.fills.is_empty()).take(ROWS_MAX);
    let rows: Vec<Vec<String>> = filled
        .map(|field| {
            let counts = methods.iter().map(|method| count(of(field, method)));
            std::iter::once(name(&field.field)).chain(counts).collect()
        })
        .collect();
    html! {
        div.pair {
            (small_picture(budget, "Values by how they were filled", &svg))
            (table(budget, "Fills by field and method", &head, &[0], &rows))
        }
    }
}
