//! The page and its parts, drawn from a process.

use aqpipe_engine::monitor::Monitor;

use super::process::Process;
use crate::page::{self, Choice, Model, Moment, View};

/// The whole page.
pub(super) fn index(process: &Process, choice: &Choice) -> String {
    page::index(&model(process, choice), choice).into_string()
}

/// The parts that change: an id and what stands in it.
pub(super) fn panels(process: &Process, choice: &Choice) -> Vec<(&'static str, String)> {
    page::panels(&model(process, choice), choice)
}

fn model(process: &Process, choice: &Choice) -> Model {
    let status = process.status().as_ref().clone();
    let shown = choice.pipeline_of(&status).map(|pipeline| pipeline.name.clone());
    let monitor = process.monitors().iter().find(|monitor| Some(&monitor.monitored().about.name) == shown.as_ref());
    let view = monitor.map(|monitor| view(monitor, choice)).unwrap_or_default();
    Model { status, view }
}

fn view(monitor: &Monitor, choice: &Choice) -> View {
    let moment = |point: aqpipe_engine::monitor::HistoryPoint| Moment {
        unix_ms: i64::try_from(point.unix_ms).unwrap_or(i64::MAX),
        read_per_second: point.read_per_second,
        written_per_second: point.written_per_second,
        mean_score: point.mean_score,
    };
    View::of(choice, monitor.metrics().keep_recent_output(), monitor.history().into_iter().map(moment).collect())
}
