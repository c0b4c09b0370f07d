//! What is wrong, and what was.

use aqpipe_engine::monitor::{AlertStatus, PipelineStatus};
use maud::{Markup, html};

use crate::names::{is_long, name as shown};
use crate::numbers::counted;
use crate::page::model::View;
use crate::page::parts::{fold, marked, plain, scroll, time};

/// Alerts that a person reads; all others are counted.
const SHOWN_MAX: usize = 20;
const HISTORY_MAX: usize = 50;

/// The alerts that fire, and the history below them.
pub(super) fn alerts(pipeline: &PipelineStatus, _: &View) -> Markup {
    let left = pipeline.alerts.len().saturating_sub(SHOWN_MAX);
    html! {
        h2.unseen { "Alerts" }
        div aria-live="polite" {
            @if pipeline.alerts.is_empty() { p.quiet { "No alert fires. " (last(&pipeline.alert_history)) } }
            ul.firing {
                @for alert in pipeline.alerts.iter().take(SHOWN_MAX) {
                    li { strong { (name(alert)) } " " (marked(&alert.text)) " " span.sub { "firing since " (time(&alert.since)) } }
                }
            }
            @if left > 0 { p.note { "Not shown here: " (counted(left as u64, "more alert")) " that " @if left == 1 { "fires" } @else { "fire" } "." } }
        }
        @if !pipeline.alert_history.is_empty() { (fold("d-alerts", "History of alerts", &history(&pipeline.alert_history))) }
    }
}

/// The last one that came to its end.
fn last(history: &[AlertStatus]) -> Markup {
    let last = history.iter().find(|alert| !alert.firing);
    html! { @if let Some(alert) = last { span.sub { "Last: " (name(alert)) ", resolved " (time(&alert.since)) "." } } }
}

fn history(alerts: &[AlertStatus]) -> Markup {
    let table = html! {
        table {
            thead { tr { th scope="col" { "Time (UTC)" } th scope="col" { "Alert" } th scope="col" { "Change" } th scope="col" { "What was measured" } } }
            tbody {
                @for alert in alerts.iter().take(HISTORY_MAX) {
                    tr {
                        td { (time(&alert.since)) }
                        @let title = name(alert);
                        th scope="row" .long[is_long(&title)] { (title) }
                        td { @if alert.firing { span.warn { "began" } } @else { span.good { "resolved" } } }
                        td.long { (marked(&alert.text)) }
                    }
                }
            }
        }
    };
    scroll("s-alerts", "History of alerts", &table)
}

fn name(alert: &AlertStatus) -> String {
    match &alert.subject {
        Some(subject) => format!("{}, {}", plain(&alert.alert), shown(subject)),
        None => plain(&alert.alert).into_owned(),
    }
}
