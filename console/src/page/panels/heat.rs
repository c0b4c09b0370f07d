//! What fails where: fields × tests.

use aqpipe_engine::monitor::{FieldStatus, PipelineStatus};
use maud::{Markup, PreEscaped, html};

use crate::numbers::{counted, percent};
use crate::page::model::View;
use crate::page::parts::{Tone, cell, cell_of, fold, head, more, plain, row_head, scroll};
use crate::pictures::{Frame, HeatCell, Shade, heat_map};

/// Fields of the picture, and rows of the table below it.
const FIELDS_MAX: usize = 40;
const ROWS_MAX: usize = 200;

/// The heat map, with the numbers in a table below it.
pub(super) fn heat(pipeline: &PipelineStatus, _: &View) -> Markup {
    let mut tests: Vec<&str> = Vec::new();
    for test in pipeline.fields.iter().flat_map(|field| &field.tests) {
        if !tests.contains(&test.test.as_str()) {
            tests.push(&test.test);
        }
    }
    if pipeline.fields.iter().flat_map(|field| &field.tests).all(|test| test.suspect + test.fail == 0) {
        return html! { p.note { "No test has objected to a value so far." } };
    }
    // With many fields those that fail most are of interest, in the order of the pipeline.
    let mut fields: Vec<&FieldStatus> = pipeline.fields.iter().collect();
    if fields.len() > FIELDS_MAX {
        fields.sort_by_key(|field| std::cmp::Reverse(field.fail + field.suspect));
        fields.truncate(FIELDS_MAX);
    }
    let names: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    let cells: Vec<Option<HeatCell>> =
        fields.iter().flat_map(|field| tests.iter().map(|test| heat_cell(field, test))).collect();
    let frame = Frame::half("Values to which tests objected, by field and test");
    html! {
        (PreEscaped(heat_map(frame, Shade::Worse, &names, &tests, &cells)))
        p.note {
            "Suspect and failed values. The colour is their share of the cells of the field: the palest up to 0.1 %, the strongest \
             above half. 0: the test looks at the field and did not object. ·: it does not look at it."
        }
        (more(pipeline.fields.len(), fields.len(), "field"))
        (fold("d-heat", "As a table", &table(&fields)))
    }
}

/// The test that whatever is read undergoes.
const SYNTAX: &str = "syntax";

/// A status names the tests that look at a field, though they have not objected.
fn heat_cell(field: &FieldStatus, test: &str) -> Option<HeatCell> {
    let found = field.tests.iter().find(|one| one.test == test);
    let count = found.map_or(0, |test| test.suspect + test.fail);
    let cell = HeatCell { count, share: count as f64 / field.cells().max(1) as f64 };
    (found.is_some() || test == SYNTAX).then_some(cell)
}

fn table(fields: &[&FieldStatus]) -> Markup {
    let rows = fields.iter().flat_map(|field| field.tests.iter().map(move |test| (field, test))).take(ROWS_MAX);
    let table = html! {
        table {
            thead { tr { th scope="col" { "Field" } th scope="col" { "Test" } (head("Suspect")) (head("Fail")) (head("Of cells")) (head("Share")) } }
            tbody {
                @for (field, test) in rows {
                    tr {
                        (row_head(&field.field))
                        td { (plain(&test.test)) }
                        (cell_of(Tone::Warn, test.suspect))
                        (cell_of(Tone::Bad, test.fail))
                        (cell(field.cells()))
                        td.n { (percent((test.suspect + test.fail) as f64 / field.cells().max(1) as f64)) }
                    }
                }
            }
        }
        p.note { (counted(fields.len() as u64, "field")) "." }
    };
    scroll("s-heat", "Values to which tests objected", &table)
}
