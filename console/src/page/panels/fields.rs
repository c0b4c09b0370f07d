//! What became of the cells of each field.

use std::collections::BTreeSet;

use aqpipe_engine::monitor::{FieldStatus, PipelineStatus};
use maud::{Markup, PreEscaped, html};

use crate::numbers::counted;
use crate::page::model::View;
use crate::page::parts::{Tone, cell, cell_of, head, more, row_head, scroll};
use crate::pictures::{Bar, Frame, stacked_bars};

/// Rows of the table; with more fields, the rest is for programs.
const ROWS_MAX: usize = 60;

/// A table of all fields.
pub(super) fn fields(pipeline: &PipelineStatus, _: &View) -> Markup {
    if pipeline.fields.is_empty() {
        return html! { p.note { "No cell is committed yet." } };
    }
    let shown = &pipeline.fields[..pipeline.fields.len().min(ROWS_MAX)];
    html! {
        p.caption { "Committed cells. A fill is a value that nobody measured: it is never counted as observed." }
        (scroll("s-fields", "Cells by field", &table(shown)))
        (more(pipeline.fields.len(), shown.len(), "field"))
    }
}

fn table(fields: &[FieldStatus]) -> Markup {
    // Limits of detection are rare: their column is there for those who have them.
    let censored = fields.iter().any(|field| field.censored > 0);
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Field" }
                    (head("Observed"))
                    @if censored { (head("Censored")) }
                    (head("Filled")) (head("Unreadable")) (head("Missing"))
                    (head("Good")) (head("Suspect")) (head("Fail")) (head("Not checked"))
                }
            }
            tbody {
                @for field in fields {
                    tr {
                        (row_head(&field.field))
                        (cell(field.observed))
                        @if censored { (cell(field.censored)) }
                        (cell(field.filled.values().sum()))
                        (cell_of(Tone::Bad, field.unreadable))
                        (cell(field.missing))
                        (cell(field.good))
                        (cell_of(Tone::Warn, field.suspect))
                        (cell_of(Tone::Bad, field.fail))
                        (cell(field.not_checked))
                    }
                }
            }
        }
    }
}

/// The fills of each field by method, as a picture.
pub(super) fn fills(pipeline: &PipelineStatus, _: &View) -> Markup {
    let fields = &pipeline.fields[..pipeline.fields.len().min(ROWS_MAX)];
    let methods: BTreeSet<&str> = fields.iter().flat_map(|field| field.filled.keys().map(String::as_str)).collect();
    if methods.is_empty() {
        return html! { p.note { "No cell was filled." } };
    }
    let methods: Vec<&str> = methods.into_iter().collect();
    let filled = fields.iter().filter(|field| field.filled.values().any(|count| *count > 0));
    let bars: Vec<Bar<'_>> = filled
        .map(|field| Bar {
            name: &field.field,
            values: methods.iter().map(|method| field.filled.get(*method).copied().unwrap_or(0) as f64).collect(),
        })
        .collect();
    let all: u64 = fields.iter().flat_map(|field| field.filled.values()).sum();
    html! {
        p.caption { "By method: " (counted(all, "cell")) " filled." }
        (PreEscaped(stacked_bars(Frame::half("Fills by field and method"), "filled cells", &methods, &bars)))
    }
}
