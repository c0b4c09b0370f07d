//! The numbers that are asked for most.

use aqpipe_engine::monitor::{Distribution, PipelineStatus};
use maud::{Markup, html};

use crate::numbers::{bytes, count, counted, duration, percent};
use crate::page::model::View;
use crate::page::parts::rate;

/// A row of figures.
pub(super) fn figures(pipeline: &PipelineStatus, _: &View) -> Markup {
    let committed = &pipeline.committed;
    let dead_share = share(committed.dead_letters, committed.read);
    let score = committed.mean_score.map_or_else(|| "none".into(), |score| format!("{score:.3}"));
    let scored = pipeline.scores.as_ref().map_or(0, |scores| scores.count);
    html! {
        h2.unseen { "Figures" }
        dl.figures-row {
            (figure("Read", &rate(pipeline.read_per_second), &format!("{}, {}", counted(pipeline.read, "record"), bytes(pipeline.bytes.read))))
            (figure("Written", &rate(pipeline.written_per_second), &format!("{} committed", count(committed.written))))
            (figure("Lag", &pipeline.lag.map_or_else(|| "not known".into(), count), lag_note(pipeline)))
            (figure("Mean score", &score, &format!("of {}", counted(scored, "record"))))
            (figure("Dead letters", &count(committed.dead_letters), &dead_share))
            (figure("Latency", &latency(&pipeline.processing_latency_seconds), "read to commit, mean"))
        }
        @if let Some(expected) = pipeline.expected.filter(|expected| pipeline.read < *expected) {
            p.progress {
                label for="progress" { (percent(pipeline.read as f64 / expected as f64)) " of " (counted(expected, "expected record")) " read" }
                progress id="progress" value=(pipeline.read.min(expected)) max=(expected) {}
            }
        }
    }
}

fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! { div { dt { (name) } dd.value { (value) } dd.sub { (note) } } }
}

fn lag_note(pipeline: &PipelineStatus) -> &'static str {
    match pipeline.lag {
        Some(_) => "records wait in the source",
        None => "the source does not tell",
    }
}

fn latency(seconds: &Distribution) -> String {
    seconds.mean().map_or_else(|| "none yet".into(), duration)
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        "of nothing yet".into()
    } else {
        format!("{} of what was read", percent(part as f64 / whole as f64))
    }
}
