//! A line on a terminal.

use kuva::TerminalBackend;
use kuva::plot::LinePlot;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::{Scene, render_multiple};

use super::frame::{drawn, range, roomy};
use super::reduce::{Point, lowest_and_highest, runs};
use super::time_axis::{seconds, spread};

/// Wider or taller than this is no screen.
const MAX_COLUMNS: usize = 400;
const MAX_ROWS: usize = 60;

/// A line of braille dots without axes, `rows` lines of `columns` characters that end with `\n`, without colours. Points are
/// milliseconds since 1970 in order of time; none leaves the line open. Without points the lines are blank.
#[must_use]
pub fn terminal_line(points: &[(i64, Option<f64>)], columns: usize, rows: usize) -> String {
    let (columns, rows) = (columns.clamp(1, MAX_COLUMNS), rows.clamp(1, MAX_ROWS));
    let mut run = 0;
    let mut line = Vec::new();
    for (time_ms, value) in points {
        match (seconds(*time_ms), value.filter(|value| drawn(*value))) {
            (Some(x), Some(y)) => line.push(Point { x, y, run }),
            _ => run += 1,
        }
    }
    line.sort_by(|a, b| a.x.total_cmp(&b.x));
    let scene = match (range(line.iter().map(|p| p.x)), range(line.iter().map(|p| p.y))) {
        (Some(times), Some(values)) => scene(&line, spread(times), roomy(values), (columns, rows)),
        _ => Scene::new(columns as f64, rows as f64),
    };
    uncolored(&TerminalBackend::new(columns, rows).render_scene(&scene))
}

fn scene(line: &[Point], times: (f64, f64), values: (f64, f64), (columns, rows): (usize, usize)) -> Scene {
    let (width, height) = (columns as f64 * 8.0, rows as f64 * 16.0);
    let plots = runs(&lowest_and_highest(line, columns * 4))
        .map(|run| Plot::Line(LinePlot::new().with_data(run.iter().map(|p| (p.x, p.y))).with_color("white")))
        .collect();
    let mut layout = Layout::new(times, values)
        .with_width(width)
        .with_height(height)
        .with_show_grid(false)
        .with_force_margins(0.0, 0.0)
        .with_force_margins_y(0.0, 0.0)
        .with_x_axis_min(times.0)
        .with_x_axis_max(times.1)
        .with_y_axis_min(values.0)
        .with_y_axis_max(values.1);
    (layout.suppress_x_ticks, layout.suppress_y_ticks) = (true, true);
    let mut scene = render_multiple(plots, layout);
    // The axes are lines, and would hide the dots below them.
    scene.elements.retain(|element| !matches!(element, kuva::render::render::Primitive::Line { .. }));
    scene
}

/// Colours are those of whoever shows the line.
fn uncolored(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, code)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = code.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}
