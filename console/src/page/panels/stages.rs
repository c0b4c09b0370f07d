//! What each stage does, and the time that it takes.

use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, html};

use crate::numbers::{duration, percent};
use crate::page::model::View;
use crate::page::parts::{Tone, cell, cell_of, head, more, row_head, scroll};

/// A pipeline that a person has written has fewer.
const ROWS_MAX: usize = 100;

/// Rows in and out of each stage, and its share of the time of all.
pub(super) fn stages(pipeline: &PipelineStatus, _: &View) -> Markup {
    if pipeline.stages.is_empty() {
        return html! { p.note { "No stage has run yet." } };
    }
    let all: f64 = pipeline.stages.iter().map(|stage| stage.seconds).sum();
    let shown = &pipeline.stages[..pipeline.stages.len().min(ROWS_MAX)];
    let table = html! {
        table {
            thead {
                tr {
                    th scope="col" { "Stage" }
                    (head("Rows in")) (head("Rows out")) (head("Dead letters")) (head("Filtered")) (head("Made")) (head("Merged"))
                    (head("Time")) th scope="col" { "Share of time" }
                }
            }
            tbody {
                @for stage in shown {
                    @let share = if all > 0.0 { stage.seconds / all } else { 0.0 };
                    tr {
                        (row_head(&stage.stage))
                        (cell(stage.rows_in))
                        (cell(stage.rows_out))
                        (cell_of(Tone::Bad, stage.dead_letters))
                        (cell(stage.filtered))
                        (cell(stage.made))
                        (cell(stage.merged))
                        td.n { (duration(stage.seconds)) }
                        td.share { meter value=(format!("{share:.3}")) { (percent(share)) } " " (percent(share)) }
                    }
                }
            }
        }
    };
    html! {
        p.caption { "Rows count at once, committed or not. The time is that of all threads together; of the source it is the processor time, for it waits for records." }
        (scroll("s-stages", "Stages", &table))
        (more(pipeline.stages.len(), shown.len(), "stage"))
    }
}
