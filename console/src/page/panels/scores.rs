//! Quality scores over time and in all.

use aqpipe_engine::monitor::{Distribution, PipelineStatus};
use maud::{Markup, PreEscaped, html};

use crate::page::model::View;
use crate::pictures::{self, Frame, Line, Scale, histogram};

/// The mean score over the last fifteen minutes.
pub(super) fn trend(pipeline: &PipelineStatus, view: &View) -> Markup {
    if pipeline.scores.is_none() && view.history.iter().all(|moment| moment.mean_score.is_none()) {
        return html! { p.note { "No stage gives scores, or none is committed yet." } };
    }
    let points: Vec<(i64, Option<f64>)> =
        view.history.iter().map(|moment| (moment.unix_ms, moment.mean_score)).collect();
    let lines = [Line { name: "mean score", points: &points }];
    let frame = Frame::half("Mean quality score over the last 15 minutes");
    html! { (PreEscaped(pictures::trend(frame, Some("mean score"), Scale::Between(0.0, 1.0), &lines))) }
}

/// How often which scores occur.
pub(super) fn distribution(pipeline: &PipelineStatus, _: &View) -> Markup {
    let Some(scores) = &pipeline.scores else {
        return html! { p.note { "No stage gives scores, or none is committed yet." } };
    };
    let (edges, counts) = bins(scores);
    html! { (PreEscaped(histogram(Frame::half("Distribution of quality scores"), Some("score"), &edges, &counts))) }
}

/// The buckets from zero on. The one without a bound is that of scores above 1, which do not occur.
fn bins(scores: &Distribution) -> (Vec<f64>, Vec<u64>) {
    let bounded = scores.buckets.iter().filter_map(|bucket| Some((bucket.le?, bucket.count)));
    let (bounds, counts): (Vec<f64>, Vec<u64>) = bounded.unzip();
    (std::iter::once(0.0).chain(bounds).collect(), counts)
}
