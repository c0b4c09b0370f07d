//! The readings of a field over time.

use aqpipe_engine::record::{Flag, Provenance};
use kuva::plot::legend::{LegendEntry, LegendShape};
use kuva::plot::scatter::MarkerShape;
use kuva::plot::{LinePlot, ScatterPlot};
use kuva::render::plots::Plot;

use super::frame::{Frame, drawn, entry, label, range, roomy, with_legend};
use super::ink;
use super::limits::{Limit, Limits};
use super::reduce::{Point, lowest_and_highest, runs};
use super::time_axis::{minute, seconds, spread, with_times};
use crate::numbers::{count, number};

/// The points of the line, and of each kind of mark: two thousand in all, finer than the pixels of a page.
const LINE_MAX_POINTS: usize = 1_400;
const MARKS_MAX_POINTS: usize = 200;

/// More marks than this are drawn smaller, so that they do not hide the line; more points of the line, thinner.
const CROWD: usize = 60;

/// A line is open where the next reading is later than this many usual steps.
const GAP_STEPS: f64 = 2.5;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Measured, and nothing objected.
    Observed,
    /// Measured, out of the usual.
    Suspect,
    /// Measured, and wrong.
    Fail,
    /// Not measured: a fill, or a limit of detection.
    Filled,
    /// No reading at all: here some were passed over, so the line is open. Its value does not matter.
    PassedOver,
}

impl Mark {
    /// The mark of a cell.
    #[must_use]
    pub fn of(flag: Flag, provenance: Provenance) -> Self {
        match flag {
            _ if provenance.is_listed() => Mark::Filled,
            Flag::Suspect => Mark::Suspect,
            Flag::Fail => Mark::Fail,
            Flag::Good | Flag::Unknown | Flag::Missing => Mark::Observed,
        }
    }
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Milliseconds since 1970, UTC.
    pub time_ms: i64,
    /// Its value; none leaves the line open.
    pub value: Option<f64>,
    /// What is known of the value.
    pub mark: Mark,
}

/// A field over time: a line through what was measured, open at gaps, fills and failures; suspect, failed and filled
/// values as marks of their own shape and colour. Readings may come in any order; `unit` stands at the y axis. Limits are lines with
/// their text; those far from all values are named in the description alone.
#[must_use]
pub fn series(frame: Frame<'_>, unit: Option<&str>, readings: &[Reading], limits: &[Limit]) -> String {
    let field = Field::of(readings);
    let (Some(times), Some(scale)) = (field.times, field.scale()) else {
        return frame.empty("no readings");
    };
    let limits = Limits::of(limits, scale);
    let scale = limits.scale;
    let mut plots = Vec::new();
    let mut legend: Vec<LegendEntry> = Vec::new();
    let line = lowest_and_highest(&field.line, LINE_MAX_POINTS);
    let width = if line.len() > 10 * CROWD { 0.9 } else { 1.4 };
    let mut lone = Vec::new();
    for run in runs(&line) {
        match run {
            [point] => lone.push((point.x, point.y)),
            run => plots.push(Plot::Line(
                LinePlot::new()
                    .with_data(run.iter().map(|p| (p.x, p.y)))
                    .with_color(ink::OBSERVED)
                    .with_stroke_width(width),
            )),
        }
    }
    plots.push(Plot::Scatter(ScatterPlot::new().with_data(lone).with_color(ink::OBSERVED).with_size(1.6)));
    if !line.is_empty() {
        legend.push(entry("observed", ink::OBSERVED, LegendShape::Line));
    }
    for (name, color, shape, points) in [
        ("filled", ink::FILLED, MarkerShape::Diamond, &field.filled),
        ("suspect", ink::SUSPECT, MarkerShape::Triangle, &field.suspect),
        ("fail", ink::FAIL, MarkerShape::Cross, &field.fail),
    ] {
        if points.is_empty() {
            continue;
        }
        let kept = lowest_and_highest(points, MARKS_MAX_POINTS);
        let at = kept.iter().map(|p| (p.x, p.y.clamp(scale.0, scale.1)));
        let size = if kept.len() > CROWD { 2.4 } else { 4.0 };
        plots
            .push(Plot::Scatter(ScatterPlot::new().with_data(at).with_color(color).with_marker(shape).with_size(size)));
        legend.push(entry(name, color, LegendShape::Marker(shape)));
    }
    let mut layout = with_times(frame.layout(times, scale), times);
    if let Some(unit) = unit {
        layout = layout.with_y_label(label(unit));
    }
    let about = field.about(unit, scale) + &limits.about();
    frame.draw_over(plots, with_legend(layout, legend), &about, |places| limits.draw(places))
}

