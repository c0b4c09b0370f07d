//! How pipelines are.

use aqpipe_engine::metrics::Phase;
use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, html};

use crate::names::name;
use crate::numbers::{bytes, counted, duration, number};
use crate::page::choice::Choice;
use crate::page::model::Model;
use crate::page::parts::{Tone, marked, plain};

/// More pipelines than a process has.
const PIPELINES_MAX: usize = 100;

/// Links to all pipelines of the process, where there are several.
pub(super) fn pipelines(model: &Model, choice: &Choice) -> Markup {
    let shown = model.pipeline(choice).map(|pipeline| &pipeline.name);
    html! {
        @if model.status.pipelines.len() > 1 {
            nav aria-label="Pipelines" {
                ul {
                    @for (at, pipeline) in model.status.pipelines.iter().take(PIPELINES_MAX).enumerate() {
                        @let (tone, word) = standing(pipeline);
                        li {
                            a href=(Choice::pipeline_href(&pipeline.name)) id={ "go-" (at) }
                                aria-current=[(shown == Some(&pipeline.name)).then_some("page")] {
                                span.dot.(tone.class()) aria-hidden="true" {}
                                strong { (name(&pipeline.name)) }
                                span.sub { (word) ", " (number(pipeline.read_per_second.round())) "/s" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The chosen pipeline: its state as a colour and a word, and every reason.
pub(super) fn state(model: &Model, choice: &Choice) -> Markup {
    let Some(pipeline) = model.pipeline(choice) else {
        return html! { h1 { "No pipeline runs in this process" } };
    };
    let (tone, word) = standing(pipeline);
    let memory = model.status.memory_bytes.map(|memory| format!(" · {} of memory", bytes(memory)));
    let delivery = pipeline.delivery.replace('_', " ");
    html! {
        div.headline {
            h1 { (name(&pipeline.name)) }
            p.badge.(tone.class()) { span.dot.(tone.class()) aria-hidden="true" {} (word) }
        }
        p.topology { (plain(&pipeline.topology)) }
        p.sub {
            "for " (duration(pipeline.uptime_seconds)) " · " (plain(&delivery))
            @if let Some(instance) = &pipeline.instance { " · instance " (plain(instance)) }
            (memory.unwrap_or_default())
        }
        @if let Some(failure) = &pipeline.failure { p.reason.bad { "Failed: " (marked(failure)) } }
        @for reason in &pipeline.health.reasons { p.reason.bad { (marked(reason)) } }
        @if !pipeline.phase.is_over() {
            @for reason in &pipeline.health.ready_reasons { p.reason.warn { "Not ready: " (marked(reason)) } }
        }
        @for wait in &pipeline.waits { p.reason.warn { "Waits: " (marked(wait)) } }
        @for away in pipeline.brokers_away.iter().filter(|away| !away.is_asked) {
            p.reason.warn { (marked(&away.sentence())) }
        }
    }
}

/// The state in a word, the worst first.
fn standing(pipeline: &PipelineStatus) -> (Tone, String) {
    let word = pipeline.phase.name();
    match pipeline.phase {
        Phase::Failed => (Tone::Bad, word.into()),
        Phase::Done | Phase::Stopped => (Tone::Idle, word.into()),
        _ if !pipeline.health.alive => (Tone::Bad, format!("{word}, not alive")),
        _ => match pipeline.alerts.len() {
            0 if !pipeline.health.ready => (Tone::Warn, format!("{word}, not ready")),
            0 => (Tone::Good, word.into()),
            alerts => (Tone::Warn, format!("{word}, {}", counted(alerts as u64, "alert"))),
        },
    }
}
