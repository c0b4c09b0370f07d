//! A walk over the times of a station, in order: what is expected, what is there, and where the gaps are.

use super::cell_code::CellCode;
use super::expected::{Expected, Moment, Span};
use super::gaps::Reading;
use super::series::Series;
use super::step::StepFinder;
use super::timeline::Timeline;

/// The distances between the times of a station.
pub(super) fn distances(timeline: &Timeline) -> StepFinder {
    let mut finder = StepFinder::default();
    let mut last: Option<i64> = None;
    for chunk in timeline.chunks() {
        for time in &chunk.times {
            if let Some(last) = last.replace(*time) {
                finder.add(time.saturating_sub(last));
            }
        }
    }
    finder
}

/// Counts the cells of the series of a station and finds their gaps; returns what was expected. Without a span there are no gaps, and
/// only what came was expected.
pub(super) fn walk(timeline: &Timeline, series: &mut [Series], span: Option<&Span>, days_left: &mut usize) -> Expected {
    let mut expected = Expected::default();
    let begin = span.map_or(i64::MIN, |span| span.from);
    let mut last: Option<Moment> = None;
    for chunk in timeline.chunks() {
        for (at, (instant, offset)) in chunk.times.iter().zip(&chunk.offsets).enumerate() {
            let moment = Moment { instant: *instant, offset: *offset };
            match (span, last) {
                (Some(span), Some(last)) => _ = expected.between(last, moment, span.step),
                (Some(span), None) => _ = expected.before(moment, span),
                (None, _) => {}
            }
            last = Some(moment);
            let local = moment.local();
            let day = local.day();
            let reading = Reading { number: expected.whole, instant: *instant, local };
            expected.present(day);
            for series in &mut *series {
                let cell = CellCode(chunk.code(series.slot, at)).cell();
                if let Some(cell) = cell {
                    series.count(day, cell, days_left);
                }
                series.gaps.add(reading, cell, begin);
            }
        }
    }
    if let (Some(span), Some(last)) = (span, last) {
        expected.behind(last, span);
    }
    expected.finish();
    series.iter_mut().for_each(|series| series.flush(days_left));
    expected
}
