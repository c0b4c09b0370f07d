//! Partitions and files.

use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, html};

use crate::numbers::count;
use crate::page::model::View;
use crate::page::parts::{cell, head, more, row_head, scroll};

/// Rows of the table: those with the most lag.
const ROWS_MAX: usize = 50;

/// What was read and committed of each split, and what waits there.
pub(super) fn splits(pipeline: &PipelineStatus, _: &View) -> Markup {
    if pipeline.splits.is_empty() {
        return html! { p.note { "No partition or file is open yet." } };
    }
    let mut shown: Vec<_> = pipeline.splits.iter().collect();
    if shown.len() > ROWS_MAX {
        shown.sort_by_key(|split| std::cmp::Reverse(split.lag));
        shown.truncate(ROWS_MAX);
    }
    let table = html! {
        table {
            thead { tr { th scope="col" { "Partition or file" } (head("Lag")) (head("Read")) (head("Committed")) (head("Held")) th scope="col" { "State" } } }
            tbody {
                @for split in &shown {
                    tr {
                        (row_head(&split.split))
                        td.n { @match split.lag { Some(lag) => (count(lag)), None => span.zero { "not known" } } }
                        (cell(split.read))
                        (cell(split.committed.read))
                        (cell(split.held))
                        td { @if split.is_open { "open" } @else { span.zero { "closed" } } }
                    }
                }
            }
        }
    };
    html! {
        (scroll("s-lag", "Lag by partition", &table))
        (more(pipeline.splits.len(), shown.len(), "split"))
    }
}
