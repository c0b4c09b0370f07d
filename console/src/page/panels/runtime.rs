//! Commits, latencies, errors and clients.

use aqpipe_engine::monitor::{Distribution, PipelineStatus};
use maud::{Markup, html};

use crate::numbers::{bytes, count, duration};
use crate::page::model::View;
use crate::page::parts::{Tone, cell, cell_of, fold, head, plain, row_head, scroll};

/// Clients of a table.
const CLIENTS_MAX: usize = 50;
/// Kinds of notes.
const NOTES_MAX: usize = 50;

/// What operators ask for when something is slow.
pub(super) fn runtime(pipeline: &PipelineStatus, _: &View) -> Markup {
    let commits = &pipeline.commits;
    html! {
        div.columns {
            (durations(pipeline))
            dl.pairs {
                (pair("Checkpoints committed", &count(commits.checkpoints)))
                (pair("Checkpoints that wait", &count(commits.checkpoints_waiting)))
                (pair("Since the last commit", &commits.since_last_seconds.map_or_else(|| "none yet".into(), duration)))
                (pair("Records held back", &count(pipeline.held)))
                (pair("Files written", &count(pipeline.files_written)))
                (pair("Bytes written", &bytes(pipeline.bytes.written)))
            }
            dl.pairs {
                (pair("Errors", &count(pipeline.errors)))
                (pair("Retries", &count(pipeline.retries)))
                (pair("Connections that failed", &count(pipeline.connection_failures)))
                (pair("Rebalances", &count(pipeline.rebalances)))
                (pair("Out of order", &count(pipeline.committed.out_of_order)))
                (pair("Repeated", &count(pipeline.committed.repeated)))
            }
        }
        @if !pipeline.notes.is_empty() { (fold("d-notes", "Notes on the input", &notes(pipeline))) }
        @if !pipeline.clients.is_empty() { (fold("d-clients", "Kafka clients", &clients(pipeline))) }
    }
}

fn pair(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn durations(pipeline: &PipelineStatus) -> Markup {
    let rows: [(&str, &Distribution); 5] = [
        ("Event to commit", &pipeline.event_latency_seconds),
        ("Read to commit", &pipeline.processing_latency_seconds),
        ("Checkpoint to commit", &pipeline.commits.checkpoint_seconds),
        ("Commit", &pipeline.commits.seconds),
        ("Batch", &pipeline.batch_seconds),
    ];
    let table = html! {
        table {
            thead { tr { th scope="col" { "Duration" } (head("Mean")) (head("95 % within")) (head("Count")) } }
            tbody {
                @for (name, distribution) in rows {
                    tr {
                        th scope="row" { (name) }
                        td.n { (distribution.mean().map_or_else(|| "–".into(), duration)) }
                        td.n { (within(distribution, 0.95)) }
                        (cell(distribution.count))
                    }
                }
            }
        }
    };
    scroll("s-durations", "Durations", &table)
}

/// The bound below which this share of the values lies.
fn within(distribution: &Distribution, share: f64) -> String {
    let wanted = (distribution.count as f64 * share).ceil();
    let mut seen = 0;
    for bucket in &distribution.buckets {
        seen += bucket.count;
        if seen as f64 >= wanted && seen > 0 {
            return bucket.le.map_or_else(|| "beyond".into(), duration);
        }
    }
    "–".into()
}

fn notes(pipeline: &PipelineStatus) -> Markup {
    html! { dl.pairs { @for (note, times) in pipeline.notes.iter().take(NOTES_MAX) { (pair(&plain(note), &count(*times))) } } }
}

fn clients(pipeline: &PipelineStatus) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    th scope="col" { "Client" }
                    (head("Round trip")) (head("Brokers up")) (head("Retries")) (head("Timeouts"))
                    (head("To send")) (head("Bytes to send")) (head("Fetched"))
                }
            }
            tbody {
                @for client in pipeline.clients.iter().take(CLIENTS_MAX) {
                    tr {
                        (row_head(&client.client))
                        td.n { (client.round_trip_seconds.map_or_else(|| "–".into(), duration)) }
                        (cell(client.brokers_up))
                        (cell_of(Tone::Warn, client.request_retries))
                        (cell_of(Tone::Bad, client.request_timeouts))
                        (cell(client.queued_messages))
                        td.n { (bytes(client.queued_bytes)) }
                        (cell(client.fetched_messages))
                    }
                }
            }
        }
    };
    scroll("s-clients", "Kafka clients", &table)
}