/// The readings apart by what is known of them.
#[derive(Default)]
struct Field {
    times: Option<(f64, f64)>,
    line: Vec<Point>,
    suspect: Vec<Point>,
    fail: Vec<Point>,
    filled: Vec<Point>,
    missing: usize,
    beyond: usize,
    last: Option<(f64, f64)>,
}

impl Field {
    fn of(readings: &[Reading]) -> Self {
        let mut field = Field::default();
        let mut sorted: Vec<(f64, Option<f64>, Mark)> =
            readings.iter().filter_map(|r| Some((seconds(r.time_ms)?, r.value, r.mark))).collect();
        field.beyond = readings.len() - sorted.len();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let gap = usual_step(&sorted) * GAP_STEPS;
        let mut run = 0;
        let mut last_x = None;
        for (x, value, mark) in sorted {
            if mark == Mark::PassedOver {
                run += 1;
                continue;
            }
            let Some(y) = value.filter(|value| drawn(*value)) else {
                match value {
                    Some(_) => field.beyond += 1,
                    None => field.missing += 1,
                }
                run += 1;
                continue;
            };
            if last_x.is_some_and(|last| x - last > gap) {
                run += 1;
            }
            last_x = Some(x);
            let point = Point { x, y, run };
            match mark {
                Mark::Filled => field.filled.push(point),
                Mark::Fail => field.fail.push(point),
                Mark::Suspect => field.suspect.push(point),
                Mark::Observed | Mark::PassedOver => {}
            }
            match mark {
                Mark::Observed | Mark::Suspect => field.line.push(point),
                Mark::Fail | Mark::Filled | Mark::PassedOver => run += 1,
            }
            if mark != Mark::Filled {
                field.last = Some((x, y));
            }
        }
        let all = [&field.line, &field.fail, &field.filled];
        field.times = range(all.into_iter().flatten().map(|point| point.x)).map(spread);
        field
    }

    /// The y range. Failures far away from all other values would make a flat line of these, so they stand at its edge.
    fn scale(&self) -> Option<(f64, f64)> {
        let trusted = range(self.line.iter().chain(&self.filled).map(|point| point.y)).map(roomy);
        let failed = range(self.fail.iter().map(|point| point.y)).map(roomy);
        Some(match (trusted, failed) {
            (Some(trusted), Some(failed)) => {
                let all = (f64::min(trusted.0, failed.0), f64::max(trusted.1, failed.1));
                let span = trusted.1 - trusted.0;
                if all.1 - all.0 <= 2.5 * span {
                    all
                } else {
                    (f64::max(all.0, trusted.0 - 0.3 * span), f64::min(all.1, trusted.1 + 0.3 * span))
                }
            }
            (one, other) => one.or(other)?,
        })
    }

    fn about(&self, unit: Option<&str>, scale: (f64, f64)) -> String {
        let unit = unit.map(|unit| format!(" {}", label(unit))).unwrap_or_default();
        let mut text = String::new();
        if let Some((from, to)) = self.times {
            text += &format!("From {} to {} UTC. ", minute(from), minute(to));
        }
        let measured = self.line.iter().chain(&self.fail);
        match (range(measured.clone().map(|point| point.y)), self.last) {
            (Some((low, high)), Some((at, last))) => {
                let observed = count(measured.count() as u64);
                let (low, high, last) = (number(low), number(high), number(last));
                text += &format!(
                    "{observed} observed: lowest {low}, highest {high}, last {last}{unit} at {}. ",
                    minute(at)
                );
            }
            _ => text += "Nothing observed. ",
        }
        let gaps = runs(&self.line).count().saturating_sub(1);
        for (many, what) in [
            (self.suspect.len(), "suspect"),
            (self.fail.len(), "fail"),
            (self.filled.len(), "filled, not observed"),
            (self.missing, "missing"),
            (gaps, if gaps == 1 { "gap in the line" } else { "gaps in the line" }),
            (self.beyond, "not drawn, for they are out of any scale"),
            (
                self.fail.iter().filter(|p| p.y < scale.0 || p.y > scale.1).count(),
                "of the failures off the scale, at its edge",
            ),
        ] {
            if many > 0 {
                text += &format!("{} {what}. ", count(many as u64));
            }
        }
        text.trim_end().into()
    }
}

/// The median time between neighbours.
fn usual_step(sorted: &[(f64, Option<f64>, Mark)]) -> f64 {
    let mut steps: Vec<f64> = sorted.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 0.0).collect();
    if steps.is_empty() {
        return f64::INFINITY;
    }
    let middle = steps.len() / 2;
    *steps.select_nth_unstable_by(middle, f64::total_cmp).1
}
