//! The rates of the last fifteen minutes.

use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, PreEscaped, html};

use crate::page::model::{Moment, View};
use crate::page::parts::rate;
use crate::pictures::{Frame, Line, Scale, trend};

/// Records read and written a second over time.
pub(super) fn throughput(pipeline: &PipelineStatus, view: &View) -> Markup {
    let points = |rate: fn(&Moment) -> f64| -> Vec<(i64, Option<f64>)> {
        view.history.iter().map(|moment| (moment.unix_ms, Some(rate(moment)))).collect()
    };
    let (read, written) = (points(|moment| moment.read_per_second), points(|moment| moment.written_per_second));
    let lines = [Line { name: "read", points: &read }, Line { name: "written, committed", points: &written }];
    let frame = Frame::half("Throughput over the last 15 minutes");
    html! {
        p.caption { "Now " (rate(pipeline.read_per_second)) " read, " (rate(pipeline.written_per_second)) " written and committed." }
        (PreEscaped(trend(frame, Some("records/s"), Scale::FromZero, &lines)))
    }
}
