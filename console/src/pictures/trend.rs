//! Rates, scores and shares over time.

use kuva::plot::legend::LegendShape;
use kuva::plot::{LinePlot, LineStyle, ScatterPlot};
use kuva::render::plots::Plot;

use super::frame::{Frame, drawn, entry, label, range, roomy, with_legend};
use super::ink;
use super::reduce::{Point, lowest_and_highest, runs};
use super::time_axis::{minute, seconds, spread, with_times};
use crate::numbers::{counted, number};

/// All lines share this many points.
const MAX_POINTS: usize = 2_000;

/// Lines of one picture: as many as there are colours.
const MAX_LINES: usize = ink::SERIES.len();

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Milliseconds since 1970 with a value; none leaves the line open. In order of time.
    pub points: &'a [(i64, Option<f64>)],
}

/// The y axis of a trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// What the values need.
    Fitted,
    /// From nothing to what the values need.
    FromZero,
    /// From one number to another; values beyond them stand at the edge.
    Between(f64, f64),
}

/// Up to eight lines over time, apart by colour and by dashes. `unit` stands at the y axis.
#[must_use]
pub fn trend(frame: Frame<'_>, unit: Option<&str>, scale: Scale, lines: &[Line<'_>]) -> String {
    let left_out = lines.len().saturating_sub(MAX_LINES);
    let lines: Vec<(&str, Vec<Point>)> =
        lines.iter().take(MAX_LINES).map(|line| (line.name, points_of(line.points))).collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (Some(times), Some(values)) = (range(all().map(|p| p.x)), range(all().map(|p| p.y))) else {
        return frame.empty("no values yet");
    };
    let times = spread(times);
    let shown = match scale {
        Scale::Between(low, high) if drawn(low) && drawn(high) && low < high => (low, high),
        Scale::FromZero => {
            let (low, high) = roomy((values.0.min(0.0), values.1.max(0.0)));
            (if values.0 >= 0.0 { 0.0 } else { low }, if values.1 <= 0.0 { 0.0 } else { high })
        }
        Scale::Fitted | Scale::Between(..) => roomy(values),
    };
    let mut plots = Vec::new();
    let mut legend = Vec::new();
    let mut about = format!("From {} to {} UTC. ", minute(times.0), minute(times.1));
    for (at, (name, points)) in lines.iter().enumerate() {
        let color = ink::SERIES[at];
        let (style, dashes) = dashes(at);
        for run in runs(&lowest_and_highest(points, MAX_POINTS / lines.len())) {
            let place = |p: &Point| (p.x, p.y.clamp(shown.0, shown.1));
            plots.push(match run {
                [point] => Plot::Scatter(ScatterPlot::new().with_data([place(point)]).with_color(color).with_size(1.6)),
                run => Plot::Line(
                    LinePlot::new()
                        .with_data(run.iter().map(place))
                        .with_color(color)
                        .with_stroke_width(1.6)
                        .with_line_style(style.clone()),
                ),
            });
        }
        let mut entry = entry(name, color, LegendShape::Line);
        entry.dasharray = dashes;
        legend.push(entry);
        about += &about_line(name, points, unit);
    }
    if left_out > 0 {
        about += &format!("Not drawn: {}.", counted(left_out as u64, "more line"));
    }
    let mut layout = with_times(frame.layout(times, shown), times);
    if scale != Scale::Fitted {
        layout = layout.with_y_axis_min(shown.0);
    }
    if matches!(scale, Scale::Between(..)) {
        layout = layout.with_y_axis_max(shown.1);
    }
    if let Some(unit) = unit {
        layout = layout.with_y_label(label(unit));
    }
    // A single line is named by the title.
    let layout = if lines.len() > 1 { with_legend(layout, legend) } else { layout };
    frame.draw(plots, layout, about.trim_end())
}

fn points_of(points: &[(i64, Option<f64>)]) -> Vec<Point> {
    let mut run = 0;
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for (time_ms, value) in points {
        match (seconds(*time_ms), value.filter(|value| drawn(*value))) {
            (Some(x), Some(y)) => out.push(Point { x, y, run }),
            _ => run += 1,
        }
    }
    out.sort_by(|a, b| a.x.total_cmp(&b.x));
    out
}

fn about_line(name: &str, points: &[Point], unit: Option<&str>) -> String {
    let name = label(name);
    let (Some((low, high)), Some(last)) = (range(points.iter().map(|p| p.y)), points.last()) else {
        return format!("{name}: no values. ");
    };
    let unit = unit.map(|unit| format!(" {}", label(unit))).unwrap_or_default();
    let gaps = match runs(points).count().saturating_sub(1) {
        0 => String::new(),
        gaps => format!(", {}", counted(gaps as u64, "gap")),
    };
    format!("{name}: lowest {}, highest {}, last {}{unit}{gaps}. ", number(low), number(high), number(last.y))
}

fn dashes(at: usize) -> (LineStyle, Option<String>) {
    let style = match at % 4 {
        0 => LineStyle::Solid,
        1 => LineStyle::Custom("7 3".into()),
        2 => LineStyle::Custom("2 3".into()),
        _ => LineStyle::Custom("8 3 2 3".into()),
    };
    let dashes = style.dasharray();
    (style, dashes)
}
